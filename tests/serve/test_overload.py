"""What happens to requests that cannot be answered in time, and to those beside a large one."""

import concurrent.futures
import json
import random
import re
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from conftest import Serve
from support import models
from support.serving import Server

SLOW = """
import time
from dataclasses import dataclass

from boxship import Service


@dataclass
class Row:
    seconds: float


class Slow(Service):
    calls = 0

    def predict(self, rows: list[Row]) -> list[float]:
        time.sleep(max(row.seconds for row in rows))
        self.calls += 1
        return [float(self.calls) for _ in rows]
"""
DEADLINE = "x-request-timeout-ms"


@pytest.fixture
def slow(serve: Serve, tmp_path: Path) -> Server:
    """A service that takes as long as its slowest row says, one row a call."""
    (tmp_path / "service.py").write_text(SLOW)
    flags = ("--max-batch-size", "1", "--drain-delay", "0")
    return serve("service:Slow", *flags).wait_until_ready()


def ask(server: Server, seconds: float, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{server.url}/predict", json={"seconds": seconds}, headers=fields, timeout=30
    )


def in_flight(server: Server) -> float:
    """How many requests the server has taken and not answered, without the one that asks this."""
    page = httpx.get(f"{server.url}/metrics", timeout=30).text
    found = re.findall(r"^boxship_requests_in_flight(?:{.*})? (.+)$", page, re.MULTILINE)
    return sum(map(float, found)) - 1


def calls(server: Server) -> float:
    """How often the model was called before this call."""
    return float(ask(server, 0).json()["value"]) - 1


def test_a_request_that_would_come_too_late_is_refused_at_once(slow: Server) -> None:
    """With when to come back, from how long the calls took that were made."""
    for _ in range(3):
        ask(slow, 1.0)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(ask, slow, 1.0) for _ in range(4)]
        time.sleep(0.3)
        began = time.monotonic()
        refused = ask(slow, 0, x_request_timeout_ms="500")
        took = time.monotonic() - began
        assert [each.result().status_code for each in running] == [200] * 4
    assert refused.status_code == 503
    assert took < 0.4
    assert 3 <= int(refused.headers["retry-after"]) <= 8
    assert "would take about" in refused.json()["detail"]


def test_a_request_is_given_up_at_its_deadline(slow: Server) -> None:
    began = time.monotonic()
    late = ask(slow, 1.5, x_request_timeout_ms="300")
    assert (late.status_code, time.monotonic() - began < 1.0) == (504, True)
    # What the header gave, less what reading the request took.
    said = re.fullmatch(
        r"expected an answer within (\S+) s, the model gave none", late.json()["detail"]
    )
    assert said
    assert 0.1 < float(said[1]) <= 0.3


def test_what_has_passed_its_deadline_is_not_computed(slow: Server) -> None:
    """Nothing is known of the model yet, so that all are let in."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, slow, 0.8)
        time.sleep(0.2)
        others = [pool.submit(ask, slow, 0.0, x_request_timeout_ms="200") for _ in range(4)]
        assert {each.result().status_code for each in others} == {504}
        assert first.result().status_code == 200
    assert calls(slow) <= 2  # the first one, and the sample that warmed it up


def test_the_request_timeout_is_the_latest_deadline(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SLOW)
    server = serve("service:Slow", "--request-timeout", "0.4", "--drain-delay", "0")
    server.wait_until_ready()
    assert ask(server, 1.0, x_request_timeout_ms="60000").status_code == 504


def test_a_deadline_that_is_no_number_is_told_so(slow: Server) -> None:
    wrong = ask(slow, 0, x_request_timeout_ms="1.5s")
    assert wrong.status_code == 400
    assert wrong.json() == {
        "detail": "X-Request-Timeout-Ms: expected milliseconds as a whole number above 0, "
        "found '1.5s'"
    }


@pytest.mark.parametrize("path", ["/predict", "/predict?"])
def test_what_nobody_waits_for_is_not_computed(slow: Server, path: str) -> None:
    """A client that has gone leaves the queue; it is counted as 499."""
    before = calls(slow)
    body = b'{"seconds": 0}'
    sent = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, slow, 0.8)
        time.sleep(0.2)
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", slow.port)) as sock:
                sock.sendall(sent)
                time.sleep(0.02)
        assert running.result().status_code == 200
    assert calls(slow) == before + 2  # the one that ran, and the question before
    text = slow.get("/metrics").text
    gone = re.search(r'boxship_requests_total\{code="499".*route="/predict"\} (\S+)', text)
    assert gone is not None
    assert float(gone[1]) == 5


class Hog:
    """A client that sends lists of 10,000 rows, one after another."""

    def __init__(self, server: Server, path: str, body: bytes) -> None:
        self.answered = 0
        self._stop = threading.Event()
        self._url, self._body = server.url + path, body
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                answer = client.post(self._url, content=self._body)
                assert answer.status_code == 200, answer.text
                self.answered += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def as_rows(rows: list[list[float]]) -> tuple[str, bytes]:
    names = [f"feature_{number}" for number in range(1, 5)]
    return "/predict", json.dumps([dict(zip(names, row, strict=True)) for row in rows]).encode()


def as_tensor(rows: list[list[float]]) -> tuple[str, bytes]:
    shape = [len(rows), 4]
    tensor = {"name": "X", "shape": shape, "datatype": "FP32", "data": rows}
    return "/v2/models/plain/infer", json.dumps({"inputs": [tensor]}).encode()


@pytest.mark.parametrize("form", [as_rows, as_tensor])
def test_a_list_of_10_000_rows_delays_nobody(serve: Serve, tmp_path: Path, form: Any) -> None:
    """Half of the answers beside it come within a few milliseconds, probes as well."""
    model = models.save_onnx(models.plain_classifier(), tmp_path)
    server = serve(model, "--name", "plain", "--drain-delay", "0").wait_until_ready()
    numbers = random.Random(7)
    rows = [[numbers.uniform(-2, 2) for _ in range(4)] for _ in range(10_000)]
    path, large = form(rows)
    _, small = as_rows(rows[:1])
    (tensor,) = server.get("/v2/models/plain").json()["inputs"]
    large = large.replace(b'"X"', json.dumps(tensor["name"]).encode())
    with Hog(server, path, large) as hog:
        time.sleep(0.3)
        waits: list[float] = []
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for method, where, content in (("POST", "/predict", small), ("GET", "/health", b"")):
                began = time.monotonic()
                answer = server.client.request(method, where, content=content)
                waits.append(time.monotonic() - began)
                assert answer.status_code == 200
            time.sleep(0.005)
    assert hog.answered >= 2
    # Reading is about half of what one large list takes; in one piece, half would wait as long.
    assert statistics.median(waits) < 3 / hog.answered / 4


def test_a_full_queue_is_answered_after_sigterm(slow: Server) -> None:
    """What the server has taken before it stops, it answers."""
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(ask, slow, 0.2) for _ in range(50)]
        # Somebody who has not even connected when the server stops is nobody's.
        while sum(each.done() for each in waiting) + in_flight(slow) < 50:
            time.sleep(0.05)
        time.sleep(0.2)  # the counts are some milliseconds old
        assert not all(each.done() for each in waiting)
        assert slow.stop() == 0
        assert {each.result().status_code for each in waiting} == {200}
