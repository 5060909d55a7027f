"""Serving a model that lies in a store."""

import contextlib
import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from conftest import Serve
from sklearn.linear_model import LinearRegression
from support.serving import Server
from support.stores import S3, Site, Zeros, s3_server, site

from boxship.errors import EXIT_DIGEST, EXIT_FETCH, EXIT_MODEL

OTHER = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    folder = tmp_path_factory.mktemp("s3")
    joblib.dump(LinearRegression().fit(np.eye(2), [1.0, 2.0]), folder / "churn.joblib")
    with s3_server(folder / "log") as server:
        server.put("churn.joblib", (folder / "churn.joblib").read_bytes())
        server.digest = (
            f"sha256:{hashlib.sha256((folder / 'churn.joblib').read_bytes()).hexdigest()}"
        )
        yield server


APP = """
import os

with open(os.environ["MODEL_PATH"], "rb") as file:
    size = len(file.read())


async def app(scope, receive, send):
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


def test_an_application_finds_its_model_where_it_was_fetched_to(
    serve: Serve, s3: S3, tmp_path: Path
) -> None:
    """It opens MODEL_PATH when it is imported, as tutorials do."""
    (tmp_path / "own.py").write_text(APP)
    environ = {
        **s3.environ,
        "MODEL_PATH": "s3://models/churn.joblib",
        "BOXSHIP_CACHE": str(tmp_path / "cache"),
    }
    server = serve("own:app", "--drain-delay", "0", environ=environ)
    server.wait_until_ready()
    cached = next((tmp_path / "cache").rglob("churn.joblib"))
    assert int(server.client.get("/").text) == cached.stat().st_size


def test_a_model_in_a_store(serve: Serve, s3: S3, tmp_path: Path) -> None:
    """Answers as from a file, says what runs, and is fetched once."""
    environ = {
        **s3.environ,
        "MODEL_PATH": "s3://models/churn.joblib",
        "BOXSHIP_CACHE": str(tmp_path / "cache"),
    }
    for words in ("model fetched", "model found in the cache"):
        server = serve("--workers", "2", "--drain-delay", "0", environ=environ)
        answer = server.client.post("/predict", json={"feature_1": 1, "feature_2": 0})
        assert answer.json()["value"] == pytest.approx(1.0)
        assert answer.headers["x-model-digest"] == s3.digest
        metrics = server.client.get("/metrics").text
        assert f'digest="{s3.digest}"' in metrics
        assert "boxship_model_fetch_duration_seconds" in metrics
        assert server.client.get("/v2/models/churn").status_code == 200
        assert server.stop() == 0
        assert words in server.log
        assert "do-not-show-me" not in server.log


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (f"s3://models/churn.joblib@{OTHER}", (EXIT_DIGEST, f"expected the digest {OTHER}")),
        ("s3://models/other.joblib", (EXIT_FETCH, "expected a model there, found nothing")),
    ],
)
def test_a_model_that_is_not_the_one_that_is_meant_is_never_served(
    serve: Serve, s3: S3, tmp_path: Path, location: str, told: tuple[int, str]
) -> None:
    code, words = told
    environ = {**s3.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")}
    server = serve(location, ready=False, environ=environ)
    assert server.process.wait(60) == code
    assert words in server.log
    assert "Traceback" not in server.log
    assert "ready" not in server.log.replace("not ready", "")


def test_a_digest_holds_for_a_file_too(serve: Serve, tmp_path: Path) -> None:
    joblib.dump(LinearRegression().fit(np.eye(2), [1.0, 2.0]), tmp_path / "churn.joblib")
    server = serve(f"churn.joblib@{OTHER}", ready=False)
    assert server.process.wait(60) == EXIT_DIGEST


def test_a_worker_is_replaced_only_while_the_bytes_are_the_same(
    serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "churn.joblib"
    joblib.dump(LinearRegression().fit(np.eye(2), [1.0, 2.0]), path)
    server = serve("churn.joblib", "--workers", "2", "--drain-delay", "0")
    wait_until(lambda: '"workers":"2/2"' in server.log)
    # Another file, not other bytes in the same one, which the workers have mapped.
    joblib.dump(LinearRegression().fit(np.eye(2), [3.0, 4.0]), tmp_path / "new")
    (tmp_path / "new").replace(path)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    wait_until(lambda: "no worker is started" in server.log)
    assert "expected the digest sha256:" in server.log
    for _ in range(3):
        answer = server.client.post("/predict", json={"feature_1": 1, "feature_2": 0})
        assert answer.status_code == 200, answer.text
        assert answer.json()["value"] == pytest.approx(1.0)


def test_a_model_in_use_is_not_pruned_and_one_that_has_gone_is_fetched_again(
    serve: Serve, s3: S3, tmp_path: Path
) -> None:
    environ = {**s3.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")}
    server = serve("s3://models/churn.joblib", "--drain-delay", "0", environ=environ)
    assert "kept churn.joblib" in pruned(environ)
    for removed in (False, True):
        if removed:
            shutil.rmtree(tmp_path / "cache" / "models")
        (old,) = server.worker_pids()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda old=old: server.worker_pids() not in ([], [old]))  # type: ignore[misc]
        server.wait_until_ready()
        answer = server.client.post("/predict", json={"feature_1": 1, "feature_2": 0})
        assert answer.json()["value"] == pytest.approx(1.0)
    assert server.stop() == 0
    assert "removed churn.joblib" in pruned(environ)


def pruned(environ: dict[str, str]) -> str:
    argv = [sys.executable, "-m", "boxship", "cache", "prune"]
    return subprocess.check_output(argv, env={**os.environ, **environ}, text=True)


def test_a_folder_of_files_is_refused_before_it_is_fetched(
    serve: Serve, s3: S3, tmp_path: Path
) -> None:
    for name in ("model.onnx", "config.json"):
        s3.put(f"repository/{name}", b"x")
    environ = {**s3.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")}
    server = serve("s3://models/repository", ready=False, environ=environ)
    assert server.process.wait(60) == EXIT_FETCH
    assert "found a folder of 2: config.json, model.onnx" in server.log


REPLACES_ITSELF = """
import os
from sklearn.linear_model import LinearRegression

class Model(LinearRegression):
    def __setstate__(self, state):
        super().__setstate__(state)
        os.replace("new", "churn.joblib")
"""


def test_a_file_that_is_replaced_while_it_is_loaded_is_not_served(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest that was taken before is not that of what was loaded."""
    (tmp_path / "replacing.py").write_text(REPLACES_ITSELF)
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("replacing").Model().fit(np.eye(2), [1.0, 2.0])
    for name in ("churn.joblib", "new"):
        joblib.dump(model, tmp_path / name)
    environ = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    server = serve("churn.joblib", "--trust", ready=False, environ=environ)
    assert server.process.wait(60) == EXIT_MODEL
    assert "found the file changed since" in server.log


def wait_until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stop_while_the_model_comes_is_a_stop(serve: Serve, tmp_path: Path) -> None:
    """Alive and not ready until then, and it says how far it is."""
    content = Zeros(50_000_000_000)
    if shutil.disk_usage(tmp_path).free < len(content):
        content = Zeros(shutil.disk_usage(tmp_path).free // 2)
    with site(Site({"/big.onnx": content}, {"/big.onnx": '"one"'})) as web:
        environ = {"BOXSHIP_CACHE": str(tmp_path / "cache")}
        flags = ("--allow-http", "--drain-delay", "0")
        server = serve(f"{web.url}/big.onnx", *flags, ready=False, environ=environ)
        wait_until(lambda: '"phase":"fetch","percent":' in answered(server))
        assert server.get("/health").status_code == 200
        assert server.stop() == 0
    assert "Traceback" not in server.log
    shutil.rmtree(tmp_path / "cache")


def answered(server: Server) -> str:
    """What ``/ready`` says; nothing before anybody listens."""
    with contextlib.suppress(httpx.TransportError):
        return server.get("/ready").text
    return ""
