"""
Where ours differs from Debian's 3.14.0 on purpose: README.md has the reasons, this is the judge.

Each rule turns one program's outcome into what the other's should be, or says which outcomes of
ours may stand beside it. A pair that no rule makes equal is a difference nobody has decided on.
"""

import re

from compliance.likeness import Outcome

# What libfuse learnt after 3.14.0 (README.md, 1).
NEWER_OPTIONS = (
    *("relatime", "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime"),
    *("lazytime", "nolazytime", "symfollow", "nosymfollow"),
)
NEWER_LONG_OPTIONS = (
    *("--features", "--options", "--sync-init", "--auto-unmount", "--comm-fd"),
    "--dead-mount",
)


def accounted_for(
    theirs: Outcome, ours: Outcome, *, quiet: bool = False, guarded: bool = False
) -> bool:
    """Whether nothing differs that is not on the list. `guarded`: auto_unmount was asked for."""
    if quiet and theirs.exit_status == ours.exit_status == 1 and not ours.stderr:
        return True  # README.md, 6
    if newer := _newer_word(theirs):
        return newer not in ours.stderr
    if re.search(
        rb": bad mount point .*/\.\.?(/.*)?: Permission denied\n$", ours.stderr, re.DOTALL
    ):
        return True  # README.md, 8
    if guarded and ours.exit_status == 0:
        ours = ours._replace(left=theirs.left)  # README.md, 7; ours has a test of its own
    return _expected(theirs) == _plain(ours)


def is_newer(option: bytes) -> bool:
    return option.startswith(b"x-") or option.decode("utf-8", "replace") in NEWER_OPTIONS


def is_newer_long_option(word: bytes) -> bool:
    return any(long.startswith(word.decode("utf-8", "replace")) for long in NEWER_LONG_OPTIONS)


def _newer_word(theirs: Outcome) -> bytes | None:
    """Their complaint about a word that is newer than they are; what follows is not known."""
    option = re.search(rb": unknown option '(.*)'\n$", theirs.stderr, re.DOTALL)
    if option and is_newer(option[1]):
        return option[0]
    long_option = re.search(rb": unrecognized option '(--[^=']+)", theirs.stderr)
    if long_option and is_newer_long_option(long_option[1]):
        return long_option[0]
    return None


def _expected(theirs: Outcome) -> Outcome:
    """Theirs, without the words that only it has (README.md, 1 and 2)."""
    stderr = re.sub(
        rb"[^\n]*: note: 'large_read' mount option is deprecated.*\n", b"", theirs.stderr
    )
    stderr = re.sub(
        rb"[^\n]*: unknown parameter in \S+ at line \d+: 'service_open_path[ \t\v\f\r]*=[^\n]*'\n",
        b"",
        stderr,
    )
    return _in_common(theirs._replace(stderr=stderr))


def _plain(ours: Outcome) -> Outcome:
    """Ours, with control characters as they are without the kernel's lines (README.md, 3, 4)."""
    stderr = re.sub(rb"(: mount failed: [^\[]*?) \[.*\]\n$", rb"\1\n", ours.stderr)
    stderr = re.sub(rb"\\([01][0-7]{2})", lambda octal: bytes([int(octal[1], 8)]), stderr)
    return _in_common(ours._replace(stderr=stderr))


def _in_common(either: Outcome) -> Outcome:
    """Without what lists each one's own options, the version's number, and README.md, 5 and 15."""
    usage, _, _ = either.stdout.partition(b"Options:\n")
    stdout = re.sub(rb"^(fusermount3 version: )3\.[0-9.]+\n$", rb"\1", usage)
    stderr = either.stderr
    if either.exit_status:
        stderr = re.sub(rb"[^\n]*: unsafe option (suid|dev) ignored\n", b"", stderr)
    stderr = re.sub(rb"(: invalid option -- '.)[\x80-\xff]*'\n$", rb"\1'\n", stderr)
    stderr = re.sub(rb"(is ambiguous; possibilities:) '--.*\n$", rb"\1", stderr)
    return either._replace(stdout=stdout, stderr=stderr)
