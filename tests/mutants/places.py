"""Defences of where a mount lands, and of which mount is found again or taken."""

from mutants.mutant import Mutant
from support.weakened import Change

HELPER = "fusermount_py/helper"
CREATION = f"{HELPER}/creation.py"
DETACHED = f"{HELPER}/kernel/detached_mount.py"
LEGACY = f"{HELPER}/kernel/legacy_mount.py"
UNMOUNT = f"{HELPER}/unmount.py"
POINT = f"{HELPER}/kernel/mountpoint.py"
PLACES = "tests/hostile/test_namespaces.py"
OLDER = "tests/kernel/test_older_kernels.py"
ENDINGS = "tests/kernel/test_sync_init_endings.py"
RACES = "tests/hostile/test_held_races.py"
MADE_BY_MOUNT_2 = (
    "tests/hostile/test_held_races.py::test_what_mount_2_has_made_is_taken_for_no_other"
)
NO_TRACE = (
    "tests/kernel/test_mount_options.py::test_a_long_name_leaves_no_trace_where_proc_is_shared"
)
NAMES = "tests/unit/test_stable_name.py"
STABLE = f"{HELPER}/stable_name.py"

ROWS = (
    Mutant(
        "no device is handed out for a mountpoint in another namespace",
        (
            Change(
                f"{HELPER}/mount.py",
                "is_here=mount_identity.is_here(pinned.descriptor)",
                "is_here=True",
            ),
        ),
        (f"{PLACES}::test_a_mountpoint_in_a_tree_of_the_callers_own_namespace_is_none",),
    ),
    Mutant(
        "where the mountpoint lies is asked again before the deed",
        (
            Change(
                CREATION,
                "is_here=mount_identity.is_here(prepared.mountpoint.descriptor)",
                "is_here=True",
            ),
        ),
        (f"{ENDINGS}::test_a_mountpoint_whose_mount_is_gone_before_proceed_is_told_by_the_status",),
    ),
    Mutant(
        "the mount namespace belongs to the helper's user namespace",
        (Change(f"{HELPER}/permission.py", "if not is_ours:", "if 0:"),),
        (f"{PLACES}::test_nothing_is_mounted_in_a_namespace_of_another_user_namespace[ours]",),
    ),
    Mutant(
        "whose namespace it is must be answered",
        (
            Change(
                f"{HELPER}/kernel/mount_identity.py",
                "    except PermissionError:\n        return True",
                "    except OSError:\n        return True",
            ),
        ),
        (f"{PLACES}::test_a_question_that_fails_is_not_a_yes",),
    ),
    Mutant(
        "settings that cannot be read are no defaults",
        (Change(f"{HELPER}/mount.py", "if not isinstance(error, PermissionError):", "if 0:"),),
        (
            "tests/hostile/test_limits_at_run_time.py::test_the_administrators_settings_cannot_be_kept_from_being_read",
        ),
    ),
    Mutant(
        "a mount that cannot be asked for its place is taken back",
        (
            Change(
                CREATION,
                "    except BaseException:  # the caller may",
                "    except KernelError:  #",
            ),
        ),
        (
            "tests/hostile/test_limits_at_run_time.py::test_no_descriptor_is_left_at_any_step_of_the_mount[short]",
        ),
    ),
    Mutant(
        "the scribe is in no control group of its user's",
        (
            Change(
                f"{HELPER}/scribe.py",
                "        privilege.become_scribe()\n        _leave_the_callers_control_group()\n",
                "        privilege.become_scribe()\n",
            ),
        ),
        ("tests/hostile/test_frozen.py::test_no_process_of_roots_is_its_users_to_freeze",),
    ),
    Mutant(
        "what root has mounted meanwhile is not covered",
        (Change(f"{HELPER}/permission.py", "if not uncovered:", "if 0:"),),
        (f"{ENDINGS}::test_what_root_mounts_before_proceed_is_not_covered",),
    ),
    Mutant(
        "a mount with a long name is made in a namespace of its own",
        (Change(DETACHED, "        syscalls.unshare(CLONE_NEWNS)\n", ""),),
        (NO_TRACE,),
    ),
    Mutant(
        "a mount with a long name is seen in no namespace that shares /proc",
        (
            Change(
                DETACHED,
                "        syscalls.mount(None, _PROC.encode(), None, MS_PRIVATE, None)\n",
                "",
            ),
        ),
        (NO_TRACE,),
    ),
    Mutant(
        "a mount with a long name is held, not looked for",
        (
            Change(
                DETACHED,
                "        return self._descriptor\n",
                "        return posix.open(pinned.path, posix.O_PATH | posix.O_NOFOLLOW)\n",
            ),
            Change(f"{HELPER}/permission.py", "if not uncovered:", "if 0:"),
        ),
        (f"{RACES}::test_what_has_a_long_name_is_held_as_well",),
    ),
    Mutant(
        "what mount(2) made is looked for by its owner",
        (
            Change(
                LEGACY,
                "(entry.owner, entry.source) != (self._call.owner, self._call.source)",
                "entry.source != self._call.source",
            ),
        ),
        (f"{MADE_BY_MOUNT_2}[another owner's]",),
    ),
    Mutant(
        "what mount(2) made is looked for by its source",
        (
            Change(
                LEGACY,
                "(entry.owner, entry.source) != (self._call.owner, self._call.source)",
                "entry.owner != self._call.owner",
            ),
        ),
        (f"{MADE_BY_MOUNT_2}[another source]",),
    ),
    Mutant(
        "what mount(2) made is looked for on the mount that was judged",
        (
            Change(LEGACY, "or not mount_identity.lies_on(mount, pinned.descriptor)", "or 0"),
            Change(f"{HELPER}/permission.py", "if not uncovered:", "if 0:"),
        ),
        (f"{MADE_BY_MOUNT_2}[on another mount]",),
    ),
    Mutant(
        "mount(2) mounts on the inode that was judged",
        (Change(LEGACY, "mount_on(pinned.magic_link)", "mount_on(pinned.path)"),),
        (f"{OLDER}::test_what_was_judged_is_what_is_covered[no fs context]",),
    ),
    Mutant(
        "mount(2) is told nosuid and nodev",
        (Change(f"{HELPER}/kernel/mount_call.py", "self._flags = flags", "self._flags = 0"),),
        (f"{OLDER}::test_a_mount_is_the_same_and_its_owner_takes_it[no fs context]",),
    ),
    Mutant(
        "what mount(2) made for a client that is gone is taken back",
        (Change(CREATION, "        take_back(attach(prepared))\n", "        pass\n"),),
        (f"{OLDER}::test_a_client_that_hangs_up_right_after_proceed_has_no_mount[no fs context]",),
    ),
    Mutant(
        "a plain unmount goes by no name that could be another's",
        (
            Change(
                UNMOUNT,
                "    if entry is None or _leads_nowhere_else(located, entry):\n",
                "    if 1:\n",
            ),
        ),
        (
            f"{RACES}::test_what_comes_to_have_the_name_stays[beside]",
            f"{RACES}::test_what_comes_to_have_the_name_stays[below]",
        ),
    ),
    Mutant(
        "no name is looked up by a server while the capability is in force",
        (
            Change(
                UNMOUNT,
                "if directory is None or directory.fstype not in stable_name.LOCAL_TYPES:",
                "if directory is None:",
            ),
        ),
        (
            "tests/hostile/test_silent_servers.py::test_no_name_is_looked_up_while_the_capability_is_in_force[ours]",
        ),
    ),
    Mutant(
        "a neighbour is out of reach only in directories of root's",
        (Change(POINT, "return status.st_uid in (0, owner) and not", "return not"),),
        (f"{RACES}::test_what_comes_to_have_the_name_stays[beside]",),
    ),
    Mutant(
        "a neighbour is out of reach only where nobody else may write",
        (Change(POINT, " and not status.st_mode & _OTHERS_WRITE", ""),),
        ("tests/kernel/test_reach.py::test_who_may_rename_reaches_it",),
    ),
    Mutant(
        "a directory that its owner has closed keeps nobody out",
        (
            Change(
                POINT,
                "return status.st_uid == 0 and not status.st_mode & _OTHERS_ENTER",
                "return not status.st_mode & _OTHERS_ENTER",
            ),
        ),
        ("tests/kernel/test_reach.py::test_a_directory_that_its_owner_closed_is_no_wall",),
    ),
    Mutant(
        "a directory that somebody else may enter is no wall",
        (Change(POINT, " and not status.st_mode & _OTHERS_ENTER", ""),),
        ("tests/kernel/test_reach.py::test_a_directory_that_others_may_enter_is_no_wall",),
    ),
    Mutant(
        "what a server says of a directory is not believed",
        (
            Change(POINT, "on is None or on.fstype not in local_types or", "on is None or"),
            Change(POINT, "return on is not None and on.id == mount", "return on is not None"),
        ),
        ("tests/kernel/test_reach.py::test_what_a_server_says_is_not_believed",),
    ),
    Mutant(
        "what covers a directory is another place",
        (Change(POINT, "return on is not None and on.id == mount", "return on is not None"),),
        ("tests/kernel/test_reach.py::test_another_mount_that_covers_the_path_is_another_place",),
    ),
    Mutant(
        "a neighbour with others on it is root's",
        (Change(STABLE, "0 if entry.id in covered else entry.owner or 0", "entry.owner or 0"),),
        (f"{NAMES}::test_a_neighbour_is_whose_all_of_it_is",),
    ),
    Mutant(
        "a mount of another owner's below has the name next",
        (Change(STABLE, "            return None  # unknown ones, too\n", "            break\n"),),
        (f"{NAMES}::test_another_owners_below_is_no_question",),
    ),
    Mutant(
        "what lies on another mount of one's own is no question",
        (Change(STABLE, "if any(parent in owned and", "if any(0 and"),),
        (f"{NAMES}::test_anothers_on_another_mount_of_ones_own_is_no_question",),
    ),
    Mutant(
        "a mount with others inside is busy",
        (Change(UNMOUNT, " and mount_table.has_mounts_on(entry.id):", " and 0:"),),
        (
            "tests/kernel/test_unmount.py::test_a_neighbour_that_could_take_its_name_is_no_reason_not_to_unmount",
        ),
    ),
    Mutant(
        "nothing is done that no descriptor is left to record",
        (
            Change(
                f"{HELPER}/kernel/audit_trail.py",
                "        if self._starved is not None:\n",
                "        if 0 and self._starved is not None:\n",
            ),
            Change(
                f"{HELPER}/main.py",
                "        trail = self._trail = AuditTrail(caller)\n        privilege.seal()\n",
                "        privilege.seal()\n        every = [posix.dup(2) for _ in range(9)]\n"
                "        trail = self._trail = AuditTrail(caller)\n"
                "        [posix.close(one) for one in every]\n",
            ),
        ),
        (
            "tests/hostile/test_audit_trail.py::test_nothing_is_done_that_no_descriptor_is_left_to_record[unmount]",
        ),
    ),
    Mutant(
        "who holds the table's lock keeps no mount waiting",
        (Change(f"{HELPER}/scribe.py", "_MOMENT = 0.25\n", "_MOMENT = 20\n"),),
        (
            "tests/compliance/test_utab.py::test_who_holds_the_tables_lock_keeps_a_record_back_and_no_more",
            "tests/compliance/test_utab.py::test_who_holds_the_tables_lock_keeps_no_unmount_waiting",
        ),
    ),
    Mutant(
        "a look-up below a silent server has a clock",
        (Change(f"{HELPER}/kernel/patience.py", "            over()\n", "            pass\n"),),
        (
            "tests/kernel/test_hung_mountpoint.py::test_below_a_hung_mount_nothing_waits_for_ever_nor_with_a_capability[-u]",
        ),
    ),
    Mutant(
        "at the process limit a dead mount goes all the same",
        (
            Change(
                f"{HELPER}/auto_unmount.py",
                "        _signal.alarm(int(_ANSWER_SECONDS))\n        ask()\n",
                "        return None\n",
            ),
        ),
        (
            "tests/kernel/test_auto_unmount.py::test_at_the_process_limit_a_dead_mount_goes_all_the_same",
        ),
    ),
)
