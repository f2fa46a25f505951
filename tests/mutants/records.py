"""Defences of what is written down: util-linux's table, and the audit trail."""

from mutants.mutant import Mutant
from support.weakened import Change

HELPER = "fusermount_py/helper"
GUARDING = f"{HELPER}/auto_unmount.py"
TRAIL = f"{HELPER}/kernel/audit_trail.py"
RECORD = f"{HELPER}/utab_record.py"
AUDIT = "tests/hostile/test_audit_trail.py"
KILLED = f"{AUDIT}::test_a_helper_that_is_killed_after_the_deed_has_left_its_line"
UTAB = "tests/compliance/test_utab.py"

ROWS = (
    Mutant(
        "the scribe believes nobody whose mount it is",
        (Change(f"{HELPER}/scribe.py", "or not _may_ask(entry, caller) ", ""),),
        (f"{UTAB}::test_the_scribe_takes_nobodys_word_for_whose_mount_it_is",),
    ),
    Mutant(
        "the table does not grow without end",
        (Change(f"{HELPER}/scribe.py", " and posix.stat(utab.PATH).st_size < _TABLE_MAX", ""),),
        (f"{UTAB}::test_a_full_table_gets_no_more_records",),
    ),
    Mutant(
        "a refusal has its line where no descriptor is left",
        (
            Change(
                "fusermount_py/helper/main.py",
                "        if self._trail is None:\n            from",
                "        if 1:\n            from",
            ),
        ),
        ("tests/hostile/test_audit_trail.py::test_a_refusal_has_its_line_without_descriptors",),
    ),
    Mutant(
        "the scribe takes no option on another's word",
        (
            Change(
                f"{HELPER}/scribe.py",
                "recordable = utab_record.recordable(options)\n",
                "recordable = options\n",
            ),
        ),
        (f"{UTAB}::test_the_scribe_takes_nobodys_word_for_whose_mount_it_is[more]",),
    ),
    Mutant(
        "no source is recorded by which mount(8) would search the disks",
        (Change(RECORD, "return bool(name) and not (equals and name.isupper())", "return True"),),
        (
            "tests/unit/test_utab_record.py::test_a_source_by_which_mount_would_search_the_disks_is_not_plain",
        ),
    ),
    Mutant(
        "no option with a quote is recorded",
        (Change(RECORD, " and '\"' not in option", ""),),
        (f'{UTAB}::test_nothing_is_recorded_that_root_would_act_on[x-a=",x-b-x-b]',),
    ),
    Mutant(
        "no order to mount(8) is recorded",
        (Change(RECORD, ' and not option.startswith("x-mount.")', ""),),
        (f"{UTAB}::test_nothing_is_recorded_that_root_would_act_on",),
    ),
    Mutant(
        "no more is recorded than a mount could have",
        (Change(RECORD, "return harmless if length < _LONGEST else []", "return harmless"),),
        ("tests/unit/test_utab_record.py::test_only_harmless_options_are_recordable",),
    ),
    Mutant(
        "a source is never an option of mount(8)",
        (
            Change(
                f"{HELPER}/kernel/utab.py",
                '[*words, "--", source, mountpoint]',
                "[*words, source, mountpoint]",
            ),
        ),
        (f"{UTAB}::test_a_source_is_never_an_option_of_mount",),
    ),
    Mutant(
        "who holds the table's lock keeps no process of root's",
        (
            Change(
                f"{HELPER}/kernel/utab.py",
                "            posix.kill(child, _KILL)\n",
                "            return\n",
            ),
        ),
        (f"{UTAB}::test_who_holds_the_tables_lock_keeps_a_record_back_and_no_more",),
    ),
    Mutant(
        "another mount's record stays",
        (
            Change(
                RECORD, "(record.source, record.target) != (entry.source, entry.mountpoint)", "0"
            ),
        ),
        (f"{UTAB}::test_another_mounts_record_stays[another source]",),
    ),
    Mutant(
        "a mount's line is written before the deed",
        (
            Change(f"{HELPER}/creation.py", "    prepared.announce()\n", ""),
            Change(
                f"{HELPER}/mount.py",
                "    mounted = creation.attach(prepared)\n",
                "    mounted = creation.attach(prepared)\n    prepared.announce()\n",
            ),
        ),
        (f"{KILLED}[mount]",),
    ),
    Mutant(
        "an unmount's line is written before the deed",
        (
            Change(
                f"{HELPER}/unmount.py",
                '        trail.granted("unmount", located.path, entry.fstype)\n',
                "        pass\n",
            ),
            Change(
                f"{HELPER}/unmount.py",
                "        return\n\n\ndef _look(",
                "        if entry is not None:\n"
                '            trail.granted("unmount", located.path, entry.fstype)\n'
                "        return\n\n\ndef _look(",
            ),
        ),
        (
            f"{KILLED}[plain unmount]",
            f"{KILLED}[lazy unmount]",
        ),
    ),
    Mutant(
        "a dead mount's line is written before the deed",
        (
            Change(
                GUARDING,
                '            trail.granted("unmount", located.path, entry.fstype)\n'
                "        unmount.take_held(mount)\n",
                "            pass\n"
                "        unmount.take_held(mount)\n"
                "        if entry is not None:\n"
                '            trail.granted("unmount", located.path, entry.fstype)\n',
            ),
        ),
        (f"{KILLED}[dead mount]",),
    ),
    Mutant(
        "every refusal leaves a line",
        (
            Change(
                f"{HELPER}/main.py",
                "            self._record_refusal(error)\n",
                "            pass\n",
            ),
        ),
        (f"{AUDIT}::test_a_refusal_is_a_line_with_its_sentence",),
    ),
    Mutant(
        "no line can be forged",
        (Change(TRAIL, "if b in _PLAIN else", "if b > 31 else"),),
        (f"{AUDIT}::test_no_line_can_be_forged",),
    ),
    Mutant(
        "a long name still fits into a line",
        (Change(TRAIL, "text[:_SHOWN_MAX])", "text)"),),
        (f"{AUDIT}::test_a_long_name_still_fits_into_a_line",),
    ),
    Mutant(
        "a log daemon that hangs makes nobody wait",
        (Change(TRAIL, "_socket.MSG_DONTWAIT | ", ""),),
        (f"{AUDIT}::test_a_log_daemon_that_hangs_makes_nobody_wait",),
    ),
    Mutant(
        "a record with more than x- options stays",
        (
            Change(
                RECORD,
                'if not all(option.startswith("x-") for option in record.options.split(",")):',
                "if 0:",
            ),
        ),
        (f"{UTAB}::test_another_mounts_record_stays[more than x-]",),
    ),
    Mutant(
        "a record that a lower mount has stays",
        (Change(RECORD, "    return not any(\n", "    return True or any(\n"),),
        (f"{UTAB}::test_a_mount_that_is_stacked_leaves_the_lower_ones_record",),
    ),
)
