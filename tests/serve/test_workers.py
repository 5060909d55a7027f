"""Workers that die, and what the others and the supervisor make of it."""

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.load import Load, Sent, post
from support.serving import Server

from boxship import errors

Serve = Callable[..., Server]

SERVICES = """\
import ctypes, os, time
from dataclasses import dataclass
from pathlib import Path
from boxship import Service

@dataclass
class Row:
    x: float

@dataclass
class Answer:
    pid: int

class Pid(Service):
    def predict(self, rows: list[Row]) -> list[Answer]:
        time.sleep(0.002)
        return [Answer(os.getpid()) for _ in rows]

class LoadsSlowly(Pid):
    def load(self, model_path):
        time.sleep(1)

class HoldsTheLock(Pid):
    def load(self, model_path):
        ctypes.PyDLL(None).sleep(15)

class BreaksLater(Pid):
    def load(self, model_path):
        if Path("broken").exists():
            os._exit(9)

class OneDies(Pid):
    def load(self, model_path):
        try:
            Path("first").touch(exist_ok=False)
        except FileExistsError:
            time.sleep(30)
        else:
            os._exit(9)
"""

PREDICT = post("/predict", {"x": 1.0})


@pytest.fixture(autouse=True)
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "service.py").write_text(SERVICES)
    monkeypatch.setenv("BOXSHIP_SERVE_DRAIN_DELAY_S", "0")


def gone(pids: list[int], within_s: float) -> bool:
    """Whether none of the processes lives any more, after ``within_s`` at the latest."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.02)
    return False


def wait_for(condition: Callable[[], bool], within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


def ask(server: Server, path: str) -> httpx.Response:
    """GET on a connection of its own, which no worker's death has cut."""
    return httpx.get(server.url + path, timeout=10)


def metric(server: Server, name: str) -> int:
    """A metric's value; ``name`` has its labels."""
    text = ask(server, "/metrics").text
    found = re.search(rf"^{re.escape(name)} ([0-9.]+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1]))


def restarts(server: Server) -> int:
    return metric(server, "boxship_worker_restarts_total")


def workers_ready(server: Server) -> int:
    return metric(server, 'boxship_workers{state="ready"}')


def ready_server(serve: Serve, target: str, workers: int) -> Server:
    """A server of which every worker is ready, not only the first."""
    server = serve(target, "--workers", str(workers))
    assert wait_for(lambda: workers_ready(server) == workers)
    return server


def answered_by(one: Sent) -> int:
    return int(json.loads(one.body)["pid"])


def test_connections_spread(serve: Serve) -> None:
    """Kept connections do not all go to the worker that wakes first."""
    server = ready_server(serve, "service:Pid", 2)
    with Load(server.port, PREDICT, connections=16, new_every_s=None) as load:
        time.sleep(0.5)
    holders = Counter(answered_by(one) for one in load.sent if one.fresh)
    assert set(holders) == set(server.worker_pids())
    assert sum(holders.values()) == 16
    assert min(holders.values()) >= 3, holders


def test_one_worker_of_two_is_killed(serve: Serve) -> None:
    """Its requests are lost and no others; a new worker takes its place within seconds."""
    server = ready_server(serve, "service:Pid", 2)
    victim, survivor = server.worker_pids()
    with Load(server.port, PREDICT) as load:
        time.sleep(1)
        killed = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        assert wait_for(lambda: restarts(server) == 1 and workers_ready(server) == 2)
        back = time.monotonic()
        time.sleep(1)

    # At most one request in each of its connections, and the new ones that it had just taken.
    held = Counter(answered_by(one) for one in load.sent if one.fresh and one.end < killed)
    assert held[victim] > 0
    assert len(load.lost) <= 16, load.summary()
    assert all(one.at < killed + 0.1 and one.end < killed + 0.5 for one in load.lost)
    assert {one.status for one in load.sent if one not in load.lost} == {200}, load.summary()
    assert not load.not_connected

    meanwhile = {answered_by(one) for one in load.sent if killed + 0.1 < one.end < back}
    assert survivor in meanwhile
    assert victim not in meanwhile
    assert back - killed < 5
    assert server.worker_pids()[0] == survivor
    assert victim not in server.worker_pids()
    assert server.worker_pids()[1] in {answered_by(one) for one in load.sent if one.end > back}
    assert "a worker died and is replaced" in server.log
    assert "signal SIGKILL" in server.log


def test_worker_that_dies_before_the_first_ready(serve: Serve) -> None:
    """A start that fails in one worker is a failed start, whatever the others do."""
    server = serve("service:OneDies", "--workers", "2", ready=False)
    assert server.process.wait(20) == errors.EXIT_FAILURE
    assert "died before the model was ready (exit code 9)" in server.log


def test_worker_that_dies_again_and_again(serve: Serve, tmp_path: Path) -> None:
    """It is replaced later each time; the server lives, says so, and recovers."""
    server = ready_server(serve, "service:BreaksLater", 1)
    (tmp_path / "broken").touch()
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    assert wait_for(lambda: server.log.count("a worker died and is replaced") >= 4)
    assert ask(server, "/health").status_code == 200
    assert ask(server, "/ready").status_code == 503
    (tmp_path / "broken").unlink()
    server.wait_until_ready(10)

    lines = [json.loads(line) for line in server.log.splitlines() if "died and is" in line]
    delays = [line["delay_s"] for line in lines]
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert [line["reason"] for line in lines][:2] == ["signal SIGKILL", "exit code 9"]
    assert restarts(server) == len(delays)


def test_all_workers_are_killed(serve: Serve) -> None:
    """The supervisor answers until one is back."""
    server = ready_server(serve, "service:LoadsSlowly", 2)
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: ask(server, "/ready").status_code == 503, 2)
    assert ask(server, "/ready").json()["status"] == "not_ready"
    assert ask(server, "/health").status_code == 200
    refused = httpx.post(f"{server.url}/predict", json={"x": 1.0})
    assert (refused.status_code, refused.json()["detail"]) == (503, "model loading")
    assert metric(server, "boxship_ready") == 0
    assert wait_for(lambda: ask(server, "/ready").status_code == 200)
    answer = httpx.post(f"{server.url}/predict", json={"x": 1.0})
    assert answer.json()["pid"] in server.worker_pids()


def test_worker_is_killed_while_draining(serve: Serve) -> None:
    """A worker that was to be replaced when the signal came is not, and the others finish."""
    server = serve("service:Pid", "--workers", "2", "--drain-delay", "1")
    assert wait_for(lambda: workers_ready(server) == 2)
    victim, survivor = server.worker_pids()
    with Load(server.port, PREDICT) as load:
        time.sleep(0.5)
        os.kill(victim, signal.SIGKILL)
        time.sleep(0.15)
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        children = server.worker_pids()
        assert server.process.wait(15) == 0, server.log
    assert children == [survivor]
    assert all(one.at < signalled for one in load.lost), load.summary()
    assert {one.status for one in load.sent if one not in load.lost} == {200}, load.summary()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_a_worker(number: int, serve: Serve) -> None:
    """Some service managers signal every process; when a worker ends is the supervisor's word."""
    server = ready_server(serve, "service:Pid", 1)
    (worker,) = server.worker_pids()
    os.kill(worker, number)
    time.sleep(0.3)
    assert server.post("/predict", json={"x": 1.0}).json() == {"pid": worker}
    assert server.stop() == 0


def test_supervisor_is_killed(serve: Serve) -> None:
    """Without it the workers end, and the address is free again."""
    server = ready_server(serve, "service:Pid", 2)
    workers = server.worker_pids()
    with socket.create_connection(("127.0.0.1", server.port), 5) as idle:
        server.process.kill()
        server.process.wait()
        assert gone(workers, within_s=5)
        assert idle.recv(1) == b""
    serve("service:Pid", port=server.port)


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 1.0])
def test_supervisor_is_killed_during_a_load(serve: Serve, after_s: float) -> None:
    """A load that nothing can interrupt does not keep the address either.

    Nor does a worker whose supervisor is gone before it has begun to load.
    """
    server = serve("service:HoldsTheLock", ready=False)
    assert wait_for(lambda: bool(server.worker_pids()))
    time.sleep(after_s)
    workers = server.worker_pids()
    server.process.kill()
    server.process.wait()
    assert gone(workers, within_s=5)
    serve("service:Pid", port=server.port)


def rollup(pid: int) -> dict[str, float]:
    """A process's memory in MB: all, what others have mapped too, and what it has alone."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)
    sizes = {name: int(kib) * 1.024e-3 for name, kib in found}
    # A page of a file that was only just written is dirty, and is shared none the less.
    return {
        "resident": sizes["Rss"],
        "shared": sizes["Shared_Clean"] + sizes["Shared_Dirty"],
        "private": sizes["Private_Clean"] + sizes["Private_Dirty"],
    }


def test_mapped_joblib_is_held_once(serve: Serve, tmp_path: Path) -> None:
    """Two workers of a model of 200 MB, saved uncompressed, share its pages.

    It is read whole when the model is warmed up.
    """
    joblib = pytest.importorskip("joblib")
    neighbors = pytest.importorskip("sklearn.neighbors")
    points = np.random.default_rng(3).random((250_000, 100))
    model = neighbors.KNeighborsRegressor(1, algorithm="brute").fit(points, points[:, 0])
    path = tmp_path / "neighbors.joblib"
    joblib.dump(model, path)
    assert path.stat().st_size > 200e6
    server = ready_server(serve, str(path), 2)
    row = {f"feature_{number}": float(value) for number, value in enumerate(points[7], 1)}
    pids = server.worker_pids()
    for _ in range(4):
        answer = server.client.post("/predict", json=row, headers={"connection": "close"})
        assert answer.json() == {"value": points[7, 0]}
    memory = [rollup(pid) for pid in pids]
    # Each has read all of it, from pages that nobody owns alone.
    assert all(one["resident"] > 200 for one in memory), memory
    assert all(one["shared"] > 195 for one in memory), memory
    assert all(one["private"] < 195 for one in memory), memory
    assert "all workers hold one copy" in server.log


def save_lookup(folder: Path) -> Path:
    """An ONNX model that adds one row of a table of 100 MB, kept in a file beside it."""
    onnx = pytest.importorskip("onnx")
    table = onnx.numpy_helper.from_array(
        np.random.default_rng(3).random((250_000, 100), dtype=np.float32), "table"
    )
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "row"], ["found"])],
        "lookup",
        [helper.make_tensor_value_info("row", kinds.INT64, [None])],
        [helper.make_tensor_value_info("found", kinds.FLOAT, [None, 100])],
        [table],
    )
    opset = [helper.make_opsetid("", 17)]
    path = folder / "lookup.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=opset, ir_version=8),
        path,
        save_as_external_data=True,
        location="lookup.bin",
    )
    assert (folder / "lookup.bin").stat().st_size == 100_000_000
    return path


def test_external_data_is_held_once(serve: Serve, tmp_path: Path) -> None:
    """Two workers of an ONNX model whose weights lie in a file of their own share its pages."""
    server = ready_server(serve, str(save_lookup(tmp_path)), 2)
    # Connections that stay open spread over the workers, and each asks for a row of every page.
    with ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
            for start in range(0, 30, 10):
                rows = list(range(start, 250_000, 30))
                tensor = {"name": "row", "datatype": "INT64", "shape": [len(rows)], "data": rows}
                answer = client.post("/v2/models/lookup/infer", json={"inputs": [tensor]})
                assert answer.status_code == 200, answer.text
        memory = [rollup(pid) for pid in server.worker_pids()]
    assert all(one["resident"] > 150 for one in memory), memory
    assert all(one["shared"] > 95 for one in memory), memory


def test_a_thread_of_the_users_holds_up_no_stop(serve: Serve, tmp_path: Path) -> None:
    """Refreshers and schedulers run for ever; the server ends without them."""
    (tmp_path / "threads.py").write_text(
        "import atexit, pathlib, threading, time\n"
        "import numpy as np\n"
        "from boxship import Service\n"
        "class Busy(Service):\n"
        "    def load(self, model_path):\n"
        "        threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "        atexit.register(pathlib.Path('left').touch)\n"
        "    def predict(self, rows: np.ndarray) -> np.ndarray: return rows\n"
    )
    server = serve("threads:Busy", "--drain-delay", "0")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert "did not finish in time" not in server.log
    assert (tmp_path / "left").exists(), "what was registered for the end has run"
