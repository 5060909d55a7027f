"""An open-loop generator: requests leave on a schedule, whatever the server does meanwhile.

wrk sends the next request when the last one is answered, so a slow server is asked less and its
latency looks better than what clients at a steady rate would see. Here arrivals are a Poisson
process with a fixed seed. Where a request finds no free connection, latency counts from the moment
it was due: it waits for the server. Where it finds one, latency counts from when it was sent, for
the timers of the generator are a millisecond coarse. Every answer is judged against its own request.

Started as ``python openloop.py FILE``, with an ``Order`` as JSON on standard input; writes an
``Outcome`` as JSON into the file.
"""

import asyncio
import base64
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from payload import Payload
from places import PYTHON

_GRACE_S = 3.0
"""How long after the last request answers are still waited for."""

_SEED = 2026

_ACCEPTED_S = 0.5
"""A moment for the server to take the new connections: the rate is a steady one."""

_MORE = 4
"""At most so many times the connections that were open at first."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to send: whole requests in base64, a rate, a duration."""

    port: int
    requests: Sequence[str]
    rate: float
    seconds: float
    connections: int
    """Open before the first request; further ones are opened when all are busy."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an order."""

    sent: int
    unanswered: int
    seconds: float
    answers: Sequence[tuple[int, int, float]]
    """Request's index, status, latency in milliseconds."""
    texts: Sequence[tuple[int, str, int]]
    """Request's index, a distinct answer to it with status 200, how often it came."""
    late_ms_p99: float
    """The generator's own lag: from when a request was due to when it was sent."""
    generator_cpu: float
    """The share of one core that the generator used."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, load: "Generator") -> None:
        self._load = load
        self._buffer = b""
        self._index = -1
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, index: int, since: float) -> None:
        """Send a request whose latency counts from ``since``."""
        self._index, self._since = index, since
        self.transport.write(self._load.requests[index])

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower()
        _, _, length = fields.partition(b"\r\ncontent-length:")
        if len(body) < int(length.split(b"\r\n", 1)[0]):
            return
        self._buffer = b""
        index, self._index = self._index, -1
        self._load.answered(index, self._since, fields, body)
        if b"\r\nconnection: close" in fields:
            self.transport.close()
        else:
            self._load.free(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._load.lost(answered=self._index < 0)


class Generator:
    """The schedule, the connections, and what was seen."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.requests = [base64.b64decode(one) for one in order.requests]
        self._free: deque[Connection] = deque()
        self._waiting: deque[tuple[int, float]] = deque()
        self._count = 0
        self._late: list[float] = []
        self._answers: list[tuple[int, int, float]] = []
        self._texts: Counter[tuple[int, bytes]] = Counter()
        self._broken = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._over = False

    async def run(self) -> Outcome:
        """Send everything on time, then wait for what is still under way."""
        order, dice = self._order, random.Random(_SEED)
        for _ in range(order.connections):
            await self._open()
        await asyncio.sleep(_ACCEPTED_S)
        cpu, began = time.process_time(), time.perf_counter()
        due, sent, end = began, 0, began + order.seconds
        while True:
            now = time.perf_counter()
            while due <= now and due < end:
                self._send(sent % len(self.requests), due)
                sent += 1
                due += dice.expovariate(order.rate)
            if due >= end:
                break
            await asyncio.sleep(max(0.0005, due - now))
        cpu = time.process_time() - cpu
        deadline = time.perf_counter() + _GRACE_S
        while (  # noqa: ASYNC110 (there is a deadline)
            self._missing(sent) and time.perf_counter() < deadline
        ):
            await asyncio.sleep(0.01)
        self._over = True
        return self._outcome(sent, cpu / order.seconds)

    def _missing(self, sent: int) -> int:
        return sent - len(self._answers) - self._broken

    def _send(self, index: int, due: float) -> None:
        while self._free:
            connection = self._free.pop()
            if not connection.transport.is_closing():
                now = time.perf_counter()
                self._late.append(now - due)
                connection.send(index, now)
                return
        self._waiting.append((index, due))
        if self._count < _MORE * self._order.connections:
            self._count += 1
            task = asyncio.ensure_future(self._open(counted=True))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, *, counted: bool = False) -> None:
        self._count += not counted
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self._order.port
            )
        except OSError:
            self._count -= 1
            return
        self.free(connection)

    def free(self, connection: Connection) -> None:
        """The connection can take a request: one that waits, else the next."""
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)

    def answered(self, index: int, since: float, head: bytes, body: bytes) -> None:
        """A whole answer has come; it is judged after the run."""
        status = int(head[9:12])
        self._answers.append((index, status, (time.perf_counter() - since) * 1e3))
        if status == 200:
            self._texts[index, body] += 1

    def lost(self, *, answered: bool) -> None:
        """A connection has ended, with or without its answer."""
        self._count -= 1
        if not self._over:
            self._broken += not answered

    def _outcome(self, sent: int, cpu: float) -> Outcome:
        late = sorted(self._late)
        return Outcome(
            sent=sent,
            unanswered=sent - len(self._answers),
            seconds=self._order.seconds,
            answers=self._answers,
            texts=[(index, body.decode(), times) for (index, body), times in self._texts.items()],
            late_ms_p99=late[int(0.99 * (len(late) - 1))] * 1e3 if late else 0.0,
            generator_cpu=cpu,
        )


@dataclass(frozen=True, kw_only=True)
class OpenLoad:
    """An outcome, judged."""

    outcome: Outcome
    wrong: int
    """Answers with status 200 that are not the right one to their own request."""

    def good_ms(self) -> list[float]:
        """Latencies of the answers with status 200, shortest first."""
        return sorted(ms for _, status, ms in self.outcome.answers if status == 200)


def request(payload: Payload, index: int) -> bytes:
    """One whole HTTP/1.1 request."""
    body = payload.bodies[index]
    lines = [f"POST {payload.path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in payload.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(
    port: int,
    payload: Payload,
    *,
    rate: float,
    seconds: float,
    connections: int = 64,
) -> OpenLoad:
    """Offer ``rate`` requests a second, from a process of its own."""
    requests = [request(payload, index) for index in range(len(payload.bodies))]
    order = Order(
        port=port,
        requests=[base64.b64encode(one).decode() for one in requests],
        rate=rate,
        seconds=seconds,
        connections=connections,
    )
    with tempfile.NamedTemporaryFile(prefix="bench-") as file:
        argv = [str(PYTHON), __file__, file.name]
        subprocess.run(argv, input=json.dumps(asdict(order)).encode(), check=True)
        outcome = Outcome(**json.load(file))
    wrong = sum(
        times for index, body, times in outcome.texts if not payload.is_right(index, body.encode())
    )
    return OpenLoad(outcome=outcome, wrong=wrong)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie; NaN of none."""
    return ordered[round(share * (len(ordered) - 1))] if ordered else float("nan")


if __name__ == "__main__":
    import gc

    import uvloop

    gc.disable()
    outcome = uvloop.run(Generator(Order(**json.load(sys.stdin))).run())
    Path(sys.argv[1]).write_text(json.dumps(asdict(outcome)))
