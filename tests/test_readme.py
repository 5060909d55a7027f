"""The README's and the docs' commands and code do what they say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Serve

ROOT = Path(__file__).parent.parent


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_quick_start(tmp_path: Path, serve: Serve) -> None:
    console = "".join(blocks("README.md", "console"))
    assert "$ python examples/train.py" in console
    assert "$ boxship serve cancer.pkl" in console
    subprocess.run([sys.executable, ROOT / "examples/train.py"], cwd=tmp_path, check=True)
    server = serve("cancer.pkl", cwd=tmp_path)
    answer = server.post("/predict", content=(tmp_path / "row.json").read_bytes())
    shown = re.search(r'^\{"score":.*\}$', console, re.MULTILINE)
    assert shown is not None
    wanted = json.loads(shown[0])
    assert answer.json()["score"] == pytest.approx(wanted["score"], rel=1e-3)
    assert answer.json()["label"] == wanted["label"]


def test_faster(tmp_path: Path, serve: Serve) -> None:
    """The quick start's model, converted as the README says, gives the same answer."""
    console = "".join(blocks("README.md", "console"))
    found = re.search(r"^\$ boxship (convert cancer.pkl .*)$", console, re.MULTILINE)
    assert found is not None
    subprocess.run([sys.executable, ROOT / "examples/train.py"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "boxship", *found[1].split()]
    subprocess.run(command, cwd=tmp_path, check=True)
    row = (tmp_path / "row.json").read_bytes()
    answers = [
        serve(name, cwd=tmp_path).post("/predict", content=row).json()
        for name in ("cancer.pkl", "cancer.onnx")
    ]
    assert answers[1]["score"] == pytest.approx(answers[0]["score"], abs=1e-5)
    assert answers[1]["label"] == answers[0]["label"]


def test_hello_world(tmp_path: Path, serve: Serve) -> None:
    """Under ten lines, and it answers what the README shows."""
    code = next(block for block in blocks("README.md", "python") if "# service.py" in block)
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    (tmp_path / "service.py").write_text(code)
    server = serve("service:Double", cwd=tmp_path)
    console = "".join(blocks("README.md", "console"))
    command = re.search(r"-d '(\[.*?\])'\n(\[.*\])", console)
    assert command is not None
    answer = server.post("/predict", json=json.loads(command[1]))
    assert answer.text == command[2]


def test_services_page(tmp_path: Path, serve: Serve) -> None:
    """The services in the docs serve, docstrings and all."""
    churn, scale = blocks("docs/services.md", "python")
    (tmp_path / "churn.py").write_text(churn)
    (tmp_path / "scale.py").write_text(scale)
    make = (
        "import joblib, numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "x = np.array([[20, 0], [70, 1], [30, 1], [65, 0]])\n"
        "joblib.dump(LogisticRegression().fit(x, [0, 1, 0, 1]), 'churn.joblib')\n"
    )
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    server = serve("churn:Churn", cwd=tmp_path, environ={"MODEL_PATH": "churn.joblib"})
    answer = server.post("/predict", json={"age": 70}).json()
    assert answer["reason"] == "age"
    assert 0.5 < answer["score"] <= 1
    refused = server.post("/predict", json={"age": -1})
    assert refused.status_code == 422
    assert "age must not be negative" in refused.text
    assert "How likely each customer is to leave" in server.get("/openapi.json").text
    tensor = {"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [0, 255]}
    scaled = serve("scale:Scale", cwd=tmp_path).post(
        "/v2/models/scale/infer", json={"inputs": [tensor]}
    )
    assert scaled.json()["outputs"][0]["data"] == [0, 1]


def test_settings_page() -> None:
    """Every setting that the page names exists."""
    page = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
    listing = subprocess.run(
        [sys.executable, "-m", "boxship", "serve", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    ).stdout
    for flag in re.findall(r"`(--[a-z-]+)", page):
        assert flag in listing
    assert max(map(len, listing.splitlines())) <= 84
