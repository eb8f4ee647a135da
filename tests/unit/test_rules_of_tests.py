"""The rule that CI skips nothing, tried on tests of its own."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest

@pytest.mark.outside("FAR_SYSTEM_URL")
def test_of_a_far_system():
    if 1:
        {body}

def test_of_a_near_one():
    pytest.skip("not installed")
"""


def outcomes(folder: Path, body: str = "pass", **environment: str) -> str:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = outside(variable): x\n")
    (folder / "test_it.py").write_text(TESTS.format(body=body))
    words = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(folder)]
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        words, env=inherited | environment, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_in_ci_a_skip_fails_but_for_a_system_that_nobody_named(tmp_path):
    told = outcomes(tmp_path, CI="true")

    assert "1 failed, 1 skipped" in told
    assert "test_of_a_near_one was skipped, which CI does not allow: Skipped: not installed" in told
    assert "FAR_SYSTEM_URL does not name such a system" in told


def test_in_ci_a_test_of_a_system_that_is_named_may_not_skip_either(tmp_path):
    told = outcomes(tmp_path, body="pytest.skip('away')", CI="true", FAR_SYSTEM_URL="http://x")

    assert "2 failed" in told


def test_at_home_what_is_missing_skips_with_the_reason(tmp_path):
    assert "2 skipped" in outcomes(tmp_path)
    assert "1 passed, 1 skipped" in outcomes(tmp_path, FAR_SYSTEM_URL="http://x")
