"""Steady load on raw streams, and what became of every request that was sent.

    with Load(port, post("/predict", {"age": 1.0})) as load:
        time.sleep(1)
    assert load.lost == []

Each of ``connections`` keep-alive connections sends its next request ``pause_s`` after the last
answer, and every ``new_every_s`` one more connection is opened for one request. A connection
that the server closed between two requests is opened again, as every client does.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

_ANSWER_WITHIN_S = 20.0


class Fate(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    RESET = "reset"
    CLOSED = "closed without an answer"
    SILENT = "no answer in time"


@dataclass(frozen=True)
class Sent:
    """One request that was sent. ``at`` is on ``time.monotonic``'s clock."""

    at: float
    seconds: float
    fate: Fate
    status: int = 0
    body: bytes = b""
    closing: bool = False
    fresh: bool = False

    @property
    def end(self) -> float:
        return self.at + self.seconds


def get(path: str) -> bytes:
    """A GET request, as it is sent."""
    return f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()


def post(path: str, content: Any) -> bytes:
    """A POST request with a JSON body, as it is sent."""
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Load:
    """Clients in a thread of their own, from ``__enter__`` to ``__exit__``.

    ``sent`` holds every request whose bytes were handed to a connection; ``not_connected``
    counts connections that were refused or never came about, which sent nothing.
    """

    def __init__(
        self,
        port: int,
        request: bytes,
        *,
        connections: int = 16,
        pause_s: float = 0.01,
        new_every_s: float | None = 0.01,
    ) -> None:
        self.sent: list[Sent] = []
        self.not_connected: Counter[str] = Counter()
        self._port = port
        self._request = request
        self._connections = connections
        self._pause_s = pause_s
        self._new_every_s = new_every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def lost(self) -> list[Sent]:
        """Requests that were sent and got no answer."""
        return [one for one in self.sent if one.fate is not Fate.ANSWERED]

    def statuses(self, *, until: float = float("inf")) -> Counter[int]:
        """How often each status was answered, for requests sent before ``until``."""
        return Counter(one.status for one in self.sent if one.at < until)

    def rate(self, start: float, end: float) -> float:
        """Answers with status 200 a second, between two moments."""
        good = sum(one.status == 200 and start <= one.end < end for one in self.sent)
        return good / (end - start)

    def summary(self) -> str:
        """For a failed assertion."""
        fates = Counter(f"{one.fate} {one.status or ''}".strip() for one in self.sent)
        return f"{dict(fates)}, not connected: {dict(self.not_connected)}"

    async def _run(self) -> None:
        tasks = [asyncio.create_task(self._keep_alive()) for _ in range(self._connections)]
        while not self._stopping.is_set():
            if self._new_every_s is None:
                await asyncio.sleep(0.02)
            else:
                tasks.append(asyncio.create_task(self._once()))
                await asyncio.sleep(self._new_every_s)
        await asyncio.gather(*tasks)

    async def _keep_alive(self) -> None:
        while not self._stopping.is_set():
            connection = await self._connect()
            if connection is None:
                await asyncio.sleep(0.05)
                continue
            fresh = True
            # Seeing the end of the stream first, a client sends on a new connection instead.
            while not (self._stopping.is_set() or connection[0].at_eof()):
                one = await ask(*connection, self._request, fresh=fresh)
                self.sent.append(one)
                fresh = False
                await asyncio.sleep(self._pause_s)
                if one.closing or one.fate is not Fate.ANSWERED:
                    break
            connection[1].close()

    async def _once(self) -> None:
        connection = await self._connect()
        if connection is not None:
            self.sent.append(await ask(*connection, self._request, fresh=True))
            connection[1].close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:  # TimeoutError is one
            self.not_connected[type(error).__name__] += 1
            return None


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, *, fresh: bool
) -> Sent:
    """Send one request and read its answer."""
    at = time.monotonic()
    status, body, closing = 0, b"", True
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            headers = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
            body = await reader.readexactly(int(headers["content-length"]))
        status = int(head.split(" ", 2)[1])
        closing = headers.get("connection") == "close"
        fate = Fate.ANSWERED
    except TimeoutError:
        fate = Fate.SILENT
    except OSError:
        fate = Fate.RESET
    except asyncio.IncompleteReadError:
        fate = Fate.CLOSED
    return Sent(at, time.monotonic() - at, fate, status, body, closing, fresh)
