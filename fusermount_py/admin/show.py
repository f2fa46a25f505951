"""The demo, as the ordinary user: prepare, serve, proceed, read a file, unmount."""

import os
import stat
import struct
import sys
import threading
import time

from fusermount_py import client, hello
from fusermount_py.admin.clock import Clock
from fusermount_py.client import comm, device, helper_process, roll_call

WORKERS = 2
FUSE_INIT = 26
ANSWERED = "answers FUSE_INIT"
MOUNTED = "has status 0: it is mounted"


def show(helper: str, mountpoint: str, clock: Clock) -> int:
    """The handshake, the mount table, a file, the unmount; 0 only if each was as it should be."""
    status = os.stat(helper)
    clock.say(f"\nOn Linux {os.uname().release}, {who()} mounts a file system through")
    clock.say(f"    {stat.filemode(status.st_mode)} uid {status.st_uid} {helper}\n")
    clock.say(f"      ms  {'client':{Clock.CLIENT}}{'helper':{Clock.HELPER + 1}}kernel")

    try:
        return mount_read_unmount(helper, mountpoint, clock)
    except (client.MountError, OSError) as error:
        return failed(str(error))


def mount_read_unmount(helper: str, mountpoint: str, clock: Clock) -> int:
    """As a FUSE server does it; returns the exit status."""
    watch_the_handshake(clock)
    options = ["fsname=demo", "subtype=hello", "ro"]
    with client.prepare(mountpoint, options, workers=WORKERS, helper=helper) as prepared:
        for _ in range(WORKERS):
            server = hello.Hello(prepared.device)
            threading.Thread(target=server.serve, args=(prepared,), daemon=True).start()
        mounted = prepared.proceed()
        clock.tell(MOUNTED, "from helper")
        clock.stopped = True
    if not prepared.sync_init:
        clock.say(
            "\n(Kernel or helper has no synchronous FUSE_INIT: it was answered after the mount.)"
        )
    elif clock.seen[-2:] != [ANSWERED, MOUNTED]:
        return failed("the helper's status did not follow the answer to FUSE_INIT")

    line = mountinfo_line(mountpoint)
    clock.say(f"\n/proc/self/mountinfo\n    {line}")
    if not (" ro,nosuid,nodev," in line and " - fuse.hello demo " in line):
        return failed("the mount table does not show what was mounted")
    with open(f"{mountpoint}/hello", encoding="ascii") as file:
        clock.say(f"\n{mountpoint}/hello\n    {file.read()}")

    before = time.perf_counter()
    mounted.unmount()
    passed = 1000 * (time.perf_counter() - before)
    if mountinfo_line(mountpoint):
        return failed("the mount is still there")
    clock.say(f"Unmounted in {passed:.1f} ms.\n")
    return 0


def who() -> str:
    """The user as the machine knows it, whatever a user namespace calls it."""
    with open("/proc/self/uid_map", encoding="ascii") as table:
        inner, outer, _ = (int(number) for number in table.readline().split())
    name = f"uid {os.getuid() - inner + outer}"
    return name if inner == outer else f"{name}, in a user namespace of its own,"


def failed(why: str) -> int:
    """One sentence; returns the exit status."""
    sys.stderr.write(f"demo: {why}\n")
    return 1


def watch_the_handshake(clock: Clock) -> None:
    """Look over the shoulders of the client and of the server; both go on as they are."""
    helper, server = helper_process.HelperProcess, hello.Hello
    clock.watch(helper, "__init__", "starts the helper", "helper")
    clock.watch(device.Device, "__init__", "has the device", "from helper")
    clock.watch(device.Device, "arm", "arms SYNC_INIT", "kernel")
    clock.watch(roll_call.RollCall, "report", "has a worker ready", "")
    clock.watch(comm.Comm, "proceed", "sends proceed", "through helper")
    original = server._handle  # noqa: SLF001  # the one place where FUSE_INIT is answered

    def handle(self: hello.Hello, request: bytes) -> None:
        _, opcode = struct.unpack_from("=II", request)
        if opcode == FUSE_INIT:
            clock.tell(ANSWERED, "kernel")  # before: afterwards the helper's status races with us
        original(self, request)

    server._handle = handle  # type: ignore[method-assign]  # noqa: SLF001  # as above


def mountinfo_line(mountpoint: str) -> str:
    """The kernel's line about the mount, or nothing."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        lines = [line.strip() for line in table if line.split()[4] == mountpoint]
    return lines[0] if lines else ""
