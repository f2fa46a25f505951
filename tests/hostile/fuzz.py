"""
Coverage-guided fuzzing of every parser, by atheris (libFuzzer): hypothesis knows what we thought
of, libFuzzer follows the branches that are there.

    .venv/bin/python tests/hostile/fuzz.py options tests/hostile/corpus/options -max_total_time=600

One rule: accepted, or our own refusal, nothing else. The pure modules only, so it needs no root.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # it ships no types

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["fusermount_py"]):
    from fusermount_py.helper import fuse_conf, mount_entry, options, request, utab_record
    from fusermount_py.helper.errors import HelperError


def text_of(words: bytes) -> str:
    """As main() decodes what it is given."""
    return words.decode("utf-8", "surrogateescape")


def fuzz_command_line(words: bytes) -> None:
    """Arguments, and behind an empty one the environment, each ended by NUL."""
    arguments, _, variables = text_of(words).partition("\0\0")
    try:
        request.parse(
            arguments.split("\0"),
            dict(word.partition("=")[::2] for word in variables.split("\0")),
        )
    except HelperError:
        pass


def fuzz_options(words: bytes) -> None:
    """Whatever the text says, an ordinary caller's mount is hardened and nobody else's."""
    config = fuse_conf.Config("/etc/fuse.conf")
    try:
        options.parse(text_of(words), config, privileged=True)
    except HelperError:
        pass
    try:
        parsed = options.parse(text_of(words), config, privileged=False)
    except HelperError:
        return
    assert parsed.flags & options.HARDENING == options.HARDENING
    assert not parsed.allow_other
    assert not parsed.blkdev
    for name, value in parsed.parameters():
        assert name in {"default_permissions", "max_read", "blksize"}
        assert "," not in (value or "")


def fuzz_fuse_conf(words: bytes) -> None:
    """allow_other is never allowed by a file that does not hold the word."""
    config = fuse_conf.parse(words, "/etc/fuse.conf")
    assert not config.user_allow_other or b"user_allow_other" in words
    assert config.mount_max >= -1


def fuzz_mountinfo(words: bytes) -> None:
    """One line of the kernel's table, or of another's forging."""
    try:
        entry = mount_entry.parse(words)
    except ValueError:
        return
    assert entry.owner is None or entry.owner >= 0


def fuzz_statmount(words: bytes) -> None:
    """The answer of statmount(2)."""
    try:
        mount_entry.parse_statmount(words)
    except ValueError:
        pass


def fuzz_utab(words: bytes) -> None:
    """A line of /run/mount/utab."""
    utab_record.parse(words)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "command_line": fuzz_command_line,
    "options": fuzz_options,
    "fuse_conf": fuzz_fuse_conf,
    "mountinfo": fuzz_mountinfo,
    "statmount": fuzz_statmount,
    "utab": fuzz_utab,
}

if __name__ == "__main__":
    target = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[target])
    atheris.Fuzz()
