"""One line of the doctor: what was found, and what would help."""

import os
from dataclasses import asdict, dataclass

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor."""

    name: str
    status: str
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def attributes_of(path: str) -> int:
    """The ST_ flags of the file system that a file lies on; 0 if it cannot be asked."""
    try:
        return os.statvfs(path).f_flag
    except OSError:
        return 0
