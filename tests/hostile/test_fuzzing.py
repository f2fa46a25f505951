"""Half a minute of coverage-guided fuzzing; fuzz.py says how to run more, and the one rule."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.essential import essential_skip

FUZZ = Path(__file__).with_name("fuzz.py")
CORPUS = Path(__file__).with_name("corpus")
SECONDS = 5


@pytest.mark.parametrize("target", sorted(folder.name for folder in CORPUS.iterdir()))
def test_a_parser_accepts_or_refuses_whatever_it_reads(target: str, tmp_path: Path) -> None:
    """
    All of these texts come from the caller, in a program that holds a capability.
    """
    if importlib.util.find_spec("atheris") is None:
        essential_skip("needs atheris: run packaging/setup.sh test")
    # A copy: what is found in a test run is not for the repository, but a crash is shown.
    shutil.copytree(CORPUS / target, tmp_path / "corpus")

    result = subprocess.run(
        [sys.executable, FUZZ, target, "corpus", f"-max_total_time={SECONDS}", "-timeout=10"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )

    crashes = [path.read_bytes() for path in tmp_path.glob("crash-*")]
    assert (0, []) == (result.returncode, crashes), result.stderr[-3000:].decode()
