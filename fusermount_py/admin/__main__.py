"""``python3 -m fusermount_py.admin``, and the entry point of the installed ``fusermount-py``."""

import os
import sys


def run() -> None:
    """Run the command; what no verb has a sentence for gets the system's."""
    _open_missing_streams()
    try:
        from fusermount_py.admin.command import main
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("fusermount-py needs click: pip install 'fusermount-py[admin]', or python3-click")
    try:
        main(prog_name="fusermount-py")
    except OSError as error:
        # Python would try once more to write what was not written, and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(f"fusermount-py: {error.strerror}")


def _open_missing_streams() -> None:
    """Where the caller has closed some of 0, 1 and 2, the next file would get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # for good


if __name__ == "__main__":
    run()
