"""Images of all builders run in real engines, restricted as harshly as a cluster may."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support.images import make_source, make_wheel
from support.parts import VARIABLE, Parts, container, push_base
from support.stores import BUCKET, s3_server

ROW = {"feature_1": 1.0, "feature_2": 0.0}


@pytest.fixture(scope="module")
def parts() -> Parts:
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"needs engines: tools/parts.sh up FOLDER, and {VARIABLE}=FOLDER")
    return Parts(Path(folder))


@pytest.fixture(scope="module")
def base(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> str:
    return push_base(parts, "python:3.11-slim", tmp_path_factory.mktemp("base"))


Boxship = Callable[..., str]


@pytest.fixture(scope="module")
def boxship(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Boxship:
    """``boxship("build", cwd=folder)``: the command as it is typed, and what it prints."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*arguments: str, cwd: Path, environ: Mapping[str, str] = MappingProxyType({})) -> str:
        variables = {**os.environ, **parts.environ, "BOXSHIP_CACHE": str(cache), **environ}
        done = subprocess.run(
            [sys.executable, "-m", "boxship", *arguments],
            cwd=cwd, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def churn(base: str, boxship: Boxship, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted model's project, locked."""
    folder = tmp_path_factory.mktemp("churn")
    model = LogisticRegression().fit(np.array([[0.0, 1.0], [1.0, 0.0]] * 4), [0, 1] * 4)
    (folder / "churn.pkl").write_bytes(pickle.dumps(model))
    boxship("convert", "churn.pkl", "-o", "churn.onnx", cwd=folder)
    (folder / "lib" / "deep").mkdir(parents=True)
    for name in ("one.py", "two.py", "deep/three.py"):
        (folder / "lib" / name).write_text(f"# {name}\n")
    (folder / "boxship.toml").write_text(
        f'model = "churn.onnx"\ncode = ["lib"]\n[image]\nbase = "{base}"\n'
    )
    boxship("lock", cwd=folder)
    return folder


def right(answer: str, churn: Path) -> bool:
    """Whether an answer is the model's own."""
    model = pickle.loads((churn / "churn.pkl").read_bytes())
    expected = model.predict_proba([list(ROW.values())])[0, 1]
    found = json.loads(answer)
    return bool(found["score"] == pytest.approx(expected, abs=1e-5))


@pytest.mark.parametrize("builder", ["native", "docker", "podman"])
@pytest.mark.timeout(300)
def test_each_builders_image_answers_right(
    parts: Parts, churn: Path, boxship: Boxship, builder: str
) -> None:
    """As an unknown user, read-only, without capabilities and network; a stop loses nothing."""
    engine = "podman" if builder == "podman" else "docker"
    name = f"churn:{builder}"
    options = ["--load"] if builder == "native" else ["--builder", builder, "--network", "host"]
    assert f"{name} in {engine}" in boxship("build", "-t", name, *options, cwd=churn)
    with container(parts, engine, name) as running:
        assert right(running.ask("/predict", json.dumps(ROW)), churn)
        names = ("one.py", "two.py", "deep/three.py")
        read = ("cat", *(f"/app/lib/{name}" for name in names))
        said = parts.run(engine, "exec", running.name, *read)
        assert said.splitlines() == [f"# {name}" for name in names]
        assert running.stop() == 0, running.logs()
    described = json.loads(parts.run(engine, "inspect", name))[0]
    config = described["Config"]
    assert config["User"] == "65532:65532"
    assert config["Labels"]["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert "8080/tcp" in config["ExposedPorts"]
    assert (config.get("Healthcheck") or described["Healthcheck"])["Test"][0] == "CMD"


@pytest.mark.timeout(300)
def test_a_model_that_is_mounted(parts: Parts, churn: Path, boxship: Boxship) -> None:
    boxship("build", "-t", "churn:mount", "--weights", "mount", "--load", cwd=churn)
    mount = f"{churn / 'churn.onnx'}:/models/churn.onnx:ro"
    with container(parts, "docker", "churn:mount", "--volume", mount) as running:
        assert right(running.ask("/predict", json.dumps(ROW)), churn)


@pytest.mark.timeout(300)
def test_a_model_that_would_be_fetched_may_be_mounted_instead(
    parts: Parts, base: str, churn: Path, boxship: Boxship, tmp_path: Path
) -> None:
    """Nothing of it is in the image but its address and its digest; the store is out of reach."""
    model = (churn / "churn.onnx").read_bytes()
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "boxship.toml").write_text(
        f'model = "s3://{BUCKET}/churn.onnx"\n[image]\nbase = "{base}"\n'
    )
    with s3_server(tmp_path / "s3.log") as s3:
        s3.put("churn.onnx", model)
        boxship("lock", "--allow-http", cwd=folder, environ=s3.environ)
        boxship("build", "-t", "churn:fetch", "--load", cwd=folder)
    mount = f"{churn / 'churn.onnx'}:/models/churn.onnx:ro"
    options = ("--env", "MODEL_PATH=/models/churn.onnx", "--volume", mount)
    with container(parts, "docker", "churn:fetch", *options) as running:
        assert right(running.ask("/predict", json.dumps(ROW)), churn)
    told = parts.run("docker", "inspect", "churn:fetch")
    assert "do-not-show-me" not in told
    assert f"s3://{BUCKET}/churn.onnx" in told


SERVICE = """
from dataclasses import dataclass

from boxship import Service


@dataclass
class Point:
    x: float


class Double(Service):
    def predict(self, rows: list[Point]) -> list[float]:
        return [2 * row.x for row in rows]
"""


@pytest.mark.timeout(300)
def test_an_image_for_two_platforms(
    parts: Parts, base: str, boxship: Boxship, tmp_path: Path
) -> None:
    """Built without emulation, it runs on the other processor too."""
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "boxship.toml").write_text(
        'service = "service:Double"\n'
        f'[image]\nbase = "{base}"\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    )
    boxship("lock", cwd=tmp_path)
    name = f"{parts.registry}/double:two"
    boxship("build", "-t", name, "--push", cwd=tmp_path)
    parts.run("docker", "pull", "--platform", "linux/arm64", name)
    options = ("--platform", "linux/arm64")
    with container(parts, "docker", name, *options, within_s=180) as running:
        machine = ("python3", "-c", "import platform; print(platform.machine())")
        assert parts.run("docker", "exec", running.name, *machine) == "aarch64"
        assert json.loads(running.ask("/predict", '{"x": 2}')) == {"value": 4.0}


SERVE = """
import os, pickle

from fastapi import FastAPI

MODEL_PATH = os.environ.get("MODEL_PATH", "/models/model.pkl")

app = FastAPI()
with open(MODEL_PATH, "rb") as file:
    model = pickle.load(file)


@app.post("/predict")
async def predict(payload: dict):
    row = [[payload["feature_1"], payload["feature_2"]]]
    return {"score": float(model.predict_proba(row)[0, 1])}
"""


@pytest.mark.timeout(400)
def test_an_application_of_ones_own(
    parts: Parts, base: str, churn: Path, boxship: Boxship, tmp_path: Path
) -> None:
    """A tutorial's project builds with three lines of settings and no other change."""
    import sklearn

    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "serve.py").write_text(SERVE)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "churn_v7.pkl").write_bytes((churn / "churn.pkl").read_bytes())
    (tmp_path / "requirements.txt").write_text(
        f"fastapi\nuvicorn\nscikit-learn=={sklearn.__version__}\n"
    )
    (tmp_path / "boxship.toml").write_text(
        f'app = "src.serve:app"\nmodel = "models/churn_v7.pkl"\nimage.base = "{base}"\n'
    )
    boxship("lock", cwd=tmp_path)
    boxship("build", "-t", "article:1", "--load", cwd=tmp_path)
    with container(parts, "docker", "article:1") as running:
        assert right(running.ask("/predict", json.dumps(ROW)), churn)
        assert running.ask("/health") == '{"status":"ok"}'
        assert running.stop() == 0


@pytest.mark.timeout(300)
def test_an_engine_installs_wheels_of_ones_own_and_runs_commands_last(
    parts: Parts, base: str, boxship: Boxship, tmp_path: Path
) -> None:
    """The commands find the packages, and what they leave is in the image."""
    file, data = make_wheel("acme-own", "1.0", {"acme_own/__init__.py": "SAID = 'hello'\n"})
    (tmp_path / file).write_bytes(data)
    (tmp_path / "requirements.txt").write_text(f"./{file}\n")
    (tmp_path / "service.py").write_text(SERVICE)
    said = "import acme_own; open('/srv/said', 'w').write(acme_own.SAID)"
    settings = (
        f'[image]\nbase = "{base}"\nrun = [{json.dumps(f"python3.11 -c {json.dumps(said)}")}]\n'
    )
    (tmp_path / "boxship.toml").write_text(f'service = "service:Double"\n{settings}')
    boxship("lock", cwd=tmp_path)
    options = ("--builder", "docker", "--network", "host")
    boxship("build", "-t", "own:1", *options, cwd=tmp_path)
    with container(parts, "docker", "own:1") as running:
        assert parts.run("docker", "exec", running.name, "cat", "/srv/said") == "hello"


@pytest.mark.timeout(300)
def test_an_engine_makes_the_wheels_that_are_missing(
    parts: Parts, base: str, boxship: Boxship, tmp_path: Path
) -> None:
    file, data = make_source("acme-made", "1.0", {"acme_made.py": "def twice(x): return 2 * x\n"})
    (tmp_path / file).write_bytes(data)
    (tmp_path / "requirements.txt").write_text(f"./{file}\n")
    (tmp_path / "service.py").write_text(
        SERVICE.replace("2 * row.x", "twice(row.x)").replace(
            "from boxship", "from acme_made import twice\nfrom boxship"
        )
    )
    (tmp_path / "boxship.toml").write_text(
        f'service = "service:Double"\n[image]\nbase = "{base}"\n'
    )
    boxship("lock", "--builder", "docker", cwd=tmp_path)
    boxship("build", "-t", "made:1", "--builder", "docker", "--network", "host", cwd=tmp_path)
    with container(parts, "docker", "made:1") as running:
        assert json.loads(running.ask("/predict", '{"x": 2}')) == {"value": 4.0}


DEMO = Path(__file__).resolve().parents[2] / "demo" / "image.py"


@pytest.mark.parametrize("engine", [True, False], ids=["an engine", "no engine"])
@pytest.mark.timeout(400)
def test_the_demo_ends_in_an_answer_or_in_a_verified_layout(
    parts: Parts, base: str, tmp_path: Path, *, engine: bool
) -> None:
    path = parts.environ["PATH"] if engine else str(Path(sys.executable).parent)
    places = {"PYTHONPATH": str(DEMO.parents[1] / "tests"), "BOXSHIP_CACHE": str(tmp_path)}
    environ = {**os.environ, **parts.environ, **places, "PATH": path, "BOXSHIP_IMAGE_BASE": base}
    done = subprocess.run(
        [sys.executable, DEMO], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert ("the model's own answer is" if engine else "verified: every byte of") in last
