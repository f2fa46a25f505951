"""
Entry: a failure, told to the client, by status and report.

What the caller reads on stderr is main()'s. Imported only when there is a failure to tell.
"""

from fusermount_py.helper import protocol
from fusermount_py.helper.kernel.comm import Comm, adopt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.errors import HelperError

_LONGEST_NUMBER = len("2147483647")  # int() raises for some thousand digits


def tell(error: "HelperError", comm: Comm | None, variables: dict[str, str]) -> None:
    """``comm`` is None where it failed before there was one."""
    wants_report = variables.get(protocol.REPORT) == "1"
    if comm is None and wants_report:
        comm = _comm_of(variables)
    if comm is not None:
        comm.send_failure(error, report=wants_report)


def _comm_of(variables: dict[str, str]) -> Comm | None:
    """The socket that a report can go to when the command line was not even understood."""
    text = variables.get(protocol.COMM_FD, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        return None
    return adopt(int(text))
