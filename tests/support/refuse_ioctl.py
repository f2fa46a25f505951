"""
Another kernel's answers on this one, by seccomp: ENOTTY to the ioctl that asks for synchronous
INIT, or any errno to a call that strace does not know yet.

The filter is inherited by the setuid helper, too. It is installed as root: an ordinary user would
need no_new_privs, which would take the setuid bit away.
"""

import ctypes
import errno
import platform
import struct

from support.kernel import FUSE_DEV_IOC_SYNC_INIT

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: absolute word, constant
_NUMBER_AT, _SECOND_ARGUMENT_AT = 0, 24  # struct seccomp_data, little-endian
_IOCTL = {"x86_64": 16, "aarch64": 29}


def refuse_sync_init() -> None:
    """From here on, for this process and its children; for a forked child."""
    _filter(
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_EQUAL, 0, 3, _IOCTL[platform.machine()]),
        (_LOAD, 0, 0, _SECOND_ARGUMENT_AT),
        (_JUMP_IF_EQUAL, 0, 1, FUSE_DEV_IOC_SYNC_INIT),
        (_RETURN, 0, 0, _ERRNO | errno.ENOTTY),
        (_RETURN, 0, 0, _ALLOW),
    )


def answer_call(number: int, error: int) -> None:
    """From here on every such system call fails with this errno; for a forked child."""
    _filter(
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_EQUAL, 0, 1, number),
        (_RETURN, 0, 0, _ERRNO | error),
        (_RETURN, 0, 0, _ALLOW),
    )


def _filter(*words: tuple[int, int, int, int]) -> None:
    program = b"".join(struct.pack("=HBBI", *word) for word in words)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
