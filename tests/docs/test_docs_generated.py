"""The reference pages that come from the program are those that the program gives now."""

import subprocess
import sys
from pathlib import Path

GENERATE = Path(__file__).parents[2] / "docs" / "generate.py"


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"run `make docs`: {done.stdout}{done.stderr}"
