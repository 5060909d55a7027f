"""``boxship convert``: its help, its flags, what it prints, and its exit codes."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from boxship.cli import main
from boxship.runtimes.onnx.runtime import OnnxRuntime

X = np.random.default_rng(7).normal(size=(100, 3)).round(3)
TWO = (X.sum(axis=1) > 0).astype(int)


def save(path: Path, model: Any) -> Path:
    path.write_bytes(pickle.dumps(model.fit(X, TWO)))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a model ``churn.pkl``."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "churn.pkl", RandomForestClassifier(5, random_state=0))
    return tmp_path


def test_help_fits_a_terminal_and_shows_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main.main(["convert", "--help"])
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "  boxship convert churn.pkl -o churn.onnx\n" in text
    for flag in ("--samples FILE", "--tolerance T", "--float64", "--format", "--trust"):
        assert flag in text


def test_a_model_becomes_a_file_with_its_proof(folder: Path) -> None:
    """As a user runs it: the report on standard output, and nothing else anywhere."""
    found = subprocess.run(
        [sys.executable, "-m", "boxship", "convert", "churn.pkl", "-o", "churn.onnx"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    first, *_ = found.stdout.splitlines()
    assert first.startswith("churn.pkl -> churn.onnx (RandomForestClassifier, ")
    assert "  labels that differ  none\n" in found.stdout
    assert "`boxship serve\nchurn.onnx` shows it" in found.stdout
    proof = OnnxRuntime(folder / "churn.onnx").proof
    assert proof is not None
    assert proof.source == "churn.pkl"


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["churn.pkl", "-o", "churn.onnx", "--float64", "--tolerance", "0.01"]
    assert main.main(["convert", *arguments, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["version"], report["agrees"], report["output"]) == (1, True, "churn.onnx")
    assert (report["datatype"], report["tolerance"]) == ("FP64", 0.01)


def test_a_project_and_rows_of_the_users_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The project's names are the columns of the file."""
    names = ["age", "balance", "radius"]
    inputs = ", ".join(f'{{ name = "{name}", datatype = "FP64" }}' for name in names)
    (folder / "boxship.toml").write_text(f'model = "churn.pkl"\ninputs = [{inputs}]\n')
    rows = [",".join(names), *(",".join(map(str, row)) for row in X.tolist())]
    (folder / "rows.csv").write_text("\n".join(rows))
    assert main.main(["convert", ".", "-o", "out.onnx", "--samples", "rows.csv"]) == 0
    assert "  samples             rows.csv\n  rows compared       100\n" in capsys.readouterr().out
    columns = OnnxRuntime(folder / "out.onnx").signature.columns or ()
    assert [column.name for column in columns] == names


def test_modules_of_the_projects_own(folder: Path) -> None:
    """They are found in `code`, and what they define is named where nobody converts it."""
    (folder / "src").mkdir()
    (folder / "src/doubling.py").write_text(
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "class Doubled(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, X, y=None):\n"
        "        self.n_features_in_ = X.shape[1]\n"
        "        return self\n"
        "    def transform(self, X):\n"
        "        return X * 2\n"
    )
    script = (
        "import pickle, sys; sys.path.insert(0, 'src'); import numpy as np, doubling\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.linear_model import LinearRegression\n"
        "model = make_pipeline(doubling.Doubled(), LinearRegression())\n"
        "model.fit(np.eye(3), [1, 2, 3])\n"
        "pickle.dump(model, open('churn.pkl', 'wb'))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=60)
    (folder / "boxship.toml").write_text(
        'model = "churn.pkl"\ncode = ["src"]\ntrust = ["doubling"]\n'
    )
    found = subprocess.run(
        [sys.executable, "-m", "boxship", "convert", ".", "-o", "out.onnx"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 1, found.stderr
    assert "has no converter for doubling.Doubled." in found.stderr


def test_models_that_differ_end_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "churn.pkl", KNeighborsClassifier(weights="distance"))
    assert main.main(["convert", "churn.pkl", "-o", "churn.onnx"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("churn.pkl (KNeighborsClassifier) was not converted: ")
    assert captured.err == ""
    assert not (folder / "churn.onnx").exists()


def test_a_model_without_a_converter_ends_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder / "churn.pkl", NearestCentroid())
    assert main.main(["convert", "churn.pkl", "-o", "churn.onnx"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "has no converter for NearestCentroid." in captured.err
    assert all(line.startswith("boxship: ") for line in captured.err.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.pkl", "-o", "out.onnx"], 3, "There is no file "),
        (["churn.pkl", "-o", "none/out.onnx"], 2, "there is no folder none"),
        (["service:Churn", "-o", "out.onnx"], 2, "expected a model file to convert, found service"),
        (["churn.pkl", "-o", "out.onnx", "--samples", "none.csv"], 2, "none.csv"),
    ],
)
def test_mistakes(
    folder: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["convert", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_a_pickle_that_nobody_vouches_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other.pkl").write_bytes(pickle.dumps(print))
    assert main.main(["convert", "other.pkl", "-o", "out.onnx"]) == 4
    assert "--trust" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_a_tolerance_that_is_none(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["convert", "churn.pkl", "-o", "out.onnx", f"--tolerance={value}"])
    assert caught.value.code == 2
    assert f"expected a number of at least 0, found '{value}'" in capsys.readouterr().err
