"""A skip is a skip on a developer's machine and a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

SUITE = """
import pytest

def test_program(need):
    need.program("no-such-program")

def test_module(need):
    need.module("no_such_module")

@pytest.mark.skipif(True, reason="a condition")
def test_condition():
    pass

@pytest.mark.optional_part("cannot be had in CI")
def test_optional(need):
    need.program("no-such-program")

@pytest.mark.xfail(reason="known")
def test_known():
    raise AssertionError

def test_present(need):
    assert need.program("sh").name == "sh"
    assert need.module("json").loads("1") == 1
"""


def run_suite(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in ``folder`` with this project's conftest."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = optional_part(reason): x\n")
    argv = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider"]
    return subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "BOXSHIP_CI": ci, "PYTHONPATH": str(CONFTEST.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("ci", "closing"),
    [
        ("0", "1 passed, 4 skipped, 1 xfailed"),
        ("1", "2 failed, 1 passed, 1 skipped, 1 xfailed, 1 error"),
    ],
)
def test_skips(tmp_path: Path, ci: str, closing: str) -> None:
    """Each kind of skip fails in CI; an optional part and an expected failure do not."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    result = run_suite(tmp_path, ci)
    assert closing in result.stdout
    assert "needs the program 'no-such-program': install it" in result.stdout


@pytest.mark.parametrize(("ci", "code"), [("0", pytest.ExitCode.NO_TESTS_COLLECTED), ("1", 2)])
def test_skipped_file(tmp_path: Path, ci: str, code: int) -> None:
    """A file that skips itself while it is collected ends a CI run."""
    (tmp_path / "test_suite.py").write_text("import pytest\npytest.importorskip('no_such')\n")
    result = run_suite(tmp_path, ci)
    assert result.returncode == code
    assert "no_such" in result.stdout
