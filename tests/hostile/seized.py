"""
What an attacker tries who runs the helper's own interpreter: read and executed inside a weakened
helper while it waits for the proceed byte, by tests/hostile/test_powers.py.

Each attempt becomes a line "name=errno" on stderr, 0 for one that succeeds.
"""

import _socket
import posix
from collections.abc import Callable

from fusermount_py.helper.kernel import privilege, syscalls

HANDLE = b"\x08\0\0\0\x01\0\0\0" + bytes(8)  # struct file_handle: 8 bytes of type 1
PTRACE_ATTACH = 16
OWN = posix.getpid()


def call(name: str, *words: int | bytes) -> None:
    """A function of libc, by its name."""
    types = [syscalls._Bytes if isinstance(word, bytes) else syscalls._Long for word in words]  # noqa: SLF001  # the attacker minds no underscores
    syscalls._checked(name, syscalls._function(name, *types)(*words))  # noqa: SLF001  # as above


ATTEMPTS: dict[str, Callable[[], object]] = {
    "read /etc/shadow": lambda: posix.open("/etc/shadow", posix.O_RDONLY),
    "become root": lambda: posix.setuid(0),
    "become root thrice": lambda: posix.setresuid(0, 0, 0),
    "join root's group": lambda: posix.setgid(0),
    "join groups": lambda: posix.setgroups([0]),
    "write the helper": lambda: posix.open(syscalls.__file__, posix.O_WRONLY),
    "write beside it": lambda: posix.mkdir(syscalls.__file__ + ".own"),
    "write /etc": lambda: posix.mkdir("/etc/own"),
    "own /etc/passwd": lambda: posix.chown("/etc/passwd", posix.getuid(), -1),
    "open the seats": lambda: posix.chmod("/run/fusermount3.seats", 0o666),
    "signal init": lambda: posix.kill(1, 0),
    "trace init": lambda: call("ptrace", PTRACE_ATTACH, 1, 0, 0),
    "memory of init": lambda: posix.open("/proc/1/mem", posix.O_RDWR),
    "chroot": lambda: posix.chroot("/tmp"),
    "make a disk": lambda: posix.mknod(f"/tmp/own-{OWN}", 0o60666, 2048),
    "account for processes": lambda: call("acct", b"/tmp/own"),
    "turn back the clock": lambda: call("settimeofday", b"\0" * 16, 0),
    "listen on the wire": lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_RAW, 1),
    "open by handle": lambda: call("open_by_handle_at", posix.open("/", 0), HANDLE, 0),
}


def try_all(prefix: str) -> None:
    for name, attempt in ATTEMPTS.items():
        answer = 0
        try:
            attempt()
        except OSError as error:
            answer = error.errno or -1
        posix.write(2, f"{prefix}{name}={answer}\n".encode())


try_all("")
with privilege.raised():
    try_all("with CAP_SYS_ADMIN raised, ")
