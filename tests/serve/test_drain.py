"""SIGTERM under load: nothing that was sent is lost, and the server ends when it said it would."""

import contextlib
import csv
import itertools
import json
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Need
from support.load import Load, post
from support.serving import Server, free_port

Serve = Callable[..., Server]

SERVICES = """\
import time
from dataclasses import dataclass
from boxship import Service

@dataclass
class Row:
    x: float

class Quick(Service):
    def predict(self, rows: list[Row]) -> list[float]:
        return [2 * row.x for row in rows]

class Slow(Service):
    def predict(self, rows: list[Row]) -> list[float]:
        if rows[0].x:
            time.sleep(rows[0].x)
        return [2 * row.x for row in rows]
"""


@pytest.fixture(autouse=True)
def services(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICES)


def first_unready(port: int, since: float) -> float:
    """Seconds from ``since`` until ``/ready`` said that the server drains."""
    while time.monotonic() - since < 5:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"GET /ready HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            answer = receive_all(connection)
        if answer.startswith(b"HTTP/1.1 503 "):
            assert b'"detail":"draining"' in answer
            return time.monotonic() - since
        assert answer.startswith(b"HTTP/1.1 200 ")
        time.sleep(0.005)
    raise AssertionError("/ready still says ready")


def receive_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("workers", [1, 2])
def test_loses_nothing_under_load(workers: int, serve: Serve) -> None:
    """Connections that live and connections that come: each request gets its answer."""
    delay = 1.0
    server = serve("service:Quick", "--workers", str(workers), "--drain-delay", str(delay))
    with Load(server.port, post("/predict", {"x": 1.0})) as load:
        time.sleep(0.7)
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        unready = first_unready(server.port, signalled)
        code = server.process.wait(30)
        ended = time.monotonic() - signalled
        time.sleep(0.2)

    assert code == 0, server.log
    assert load.lost == [], load.summary()
    assert set(load.statuses()) == {200}, load.summary()
    assert set(load.not_connected) == {"ConnectionRefusedError"}, load.summary()
    assert all(one.closing for one in load.sent if one.at > signalled + 0.5)
    # It answers all through the delay; how many a second is for a benchmark to say.
    quarters = [signalled + delay * part / 4 for part in range(5)]
    assert all(load.rate(*quarter) > 0 for quarter in itertools.pairwise(quarters))
    assert unready < delay / 2
    assert delay <= ended < delay + 2


@contextlib.contextmanager
def haproxy(program: Path, folder: Path, server_port: int) -> Iterator[tuple[int, Path]]:
    """HAProxy before one server: its port, and the socket of its own statistics."""
    port, control = free_port(), folder / "haproxy.sock"
    config = folder / "haproxy.cfg"
    config.write_text(f"""\
global
    stats socket {control} mode 600 level user
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend public
    bind 127.0.0.1:{port}
    default_backend model
backend model
    option httpchk GET /ready
    server boxship 127.0.0.1:{server_port} check inter 200ms fall 2 rise 1
""")
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([program, "-db", "-f", config], stdout=log, stderr=log)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        yield port, control
    finally:
        process.terminate()
        process.wait(10)


def haproxy_statistics(control: Path) -> dict[str, str]:
    """What HAProxy counted for its one server."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(control))
        connection.sendall(b"show stat\n")
        text = receive_all(connection).decode().removeprefix("# ")
    rows = csv.DictReader(text.splitlines())
    return next(row for row in rows if row["svname"] == "boxship")


@pytest.mark.parametrize("workers", [1, 2])
def test_loses_nothing_behind_haproxy(
    workers: int, serve: Serve, need: Need, tmp_path: Path
) -> None:
    """Until HAProxy takes notice all is well; what it had sent on is answered, by its own count."""
    program = need.program("haproxy")
    delay = 1.5
    server = serve("service:Quick", "--workers", str(workers), "--drain-delay", str(delay))
    with haproxy(program, tmp_path, server.port) as (port, control):
        with Load(port, post("/predict", {"x": 1.0})) as load:
            time.sleep(0.7)
            assert haproxy_statistics(control)["status"] == "UP"
            signalled = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            noticed = haproxy_statistics(control)
            code = server.process.wait(30)
            time.sleep(0.2)
        counted = haproxy_statistics(control)

    assert code == 0, server.log
    assert noticed["status"] == "DOWN"
    assert load.lost == [], load.summary()
    # Once it knows, and there is no other server, HAProxy says 503 by itself.
    assert {one.status for one in load.sent} == {200, 503}, load.summary()
    assert all(b"No server is available" in one.body for one in load.sent if one.status == 503)
    # Not before two checks have failed: one may begin with the signal, the other 0.2 s later.
    assert set(load.statuses(until=signalled + 0.15)) == {200}, load.summary()
    broken = {name: counted[name] for name in ("econ", "eresp", "wretr", "wredis", "hrsp_5xx")}
    assert broken == dict.fromkeys(broken, "0")


def test_finishes_what_is_in_flight(serve: Serve) -> None:
    """A request that takes longer than the drain delay is still answered."""
    server = serve("service:Slow", "--workers", "2", "--drain-delay", "0.5")
    with (
        socket.create_connection(("127.0.0.1", server.port), 10) as early,
        socket.create_connection(("127.0.0.1", server.port), 10) as late,
    ):
        early.sendall(post("/predict", {"x": 2.0}))
        time.sleep(0.1)
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        late.sendall(post("/predict", {"x": 0.0}))
        for connection in (early, late):
            answer = receive_all(connection)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" in answer
    assert server.process.wait(10) == 0
    assert time.monotonic() - signalled > 1.5


@pytest.mark.parametrize("held_back_s", [0.2, 0.8], ids=["within the delay", "after the delay"])
@pytest.mark.parametrize("part", ["body", "headers"])
def test_request_that_is_still_being_sent(part: str, held_back_s: float, serve: Serve) -> None:
    """A request whose first bytes came before the signal is answered."""
    server = serve("service:Quick", "--drain-delay", "0.5")
    request = post("/predict", {"x": 21.0})
    cut = len(request) - 4 if part == "body" else 30
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request[:cut])
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(held_back_s)
        connection.sendall(request[cut:])
        answer = receive_all(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"value":42.0}')
    assert server.process.wait(10) == 0


def test_kept_connection_sends_headers_at_the_end(serve: Serve) -> None:
    """A connection that was idle through the delay and begins a request at its end is served."""
    server = serve("service:Quick", "--drain-delay", "0.3")
    request = post("/predict", {"x": 21.0})
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request)
        while not connection.recv(65536).endswith(b"}"):
            pass
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(request[:30])
        time.sleep(0.4)
        connection.sendall(request[30:])
        assert receive_all(connection).startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(10) == 0


def test_draining_server_answers(serve: Serve) -> None:
    """While it drains the server lives and predicts; only readiness is gone."""
    server = serve("service:Quick", "--drain-delay", "1")
    server.process.send_signal(signal.SIGTERM)
    first_unready(server.port, time.monotonic())
    assert server.get("/health").status_code == 200
    ready = server.get("/ready")
    assert ready.status_code == 503
    assert ready.json() == {"status": "not_ready", "detail": "draining", "phase": "draining"}
    assert server.get("/v2/health/ready").status_code == 503
    assert server.get("/v2/health/live").status_code == 200
    predicted = server.post("/predict", json={"x": 1.0})
    assert (predicted.status_code, predicted.json()) == (200, {"value": 2.0})
    assert predicted.headers["connection"] == "close"
    assert "boxship_ready 0.0" in server.get("/metrics").text
    assert server.process.wait(10) == 0


@pytest.mark.parametrize("after_s", [0.2, 0.35, 0.5, 0.8])
def test_no_delay(serve: Serve, after_s: float) -> None:
    """Without a delay the server ends at once, and still answers what was sent.

    Also while its second worker has just loaded, or is about to.
    """
    server = serve("service:Quick", "--workers", "2", "--drain-delay", "0")
    with Load(server.port, post("/predict", {"x": 1.0}), new_every_s=None, pause_s=0.05) as load:
        time.sleep(after_s)
        signalled = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - signalled < 1.5
    assert load.lost == [], load.summary()
    assert set(load.statuses()) == {200}, load.summary()


def test_interrupt_without_a_terminal(serve: Serve) -> None:
    """Where nobody sits at a terminal, SIGINT is a SIGTERM by another name."""
    server = serve("service:Quick", "--drain-delay", "1")
    signalled = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    first_unready(server.port, signalled)
    assert server.post("/predict", json={"x": 1.0}).status_code == 200
    assert server.process.wait(10) == 0
    assert time.monotonic() - signalled >= 1


def test_interrupt_on_a_terminal(serve: Serve) -> None:
    """Ctrl-C waits for no load balancer, only for what is in flight."""
    terminal, end = pty.openpty()
    try:
        server = serve("service:Slow", "--drain-delay", "30", stdin=end)
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(post("/predict", {"x": 0.5}))
            time.sleep(0.1)
            server.process.send_signal(signal.SIGINT)
            assert receive_all(connection).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(15) == 0
    finally:
        os.close(terminal)
        os.close(end)


@pytest.mark.parametrize(
    ("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)]
)
def test_second_signal(first: int, second: int, serve: Serve) -> None:
    """Whoever signals twice wants no answer any more, and no worker is left behind."""
    server = serve("service:Slow", "--drain-delay", "30")
    workers = server.worker_pids()
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(post("/predict", {"x": 20.0}))
        time.sleep(0.1)
        server.process.send_signal(first)
        first_unready(server.port, time.monotonic())
        server.process.send_signal(second)
        assert server.process.wait(10) == 128 + second
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_only_worker_dies_while_draining(serve: Serve) -> None:
    """The supervisor answers in its place until the delay is over."""
    server = serve("service:Quick", "--drain-delay", "1.5")
    server.process.send_signal(signal.SIGTERM)
    first_unready(server.port, time.monotonic())
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    time.sleep(0.2)
    assert server.get("/health").status_code == 200
    assert server.post("/predict", json={"x": 1.0}).status_code == 503
    assert server.get("/ready").json()["detail"] == "draining"
    assert server.worker_pids() == []
    assert server.process.wait(10) == 0
    starts = [json.loads(line)["message"] for line in server.log.splitlines() if line[:1] == "{"]
    assert starts.count("ready") == 1
