"""``boxship lock``, as it is typed, for a model that is here."""

from pathlib import Path

import pytest
from support import models

from boxship import lock
from boxship.cli import main

TIP = "boxship lock --only model"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model, which is the working folder; no image can be locked in it."""
    models.save_identity(tmp_path, [("x", "FP32", (None, 2))]).rename(tmp_path / "churn.onnx")
    settings = 'model = "churn.onnx"\n[image]\nplatforms = ["Linux"]\n'
    (tmp_path / "boxship.toml").write_text(settings)
    monkeypatch.setenv("BOXSHIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trusted(folder: Path) -> bool:
    model = lock.read(folder).model
    assert model is not None
    return model.trusted


def test_trust_in_bytes_stays_with_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["lock", "--only", "model", "--trust"]) == 0
    assert main.main(["lock", "--only", "model"]) == 0
    assert trusted(folder)
    assert capsys.readouterr().err == ""


def test_other_bytes_are_not_trusted_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["lock", "--only", "model", "--trust"]) == 0
    models.save_identity(folder, [("y", "FP32", (None, 3))]).replace(folder / "churn.onnx")
    assert main.main(["lock", "--only", "model"]) == 0
    assert not trusted(folder)
    err = capsys.readouterr().err
    assert "churn.onnx: expected the bytes that --trust vouched for, sha256:" in err
    assert err.endswith("To vouch for these too: boxship lock --trust\n")
    assert main.main(["lock", "--only", "model"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("served", "only", "tipped"),
    [
        ('model = "churn.onnx"', [], True),
        ('model = "churn.onnx"', ["--only", "image"], False),
        ('app = "app:app"', [], False),
    ],
)
def test_a_model_that_could_be_locked_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], served: str, only: list[str], *, tipped: bool
) -> None:
    (folder / "boxship.toml").write_text(f'{served}\n[image]\nplatforms = ["Linux"]\n')
    assert main.main(["lock", *only]) == 2
    err = capsys.readouterr().err
    assert "expected a platform" in err
    assert (TIP in err) == tipped
