"""From the start of the process to ready, and every way of not getting there."""

import json
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import models
from support.serving import Server

from boxship import contract, errors
from boxship.serve.processes.server import leave_last_words

Serve = Callable[..., Server]

BUSY = 4
"""Times that a machine may be slower which does other things too."""

SERVICES = """\
import ctypes, os, signal, time
from dataclasses import dataclass
from boxship import Service

@dataclass
class Row:
    x: float

class Base(Service):
    def predict(self, rows: list[Row]) -> list[float]:
        return [2 * row.x for row in rows]

class Sleeps(Base):
    def load(self, model_path):
        time.sleep(6)

class HoldsTheLock(Base):
    def load(self, model_path):
        ctypes.PyDLL(None).sleep(6)

class HoldsTheLockLong(Base):
    def load(self, model_path):
        ctypes.PyDLL(None).sleep(20)

class Raises(Base):
    def load(self, model_path):
        raise ValueError("the weights are for another architecture")

class RaisesMuch(Base):
    def load(self, model_path):
        raise ValueError("bad weights: " + "9" * 100_000)

class IsKilled(Base):
    def load(self, model_path):
        os.kill(os.getpid(), signal.SIGKILL)

class Exits(Base):
    def load(self, model_path):
        os._exit(7)

class Slowish(Base):
    def load(self, model_path):
        time.sleep(1)
"""


def write_services(folder: Path) -> None:
    (folder / "service.py").write_text(SERVICES)
    (folder / "needy.py").write_text("import a_package_that_nobody_has\n")


def wait_for_health(server: Server) -> float:
    """Seconds from the start of the process to the first answer of ``/health``."""
    while time.monotonic() - server.started < 30:
        try:
            assert server.get("/health").status_code == 200
        except httpx.TransportError:
            time.sleep(0.01)
        else:
            return time.monotonic() - server.started
    raise AssertionError(f"no answer from /health:\n{server.log}")


def receive_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def end_of(server: Server) -> int:
    """The exit code of a server that ends by itself."""
    return server.process.wait(30)


@dataclass(frozen=True)
class Locked:
    """A server whose worker holds the interpreter lock, and the worker's process id."""

    server: Server
    live_after_s: float
    workers: list[int]


@pytest.fixture(scope="module", autouse=True)
def locked_for_long(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Locked:
    """A load that holds the lock for 20 s while the other tests run."""
    folder = tmp_path_factory.mktemp("locked")
    write_services(folder)
    server = serve_module("service:HoldsTheLockLong", "--drain-delay", "0", cwd=folder, ready=False)
    live_after_s = wait_for_health(server)
    deadline = time.monotonic() + 10
    while not (workers := server.worker_pids()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return Locked(server, live_after_s, workers)


@pytest.fixture(autouse=True)
def no_drain_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """These servers have no load balancer before them."""
    monkeypatch.setenv("BOXSHIP_SERVE_DRAIN_DELAY_S", "0")


def check_answers_while_loading(server: Server) -> None:
    """Every probe and every route, for a second and a half."""
    deadline = time.monotonic() + 5
    while server.get("/ready").json()["phase"] != "load" and time.monotonic() < deadline:
        time.sleep(0.01)

    for _ in range(8):
        began = time.monotonic()
        assert server.get("/health").json() == {"status": "ok"}
        assert time.monotonic() - began < 2
        time.sleep(0.2)

    ready = server.get("/ready")
    assert ready.status_code == 503
    assert ready.json() == {"status": "not_ready", "detail": "model loading", "phase": "load"}
    assert int(ready.headers["retry-after"]) > 0
    refused = server.post("/predict", json={"x": 1.0})
    assert (refused.status_code, refused.json()) == (503, {"detail": "model loading"})
    assert int(refused.headers["retry-after"]) > 0
    inferred = server.post("/v2/models/sleeps/infer", json={"inputs": []})
    assert (inferred.status_code, inferred.json()) == (503, {"error": "model loading"})
    assert server.get("/v2/health/live").json() == {"live": True}
    v2 = server.get("/v2/health/ready")
    assert (v2.status_code, v2.json()) == (503, {"ready": False})
    metrics = server.get("/metrics")
    assert metrics.status_code == 200
    assert "boxship_ready 0.0" in metrics.text


def test_answers_while_the_lock_is_held(locked_for_long: Locked) -> None:
    """A load that holds the interpreter lock holds up no probe."""
    assert locked_for_long.live_after_s < BUSY * contract.LIVE_WITHIN_S
    check_answers_while_loading(locked_for_long.server)


def test_answers_before_the_model_is_loaded(serve: Serve, tmp_path: Path) -> None:
    """The socket answers at once, though the model takes six seconds."""
    write_services(tmp_path)
    server = serve("service:Sleeps", ready=False)
    assert wait_for_health(server) < BUSY * contract.LIVE_WITHIN_S
    check_answers_while_loading(server)

    server.wait_until_ready(20)
    assert time.monotonic() - server.started > 6
    assert server.get("/v2/health/ready").status_code == 200
    assert server.post("/predict", json={"x": 1.5}).json() == {"value": 3.0}
    assert "boxship_ready 1.0" in server.get("/metrics").text


def test_answers_while_the_model_is_verified(serve: Serve, tmp_path: Path) -> None:
    """A file that takes long to read delays neither the probes nor the metrics nor the end."""
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as file:
        file.truncate(1 << 36)
    server = serve(huge, ready=False)

    assert wait_for_health(server) < BUSY * contract.LIVE_WITHIN_S
    assert server.get("/ready").json()["phase"] == "verify"
    assert server.get("/metrics").status_code == 200
    assert server.stop(within_s=10) == 0


def test_connection_from_before_ready(serve: Serve, tmp_path: Path) -> None:
    """A connection opened while the model loads is answered after that, and the next one served."""
    write_services(tmp_path)
    server = serve("service:Slowish", ready=False)
    wait_for_health(server)
    answers = []
    with (
        socket.create_connection(("127.0.0.1", server.port), 5) as probe,
        socket.create_connection(("127.0.0.1", server.port), 5) as early,
    ):
        server.wait_until_ready()
        for connection, path in ((probe, "/ready"), (early, "/predict")):
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
            answers.append(receive_all(connection))
    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert answers[0].endswith(b'{"status":"ready"}')
    assert answers[1].startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in answers[1]
    assert b"open another and send this again" in answers[1]


class Canary:
    """A pickle of it runs a command when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def truncated(folder: Path) -> str:
    whole = models.save_pickle(models.named_classifier(), folder).read_bytes()
    (folder / "cut.pkl").write_bytes(whole[: len(whole) // 2])
    return "cut.pkl"


def untrusted(folder: Path) -> str:
    (folder / "evil.pkl").write_bytes(pickle.dumps(Canary(folder / "canary")))
    return "evil.pkl"


def named(target: str) -> Callable[[Path], str]:
    return lambda _: target


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        pytest.param(named("gone.pkl"), errors.EXIT_MODEL, "gone.pkl", id="missing file"),
        pytest.param(truncated, errors.EXIT_MODEL, "cut.pkl", id="truncated pickle"),
        pytest.param(untrusted, errors.EXIT_UNTRUSTED, "posix.system", id="untrusted pickle"),
        pytest.param(
            named("service:Raises"),
            errors.EXIT_MODEL,
            "ValueError: the weights are for another architecture (service.py:",
            id="load raises",
        ),
        pytest.param(
            named("service:RaisesMuch"), errors.EXIT_MODEL, "bad weights: 999", id="long reason"
        ),
        pytest.param(
            named("needy:Any"),
            errors.EXIT_MODEL,
            "imports 'a_package_that_nobody_has'",
            id="missing dependency",
        ),
        pytest.param(
            named("service:Slepes"), errors.EXIT_USAGE, "Did you mean 'Sleeps'?", id="misspelt"
        ),
        pytest.param(
            named("service:IsKilled"), errors.EXIT_FAILURE, "memory limit", id="killed in load"
        ),
        pytest.param(named("service:Exits"), errors.EXIT_FAILURE, "exit code 7", id="ends in load"),
    ],
)
def test_model_that_cannot_load(
    target: Callable[[Path], str], code: int, words: str, serve: Serve, tmp_path: Path
) -> None:
    """The process ends with a code of its own and one paragraph of words."""
    write_services(tmp_path)
    server = serve(target(tmp_path), ready=False)

    assert end_of(server) == code, server.log
    lines = server.log.splitlines()
    paragraph = [line for line in lines if line.startswith("boxship: ")]
    assert paragraph == lines[-len(paragraph) :], "the last thing said, in one piece"
    assert words in "\n".join(paragraph)
    assert "Traceback" not in server.log
    assert not (tmp_path / "canary").exists()


def test_last_words(tmp_path: Path) -> None:
    """The termination file, where there is one, holds the end of the paragraph, and no more."""
    file = tmp_path / "termination-log"
    leave_last_words("nobody reads this", file)
    assert not file.exists()

    file.touch()
    leave_last_words("The model is not here.", file)
    assert file.read_text() == "The model is not here."
    leave_last_words("ü" * 5000 + "!", file)
    assert 4000 < file.stat().st_size <= 4096
    assert file.read_bytes().endswith("üü!".encode())


def test_port_in_use(serve: Serve, tmp_path: Path) -> None:
    """The address is named, and so are the two ways to another one."""
    write_services(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serve("service:Base", ready=False, port=port)
        assert end_of(server) == errors.EXIT_ADDRESS
    assert f"boxship: Cannot listen on 127.0.0.1:{port}: Address already in use." in server.log
    assert "--port" in server.log
    assert "Traceback" not in server.log


def wait_for_detail(server: Server, words: str) -> httpx.Response:
    """The first answer of ``/ready`` whose detail has ``words``."""
    wait_for_health(server)
    deadline = time.monotonic() + 30
    while words not in (answer := server.get("/ready")).json().get("detail", ""):
        assert time.monotonic() < deadline, f"/ready never said {words!r}:\n{server.log}"
        time.sleep(0.02)
    return answer


def golden_of(trained: models.Trained, shift: float = 0.0) -> dict[str, Any]:
    """The first two rows, and what the estimator answers to them, off by ``shift``."""
    scores = trained.estimator.predict_proba(trained.rows[:2])[:, 1]
    labels = trained.estimator.predict(trained.rows[:2])
    outputs = [
        {"score": float(score) + shift, "label": int(label)}
        for score, label in zip(scores, labels, strict=True)
    ]
    return {"inputs": trained.as_json()[:2], "outputs": outputs}


def test_golden_match(serve: Serve, tmp_path: Path) -> None:
    """A model that answers as ``golden.json`` beside it says becomes ready."""
    trained = models.named_classifier()
    path = models.save_pickle(trained, tmp_path)
    (tmp_path / "golden.json").write_text(json.dumps(golden_of(trained, shift=1e-8)))
    server = serve(path)
    assert "the golden request was answered as expected" in server.log


def stays_unready(server: Server, words: str) -> None:
    """The server lives, says why it is not ready, takes no request, and stops when told to."""
    answer = wait_for_detail(server, words)
    assert answer.status_code == 503
    assert answer.json()["phase"] == "golden"
    for _ in range(5):
        time.sleep(0.1)
        assert server.get("/ready").status_code == 503
    assert server.get("/health").status_code == 200
    assert server.get("/v2/health/ready").status_code == 503
    assert server.post("/predict", json={}).status_code == 503
    assert words in server.log.replace('\\"', '"')
    assert "boxship_worker_restarts_total 0" in server.get("/metrics").text
    assert server.stop() == 0


def test_golden_mismatch(serve: Serve, tmp_path: Path) -> None:
    """A model that answers something else is never ready, and the difference is named."""
    trained = models.named_classifier()
    path = models.save_pickle(trained, tmp_path)
    (tmp_path / "golden.json").write_text(json.dumps(golden_of(trained, shift=0.01)))
    stays_unready(
        serve(path, "--workers", "2", ready=False),
        "golden request answered differently: $[0].score: expected ",
    )


def test_golden_in_the_project_file(serve: Serve, tmp_path: Path) -> None:
    """``boxship.toml`` may hold the golden request, and its tolerance."""
    trained = models.named_classifier()
    models.save_pickle(trained, tmp_path)
    golden = golden_of(trained, shift=0.01)
    rows, answers = (json.dumps(golden[key]).replace(": ", " = ") for key in golden)
    toml = f'model = "churn.pkl"\n[golden]\ninputs = {rows}\noutputs = {answers}\n'
    (tmp_path / "boxship.toml").write_text(toml)
    mismatched = serve(".", ready=False)
    wait_for_detail(mismatched, "(tolerance 1e-06)")

    (tmp_path / "boxship.toml").write_text(toml + "tolerance = 0.02\n")
    serve(".")


def test_golden_of_tensors(serve: Serve, tmp_path: Path) -> None:
    """A model of true tensors has a golden request of V2 tensors; what it names is compared."""
    path = models.save_identity(tmp_path, [("image", "FP32", (None, 2, 2))])
    image = {"name": "image", "datatype": "FP32", "shape": [1, 2, 2], "data": [1, 2, 3, 4]}
    golden = {"inputs": [image], "outputs": [{"name": "image_out", "data": [1, 2, 3, 4]}]}
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    serve(path)

    golden["outputs"] = [{"name": "image_out", "shape": [1, 2, 2], "data": [1, 2, 3, 5]}]
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    stays_unready(serve(path, ready=False), "$[0].data[3]: expected 5, found 4.0")


def test_golden_that_does_not_fit(serve: Serve, tmp_path: Path) -> None:
    """Inputs that the model does not take are named as in any other request."""
    trained = models.named_classifier()
    path = models.save_pickle(trained, tmp_path)
    golden = {"inputs": {"age": "old", "balance": 1.0}, "outputs": {"score": 0.5}}
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    server = serve(path, ready=False)
    detail = wait_for_detail(server, "golden request refused: ").json()["detail"]
    assert "age" in detail
    assert "mean radius" in detail


def test_signal_before_ready(serve: Serve, tmp_path: Path) -> None:
    """A server that is still loading ends at the first signal: it has nothing to finish."""
    write_services(tmp_path)
    server = serve("service:HoldsTheLock", ready=False)
    wait_for_health(server)
    deadline = time.monotonic() + 10
    while not server.worker_pids() and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 4, "the load alone takes six seconds"


def test_lock_held_for_twenty_seconds(locked_for_long: Locked) -> None:
    """Nobody is killed for being silent: the worker that began to load is the one that serves."""
    server, workers = locked_for_long.server, locked_for_long.workers
    server.wait_until_ready(40)
    assert time.monotonic() - server.started > 20
    assert len(workers) == 1
    assert server.worker_pids() == workers
    assert server.post("/predict", json={"x": 2.0}).json() == {"value": 4.0}
    assert "boxship_worker_restarts_total 0" in server.get("/metrics").text
