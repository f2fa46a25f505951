"""
Which mounts a command line means: by path, by connection, or all that fulfil its conditions.

A path is compared with the mount table as text; nothing of it is looked up, for its last part may
be hung. That makes a symlink another name, and the sentence then says which names there are.
"""

import difflib
import os

import click
from click.shell_completion import CompletionItem

from fusermount_py.admin import screen, users
from fusermount_py.admin.fuse_mount import FuseMount, fuse_entries, read_all
from fusermount_py.admin.same_mount import is_of_this_namespace
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.mount_entry import MountEntry

_A_GOOD_GUESS = 0.6  # of difflib's 0 to 1


class NoSuchMount(click.ClickException):
    """The sentence says what there is instead."""


user_option = click.option(
    "--user",
    metavar="NAME|UID",
    callback=lambda _context, _parameter, word: None if word is None else users.uid_of(word),
    help="Only those that this user mounted.",
)


def find(words: tuple[str, ...]) -> list[FuseMount]:
    """The mounts named by paths and connection numbers, the topmost first; or NoSuchMount."""
    _check_working_directory(words)
    table = mount_table.entries()
    mounts = read_all()
    found: dict[int, FuseMount] = {}
    for word in words:
        if not word:
            raise NoSuchMount("an empty name is no mountpoint")
        named = [mount for mount in mounts if _is_named(mount, word)]
        if not named:
            raise NoSuchMount(_what_there_is(word, table))
        if not word.isdecimal():
            named = [mount for mount in named if not mount.is_covered] or named[-1:]
        found.update((mount.entry.id, mount) for mount in named)
    return sorted(found.values(), key=mounts.index, reverse=True)


def _check_working_directory(words: tuple[str, ...]) -> None:
    """Elsewhere, the same names are those of other mounts than ours."""
    are_relative = any(not word.startswith("/") and not word.isdecimal() for word in words)
    if are_relative and not is_of_this_namespace("."):
        raise NoSuchMount(
            "the working directory lies outside of this mount namespace: give whole paths"
        )


def _is_named(mount: FuseMount, word: str) -> bool:
    if word.isascii() and word.isdecimal():
        return mount.connection == int(word)
    return mount.mountpoint == normal(word)


def normal(path: str) -> str:
    """Absolute and without ``.``, ``..`` and doubled slashes, by its text alone."""
    return "/" + os.path.normpath(os.path.join(os.getcwd(), path)).lstrip("/")


def _what_there_is(word: str, table: list[MountEntry]) -> str:
    name = screen.printable(word)
    if word.isascii() and word.isdecimal():
        return f"no FUSE mount here belongs to connection {name}"
    path = normal(word)
    others = [entry for entry in table if entry.mountpoint == path]
    if others:
        return f"{name} is not a FUSE mount: its type is {others[-1].fstype}"
    names = [entry.mountpoint for entry in fuse_entries(table)]
    near = difflib.get_close_matches(path, names, 1, _A_GOOD_GUESS)
    if near:
        return f"nothing is mounted at {name}; did you mean {screen.printable(near[0])}?"
    return f"nothing is mounted at {name}" + ("" if names else "; there is no FUSE mount here")


def complete(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """For the shell: every FUSE mountpoint that begins so."""
    names = [entry.mountpoint for entry in fuse_entries(mount_table.entries())]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
