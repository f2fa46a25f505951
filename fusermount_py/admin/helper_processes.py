"""
Helpers that run at this moment, ours and the C program's.

    the process's command line and environment -> MountRequest, by the helper's own parser
"""

import itertools
import os
from collections.abc import Iterator
from functools import partial

from fusermount_py.admin import processes
from fusermount_py.admin.patience import in_time
from fusermount_py.admin.processes import Process
from fusermount_py.helper.errors import UsageError
from fusermount_py.helper.request import MountRequest, parse

_NAMES = ("fusermount3", "fusermount")
_ENTRY = "/entry.py"  # packaging/launcher
_MAIN = "fusermount_py.helper.main"


def read_all() -> Iterator[tuple[Process, MountRequest]]:
    """Every process that was started to mount, with what it was asked for."""
    for pid in processes.pids():
        try:
            process = in_time(partial(processes.read, pid))
            if process.command in _NAMES or process.command.startswith("python"):
                request = _request(processes.command_line(pid), processes.environment(pid))
                if isinstance(request, MountRequest):
                    yield process, request
        except (OSError, UsageError):
            continue  # it has ended, or will in a moment


def _request(words: list[bytes], environment: dict[bytes, bytes]) -> object:
    """What a helper was asked; None for every other program."""
    arguments = _arguments([os.fsdecode(word) for word in words])
    if not arguments:
        return None
    variables = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
    return parse(arguments[1:], variables)


def _arguments(words: list[str]) -> list[str]:
    """The command line as the caller gave it to a helper; empty for every other program."""
    if words and os.path.basename(words[0]) in _NAMES:
        return words
    flags = list(itertools.takewhile(lambda word: word[:1] == "-" and word != "-c", words[1:]))
    program, *rest = words[1 + len(flags) :] or [""]
    if program == "-c" and rest and _MAIN in rest[0]:  # the client's own helper
        return rest[1:]
    return rest if program.endswith(_ENTRY) and "-I" in flags else []


def mountpoint(process: Process, request: MountRequest) -> str:
    """The path as given, below the helper's working directory if we may know that."""
    folder = processes.working_directory(process.pid)
    if folder is None:
        return request.mountpoint
    return os.path.normpath(os.path.join(folder, request.mountpoint))
