"""The servers that ``http_servers.py`` measures, and the small application that they serve.

Granian and uvicorn with their own process managers, and "one socket, one supervisor": a small
parent that owns the listening socket and workers that accept from it once they are ready.
"""

import asyncio
import ctypes
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

DRAIN_S = 1.0
SO_BINDTOIFINDEX, NO_INTERFACE = 62, 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Candidate:
    name: str
    manager: Literal["granian", "uvicorn", "shared", "own", "fewest"]
    http: str = "httptools"
    loop: str = "uvloop"
    healthcheck_s: int = 5


def note(event: str) -> None:
    line = f"{event} {os.getpid()} {time.monotonic()}\n"
    with Path(os.environ["BENCH_STATE"]).open("a") as log:
        log.write(line)


def load_model() -> None:
    """Sleep, or hold the interpreter lock, as long as BENCH_LOAD says (``kind:seconds``)."""
    kind, seconds = os.environ["BENCH_LOAD"].split(":")
    note("start")
    if kind == "lock":
        ctypes.PyDLL(None).sleep(int(float(seconds)))
    else:
        time.sleep(float(seconds))
    note("ready")


def make_app() -> Any:
    """The ASGI application; its model loads here, or in a thread if BENCH_THREAD is set."""
    import msgspec

    class Row(msgspec.Struct):
        a: float
        b: float

    decode, encode, pid = msgspec.json.Decoder(Row).decode, msgspec.json.encode, b"%d" % os.getpid()
    if os.environ.get("BENCH_THREAD"):
        threading.Thread(target=load_model, daemon=True).start()
    else:
        load_model()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        body = b'{"status":"ok"}'
        if scope["method"] == "POST":
            message = await receive()
            body = message["body"]
            while message["more_body"]:
                message = await receive()
                body += message["body"]
            if scope["path"] == "/slow":
                await asyncio.sleep(0.005)
            row = decode(body)
            body = encode({"score": row.a + row.b})
        headers = [(b"content-length", b"%d" % len(body)), (b"x-pid", pid)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def refuse_new(sock: socket.socket) -> None:
    """Let the kernel refuse what comes from now on, and keep what already waits.

    Bound to an interface that does not exist, a listening socket is not found by a new SYN, so
    closing it later resets nobody. Linux 5.7 allows this to any user.
    """
    sock.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)


def accept_one(sock: socket.socket, factory: Any, tasks: set[asyncio.Task[Any]]) -> bool:
    """Take one waiting connection; False where none waits."""
    try:
        connection, _ = sock.accept()
    except (BlockingIOError, ConnectionAbortedError):
        return False
    loop = asyncio.get_running_loop()
    task = loop.create_task(loop.connect_accepted_socket(factory, connection))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return True


def uvicorn_config(candidate: Candidate, port: int, workers: int) -> Any:
    import uvicorn

    return uvicorn.Config(
        "http_candidates:make_app", factory=True, host="127.0.0.1", port=port, workers=workers,
        loop=candidate.loop, http=candidate.http, ws="none", log_level="critical",
        access_log=False, timeout_keep_alive=75, timeout_worker_healthcheck=candidate.healthcheck_s,
    )  # fmt: skip


class Worker:
    """A worker of the one-socket supervisor: accepts from the inherited socket once loaded."""

    def __init__(self, candidate: Candidate, fds: tuple[int, int, int], slot: int) -> None:
        import uvicorn

        self.candidate, self.slot = candidate, slot
        self.sock, self.parent = socket.socket(fileno=fds[0]), socket.socket(fileno=fds[1])
        self.table = memoryview(mmap.mmap(fds[2], 4096)).cast("I")
        self.own = candidate.manager != "shared"
        self.config = uvicorn_config(candidate, 0, 1)
        self.server = uvicorn.Server(self.config)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.later: asyncio.TimerHandle | None = None

    def protocol(self) -> Any:
        return self.config.http_protocol_class(
            config=self.config,
            server_state=self.server.server_state,
            app_state=self.server.lifespan.state,
            _loop=self.loop,
        )

    def publish(self) -> int:
        """Write this worker's connections, plus one, where the others read them."""
        mine = len(self.server.server_state.connections) + len(self.tasks) + 1
        self.table[self.slot] = mine
        return mine

    def readable(self) -> None:
        """Accept one connection; for "fewest", let a worker that has fewer go first for 2 ms."""
        mine = self.publish()
        if self.candidate.manager == "own" or mine <= min(filter(None, self.table)):
            accept_one(self.sock, self.protocol, self.tasks)
            self.publish()
        else:
            self.loop.remove_reader(self.sock)
            self.later = self.loop.call_later(0.002, self.turn)

    def turn(self) -> None:
        accept_one(self.sock, self.protocol, self.tasks)
        self.loop.add_reader(self.sock, self.readable)

    async def run(self) -> None:
        self.loop = asyncio.get_running_loop()
        serving = self.loop.create_task(self.server.serve([] if self.own else [self.sock]))
        for _ in range(3000):
            if self.server.started:
                break
            await asyncio.sleep(0.01)
        if self.own:
            self.loop.add_reader(self.sock, self.readable)
        stop = asyncio.Event()
        self.loop.add_signal_handler(signal.SIGTERM, stop.set)
        self.loop.add_reader(self.parent, stop.set)
        self.parent.send(b"ready")
        while not stop.is_set():
            self.publish()  # a worker is not woken for a connection that another one took
            await asyncio.sleep(0.05)
        self.loop.remove_reader(self.parent)
        await self.drain()
        self.server.should_exit = True
        await serving

    async def drain(self) -> None:
        self.config.encoded_headers.append((b"connection", b"close"))
        self.server.server_state.default_headers = list(self.config.encoded_headers)
        await asyncio.sleep(DRAIN_S)
        refuse_new(self.sock)
        await asyncio.sleep(0.05)  # handshakes already begun end here
        if self.own:
            self.loop.remove_reader(self.sock)
            if self.later:
                self.later.cancel()
            while accept_one(self.sock, self.protocol, self.tasks):
                pass
        for server in self.server.servers:
            server.close()
        self.sock.close()
        for _ in range(100):  # uvicorn closes a connection whose first request is still on the way
            if all(getattr(one, "cycle", None) for one in self.server.server_state.connections):
                break
            await asyncio.sleep(0.01)


def work(candidate: Candidate, listener: int, pipe: int, memory: int, slot: int) -> None:
    worker = Worker(candidate, (listener, pipe, memory), slot)
    factory = worker.config.get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(worker.run())


class Probe(asyncio.Protocol):
    """The supervisor's answers: /health is 200, the rest 503."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.data, self.answered = transport, b"", False

    def data_received(self, data: bytes) -> None:
        self.data += data
        if b"\r\n\r\n" not in self.data or self.answered:
            return
        self.answered = True
        status = b"200 OK" if self.data.startswith(b"GET /health ") else b"503 Service Unavailable"
        head = b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}" % status
        self.transport.write(head)
        self.transport.write_eof()  # closing with unread bytes would reset, and lose the answer
        asyncio.get_running_loop().call_later(1.0, self.transport.close)


class Supervisor:
    """Owns the socket, answers while no worker is ready, and replaces the dead."""

    def __init__(self, candidate: Candidate, port: int) -> None:
        self.candidate = candidate
        self.sock = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.sock.setblocking(False)
        self.memory = os.memfd_create("connections")
        os.truncate(self.memory, 4096)
        self.table = memoryview(mmap.mmap(self.memory, 4096)).cast("I")
        self.free = list(range(64))
        self.processes: dict[socket.socket, tuple[int, subprocess.Popen[bytes]]] = {}
        self.ready: set[socket.socket] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.stopping, self.empty = asyncio.Event(), asyncio.Event()

    def accept_or_not(self) -> None:
        if not self.stopping.is_set():
            self.loop.remove_reader(self.sock)
            if not self.ready:
                self.loop.add_reader(self.sock, accept_one, self.sock, Probe, self.tasks)

    def spawn(self) -> None:
        mine, theirs = socket.socketpair()
        slot, fds = self.free.pop(0), (self.sock.fileno(), theirs.fileno(), self.memory)
        arguments = json.dumps([asdict(self.candidate), *fds, slot])
        role = [sys.executable, __file__, "work", arguments]
        self.processes[mine] = slot, subprocess.Popen(role, pass_fds=fds)
        theirs.close()
        self.loop.add_reader(mine, self.heard, mine)

    def heard(self, pipe: socket.socket) -> None:
        """A worker says that it is ready, or its end of the pipe closes because it died."""
        if pipe.recv(16):
            self.ready.add(pipe)
        else:
            self.loop.remove_reader(pipe)
            self.ready.discard(pipe)
            slot, process = self.processes.pop(pipe)
            process.wait(5)
            self.table[slot] = 0
            self.free.append(slot)
            pipe.close()
            if not self.stopping.is_set():
                self.loop.call_later(0.1, self.spawn)
            elif not self.processes:
                self.empty.set()
        self.accept_or_not()

    async def run(self, workers: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.accept_or_not()
        for _ in range(workers):
            self.spawn()
        self.loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        await self.stopping.wait()
        self.loop.remove_reader(self.sock)
        self.sock.close()
        for _, process in self.processes.values():
            process.terminate()
        await asyncio.wait_for(self.empty.wait(), 60)


def serve(candidate: Candidate, port: int, workers: int) -> None:
    """Run one candidate until SIGTERM."""
    if candidate.manager == "granian":
        from granian.constants import Interfaces, Loops
        from granian.server import Server

        Server(
            "http_candidates:make_app", address="127.0.0.1", port=port, workers=workers, factory=True,
            interface=Interfaces.ASGI, loop=Loops(candidate.loop), websockets=False,
            log_enabled=False, respawn_failed_workers=True,
        ).serve()  # fmt: skip
    elif candidate.manager == "uvicorn":
        from uvicorn.supervisors import Multiprocess

        config = uvicorn_config(candidate, port, workers)
        Multiprocess(config, [config.bind_socket()]).run()
    else:
        asyncio.run(Supervisor(candidate, port).run(workers))


if __name__ == "__main__":
    first, *rest = json.loads(sys.argv[2])
    (serve if sys.argv[1] == "serve" else work)(Candidate(**first), *rest)
