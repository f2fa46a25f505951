"""What a Type=notify unit of systemd waits for: a datagram to $NOTIFY_SOCKET (sd_notify(3))."""

from __future__ import annotations

import os


def tell_service_manager(state: str) -> None:
    """Send a datagram to the service manager, if there is one (sdtell_service_manager(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    import _socket  # socket: 7 ms

    path = os.fsencode(address.replace("@", "\0", 1) if address[0] == "@" else address)
    notifier = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        notifier.sendto(os.fsencode(state), _socket.MSG_NOSIGNAL, path)
    except OSError:
        return  # the file system is up all the same
    finally:
        notifier.close()
