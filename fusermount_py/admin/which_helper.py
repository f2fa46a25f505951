"""
The helper that a FUSE library would start here.

PATH may lead through a mount that hangs, and whatever is not found before it is looked for there.
"""

import errno
from collections.abc import Sequence

from fusermount_py.admin.apart import apart
from fusermount_py.client.errors import HelperNotFound
from fusermount_py.client.find_helper import find_helper

_SECONDS = 0.5


def which_helper() -> Sequence[str]:
    """What to execute, as `find_helper` says; HelperNotFound also if PATH does not answer."""
    try:
        return apart(find_helper, _SECONDS)
    except TimeoutError:
        raise HelperNotFound(
            errno.ETIMEDOUT, "a folder on PATH does not answer", step="spawn"
        ) from None
    except OSError as error:
        number, sentence = error.errno or errno.EIO, error.strerror or str(error)
        raise HelperNotFound(number, sentence, step="spawn") from None
