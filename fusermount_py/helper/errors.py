"""
Ground: the three ways in which this program says no, each one sentence for the caller.

Raised on any floor, caught in main(), which alone prints and exits. Whatever else is raised is a
bug of ours and never shown as more than its name.
"""

import errno


class HelperError(Exception):
    """
    One sentence, an errno and the step of the work it stopped.

    ``step`` is one of the names of the report (contract, 3.3); ``kernel`` holds the kernel's own
    lines, without their severity letter, oldest first.
    """

    def __init__(self, message: str, number: int, step: str, kernel: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errno = number
        self.step = step
        self.kernel = kernel


class UsageError(HelperError):
    """The command line or an environment variable holds words we do not know."""

    def __init__(self, message: str) -> None:
        super().__init__(message, errno.EINVAL, "arguments")


class Refused(HelperError):
    """Policy says no; the kernel was not asked."""

    def __init__(self, message: str, step: str, number: int = errno.EPERM) -> None:
        super().__init__(message, number, step)


class KernelError(HelperError):
    """The kernel says no."""
