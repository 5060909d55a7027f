"""A user's own ASGI application: its routes stay, and what it lacks is added."""

import asyncio
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Need
from support.load import Load, get
from support.serving import Server

from boxship import errors

pytest.importorskip("fastapi")

Serve = Callable[..., Server]

PARTLY = """\
import asyncio, time
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import FastAPI, Request, WebSocket

@asynccontextmanager
async def lifespan(app):
    time.sleep(1)
    yield {"weights": [1, 2, 3]}
    Path("stopped").touch()

app = FastAPI(lifespan=lifespan)

@app.middleware("http")
async def needs_state(request: Request, call_next):
    len(request.state.weights)
    return await call_next(request)

@app.get("/health")
def health():
    return {"mine": True}

@app.get("/items/{item}")
def item(item: str, request: Request):
    return {"item": item, "weights": request.state.weights}

@app.get("/slow")
async def slow(seconds: float):
    await asyncio.sleep(seconds)
    return {"slept": seconds}

@app.get("/fails")
def fails():
    raise ValueError("my own fault")

@app.post("/echo")
async def echo(request: Request):
    return {"length": len(await request.body())}

@app.websocket("/talk")
async def talk(socket: WebSocket):
    await socket.accept()
    while True:
        await socket.send_text((await socket.receive_text()).upper())
"""

COMPLETE = """\
from fastapi import FastAPI, Response

app = FastAPI()
unwell = False

@app.get("/health")
def health():
    return {"mine": "health"}

@app.get("/ready")
def ready():
    return {"mine": "ready"}

@app.get("/metrics")
def metrics():
    return Response("mine 1\\n", media_type="text/plain")
"""

PLAIN = """\
async def app(scope, receive, send):
    assert scope["type"] == "http"
    status, body = (200, b"plain") if scope["path"] == "/" else (404, b"")
    headers = [(b"content-length", str(len(body)).encode()), (b"x-request-id", b"my-own")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

FAILING = """\
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    raise RuntimeError("no database at db:5432")
    yield

app = FastAPI(lifespan=lifespan)
"""


@pytest.fixture(scope="module")
def partly(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A FastAPI application with a lifespan and ``/health``, without ``/ready`` and ``/metrics``."""
    folder = tmp_path_factory.mktemp("partly")
    (folder / "partly.py").write_text(PARTLY)
    return serve_module("partly:app", "--drain-delay", "0", cwd=folder)


def start(serve: Serve, folder: Path, source: str, *arguments: str, **options: Any) -> Server:
    (folder / "hosted.py").write_text(source)
    return serve("hosted:app", *(arguments or ("--drain-delay", "0")), **options)


def requests_total(server: Server) -> dict[tuple[str, str], float]:
    """How many requests were counted, by route and status."""
    text = server.get("/metrics").text
    lines = re.findall(r"^boxship_requests_total{(.*)} ([0-9.]+)$", text, re.MULTILINE)
    found = {}
    for labels, value in lines:
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found[pairs["route"], pairs["code"]] = float(value)
    return found


def test_its_routes_stay(partly: Server) -> None:
    assert partly.get("/items/nine").json() == {"item": "nine", "weights": [1, 2, 3]}
    assert partly.get("/health").json() == {"mine": True}
    assert partly.post("/echo", content=b"x" * 200_000).json() == {"length": 200_000}
    assert partly.get("/openapi.json").json()["paths"].keys() >= {"/items/{item}", "/health"}
    assert partly.get("/nothing").status_code == 404
    assert "/predict" not in partly.get("/openapi.json").json()["paths"]


def test_what_it_lacks_is_added(partly: Server) -> None:
    """Its middleware and lifespan do not hide that it has no such route."""
    assert partly.get("/ready").json() == {"status": "ready"}
    metrics = partly.get("/metrics")
    assert metrics.status_code == 200
    assert "boxship_build_info" in metrics.text
    assert 'runtime="fastapi application"' in metrics.text


def test_probes_answer_during_its_lifespan(serve: Serve, tmp_path: Path) -> None:
    server = start(serve, tmp_path, PARTLY, ready=False)
    while True:
        try:
            assert server.get("/health").json() == {"status": "ok"}
            break
        except httpx.TransportError:
            assert time.monotonic() - server.started < 10
            time.sleep(0.01)
    assert server.get("/ready").status_code == 503
    server.wait_until_ready()
    assert time.monotonic() - server.started > 1
    assert server.stop() == 0
    assert (tmp_path / "stopped").exists(), "its lifespan has ended as it should"


def test_requests_are_counted_by_template(partly: Server) -> None:
    """A path is the client's to choose; a template is not."""
    before = requests_total(partly)
    for number in range(5):
        partly.get(f"/items/{number}")
    partly.get("/fails")
    partly.get("/nothing/at/all")
    expected = {("/items/{item}", "200"): 5, ("/fails", "500"): 1, ("other", "404"): 1}
    # A request is counted when the application is done with it, which is after its answer.
    deadline = time.monotonic() + 5
    while True:
        after = requests_total(partly)
        counted = {key: after.get(key, 0) - before.get(key, 0) for key in expected}
        if counted == expected:
            break
        assert time.monotonic() < deadline, counted
        time.sleep(0.02)
    assert {route for route, _ in after} <= {
        *("/items/{item}", "/fails", "other", "/health", "/echo", "/slow", "/openapi.json")
    }


def test_client_that_goes_away_is_no_server_error(partly: Server) -> None:
    """A body that never ends is the client's failure: it is counted as 499, not as 5xx."""
    with socket.create_connection(("127.0.0.1", partly.port), 5) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nabc")
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    deadline = time.monotonic() + 5
    while ("/echo", "499") not in (counted := requests_total(partly)):
        assert time.monotonic() < deadline, counted
        time.sleep(0.02)
    assert ("/echo", "500") not in counted


def test_request_ids(partly: Server) -> None:
    """The caller's id comes back, and one is made where there is none."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    given = partly.get("/items/1", headers={"x-request-id": "mine", "traceparent": trace})
    assert given.headers["x-request-id"] == "mine"
    assert given.headers["traceparent"] == trace
    made = {partly.get("/items/1").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    assert partly.get("/items/1").headers["x-model-version"] == "1"
    assert partly.get("/ready", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"


def test_failure_of_its_own(partly: Server) -> None:
    """Its exception is a 500 of that request and a line in the log; the next one is answered."""
    assert partly.get("/fails").status_code == 500
    assert "my own fault" in partly.log
    assert partly.get("/items/1").status_code == 200


def test_complete_application(serve: Serve, tmp_path: Path) -> None:
    """Nothing of ours stands before what the application defines, until it drains."""
    server = start(serve, tmp_path, COMPLETE, "--drain-delay", "1")
    assert server.get("/health").json() == {"mine": "health"}
    assert server.get("/ready").json() == {"mine": "ready"}
    assert server.get("/metrics").text == "mine 1\n"
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 1
    while (ready := server.get("/ready")).status_code == 200:
        assert time.monotonic() < deadline
    assert ready.json()["detail"] == "draining"
    assert server.get("/health").json() == {"mine": "health"}
    assert server.process.wait(10) == 0


def test_plain_callable(serve: Serve, tmp_path: Path) -> None:
    """An application that knows no lifespan needs none, and its own headers win."""
    server = start(serve, tmp_path, PLAIN)
    answer = server.get("/")
    assert answer.text == "plain"
    assert answer.headers.get_list("x-request-id") == ["my-own"]
    assert server.get("/health").json() == {"status": "ok"}
    assert server.get("/ready").json() == {"status": "ready"}
    assert "Traceback" not in server.log
    assert server.stop() == 0


def test_lifespan_that_fails(serve: Serve, tmp_path: Path) -> None:
    """A start-up that fails ends the server, with the reason in its log."""
    server = start(serve, tmp_path, FAILING, ready=False)
    assert server.process.wait(20) == errors.EXIT_FAILURE
    assert "no database at db:5432" in server.log
    assert server.log.splitlines()[-1].startswith("boxship: The application's own start-up")


def test_drain(serve: Serve, tmp_path: Path) -> None:
    """Its answers close their connections while it drains, and none is lost."""
    server = start(serve, tmp_path, PARTLY, "--workers", "2", "--drain-delay", "1")
    slow: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: slow.append(server.get("/slow?seconds=2")))
    waiting.start()
    with Load(server.port, get("/items/7")) as load:
        time.sleep(0.5)
        assert not load.sent[-1].closing
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    waiting.join()
    assert load.lost == [], load.summary()
    assert set(load.statuses()) == {200}, load.summary()
    assert all(one.closing for one in load.sent if one.at > signalled + 0.5)
    assert [answer.json() for answer in slow] == [{"slept": 2.0}]
    assert json.loads(load.sent[-1].body) == {"item": "7", "weights": [1, 2, 3]}


@pytest.mark.optional_part("websockets is no dependency")
def test_websocket(partly: Server, need: Need) -> None:
    """With a WebSocket library installed, the application's WebSockets are served."""
    client = need.module("websockets.asyncio.client")

    async def talk() -> list[Any]:
        async with client.connect(f"ws://127.0.0.1:{partly.port}/talk") as connection:
            answers = []
            for word in ("one", "two"):
                await connection.send(word)
                answers.append(await connection.recv())
            return answers

    assert asyncio.run(talk()) == ["ONE", "TWO"]


CATCHES_ALL = """\
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
def health():
    return {"mine": True}

@app.get("/{path:path}")
def page(path: str):
    return {"page": path}
"""


def test_a_catch_all_defines_no_probe(serve: Serve, tmp_path: Path) -> None:
    """Only what the application names as a route is its own."""
    (tmp_path / "pages.py").write_text(CATCHES_ALL)
    server = serve("pages:app", "--drain-delay", "0")
    assert server.get("/health").json() == {"mine": True}
    assert server.get("/ready").json() == {"status": "ready"}
    assert "boxship_requests_total" in server.get("/metrics").text
    assert server.get("/about").json() == {"page": "about"}
