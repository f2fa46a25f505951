"""
What a relay tells `trace`, read as what it is: bytes from an ordinary user, who may send others.

A datagram is one event, or it is nothing. Its pid is the kernel's word, never the sender's.
"""

import json
import math
import string
from collections.abc import Callable

Event = dict[str, object]


def _is_text(value: object) -> bool:
    """What any name of the system can be; a lone surrogate that stands for no byte is none."""
    try:
        return isinstance(value, str) and value.encode("utf-8", "surrogateescape") is not None
    except UnicodeEncodeError:
        return False


def _is_words(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_who(value: object) -> bool:
    return value in ("program", "helper")


def _is_bytes(value: object) -> bool:
    return isinstance(value, str) and len(value) % 2 == 0 and set(value) <= set(string.hexdigits)


def _is_status(value: object) -> bool:
    return type(value) is int and -256 < value < 256


def _is_moment(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


_FACTS: dict[str, dict[str, Callable[[object], bool]]] = {
    "call": {"arguments": _is_words, "comm": _is_text},
    "message": {"who": _is_who, "payload": _is_bytes, "descriptors": _is_words},
    "undelivered": {"who": _is_who, "reason": _is_text},
    "closed": {"who": _is_who},
    "stderr": {"text": _is_text},
    "exit": {"status": _is_status},
}


def parse(datagram: bytes, pid: int) -> Event | None:
    """An event, with everything that `Story` looks for; None for whatever else."""
    try:
        said = json.loads(datagram)
    except (ValueError, RecursionError):
        return None
    kind = said.get("event") if isinstance(said, dict) else None
    if not isinstance(kind, str) or kind not in _FACTS or not _is_moment(said.get("at")):
        return None
    facts = _FACTS[kind]
    if not all(fits(said.get(name)) for name, fits in facts.items()):
        return None
    return {"event": kind, "pid": pid, "at": said["at"], **{name: said[name] for name in facts}}
