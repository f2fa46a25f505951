"""
Kernel floor: from the caller's words to one inode, held.

    words -> Located (parent directory held, last name) -> Pinned (the inode itself held)

Every name is looked up by the kernel as the caller, so an error says no more than the caller could
learn alone. The canonical path is what the kernel calls the held directory, not a second lookup.
"""

import errno
import posix
from _stat import S_IFMT, S_ISDIR, S_ISLNK, S_ISREG

from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.kernel import mount_identity
from fusermount_py.helper.kernel.syscalls import fstatfs_type

_O_PATH = posix.O_PATH | posix.O_CLOEXEC
_DELETED = " (deleted)"
_OTHERS_WRITE = 0o022  # sticky or not: who owns an entry of a sticky directory may rename it
_OTHERS_ENTER = 0o011


class Located:
    """The parent directory is held, the last component a name in it: no parent can be swapped."""

    __slots__ = ("directory", "name", "path")

    def __init__(self, directory: int, name: str, path: str) -> None:
        self.directory = directory
        self.name = name
        self.path = path


class Pinned:
    """One inode, held by an O_PATH fd, by which all judging goes; ``path`` is for people."""

    __slots__ = ("descriptor", "located", "mode", "uid")

    def __init__(self, descriptor: int, located: Located, mode: int, uid: int) -> None:
        self.descriptor = descriptor
        self.located = located
        self.mode = mode
        self.uid = uid

    @property
    def path(self) -> str:
        return self.located.path

    @property
    def is_directory(self) -> bool:
        return S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        return S_ISREG(self.mode)

    @property
    def file_type(self) -> int:
        """The file type bits of the mode: FUSE's ``rootmode``."""
        return S_IFMT(self.mode)

    @property
    def magic_link(self) -> str:
        """A path that leads to exactly this inode, whatever its names are by now (proc(5))."""
        return f"/proc/self/fd/{self.descriptor}"


def locate(words: str) -> Located:
    """
    Resolve all but the last component; ``.`` and ``..`` are resolved whole.

    Raises KernelError: bad mount point.
    """
    if not words:
        raise KernelError("invalid mountpoint ''", errno.ENOENT, "mountpoint")
    try:
        stripped = words.rstrip("/")
        parent, slash, name = stripped.rpartition("/")
        if name in ("", ".", ".."):
            whole = _hold(words)
            parent, slash, name = _name_of(whole).rpartition("/")
            posix.close(whole)  # held on to, it would keep the mount busy that is to go
        return _name_in(parent or slash or ".", name)
    except OSError as error:
        raise KernelError(
            f"bad mount point {words}: {error.strerror}", error.errno or 0, "mountpoint"
        ) from error


def hold(located: Located) -> int:
    """An O_PATH fd on what is there now, the topmost mount; a symlink is held, not followed."""
    return posix.open(located.name, _O_PATH | posix.O_NOFOLLOW, dir_fd=located.directory)


def pin(located: Located, *, follow: bool = False) -> Pinned:
    """
    Hold the mountpoint and read what is judged: its type, mode and owner.

    ``follow``: through a symlink in the last place, too. The kernel resolves it once, and what it
    has found is what is held; the name is what the kernel calls that, for people and the guard.
    """
    try:
        descriptor = hold(located)
        status = posix.stat(descriptor)
        if follow and S_ISLNK(status.st_mode):
            posix.close(descriptor)
            descriptor = posix.open(located.name, _O_PATH, dir_fd=located.directory)
            status = posix.stat(descriptor)
            directory, _, name = _name_of(descriptor).rpartition("/")
            located = _name_in(directory or "/", name)
    except OSError as error:
        raise _not_accessible(located.path, error) from error
    return Pinned(descriptor, located, status.st_mode, status.st_uid)


def is_searchable(pinned: Pinned) -> bool:
    """Whether the caller may enter the directory."""
    return posix.access(pinned.magic_link, posix.X_OK)


def is_writable(pinned: Pinned) -> bool:
    """Whether the caller may write into the directory."""
    return posix.access(pinned.magic_link, posix.W_OK)


def open_for_writing(pinned: Pinned) -> int:
    """Open the regular file as its writer would, and close it: 0, or the errno that it gave."""
    try:
        # Not blocking: the caller may hold a lease on the file and never give it up.
        posix.close(
            posix.open(pinned.magic_link, posix.O_WRONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
        )
    except OSError as error:
        return error.errno or 0
    return 0


def names_are_safe(directory: int, owner: int) -> bool:
    """Whether nobody but root and ``owner`` can rename what lies in this directory."""
    status = posix.stat(directory)
    return status.st_uid in (0, owner) and not status.st_mode & _OTHERS_WRITE


def is_out_of_reach(path: str, owner: int, mount: int, local_types: "frozenset[str]") -> bool:
    """
    Whether nobody but root and ``owner`` can rename anything in this directory, or on its path.

    Looked up component by component: below a directory whose names are not safe, nothing is
    believed, nor what a file system says that is not of ``local_types``, and the end must lie on
    the mount with this mountinfo id. A directory that nobody but root may enter is a wall.
    """
    held = _hold("/")
    try:
        for name in ("", *filter(None, path.split("/"))):
            if name:
                try:
                    below = posix.open(name, _O_PATH | posix.O_NOFOLLOW, dir_fd=held)
                except OSError as error:
                    return error.errno == errno.EACCES and _is_wall(held)
                posix.close(held)
                held = below
            on = mount_identity.mount_of(held)
            if on is None or on.fstype not in local_types or not names_are_safe(held, owner):
                return False
        return on is not None and on.id == mount
    finally:
        posix.close(held)


def _is_wall(directory: int) -> bool:
    """Of a directory that does not let the caller in: whether it lets in no other user either."""
    status = posix.stat(directory)
    return status.st_uid == 0 and not status.st_mode & _OTHERS_ENTER


def filesystem_type(pinned: Pinned) -> int:
    """``f_type`` of the file system that the mountpoint lies on; a FUSE server may fail to say."""
    try:
        return fstatfs_type(pinned.descriptor)
    except OSError as error:
        raise _not_accessible(pinned.path, error) from error


def _not_accessible(path: str, error: OSError) -> KernelError:
    return KernelError(
        f"failed to access mountpoint {path}: {error.strerror}", error.errno or 0, "mountpoint"
    )


def _name_in(directory: str, name: str) -> Located:
    if not name:
        return Located(_hold("/"), ".", "/")
    held = _hold(directory)
    return Located(held, name, f"{_name_of(held).rstrip('/')}/{name}")


def _hold(path: str) -> int:
    return posix.open(path, _O_PATH)


def _name_of(descriptor: int) -> str:
    """What the kernel calls a held file or directory; ENOENT when it has no name any more."""
    path = posix.readlink(f"/proc/self/fd/{descriptor}")
    if path.startswith("/") and not (path.endswith(_DELETED) and _is_stale(path, descriptor)):
        return path
    raise FileNotFoundError(errno.ENOENT, posix.strerror(errno.ENOENT))


def _is_stale(path: str, descriptor: int) -> bool:
    """The kernel appends " (deleted)" to a deleted name; a directory may also be called that."""
    try:
        named, held = posix.stat(path), posix.stat(descriptor)
    except OSError:
        return True
    return (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino)
