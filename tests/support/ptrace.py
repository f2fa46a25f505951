"""
System calls of one's choice in another process of one's own, as any user may have them.

    process = Traced(pid)
    process.call(WRITE, 1, b"words", 5)
    process.let_go()
"""

import ctypes
import os
import platform
import time
from pathlib import Path

import pytest

from support.program import PATIENCE, Running

ATTACH, DETACH, GET_REGISTERS, SET_REGISTERS, SINGLE_STEP = 16, 17, 12, 13, 9
WRITE, OPEN = 1, 2  # x86-64's numbers
# sys/user.h: struct user_regs_struct
REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs",
    "gs",
)  # fmt: skip
BELOW_THE_STACK = 512  # bytes: more than the red zone

only_here = pytest.mark.skipif(platform.machine() != "x86_64", reason="knows x86-64's registers")


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulong) for name in REGISTERS]


class Traced:
    """A process that waits in a system call. Anybody can be its tracer whom the kernel lets."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

        self._ptrace(ATTACH)
        os.waitpid(pid, 0)

    def let_go(self) -> None:
        self._ptrace(DETACH)

    def call(self, number: int, *words: int | bytes) -> int:
        """A system call of up to three arguments; bytes become a pointer to them."""
        before = _Registers()
        self._ptrace(GET_REGISTERS, before)
        registers = _Registers.from_buffer_copy(before)
        place = before.rsp - BELOW_THE_STACK
        for name, word in zip(("rdi", "rsi", "rdx"), words, strict=False):
            value = word
            if isinstance(word, bytes):
                place -= len(word) + 1
                with open(f"/proc/{self._pid}/mem", "wb", buffering=0) as memory:
                    memory.seek(place)
                    memory.write(word + b"\0")
                value = place
            setattr(registers, name, value)
        registers.rax, registers.orig_rax = number, ctypes.c_ulong(-1).value
        registers.rip = before.rip - len(b"\x0f\x05")  # the instruction it waits in
        self._ptrace(SET_REGISTERS, registers)
        self._ptrace(SINGLE_STEP)
        os.waitpid(self._pid, 0)
        self._ptrace(GET_REGISTERS, registers)
        self._ptrace(SET_REGISTERS, before)
        return ctypes.c_long(registers.rax).value

    def _ptrace(self, request: int, registers: _Registers | None = None) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        words = None if registers is None else ctypes.byref(registers)
        if libc.ptrace(request, self._pid, None, words) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request}")


def wait_for_guard(running: Running) -> None:
    """Until the helper has become the guard, whose last act before waiting is to go to /."""
    deadline = time.monotonic() + PATIENCE
    place = Path(f"/proc/{running.process.pid}")
    while (place / "comm").read_text("ascii") != "guard\n" or os.readlink(place / "cwd") != "/":
        assert running.process.poll() is None
        assert time.monotonic() < deadline
