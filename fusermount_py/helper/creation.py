"""
Flow: the kernel's side of a mount, and the only privileged moments of mounting.

    parameters -> Context (configured) -> created -> Mounted (attached) -> taken back, if need be

A Context exists only for what policy has let pass. What is asked again here is where the mount
lands, which may have changed since: right before the deed, and of the mount itself right after it.
"""

import errno
import posix
import select

from fusermount_py.helper import permission
from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.kernel import mount_identity, privilege, syscalls
from fusermount_py.helper.kernel.constants import FSCONFIG_STRING_MAX, MNT_DETACH
from fusermount_py.helper.kernel.fs_context import FsContext
from fusermount_py.helper.kernel.patience import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.kernel.comm import Comm
    from fusermount_py.helper.kernel.detached_mount import DetachedMount
    from fusermount_py.helper.kernel.legacy_mount import LegacyMount
    from fusermount_py.helper.kernel.mount_call import MountCall
    from fusermount_py.helper.mount import Prepared
    from fusermount_py.helper.options import MountOptions

    Context = FsContext | DetachedMount | LegacyMount
    Parameters = list[tuple[str, str | None]]

_MOMENT = 0.2  # seconds; what has not been mounted by then waits for FUSE_INIT


class Mounted:
    """The attached mount, held by its fd: this one, whatever happens at its path."""

    __slots__ = ("descriptor", "prepared")

    def __init__(self, descriptor: int, prepared: "Prepared") -> None:
        self.descriptor = descriptor
        self.prepared = prepared


def open_context(
    options: "MountOptions", source: str, numbers: "Parameters", helper: str
) -> "Context":
    """
    Hand every parameter to the kernel, so that it can refuse before the device is sent.

    fsconfig takes no string above 255 bytes. A longer name goes through mount(2), after a context
    without the names has had the rest of the parameters checked. Where there is no fsopen at all,
    nothing is checked before, and mount(2) is all there is.
    """
    names: Parameters = [("source", source)]
    if options.subtype is not None:
        names.append(("subtype", options.subtype))
    others = [*numbers, *options.parameters()]
    too_long = any(_length(name) > FSCONFIG_STRING_MAX for name in (source, options.subtype))
    checked = others if too_long else [*names, *others]
    try:
        # PRIVILEGED: nothing is mounted yet. The parameters are numbers of ours and options that
        # policy has let pass; the kernel parses them and attaches nothing to any path.
        with privilege.raised():
            context = FsContext(options.fstype, options.flags, checked)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            reason = privilege.explain(error, helper)
            raise KernelError(
                f"mount failed: {error.strerror}{reason}", error.errno or 0, "configure"
            ) from error
        from fusermount_py.helper.kernel.legacy_mount import LegacyMount  # rarely needed

        return LegacyMount(_mount_call(options, [*names, *others]))
    if not too_long:
        return context
    context.close()
    from fusermount_py.helper.kernel.detached_mount import DetachedMount  # rarely needed

    return DetachedMount(_mount_call(options, [*names, *others]))


def _mount_call(options: "MountOptions", parameters: "Parameters") -> "MountCall":
    from fusermount_py.helper.kernel.mount_call import MountCall  # rarely needed

    return MountCall(options.fstype, options.flags, parameters)


def _length(name: str | None) -> int:
    return len((name or "").encode("utf-8", "surrogateescape"))


def create(prepared: "Prepared") -> None:
    """Make the superblock at once: nobody else has the device yet, so nobody can let us wait."""
    failure = _create(prepared)
    if failure is not None:
        raise _create_failed(prepared, failure)


def create_watched(prepared: "Prepared", comm: "Comm", seconds: float) -> None:
    """
    Make the superblock in a second thread; the first watches the client and the clock.

    With sync-init armed, create waits for the server's answer to FUSE_INIT, and a server that died
    does not end that wait: our own fd keeps the connection alive. So when the client is gone or
    the time is over this raises, the helper exits, and the exit ends the blocked call.
    """
    reading, writing = posix.pipe2(posix.O_CLOEXEC)
    failures: list[BaseException | None] = []

    def run() -> None:
        failures.append(_create(prepared))
        posix.close(writing)

    try:
        start_thread(run)
    except RuntimeError as error:  # what Python makes of clone's EAGAIN
        raise KernelError(
            f"mount failed: {posix.strerror(errno.EAGAIN)} (no thread)", errno.EAGAIN, "create"
        ) from error
    try:
        in_time = comm.wait_for_end(reading, seconds)
    except KernelError:
        _abandon(prepared, reading, failures)
        raise
    if not in_time:
        _abandon(prepared, reading, failures)
        raise KernelError(
            f"mount failed: the file system did not answer FUSE_INIT within {seconds:g} seconds",
            errno.ETIMEDOUT,
            "create",
        )
    if failures[0] is not None:
        raise _create_failed(prepared, failures[0])


def _abandon(prepared: "Prepared", reading: int, failures: list[BaseException | None]) -> None:
    """Nobody waits for the mount any more: where create itself has made it, it is taken back."""
    if not prepared.context.is_public:
        return
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    if poll.poll(_MOMENT * 1000) and failures[0] is None:
        take_back(attach(prepared))


def _create(prepared: "Prepared") -> BaseException | None:
    """Create in this thread; what went wrong is returned, a thread has nobody to raise it to."""
    try:
        if prepared.context.is_public:
            _announce(prepared)
        # PRIVILEGED: against a caller who rearranged the file system since prepare(): create looks
        # up no name. Only this thread holds the capability, the one that waits does not.
        with privilege.raised():
            prepared.context.create(prepared.mountpoint)
    except BaseException as error:  # noqa: BLE001  # judged by the first thread
        return error
    return None


def _create_failed(prepared: "Prepared", failure: BaseException) -> BaseException:
    if not isinstance(failure, OSError):
        return failure
    if failure.errno == errno.ENOTCONN:
        return KernelError(
            "mount failed: the file system refused FUSE_INIT", errno.ENOTCONN, "create"
        )
    return prepared.context.failure(failure, "create")


def _announce(prepared: "Prepared") -> None:
    """
    The last refusal of ours before the deed, then its line in the log.

    The pinned inode's mount may have been taken away since it was judged. It cannot have come to
    another namespace: the kernel moves none there.
    """
    permission.check_namespace(
        prepared.mountpoint, is_here=mount_identity.is_here(prepared.mountpoint.descriptor)
    )
    prepared.announce()


def attach(prepared: "Prepared") -> Mounted:
    """Mount the created superblock on the pinned inode, and see that it lies on nothing else."""
    if not prepared.context.is_public:
        _announce(prepared)
    mounted = _attach(prepared)
    try:
        # move_mount puts it on top of whatever root has mounted on the pinned inode by now, and
        # that nobody has judged.
        permission.check_uncovered(
            prepared.mountpoint,
            mount_identity.lies_on(mounted.descriptor, prepared.mountpoint.descriptor),
        )
    except BaseException:  # the caller may have left no descriptor to ask with, too
        take_back(mounted)
        raise
    return mounted


def _attach(prepared: "Prepared") -> Mounted:
    mounted = None
    try:
        # PRIVILEGED: the caller may have swapped a parent directory for a symlink while we
        # waited; the pinned fd, not the path, says where the mount lands.
        with privilege.raised():
            mounted = Mounted(prepared.context.attach(prepared.mountpoint), prepared)
    except OSError as error:
        if mounted is not None:  # the capability could not be lowered again
            take_back(mounted)
        step = "mount" if error.filename == "fsmount" else "attach"
        raise prepared.context.failure(error, step) from error
    return mounted


def take_back(mounted: Mounted) -> None:
    """Unmount exactly what attach() made, wherever it is by now."""
    target = f"/proc/self/fd/{mounted.descriptor}".encode()
    # PRIVILEGED: the caller may have put another's mount under the path; the mount's own fd is
    # not a path that anybody could change.
    with privilege.raised():
        syscalls.umount2(target, MNT_DETACH)
