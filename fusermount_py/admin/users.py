"""Names of users, from /etc/passwd alone: a name service may ask the network, and hang."""

import functools

import click


def name_of(uid: int | None) -> str:
    """The name, or the number where the file has none; ``-`` for nobody known."""
    if uid is None:
        return "-"
    return _names().get(uid, str(uid))


def uid_of(word: str) -> int:
    """A user given by name or number. Raises a usage error for a name that is not there."""
    if word.isascii() and word.isdecimal():
        return int(word)
    for uid, name in _names().items():
        if name == word:
            return uid
    raise click.BadParameter(f"there is no user {word} in /etc/passwd (a number is taken as it is)")


@functools.cache
def _names() -> dict[int, str]:
    names: dict[int, str] = {}
    try:
        with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.split(":")
                if len(fields) > 2 and fields[2].isdecimal():
                    names.setdefault(int(fields[2]), fields[0])
    except OSError:
        pass
    return names
