"""``boxship serve``: its help, its flags, and how a mistake ends."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boxship.cli import main, serve
from boxship.settings import Option, options

BY_KEY = {option.key: option for option in options()}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Stand in an empty folder, and change the environment from there."""
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def help_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main.main(["serve", "--help"])
    return capsys.readouterr().out


def test_help_fits_a_terminal_of_80_columns(help_text: str) -> None:
    assert [line for line in help_text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("option", BY_KEY.values(), ids=BY_KEY)
def test_help_lists_every_option_with_its_default(help_text: str, option: Option) -> None:
    words = " ".join(help_text.split())
    default = option.default
    if isinstance(default, bool):
        default = "on" if default else "off"
    assert f"{option.flag} " in words
    assert f"{option.help} (default: {default})" in words


def test_help_shows_examples(help_text: str) -> None:
    """Each of the ways to name what is served, and the other two ways to set an option."""
    for example in (
        "boxship serve churn.pkl ",
        "boxship serve churn.onnx --workers 2 ",
        "boxship serve service:Churn ",
        "boxship serve . ",
        "MODEL_PATH=/models/churn.pkl boxship serve ",
        "(BOXSHIP_SERVE_REQUEST_TIMEOUT_S; the port's is PORT)",
    ):
        assert example in help_text


def parsed(*arguments: str) -> dict[str, Any]:
    return vars(main.parser().parse_args(["serve", *arguments]))


@pytest.mark.parametrize("option", BY_KEY.values(), ids=BY_KEY)
def test_a_flag_sets_its_key(option: Option) -> None:
    """The text goes on as it is; the project reads it, as it reads the environment."""
    if isinstance(option.default, bool):
        assert parsed(option.flag)[option.key] is True
        assert parsed(option.flag.replace("--", "--no-", 1))[option.key] is False
    else:
        assert parsed(option.flag, "text")[option.key] == "text"


def test_a_flag_that_is_not_given_is_not_there() -> None:
    """So that the environment and the file have their say."""
    assert parsed() == {"target": None, "trust": False, "run": serve.run, "verb": "serve"}


def test_name_and_version() -> None:
    found = parsed("a.pkl", "--name", "churn", "--model-version", "3", "--trust")
    assert found == {
        "target": "a.pkl", "trust": True, "run": serve.run, "verb": "serve", "name": "churn",
        "version": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "port", "message"),
    [
        (["--workers", "none"], "80", "--workers: expected a whole number of at least 1 and"),
        ([], "http", "environment variable PORT: expected a whole number"),
        ([], "80", "Expected a model to serve"),
        (["ftp://models/churn.pkl"], "80", "command line: model: expected a path, file:///…"),
        (["--name", "a b", "a.pkl"], "80", "command line: name: expected letters, digits"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(
    arguments: list[str],
    port: str,
    message: str,
    in_folder: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Flags, environment and working folder are those of the process; the exit code is 2."""
    in_folder.setenv("PORT", port)
    assert main.main(["serve", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"boxship: {message}")
    assert all(line.startswith("boxship: ") for line in captured.err.splitlines())


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    """The server starts, looks, and ends with the model's own exit code."""
    found = subprocess.run(
        [sys.executable, "-m", "boxship", "serve", "churn.pkl", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "BOXSHIP_SERVE_HOST": "127.0.0.1", "BOXSHIP_SERVE_WORKER": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 3, found.stderr
    last = found.stderr.splitlines()[-1]
    assert last.startswith(f"boxship: Expected a model at {tmp_path}/churn.pkl, found nothing")
    assert "BOXSHIP_SERVE_WORKER is unknown and ignored" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_percent_sign_in_a_help_text_is_one() -> None:
    """Argparse would take it for a placeholder."""
    verb = argparse.ArgumentParser(prog="serve")
    for option in (BY_KEY["port"], BY_KEY["access_log"]):
        serve._add_option(verb, Option(**{**vars(option), "help": "100% of it"}))
    assert verb.format_help().count("100% of it (default: ") == 2
