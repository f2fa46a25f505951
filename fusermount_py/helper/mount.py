"""
Flow: one mount request, from the caller's words to an attached mount.

    MountRequest -> Prepared -> Mounted -> status

prepare() decides everything; after it only create, mount and attach can fail, and only in the
kernel. Classic and sync-init differ in when the device is sent and in who waits for FUSE_INIT.
"""

import _signal  # type: ignore[import-not-found]  # signal: 4 ms

from fusermount_py.helper import creation, mount_max, permission
from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.fuse_conf import Config
from fusermount_py.helper.fuse_conf import parse as parse_config
from fusermount_py.helper.kernel import device, mount_identity, mountpoint, privilege
from fusermount_py.helper.kernel.mount_table import read
from fusermount_py.helper.options import MountOptions
from fusermount_py.helper.options import parse as parse_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fusermount_py.helper.creation import Context, Mounted
    from fusermount_py.helper.kernel.audit_trail import AuditTrail
    from fusermount_py.helper.kernel.comm import Comm
    from fusermount_py.helper.kernel.mountpoint import Located, Pinned
    from fusermount_py.helper.kernel.patience import Patience
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.kernel.seats import Seats
    from fusermount_py.helper.request import MountRequest


class Surroundings:
    """What main() knows besides the request: who asks, what is configured, whom to warn."""

    __slots__ = ("caller", "conf_path", "helper", "patience", "seats", "trail", "warn")

    def __init__(
        self,
        caller: "Caller",
        conf_path: str,
        helper: str,
        seats: "Seats | None",
        trail: "AuditTrail",
        patience: "Patience",
        warn: "Callable[[str], None]",
    ) -> None:
        self.caller = caller
        self.conf_path = conf_path
        self.helper = helper
        self.seats = seats
        self.trail = trail
        self.patience = patience
        self.warn = warn


class Prepared:
    """
    Everything decided, nothing mounted: only create, mount and attach are left.

    ``announce`` writes into the log that it is granted: right before others can see the mount.
    """

    __slots__ = ("announce", "context", "device", "mountpoint", "options")

    def __init__(
        self,
        device: int,
        mountpoint: "Pinned",
        options: MountOptions,
        context: "Context",
        announce: "Callable[[], None]",
    ) -> None:
        self.device = device
        self.mountpoint = mountpoint
        self.options = options
        self.context = context
        self.announce = announce


def mount(request: "MountRequest", comm: "Comm | None", around: Surroundings) -> "Mounted":
    """Mount and tell the client; on return the client has its device, or its status 0."""
    located = mountpoint.locate(request.mountpoint)
    comm = permission.check_comm(comm, request.comm_fd)
    prepared = prepare(request, located, around)
    around.patience.end()
    if request.sync_init:
        comm.send_device(prepared.device)
        comm.owes_status = True
        comm.wait_for_byte(request.proceed_seconds)
        creation.create_watched(prepared, comm, request.init_seconds)
        return finish(prepared, around, comm.send_success)
    creation.create(prepared)
    return finish(prepared, around, lambda: comm.send_device(prepared.device))


def prepare(request: "MountRequest", located: "Located", around: Surroundings) -> Prepared:
    """Open and judge everything as the caller, in the order in which refusals are expected."""
    caller = around.caller
    device_path = (caller.is_root and request.device) or device.DEFAULT_DEVICE
    descriptor = device.open_device(device_path)
    config = _read_config(around)
    if not caller.is_root:
        mount_max.reserve(config, around.seats)
    # An ordinary caller's symlink is no mountpoint: libfuse refuses it, and callers rely on that.
    pinned = mountpoint.pin(located, follow=caller.is_root)
    _judge(pinned, caller)
    options = parse_options(request.options, config, privileged=caller.is_root)
    for warning in options.warnings:
        around.warn(warning)
    if not options.auto_unmount:
        privilege.seal()
    context = creation.open_context(
        options,
        options.source(device_path),
        [
            ("fd", str(descriptor)),
            ("rootmode", f"{pinned.file_type:o}"),
            ("user_id", str(caller.uid)),
            ("group_id", str(caller.gid)),
        ],
        around.helper,
    )
    fstype = f"{options.fstype}.{options.subtype}" if options.subtype else options.fstype
    granted = ("mount", pinned.path, fstype, options.source(device.DEFAULT_DEVICE))
    return Prepared(descriptor, pinned, options, context, lambda: around.trail.granted(*granted))


def finish(prepared: Prepared, around: Surroundings, deliver: "Callable[[], None]") -> "Mounted":
    """Attach what was created and tell the client, who must not miss it."""
    # A signal between the two would leave a mount that nobody serves.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    mounted = creation.attach(prepared)
    try:
        if around.seats is not None:
            around.seats.leave()
        deliver()
    except BaseException:
        creation.take_back(mounted)
        raise
    return mounted


def _judge(pinned: "Pinned", caller: "Caller") -> None:
    permission.check_kind(pinned)
    permission.check_namespace(pinned, is_here=mount_identity.is_here(pinned.descriptor))
    if caller.is_root:
        return
    permission.check_namespace_owner(is_ours=mount_identity.owner_namespace_is_ours())
    if pinned.is_directory:
        permission.check_searchable(mountpoint.is_searchable(pinned))
        permission.check_sticky(pinned, caller)
        permission.check_writable(pinned, mountpoint.is_writable(pinned))
    else:
        permission.check_file_writable(pinned, mountpoint.open_for_writing(pinned))
    permission.check_filesystem(mountpoint.filesystem_type(pinned))


def _read_config(around: Surroundings) -> Config:
    """
    The administrator's settings; the defaults where the file is missing, or closed to the caller.

    What else keeps it from being read may be the caller's doing, such as a limit on descriptors.
    """
    path = around.conf_path
    try:
        config = parse_config(read(path), path)
    except FileNotFoundError:
        return Config(path)
    except OSError as error:
        sentence = f"failed to open {path}: {error.strerror}"
        if not isinstance(error, PermissionError):
            raise KernelError(sentence, error.errno or 0, "permission") from error
        around.warn(sentence)
        return Config(path)
    for warning in config.warnings:
        around.warn(warning)
    return config
