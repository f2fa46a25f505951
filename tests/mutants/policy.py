"""Defences that are rules: who may mount what, where, how often, and with which options."""

from mutants.mutant import Mutant
from support.weakened import Change

PERMISSION = "fusermount_py/helper/permission.py"
OPTIONS = "fusermount_py/helper/options.py"
SEATS = "fusermount_py/helper/kernel/seats.py"
RULES = "tests/kernel/test_permission.py"
MAX = "tests/kernel/test_mount_max.py"

ROWS = (
    Mutant(
        "only a directory or a file is a mountpoint",
        (
            Change(
                PERMISSION, "if not (mountpoint.is_directory or mountpoint.is_regular):", "if 0:"
            ),
        ),
        (f"{RULES}::test_nothing_but_a_directory_or_a_file_is_a_mountpoint",),
    ),
    Mutant(
        "a directory that the caller may not enter is no mountpoint",
        (Change(PERMISSION, "if not searchable:", "if 0:"),),
        (f"{RULES}::test_a_directory_that_ones_own_mode_closes_is_no_mountpoint",),
    ),
    Mutant(
        "another's sticky directory is no mountpoint",
        (
            Change(
                PERMISSION,
                "if mountpoint.mode & S_ISVTX and mountpoint.uid != caller.uid:",
                "if 0:",
            ),
        ),
        (f"{RULES}::test_another_users_sticky_directory_is_no_mountpoint",),
    ),
    Mutant(
        "a directory that the caller may not write is no mountpoint",
        (Change(PERMISSION, "if not writable:", "if 0:"),),
        (f"{RULES}::test_another_users_directory_is_no_mountpoint",),
    ),
    Mutant(
        "a file that the caller may not write is no mountpoint",
        (Change(PERMISSION, "    if number:\n", "    if 0:\n"),),
        (f"{RULES}::test_a_file_that_the_caller_cannot_write_is_no_mountpoint",),
    ),
    Mutant(
        "only listed file systems are mounted over",
        (Change(PERMISSION, "if filesystem_type not in FILESYSTEM_TYPES:", "if 0:"),),
        ("tests/hostile/test_defences.py::test_nothing_is_mounted_over_proc[ours]",),
    ),
    Mutant(
        "a user is the whole number",
        (
            Change(
                PERMISSION,
                "mount.owner != caller.uid",
                "not str(caller.uid).startswith(str(mount.owner))",
            ),
        ),
        ("tests/kernel/test_unmount.py::test_a_user_is_the_whole_number[610010]",),
    ),
    Mutant(
        "another user's mount is not taken",
        (Change(PERMISSION, "mount.owner != caller.uid", "mount.owner is None"),),
        ("tests/kernel/test_unmount.py::test_another_users_mount_is_not_taken",),
    ),
    Mutant(
        "the owner is read where the kernel writes it",
        (
            Change(
                "fusermount_py/helper/mount_entry.py",
                'if name == "user_id" and value.isdecimal():',
                'if name.endswith("user_id"):',
            ),
        ),
        ("tests/unit/test_mount_entry.py",),
    ),
    Mutant(
        "what is below a mount is not that mount",
        (Change(PERMISSION, "mount.mountpoint != path or ", ""),),
        ("tests/kernel/test_unmount.py::test_a_directory_in_ones_own_mount_is_not_that_mount",),
    ),
    Mutant(
        "what is guarded or taken is a FUSE mount",
        (Change(PERMISSION, " or not mount.is_fuse", ""),),
        (
            "tests/unit/test_permission.py",
            "tests/hostile/test_dead_mount.py::test_what_is_no_fuse_mount_cannot_be_guarded",
        ),
    ),
    Mutant(
        "suid is not an ordinary caller's",
        (Change(OPTIONS, "MS_NOSUID,      False)", "MS_NOSUID,      True)"),),
        (
            "tests/kernel/test_mount_options.py::test_an_unsafe_option_is_ignored_aloud[classic-suid]",
        ),
    ),
    Mutant(
        "dev is not an ordinary caller's",
        (Change(OPTIONS, "MS_NODEV,       False)", "MS_NODEV,       True)"),),
        (
            "tests/unit/test_options.py::test_an_option_that_clears_a_hardening_flag_is_never_safe[dev]",
        ),
    ),
    Mutant(
        "nosuid and nodev stand from the beginning",
        (Change(OPTIONS, "self.flags = HARDENING", "self.flags = 0"),),
        (
            "tests/hostile/test_defences.py::test_an_ordinary_callers_mount_has_no_devices[dev-ours]",
        ),
    ),
    Mutant(
        "allow_other is the administrator's to permit",
        (Change(OPTIONS, "if not (privileged or config.user_allow_other):", "if 0:"),),
        (
            "tests/compliance/test_options.py::test_allow_other_is_the_administrators_to_permit[ours-False]",
        ),
    ),
    Mutant(
        "blkdev is privileged",
        (Change(OPTIONS, "        if not privileged:\n", "        if 0:\n"),),
        ("tests/compliance/test_options.py::test_blkdev_is_privileged[ours]",),
    ),
    Mutant(
        "SELinux contexts are root's",
        (Change(OPTIONS, "name in _SELINUX and privileged", "name in _SELINUX"),),
        ("tests/unit/test_options.py::test_every_other_option_is_unknown",),
    ),
    Mutant(
        "what is not known is refused",
        (
            Change(
                OPTIONS,
                "    elif option not in _IGNORED_WORDS:\n        raise _unknown(option)\n",
                "    else:\n        options.values.append((option, None))\n",
            ),
        ),
        ("tests/unit/test_options.py::test_every_other_option_is_unknown",),
    ),
    Mutant(
        "ids and the device are ours alone to tell the kernel",
        (
            Change(
                OPTIONS,
                '_KERNEL_VALUES = ("max_read"',
                '_KERNEL_VALUES = ("fd", "rootmode", "user_id", "group_id", "max_read"',
            ),
        ),
        (
            "tests/kernel/test_mount_options.py::test_the_kernel_shows_what_was_asked_for",
            "tests/unit/test_options.py::test_an_ordinary_callers_text_is_accepted_hardened_or_refused",
        ),
    ),
    Mutant(
        "an escaped comma does not separate",
        (Change(OPTIONS, 'if escapes and text[end] == "\\\\":', "if 0:"),),
        (
            "tests/unit/test_options.py::test_commas_separate_unless_escaped_in_a_name_or_quoted_in_a_context",
        ),
    ),
    Mutant(
        "quotes hide commas in a context alone",
        (
            Change(
                OPTIONS,
                "quotes = text.startswith(_ESCAPED, start), text.startswith(_QUOTED, start)",
                "quotes = text.startswith(_ESCAPED, start), True",
            ),
        ),
        (
            "tests/unit/test_options.py::test_commas_separate_unless_escaped_in_a_name_or_quoted_in_a_context",
        ),
    ),
    Mutant(
        "mount_max is a limit",
        (Change(PERMISSION, "if config.is_limited and mounts > config.mount_max:", "if 0:"),),
        (f"{MAX}::test_an_unmount_makes_room[classic]",),
    ),
    Mutant(
        "a helper that waits counts like its mount",
        (
            Change(
                "fusermount_py/helper/mount_max.py",
                "held = seats.held(places) if taken else 0",
                "held = 0",
            ),
        ),
        (f"{MAX}::test_helpers_that_wait_for_proceed_count_and_make_nobody_wait[18]",),
    ),
    Mutant(
        "a seat is not waited for",
        (Change(SEATS, "posix.F_TLOCK", "posix.F_LOCK"),),
        (f"{MAX}::test_helpers_that_wait_for_proceed_count_and_make_nobody_wait[19]",),
    ),
    Mutant(
        "nobody but root can hold a seat",
        (Change(SEATS, "_OPEN_FLAGS, 0o600)", "_OPEN_FLAGS, 0o644)"),),
        ("tests/hostile/test_seats_file.py",),
    ),
)
