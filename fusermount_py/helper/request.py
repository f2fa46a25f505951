"""
Entry: the words of the command line and the environment -> one request.

GNU getopt_long's rules: options and operands in any order, ``--`` ends options, ``-uz`` bundles,
``-oX`` and ``-o X``, ``--options=X`` and ``--options X``, unambiguous abbreviations.
"""

from fusermount_py.helper import protocol
from fusermount_py.helper.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Whether an option takes an argument: getopt.h's numbers.
NO_ARGUMENT, REQUIRED_ARGUMENT, OPTIONAL_ARGUMENT = range(3)
# long name: (short letter, argument). The front reads the same table: packaging/launcher/words.py.
LONG = {
    "help": ("h", NO_ARGUMENT),
    "version": ("V", NO_ARGUMENT),
    "features": ("", OPTIONAL_ARGUMENT),
    "options": ("o", REQUIRED_ARGUMENT),
    "unmount": ("u", NO_ARGUMENT),
    "lazy": ("z", NO_ARGUMENT),
    "quiet": ("q", NO_ARGUMENT),
    "sync-init": ("", NO_ARGUMENT),
    "auto-unmount": ("", NO_ARGUMENT),
    "comm-fd": ("", REQUIRED_ARGUMENT),
    "dead-mount": ("", REQUIRED_ARGUMENT),  # the guard's own: see auto_unmount.py
}
_SHORT = {letter: name for name, (letter, _) in LONG.items() if letter}


class Help:
    """-h: usage on stdout, exit status 1, as every caller that probes with it expects."""


class Version:
    """-V"""


class Features:
    """--features: what this helper can, in digits or by name."""

    __slots__ = ("as_text",)

    def __init__(self, *, as_text: bool) -> None:
        self.as_text = as_text


class MountRequest:
    """Mount here, with these options, by way of this comm socket, with these clocks (seconds)."""

    what = "mount"  # in the log's words
    __slots__ = (
        "comm_fd", "device", "init_seconds", "mountpoint", "options", "proceed_seconds",
        "sync_init",
    )  # fmt: skip

    def __init__(
        self,
        mountpoint: str,
        options: str,
        comm_fd: int | None,
        *,
        sync_init: bool,
        variables: dict[str, str],
    ) -> None:
        self.mountpoint = mountpoint
        self.options = options
        self.comm_fd = comm_fd
        self.sync_init = sync_init
        self.device = variables.get(protocol.KERN_DEVICE)
        self.proceed_seconds = _seconds(protocol.PROCEED_TIMEOUT, variables)
        self.init_seconds = _seconds(protocol.INIT_TIMEOUT, variables)


class UnmountRequest:
    """Unmount what is on top here; with ``dead_mount`` only that mount, and only if it is dead."""

    what = "unmount"
    __slots__ = ("dead_mount", "lazy", "lookup_seconds", "mountpoint", "quiet")

    def __init__(
        self,
        mountpoint: str,
        *,
        lazy: bool,
        quiet: bool,
        dead_mount: int | None,
        variables: dict[str, str],
    ) -> None:
        self.mountpoint = mountpoint
        self.lookup_seconds = _lookup_seconds(variables)
        self.lazy = lazy
        self.quiet = quiet
        self.dead_mount = dead_mount


class GuardRequest:
    """Guard what is mounted here until the comm socket's other end closes."""

    what = "guard"
    __slots__ = ("comm_fd", "lookup_seconds", "mountpoint")

    def __init__(self, mountpoint: str, comm_fd: int | None, variables: dict[str, str]) -> None:
        self.mountpoint = mountpoint
        self.lookup_seconds = _lookup_seconds(variables)
        self.comm_fd = comm_fd


Request = Help | Version | Features | MountRequest | UnmountRequest | GuardRequest


def parse(arguments: list[str], variables: dict[str, str]) -> Request:
    """``arguments`` without argv[0]. Raises UsageError, for the command line in getopt's words."""
    given: dict[str, str] = {}
    operands = []
    for name, value in _words(arguments):
        # These three are answered at once: what stands behind them is not looked at.
        if name == "help":
            return Help()
        if name == "version":
            return Version()
        if name == "features":
            return Features(as_text=bool(value)) if value in ("", "=text") else Help()
        if name is None:
            operands.append(value)
        else:
            given[name] = value
    if "lazy" in given and "unmount" not in given:
        raise UsageError("-z can only be used with -u")
    if not operands:
        raise UsageError("missing mountpoint argument")
    if len(operands) > 1:
        raise UsageError("extra arguments after the mountpoint")
    return _request(operands[0], given, variables)


def _request(mountpoint: str, given: dict[str, str], variables: dict[str, str]) -> Request:
    if "unmount" in given:
        return UnmountRequest(
            mountpoint,
            lazy="lazy" in given,
            quiet="quiet" in given,
            dead_mount=_number("--dead-mount", given.get("dead-mount")),
            variables=variables,
        )
    comm_fd = _descriptor("--comm-fd", given.get("comm-fd"))
    if comm_fd is None:
        comm_fd = _descriptor(protocol.COMM_FD, variables.get(protocol.COMM_FD))
    if "auto-unmount" in given:
        return GuardRequest(mountpoint, comm_fd, variables)
    return MountRequest(
        mountpoint,
        given.get("options", ""),
        comm_fd,
        sync_init="sync-init" in given,
        variables=variables,
    )


def _words(arguments: list[str]) -> "Iterator[tuple[str | None, str]]":
    """
    Options as (long name, argument or ""), operands as (None, operand), in their order.

    An argument that could have been left out keeps its "=": what follows that may be nothing.
    """
    words = iter(arguments)
    for word in words:
        if word == "--":
            for operand in words:
                yield None, operand
        elif word.startswith("--"):
            yield _long_option(word, words)
        elif word.startswith("-") and word != "-":
            yield from _short_options(word[1:], words)
        else:
            yield None, word


def _long_option(word: str, words: "Iterator[str]") -> tuple[str, str]:
    abbreviation, equals, value = word[2:].partition("=")
    matches = [name for name in LONG if name.startswith(abbreviation)]
    if not matches:
        raise UsageError(f"unrecognized option '{word}'")
    if len(matches) > 1:
        possible = " ".join(f"'--{name}'" for name in matches)
        raise UsageError(f"option '{word}' is ambiguous; possibilities: {possible}")
    name = matches[0]
    argument = LONG[name][1]
    if argument == OPTIONAL_ARGUMENT:
        return name, equals + value
    if argument == NO_ARGUMENT:
        if equals:
            raise UsageError(f"option '--{name}' doesn't allow an argument")
        return name, ""
    if not equals:
        following = next(words, None)
        if following is None:
            raise UsageError(f"option '--{name}' requires an argument")
        value = following
    return name, value


def _short_options(letters: str, words: "Iterator[str]") -> "Iterator[tuple[str, str]]":
    for index, letter in enumerate(letters):
        name = _SHORT.get(letter)
        if name is None:
            raise UsageError(f"invalid option -- '{letter}'")
        if LONG[name][1] == NO_ARGUMENT:
            yield name, ""
            continue
        value = letters[index + 1 :] or next(words, None)
        if value is None:
            raise UsageError(f"option requires an argument -- '{letter}'")
        yield name, value
        return


def _number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    # isdecimal alone would take digits of every script; int alone would take " 3", "+3" and "1_0".
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise UsageError(f"{name} is not a number: '{text}'")
    return int(text)


def _descriptor(name: str, text: str | None) -> int | None:
    number = _number(name, text)
    if number is not None and number >= 1 << 31:
        raise UsageError(f"{name} is not a file descriptor: '{text}'")
    return number


def _lookup_seconds(variables: dict[str, str]) -> float:
    """How long the file systems on the way may take where there is nobody else to wait for."""
    return min(_seconds(protocol.PROCEED_TIMEOUT, variables), protocol.LOOKUP_SECONDS)


def _seconds(name: str, variables: dict[str, str]) -> float:
    """A peer may shorten our patience, never lengthen it."""
    text = variables.get(name)
    if text is None:
        return protocol.WAIT_SECONDS
    whole, _, fraction = text.partition(".")
    if not ((whole + fraction).isascii() and (whole + fraction).isdecimal() and len(text) < 20):
        raise UsageError(f"{name} is not a number of seconds: '{text}'")
    return min(float(text), protocol.WAIT_SECONDS)
