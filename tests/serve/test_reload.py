"""A newer model takes over while the server serves, or leaves the old one where it was."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from conftest import Serve
from sklearn.linear_model import LinearRegression
from support.load import Load, post
from support.serving import Server
from support.stores import S3, s3_server

ROW = {"feature_1": 1, "feature_2": 0}


def save(path: Path, value: float) -> bytes:
    """A model that answers ``ROW`` with ``value``, put in its place in one step."""
    new = path.with_name("new")
    joblib.dump(LinearRegression().fit(np.eye(2), [value, 0.0]), new)
    new.replace(path)
    return path.read_bytes()


def value(server: Server) -> float:
    answer = server.client.post("/predict", json=ROW)
    assert answer.status_code == 200
    return round(float(answer.json()["value"]), 6)


def wait_until(holds: Callable[[], bool], server: Server, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)


def reloads(server: Server) -> dict[str, float]:
    page = server.get("/metrics").text
    found = re.findall(r'^boxship_reloads_total{result="(\w+)"} (.+)$', page, re.MULTILINE)
    return {result: float(count) for result, count in found}


def test_nothing_is_lost_while_a_newer_model_takes_over(serve: Serve, tmp_path: Path) -> None:
    save(tmp_path / "churn.joblib", 1.0)
    server = serve("churn.joblib", "--workers", "2", "--drain-delay", "1")
    wait_until(lambda: '"workers":"2/2"' in server.log, server)
    before = server.worker_pids()
    save(tmp_path / "churn.joblib", 2.0)
    with Load(server.port, post("/predict", ROW), connections=16) as load:
        time.sleep(0.5)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: '"message":"reloaded"' in server.log, server)
        time.sleep(0.5)
    assert load.lost == [], load.summary()
    assert set(load.statuses()) == {200}, load.summary()
    assert not load.not_connected, load.summary()
    values = [round(json.loads(one.body)["value"], 6) for one in load.sent]
    assert set(values) == {1.0, 2.0}
    assert values[-1] == 2.0
    assert value(server) == 2.0
    assert not set(before) & set(server.worker_pids())
    assert len(server.worker_pids()) == 2
    assert reloads(server) == {"succeeded": 1.0}
    assert server.get("/ready").json() == {"status": "ready"}


@pytest.mark.parametrize("fault", ["cut off", "missing", "another shape"])
def test_a_model_that_is_no_good_leaves_the_old_one_serving(
    serve: Serve, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "churn.joblib"
    whole = save(path, 1.0)
    server = serve("churn.joblib", "--drain-delay", "0")
    worker = server.worker_pids()
    path.unlink()
    if fault == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    if fault == "another shape":
        joblib.dump({"no": "estimator"}, path)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the reload failed, the old model goes on" in server.log, server)
    assert value(server) == 1.0
    assert server.worker_pids() == worker
    wait_until(lambda: "reload" in server.get("/ready").json(), server)
    ready = server.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["reload"]["status"] == "failed"
    assert len(ready.json()["reload"]["detail"]) > 20
    assert reloads(server) == {"failed": 1.0}
    # Once it is whole, it takes over.
    save(path, 3.0)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: value(server) == 3.0, server)
    wait_until(lambda: reloads(server) == {"failed": 1.0, "succeeded": 1.0}, server)
    assert server.get("/ready").json() == {"status": "ready"}


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    with s3_server(tmp_path / "log") as made:
        made.put("churn.joblib", save(tmp_path / "churn.joblib", 1.0))
        yield made


def test_a_new_object_is_noticed(serve: Serve, s3: S3, tmp_path: Path) -> None:
    environ = {**s3.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")}
    flags = ("--watch", "0.2", "--drain-delay", "0")
    server = serve("s3://models/churn.joblib", *flags, environ=environ)
    assert value(server) == 1.0
    s3.put("churn.joblib", b"no model")
    wait_until(lambda: "the reload failed" in server.log, server)
    time.sleep(1)
    assert server.log.count("the reload failed") == 1
    assert value(server) == 1.0
    s3.put("churn.joblib", save(tmp_path / "churn.joblib", 2.0))
    wait_until(lambda: value(server) == 2.0, server)


def test_a_file_that_changes_is_noticed_too(serve: Serve, tmp_path: Path) -> None:
    save(tmp_path / "churn.joblib", 1.0)
    server = serve("churn.joblib", "--watch", "0.2", "--drain-delay", "0")
    save(tmp_path / "churn.joblib", 2.0)
    wait_until(lambda: value(server) == 2.0, server)
    wait_until(lambda: reloads(server) == {"succeeded": 1.0}, server)


def test_a_model_that_changes_again_during_a_reload_reaches_every_worker(
    serve: Serve, tmp_path: Path
) -> None:
    """Two models never go on to answer side by side."""
    save(tmp_path / "churn.joblib", 1.0)
    server = serve("churn.joblib", "--workers", "3", "--drain-delay", "0")
    wait_until(lambda: '"workers":"3/3"' in server.log, server)
    before = set(server.worker_pids())
    save(tmp_path / "churn.joblib", 2.0)
    server.process.send_signal(signal.SIGHUP)
    # The first new worker is there; the others are still to come.
    wait_until(lambda: server.log.count('"message":"ready"') > 3, server)
    save(tmp_path / "churn.joblib", 3.0)
    wait_until(lambda: '"message":"reloaded"' in server.log, server)
    wait_until(lambda: len(server.worker_pids()) == 3, server)
    assert not before & set(server.worker_pids())
    answers = set()
    for _ in range(24):
        with httpx.Client(base_url=server.url) as client:
            answers.add(round(client.post("/predict", json=ROW).json()["value"], 6))
    assert len(answers) == 1, server.log


def test_a_stop_during_a_reload_is_a_stop(serve: Serve, tmp_path: Path) -> None:
    save(tmp_path / "churn.joblib", 1.0)
    server = serve("churn.joblib", "--drain-delay", "0")
    save(tmp_path / "churn.joblib", 2.0)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_workers_do_not_end_by_a_hang_up(serve: Serve, tmp_path: Path) -> None:
    save(tmp_path / "churn.joblib", 1.0)
    server = serve("churn.joblib", "--drain-delay", "0")
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGHUP)
    time.sleep(0.3)
    assert server.worker_pids() == [worker]
    assert value(server) == 1.0


def test_an_object_that_comes_back_is_no_failure_any_more(
    serve: Serve, s3: S3, tmp_path: Path
) -> None:
    environ = {**s3.environ, "BOXSHIP_CACHE": str(tmp_path / "cache"), "BOXSHIP_CACHE_SIZE": "1KB"}
    flags = ("--watch", "0.2", "--drain-delay", "0")
    server = serve("s3://models/churn.joblib", *flags, environ=environ)
    good = (tmp_path / "churn.joblib").read_bytes()
    s3.put("churn.joblib", b"no model")
    wait_until(lambda: "reload" in server.get("/ready").json(), server)
    s3.put("churn.joblib", good)
    wait_until(lambda: server.get("/ready").json() == {"status": "ready"}, server)
    # The model in use was not pruned for the one that was no good.
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: server.worker_pids() not in ([], [worker]), server)
    server.wait_until_ready()
    assert value(server) == 1.0


def test_a_new_worker_that_never_gets_ready_for_its_golden_request(
    serve: Serve, tmp_path: Path
) -> None:
    """At the start it would stay to be looked at; here the old one serves."""
    save(tmp_path / "churn.joblib", 1.0)
    golden = {"inputs": ROW, "outputs": {"value": 1.0}}
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    server = serve("churn.joblib", "--drain-delay", "0")
    save(tmp_path / "churn.joblib", 2.0)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the reload failed" in server.log, server)
    assert value(server) == 1.0
    assert len(server.worker_pids()) == 1
