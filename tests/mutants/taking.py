"""Defences of unmounting, and of the guard."""

from mutants.mutant import Mutant
from support.weakened import Change

HELPER = "fusermount_py/helper"
GUARDING = f"{HELPER}/auto_unmount.py"
AUTO = "tests/kernel/test_auto_unmount.py"
RACES = "tests/hostile/test_held_races.py"

ROWS = (
    Mutant(
        "a lazy unmount takes what was judged",
        (
            Change(
                f"{HELPER}/unmount.py",
                "take_held(mount)\n            else:",
                "posix.close(mount)\n"
                "                with privilege.raised():\n"
                "                    syscalls.umount2(located.path.encode(), MNT_DETACH)\n"
                "            else:",
            ),
        ),
        (
            f"{RACES}::test_what_is_taken_is_what_was_judged[lazy-link]",
            f"{RACES}::test_what_is_taken_is_what_was_judged[lazy-directory]",
        ),
    ),
    Mutant(
        "a plain unmount follows no symlink in the last place",
        (
            Change(
                f"{HELPER}/unmount.py",
                'encode("utf-8", "surrogateescape"), UMOUNT_NOFOLLOW)',
                'encode("utf-8", "surrogateescape"), 0)',
            ),
        ),
        (f"{RACES}::test_a_mountpoint_that_becomes_a_symlink_is_not_followed[plain]",),
    ),
    Mutant(
        "a plain unmount goes by the held directory",
        (
            Change(
                f"{HELPER}/unmount.py",
                'target = f"/proc/self/fd/{located.directory}/{located.name}"',
                "target = located.path",
            ),
        ),
        (
            f"{RACES}::test_what_is_taken_is_what_was_judged[plain-link]",
            f"{RACES}::test_what_is_taken_is_what_was_judged[plain-directory]",
        ),
    ),
    Mutant(
        "a guard takes its own mount only",
        (Change(GUARDING, "if not mount_identity.is_identity(mount, identity):", "if 0:"),),
        (f"{AUTO}::test_a_later_mount_at_the_same_place_stays[guard_by_classic-dead]",),
    ),
    Mutant(
        "a guard takes the dead only",
        (Change(GUARDING, "    if _is_dead(mount):\n", "    if 1:\n"),),
        (f"{AUTO}::test_a_mount_that_is_alive_stays",),
    ),
    Mutant(
        "a hung server does not hang the helper that asks",
        (Change(GUARDING, "answered.acquire(timeout=_ANSWER_SECONDS)", "answered.acquire()"),),
        (f"{AUTO}::test_a_mount_that_hangs_stays",),
    ),
    Mutant(
        "a dead mount is taken for its owner only",
        (
            Change(
                GUARDING,
                "    entry = mount_identity.mount_of(mount)\n    if not caller.is_root:\n",
                "    entry = mount_identity.mount_of(mount)\n    if 0:\n",
            ),
        ),
        ("tests/hostile/test_dead_mount.py::test_another_users_dead_mount_stays",),
    ),
    Mutant(
        "whether a mount is dead is asked of the mount, not of its path",
        (
            Change(
                GUARDING,
                "posix.fstatvfs(mount)",
                'posix.statvfs(posix.readlink(f"/proc/self/fd/{mount}"))',
            ),
        ),
        ("tests/hostile/test_dead_mount.py::test_the_mount_is_asked_and_not_its_path",),
    ),
    Mutant(
        "another user's mount cannot be guarded",
        (
            Change(
                GUARDING,
                "    permission.check_mounted(entry, located.path)\n    if not caller.is_root:\n",
                "    permission.check_mounted(entry, located.path)\n    if 0:\n",
            ),
        ),
        (f"{AUTO}::test_another_users_mount_cannot_be_guarded[guard_by_classic]",),
    ),
    Mutant(
        "what is judged lies in the directory that was found",
        (
            Change(
                f"{HELPER}/kernel/mountpoint.py",
                "posix.open(located.name, _O_PATH | posix.O_NOFOLLOW, dir_fd=located.directory)",
                "posix.open(located.path, _O_PATH | posix.O_NOFOLLOW)",
            ),
        ),
        (f"{RACES}::test_the_directory_that_was_found_is_the_one_that_is_looked_into",),
    ),
    Mutant(
        "the topmost mount is judged",
        (
            Change(
                f"{HELPER}/unmount.py",
                "        entry = mount_identity.mount_of(mount)\n    except OSError as error:\n",
                "        every = mount_table.entries()\n"
                "        entry = next(e for e in every if e.mountpoint == located.path)\n"
                "    except OSError as error:\n",
            ),
        ),
        ("tests/kernel/test_unmount.py::test_what_root_stacked_on_ones_own_mount_is_not_taken",),
    ),
    Mutant(
        "a guard's helper takes what was judged",
        (
            Change(
                GUARDING,
                "entry.fstype)\n        unmount.take_held(mount)\n",
                "entry.fstype)\n"
                "        with privilege.raised():\n"
                "            unmount.syscalls.umount2(located.path.encode(), 2)\n",
            ),
        ),
        (f"{RACES}::test_what_is_taken_is_what_was_judged[dead-directory]",),
    ),
)
