"""
Start a program while the other threads go on: posix_spawn(3), called without the interpreter lock.

os.posix_spawn() and subprocess hold that lock until the child has executed its program. Before it
does, the child closes its copies of our descriptors, and for a file on a FUSE file system each
close is a FLUSH that the server has to answer. A server in this very process could not, and none of
them would ever go on. (Up to Linux 6.12 this holds for every descriptor; 6.18 lets the parent go
before it closes, except for what lies on the numbers 0 to 2.)
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal: 4 ms for its enums
import os

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable, Mapping

_SETSIGDEF, _SETSIGMASK = 0x04, 0x08  # spawn.h, glibc and musl
_DEFAULT_SIGNALS = (_signal.SIGCHLD, _signal.SIGINT, _signal.SIGPIPE)
_OPAQUE_WORDS = 64  # more than any type of spawn.h: 336 bytes are the most


def spawn(
    path: str, words: Iterable[str], variables: Mapping[str, str], *, stderr: int, comm: int
) -> int:
    """
    The pid of a new child; stdin and stdout are /dev/null, the comm socket keeps its number.

    ``variables`` come on top of a copy of our environment. Raises OSError.
    """
    import ctypes  # 4 ms, and only who mounts pays them

    libc = ctypes.CDLL(None)
    actions, attributes, default, blocked = ((ctypes.c_uint64 * _OPAQUE_WORDS)() for _ in range(4))
    libc.sigemptyset(blocked)
    libc.sigemptyset(default)
    for number in _DEFAULT_SIGNALS:
        libc.sigaddset(default, int(number))
    _check(libc.posix_spawnattr_init(attributes))
    _check(libc.posix_spawn_file_actions_init(actions))
    try:
        _check(libc.posix_spawnattr_setsigdefault(attributes, default))
        _check(libc.posix_spawnattr_setsigmask(attributes, blocked))
        _check(libc.posix_spawnattr_setflags(attributes, _SETSIGDEF | _SETSIGMASK))
        null = os.fsencode(os.devnull)
        _check(libc.posix_spawn_file_actions_addopen(actions, 0, null, os.O_RDONLY, 0))
        _check(libc.posix_spawn_file_actions_addopen(actions, 1, null, os.O_WRONLY, 0))
        _check(libc.posix_spawn_file_actions_adddup2(actions, stderr, 2))
        _check(libc.posix_spawn_file_actions_adddup2(actions, comm, comm))  # for exec to keep it
        environment = [f"{name}={value}" for name, value in {**os.environ, **variables}.items()]
        arrays = _strings(words), _strings(environment)
        pid = ctypes.c_int()
        _check(libc.posix_spawn(ctypes.byref(pid), _bytes(path), actions, attributes, *arrays))
    finally:
        libc.posix_spawn_file_actions_destroy(actions)
        libc.posix_spawnattr_destroy(attributes)
    return pid.value


def _check(number: int) -> None:
    """The calls of spawn.h return their errno."""
    if number:
        raise OSError(number, os.strerror(number))


def _bytes(text: str) -> bytes:
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def _strings(texts: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    import ctypes

    encoded = [_bytes(text) for text in texts]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)
