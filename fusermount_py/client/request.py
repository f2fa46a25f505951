"""What the author asked for, judged and complete: Request."""

from __future__ import annotations

import errno
import os

from fusermount_py.client.errors import MountError
from fusermount_py.client.find_helper import find_helper
from fusermount_py.helper import protocol

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal, TypedDict

    Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    SyncInit = Literal["auto", "never", "require"]

    class How(TypedDict, total=False):
        """What prepare() takes by name and is passed on to it."""

        sync_init: SyncInit
        auto_unmount: bool
        helper: str | os.PathLike[str] | None
        proceed_timeout: float | None
        init_timeout: float | None


SYNC_INIT_MODES = ("auto", "never", "require")
_AUTO_UNMOUNT = "auto_unmount"


class Request:
    """One mount to be made."""

    __slots__ = (
        "auto_unmount", "command", "init_seconds", "mountpoint", "options", "proceed_seconds",
        "sync_init", "variables", "workers",
    )  # fmt: skip

    def __init__(
        self,
        mountpoint: Path,
        options: str | Iterable[str],
        *,
        sync_init: str,
        auto_unmount: bool,
        workers: int,
        helper: str | os.PathLike[str] | None,
        proceed_timeout: float | None,
        init_timeout: float | None,
    ) -> None:
        if sync_init not in SYNC_INIT_MODES:
            raise ValueError(f"sync_init is one of {', '.join(SYNC_INIT_MODES)}, not {sync_init!r}")
        if workers < 0:
            raise ValueError("workers is a number of threads")
        given = [options] if isinstance(options, str) else list(options)
        words = ",".join(given).split(",")
        self.auto_unmount = auto_unmount or _AUTO_UNMOUNT in words
        if auto_unmount and _AUTO_UNMOUNT not in words:
            given.append(_AUTO_UNMOUNT)
        self.options = ",".join(given)
        self.mountpoint = absolute(mountpoint)
        if "\0" in self.options:
            raise MountError(errno.EINVAL, "options hold a NUL", step="options")
        self.sync_init = sync_init
        self.workers = workers
        self.command: Sequence[str] = find_helper(helper)
        self.proceed_seconds = protocol.WAIT_SECONDS if proceed_timeout is None else proceed_timeout
        self.init_seconds = protocol.WAIT_SECONDS if init_timeout is None else init_timeout
        self.variables = _variables(proceed_timeout, init_timeout)

    def arguments(self, *, sync_init: bool) -> Sequence[str]:
        """The helper's command line after its name."""
        options = ["-o", self.options] if self.options else []
        return [*(["--sync-init"] if sync_init else []), *options, "--", self.mountpoint]


def absolute(mountpoint: Path) -> str:
    """
    The path that still says the same after chdir: what the helper resolves too (contract, 6.1).

    The last component is not resolved, unless it is ``.`` or ``..``: a symlink is no mountpoint.
    """
    path = os.fsdecode(mountpoint)
    if "\0" in path:
        raise MountError(errno.EINVAL, "mountpoint holds a NUL", step="mountpoint")
    parent, last = os.path.split(path.rstrip("/"))
    if last in ("", ".", ".."):
        # An empty path stays one, for the helper to refuse: it does not mean "here".
        return os.path.realpath(path) if path else path
    return os.path.join(os.path.realpath(parent or "."), last)


def _variables(proceed_timeout: float | None, init_timeout: float | None) -> Mapping[str, str]:
    variables = {protocol.REPORT: "1"}
    for name, seconds in (
        (protocol.PROCEED_TIMEOUT, proceed_timeout),
        (protocol.INIT_TIMEOUT, init_timeout),
    ):
        if seconds is not None:
            variables[name] = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return variables
