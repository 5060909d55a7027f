"""The command line as a whole: what it prints, and the exit code."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import boxship
from boxship.cli import main, serve
from boxship.errors import BoxshipError, ModelError


def command(*arguments: str, module: str = "boxship") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        timeout=60,
        check=False,
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"boxship {boxship.__version__}\n"


@pytest.mark.parametrize("module", ["boxship", "boxship.__main__"])
def test_it_runs_as_a_module(module: str) -> None:
    found = command("--version", module=module)
    assert (found.returncode, found.stdout) == (0, f"boxship {boxship.__version__}\n")
    assert found.stderr == ""


def test_help_shows_every_command_and_an_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main.main(["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert "example:\n  boxship serve churn.pkl\n" in text
    assert "serve     " in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "verb",
    [
        "serve",
        "convert",
        "lock",
        "build",
        "dockerfile",
        "fetch",
        "cache",
        "cache list",
        "cache prune",
    ],
)
def test_the_help_of_every_command_fits_a_terminal(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main.main([*verb.split(), "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cache", "prune", "--kee", "1GB"], "unrecognized arguments: --kee"),
        ([], "the following arguments are required: COMMAND"),
        (["sail"], "invalid choice: 'sail'"),
        (["serve", "--wokers", "2"], "unrecognized arguments: --wokers"),
        (["serve", "--work", "2"], "unrecognized arguments: --work"),
        (["serve", "a.pkl", "b.pkl"], "unrecognized arguments: b.pkl"),
        (["serve", "--port"], "argument --port: expected one argument"),
    ],
)
def test_a_command_line_that_cannot_be_read(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the usage and one sentence; nothing is abbreviated."""
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: boxship")
    assert message in error


def test_a_users_mistake_is_told_without_a_traceback(tmp_path: Path) -> None:
    """Every line says who speaks; standard output stays empty; the exit code is 2."""
    (tmp_path / "boxship.toml").write_text('modell = "a.pkl"\n[serve]\nport = "x"')
    found = command("serve", str(tmp_path))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.splitlines() == [
        f"boxship: {tmp_path}/boxship.toml: unknown key 'modell'; did you mean 'model'?",
        (
            f"boxship: {tmp_path}/boxship.toml: serve.port: "
            "expected a whole number of at least 0 and at most 65535, found 'x'"
        ),
        "boxship: See boxship serve --help.",
    ]


def verb(run: Callable[[argparse.Namespace], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``boxship serve`` be ``run``."""
    monkeypatch.setattr(serve, "run", run)


@pytest.mark.parametrize("code", [0, 1, 143])
def test_the_exit_code_is_the_verbs(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    verb(lambda _: code, monkeypatch)
    assert main.main(["serve"]) == code


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (BoxshipError("It failed."), 1, ["boxship: It failed."]),
        (ModelError("No model.", tip="Name it."), 3, ["boxship: No model.", "boxship: Name it."]),
        (BoxshipError("One.\nTwo.", exit_code=4), 4, ["boxship: One.", "boxship: Two."]),
    ],
)
def test_an_error_is_printed_line_by_line(
    error: BoxshipError,
    code: int,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message and then the next step, on standard error."""

    def run(_: argparse.Namespace) -> int:
        raise error

    verb(run, monkeypatch)
    assert main.main(["serve"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == ("", lines)


def test_ctrl_c_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130, as after any command that Ctrl-C ended; 2 would be a mistake of the user's."""

    def run(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    verb(run, monkeypatch)
    assert main.main(["serve"]) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is nobody's mistake but ours keeps its traceback."""

    def run(_: argparse.Namespace) -> int:
        raise ZeroDivisionError

    verb(run, monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main.main(["serve"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            PermissionError(13, "Permission denied", "/churn/Dockerfile"),
            "boxship: /churn/Dockerfile: expected to read and write, found: Permission denied.",
        ),
        (
            OSError(28, "No space left on device"),
            "boxship: expected to read and write, found: No space left on device.",
        ),
    ],
)
def test_what_the_system_refuses_is_told_without_a_traceback(
    error: OSError,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise error

    verb(run, monkeypatch)
    assert main.main(["serve"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == line
