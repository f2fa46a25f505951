"""Users, from /etc/passwd and /etc/group alone: a name service may ask the network, and hang."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import click


class Account(NamedTuple):
    """Who a process is that runs as this user; ``groups`` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...]


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


def account_of(uid: int) -> Account:
    """
    The user's ids as a login sets them. Raises a usage error for a user that has no line.

    A uid says nothing about groups: the group of the same number may be the disk's.
    """
    found = [
        (name, int(gid))
        for name, _, number, gid, *_ in _lines("/etc/passwd", 4)
        if number.isdecimal() and int(number) == uid and gid.isdecimal()
    ]
    if not found:
        raise click.BadParameter(f"user {uid} has no line in /etc/passwd, which says its groups")
    name, gid = found[0]
    groups = {
        int(number)
        for _, _, number, members, *_ in _lines("/etc/group", 4)
        if number.isdecimal() and name in members.split(",")
    }
    return Account(uid, gid, tuple(sorted(groups - {gid})))


@functools.cache
def _names() -> dict[int, str]:
    names: dict[int, str] = {}
    for name, _, number, *_ in _lines("/etc/passwd", 3):
        if number.isdecimal():
            names.setdefault(int(number), name)
    return names


def _lines(path: str, fewest: int) -> Iterator[list[str]]:
    """The fields of each line that has so many; none of a file that cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.rstrip("\n").split(":")
                if len(fields) >= fewest:
                    yield fields
    except OSError:
        return
