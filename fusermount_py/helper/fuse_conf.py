"""
Policy: the text of /etc/fuse.conf -> Config.

    user_allow_other        ordinary callers may give allow_other
    mount_max = N           FUSE mounts in this namespace, -1 for no limit
    service_open_path = ... another program's, which reads the same file (libfuse 3.19)
    # comment

A line we cannot read is warned about and does not count; the mount goes on (contract, section 7).
"""

_LINE_MAX = 256  # a line with its newline must be shorter
_DEFAULT_MOUNT_MAX = 1000
_NO_LIMIT = -1
_HEXADECIMAL = b"0123456789abcdef"
_SPACES = b" \t\n\v\f\r"


class Config:
    """What the administrator allows."""

    __slots__ = ("mount_max", "path", "user_allow_other", "warnings")

    def __init__(self, path: str) -> None:
        self.path = path
        self.user_allow_other = False
        self.mount_max = _DEFAULT_MOUNT_MAX
        self.warnings: list[str] = []

    @property
    def is_limited(self) -> bool:
        return self.mount_max != _NO_LIMIT


def parse(text: bytes, path: str) -> Config:
    """Read the file's bytes; ``path`` is for sentences. Warnings lie in the result."""
    config = Config(path)
    lines = text.split(b"\n")
    unfinished = lines.pop()
    for number, line in enumerate(lines, 1):
        if len(line) + 1 >= _LINE_MAX:
            config.warnings.append(f"reading {path}: line {number} too long")
        else:
            _parse_line(config, line.partition(b"#")[0].strip(_SPACES), f"{path} at line {number}")
    if unfinished:
        config.warnings.append(f"reading {path}: missing newline at end of file")
    return config


def _parse_line(config: Config, line: bytes, place: str) -> None:
    if not line:
        return
    name, equals, value = line.partition(b"=")
    name = name.rstrip(_SPACES)
    if line == b"user_allow_other":
        config.user_allow_other = True
    elif name == b"service_open_path" and equals:
        pass  # whether its value is right is for the program that obeys it
    elif name == b"mount_max" and (limit := _leading_number(value)) is not None:
        if limit < _NO_LIMIT:
            config.warnings.append(f"invalid mount_max = {limit} in {place}")
        else:
            config.mount_max = limit
    else:
        text = line.decode("utf-8", "surrogateescape")
        config.warnings.append(f"unknown parameter in {place}: '{text}'")


def _leading_number(value: bytes) -> int | None:
    """C's "%i": an optional sign, 0x or 0 for the base, and whatever follows is ignored."""
    text = value.strip(_SPACES).lower()
    negative = text.startswith(b"-")
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    base, known = 10, b"0123456789"
    if digits.startswith(b"0x") and digits[2:].lstrip(_HEXADECIMAL) != digits[2:]:
        base, known, digits = 16, _HEXADECIMAL, digits[2:]
    elif digits.startswith(b"0"):
        base, known = 8, b"01234567"
    length = len(digits) - len(digits.lstrip(known))
    if length == 0:
        return None
    number = int(digits[:length], base)
    return -number if negative else number
