"""``python3 -m fusermount_py.admin``, and the entry point of the installed ``fusermount-py``."""

import sys


def run() -> None:
    """Run the command; where click was not installed, say so in a line."""
    try:
        from fusermount_py.admin.command import main
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("fusermount-py needs click: pip install 'fusermount-py[admin]', or python3-click")
    main(prog_name="fusermount-py")


if __name__ == "__main__":
    run()
