"""The setuid front's C, as the Makefile builds it."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2]
FOLDER = SOURCE / "packaging" / "launcher"
BARE_PROCESSORS = ("x86_64-", "aarch64-")
FREESTANDING = ("-ffreestanding", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns")


def words_for_c() -> str:
    """The header with the helper's words: words.h."""
    command = [sys.executable, "-I", "-S", "-B", str(FOLDER / "words.py"), str(SOURCE)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout
