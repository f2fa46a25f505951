"""Defences of a mount: what is held, how it is attached, and taken back."""

from mutants.mutant import Mutant
from support.weakened import Change

HELPER = "fusermount_py/helper"
ENDINGS = "tests/kernel/test_sync_init_endings.py"
RACES = "tests/hostile/test_held_races.py"
SAME = "tests/kernel/test_older_kernels.py::test_a_mount_is_the_same_and_its_owner_takes_it"

ROWS = (
    Mutant(
        "the mount lands on the inode that was judged",
        (
            Change(
                f"{HELPER}/kernel/fs_context.py",
                "mount, mountpoint.descriptor, MOVE",
                "mount, posix.open(mountpoint.path, posix.O_PATH), MOVE",
            ),
        ),
        (
            "tests/hostile/test_symlink_races.py::test_what_was_judged_is_what_is_covered[ours-parent]",
        ),
    ),
    Mutant(
        "a mount is attached with nosuid and nodev",
        (
            Change(
                f"{HELPER}/kernel/fs_context.py",
                "FSMOUNT_CLOEXEC, self._attributes)",
                "FSMOUNT_CLOEXEC, 0)",
            ),
        ),
        (
            "tests/hostile/test_defences.py::test_an_ordinary_callers_mount_has_no_devices[dev-ours]",
        ),
    ),
    Mutant(
        "a mount is not for an instant without them",
        (
            Change(
                f"{HELPER}/kernel/fs_context.py",
                "FSMOUNT_CLOEXEC, self._attributes)",
                "FSMOUNT_CLOEXEC, 0)",
            ),
            Change(
                f"{HELPER}/kernel/fs_context.py",
                "        return mount\n",
                "        remount = 0x1000 | 0x20 | MS_NOSUID | MS_NODEV\n"
                '        place = f"/proc/self/fd/{mount}".encode()\n'
                '        syscalls.mount(b"", place, b"", remount, b"")\n'
                "        return mount\n",
            ),
        ),
        (
            "tests/hostile/test_defences.py::test_not_for_an_instant_is_a_mount_without_nosuid_and_nodev[ours]",
        ),
    ),
    Mutant(
        "what cannot be delivered is taken back",
        (Change(f"{HELPER}/mount.py", "        creation.take_back(mounted)\n", ""),),
        (f"{ENDINGS}::test_a_status_that_nobody_can_read_takes_the_mount_back",),
    ),
    Mutant(
        "what is taken back is the mount itself, not what stands at its path",
        (
            Change(
                f"{HELPER}/creation.py",
                'target = f"/proc/self/fd/{mounted.descriptor}".encode()',
                "target = mounted.prepared.mountpoint.path.encode()",
            ),
        ),
        (f"{RACES}::test_what_is_taken_back_is_what_was_attached",),
    ),
    Mutant(
        "no signal comes between attaching and telling",
        (
            Change(
                f"{HELPER}/mount.py",
                "    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())\n",
                "",
            ),
        ),
        (f"{RACES}::test_no_signal_comes_between_attaching_and_telling",),
    ),
    Mutant(
        "a message is one line",
        (Change(f"{HELPER}/main.py", "{_one_line(message)}", "{message}"),),
        ("tests/kernel/test_names.py::test_control_characters_of_a_name_are_not_printed[classic]",),
    ),
    Mutant(
        "a deleted directory's name leads nowhere",
        (
            Change(
                f"{HELPER}/kernel/mountpoint.py",
                "(path.endswith(_DELETED) and _is_stale(path, descriptor))",
                "False",
            ),
        ),
        ("tests/kernel/test_names.py::test_a_deleted_current_directory_leads_nowhere",),
    ),
    Mutant(
        "a directory may be called deleted",
        (
            Change(
                f"{HELPER}/kernel/mountpoint.py",
                "path.endswith(_DELETED) and _is_stale(path, descriptor)",
                "path.endswith(_DELETED)",
            ),
        ),
        ("tests/kernel/test_names.py::test_a_directory_may_be_called_deleted",),
    ),
    Mutant(
        "no path is cut",
        (
            Change(
                f"{HELPER}/kernel/mountpoint.py",
                "        return path\n",
                "        return path[:1024]\n",
            ),
        ),
        ("tests/kernel/test_names.py::test_a_path_may_be_longer_than_a_page[10]",),
    ),
    Mutant(
        "a symlink is held, not followed",
        (
            Change(
                f"{HELPER}/kernel/mountpoint.py",
                "posix.open(located.name, _O_PATH | posix.O_NOFOLLOW,",
                "posix.open(located.name, _O_PATH,",
            ),
        ),
        ("tests/kernel/test_names.py::test_a_symlink_to_a_mountpoint_is_none[classic]",),
    ),
    Mutant(
        "a mount is its caller's",
        (Change(f"{HELPER}/mount.py", '("group_id", str(caller.gid))', '("group_id", "0")'),),
        (f"{SAME}[this kernel]",),
    ),
)
