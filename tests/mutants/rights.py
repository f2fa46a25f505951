"""Defences of whose rights the helper, the guard and the scribe have."""

from mutants.mutant import Mutant
from support.weakened import Change

PRIVILEGE = "fusermount_py/helper/kernel/privilege.py"
MAIN = "fusermount_py/helper/main.py"
UTAB = "tests/compliance/test_utab.py"
POWERS = "tests/hostile/test_powers.py"
DROP = "tests/hostile/test_drop.py"
SCRIBE = "tests/hostile/test_scribe.py"
SETRESUID = "    posix.setresuid(caller.uid, caller.uid, caller.uid)\n"
VERIFY = Change(PRIVILEGE, "        _verify_drop(caller)\n", "")
BECOME = "        caller = privilege.become_caller()\n"

ROWS = (
    Mutant(
        "every uid becomes the caller's",
        (Change(PRIVILEGE, SETRESUID, ""), VERIFY),
        (f"{POWERS}::test_every_id_is_the_callers[proceed]",),
    ),
    Mutant(
        "every gid becomes the caller's",
        (
            Change(PRIVILEGE, "    posix.setresgid(caller.gid, caller.gid, caller.gid)\n", ""),
            VERIFY,
        ),
        (f"{DROP}::test_a_helper_that_is_setgid_too_has_no_group_of_roots",),
    ),
    Mutant(
        "of the capabilities one stays",
        (Change(PRIVILEGE, "        _permit_only([_SYS_ADMIN])\n", ""), VERIFY),
        (f"{POWERS}::test_one_capability_is_permitted_and_none_in_force[proceed]",),
    ),
    Mutant(
        "the drop is read back",
        (VERIFY,),
        (f"{DROP}::test_a_drop_that_failed_is_noticed",),
    ),
    Mutant(
        "the ids are read back",
        (Change(PRIVILEGE, "if (posix.getresuid(), posix.getresgid()) != ids:", "if 0:"),),
        (f"{DROP}::test_a_drop_that_failed_is_noticed[gids]",),
    ),
    Mutant(
        "the capabilities are read back",
        (Change(PRIVILEGE, "if _status_number(status, name) & ~allowed:", "if 0:"),),
        (f"{DROP}::test_a_drop_that_failed_is_noticed[capabilities]",),
    ),
    Mutant(
        "what was dropped is tried for",
        (Change(PRIVILEGE, "        posix.setuid(0)\n", "        raise PermissionError\n"),),
        (f"{DROP}::test_a_drop_that_failed_is_noticed[what the read-back missed]",),
    ),
    Mutant(
        "the capability is in force around the mount calls only",
        (Change(PRIVILEGE, "_prctl.set_caps([], [], [], [_SYS_ADMIN], [], [])", "pass"),),
        (f"{POWERS}::test_one_capability_is_permitted_and_none_in_force[proceed]",),
    ),
    Mutant(
        "the thread that waits has nothing in force",
        (
            Change(
                "fusermount_py/helper/creation.py",
                "        in_time = comm.wait_for_end(reading, seconds)\n",
                "        privilege.raised().__enter__()\n"
                "        in_time = comm.wait_for_end(reading, seconds)\n",
            ),
        ),
        ("tests/kernel/test_privilege.py::test_only_the_thread_that_creates_may_create",),
    ),
    Mutant(
        "the helper can be neither traced nor read",
        (
            Change(
                PRIVILEGE,
                "_prctl.prctl(_prctl.PR_SET_KEEPCAPS, 0)",
                "_prctl.prctl(_prctl.PR_SET_DUMPABLE, 1)",
            ),
        ),
        (f"{POWERS}::test_its_user_can_neither_trace_nor_read_it[proceed]",),
    ),
    Mutant(
        "no exec of a mounting helper gains anything",
        (Change("fusermount_py/helper/mount.py", "        privilege.seal()\n", "        pass\n"),),
        (f"{POWERS}::test_no_exec_could_gain_anything[proceed]",),
    ),
    Mutant(
        "no exec of an unmounting helper gains anything",
        (Change(MAIN, "        privilege.seal()\n", ""),),
        (f"{DROP}::test_no_exec_of_an_unmounting_helper_could_gain_anything",),
    ),
    Mutant(
        "after the mount the capability is given up",
        (Change(MAIN, "        privilege.give_up(caller)\n", ""),),
        (f"{DROP}::test_after_the_mount_nothing_is_permitted",),
    ),
    Mutant(
        "before the guard is executed the capability is given up",
        (Change("fusermount_py/helper/auto_unmount.py", "    privilege.give_up(caller)\n", ""),),
        (f"{DROP}::test_before_a_guard_is_executed_nothing_is_permitted",),
    ),
    Mutant(
        "the scribe's uids are root's, not half the caller's",
        (Change(PRIVILEGE, "    posix.setresuid(0, 0, 0)\n", ""),),
        (f"{SCRIBE}::test_what_writes_as_root_has_nothing_of_the_callers",),
    ),
    Mutant(
        "the scribe's gids are root's",
        (Change(PRIVILEGE, "    posix.setresgid(0, 0, 0)\n", ""),),
        (f"{SCRIBE}::test_what_writes_as_root_has_nothing_of_the_callers",),
    ),
    Mutant(
        "the scribe is in no group of the caller's",
        (Change(PRIVILEGE, "    posix.setgroups([])\n", ""),),
        (f"{SCRIBE}::test_what_writes_as_root_has_nothing_of_the_callers",),
    ),
    Mutant(
        "the scribe has no capability",
        (
            Change(
                PRIVILEGE,
                "_prctl.PR_SET_SECUREBITS, bits)\n        _permit_only([])",
                "_prctl.PR_SET_SECUREBITS, bits)",
            ),
        ),
        (f"{SCRIBE}::test_what_writes_as_root_has_nothing_of_the_callers",),
    ),
    Mutant(
        "no exec of the scribe brings a capability back",
        (Change(PRIVILEGE, "        _prctl.prctl(_prctl.PR_SET_SECUREBITS, bits)\n", ""),),
        (f"{UTAB}::test_who_holds_the_tables_lock_keeps_a_record_back_and_no_more",),
    ),
    Mutant(
        "the scribe's limits are not the caller's",
        (
            Change(
                PRIVILEGE,
                "resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
                "pass",
            ),
        ),
        (f"{SCRIBE}::test_the_callers_limits_are_not_the_scribes",),
    ),
    Mutant(
        "mount(8) gets an empty environment",
        (
            Change(
                "fusermount_py/helper/kernel/utab.py",
                "[name, *arguments], {})",
                "[name, *arguments], posix.environ)",
            ),
        ),
        (f"{SCRIBE}::test_what_writes_as_root_has_nothing_of_the_callers",),
    ),
    Mutant(
        "names are looked up as the caller",
        (
            Change(
                MAIN,
                BECOME,
                "        arguments and '/home-' in arguments[-1] and "
                "posix.open(arguments[-1], posix.O_PATH)\n" + BECOME,
            ),
        ),
        (
            "tests/hostile/test_defences.py::test_an_error_tells_nothing_of_what_the_caller_cannot_see[words0-ours]",
        ),
    ),
    Mutant(
        "no name service is asked",
        (Change(MAIN, BECOME, BECOME + "        __import__('pwd').getpwuid(caller.uid)\n"),),
        ("tests/hostile/test_defences.py::test_no_name_service_is_asked[ours]",),
    ),
)
