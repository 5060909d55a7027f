"""Granian and uvicorn under three process managers, on the cases that decide Boxship's server.

Run it as ``python bench/http_servers.py [before|lock|crash|drain|rate]...``; it needs uvicorn,
uvloop, httptools, zttp, granian and msgspec, and ``wrk`` for ``rate``. Everything stays on
127.0.0.1. The tables are medians (lowest-highest) of interleaved rounds.
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import http_candidates
from http_candidates import Candidate

ROUNDS = 3
LOAD_S, LOCK_S = 8.0, 20.0
BODY = b'{"a":1.5,"b":2.5}'
POST = b"POST /slow HTTP/1.1\r\nhost: bench\r\ncontent-length: 17\r\n\r\n" + BODY

GRANIAN = Candidate(name="granian", manager="granian")
UVICORN = Candidate(name="uvicorn", manager="uvicorn")
SHARED = Candidate(name="one socket, create_server", manager="shared")
OWN = Candidate(name="one socket, own accept", manager="own")
FEWEST = Candidate(name="one socket, fewest first", manager="fewest")
ALL = (GRANIAN, UVICORN, SHARED, OWN, FEWEST)


class Client:
    """Keep-alive connections that send one request after another, and count what happens."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.seen, self.pids = Counter[str](), Counter[str]()
        self.answers: list[float] = []

    async def talk(self) -> None:
        first = True
        while time.monotonic() < self.end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError as error:
                self.seen[errno.errorcode[error.errno or 0]] += 1
                await asyncio.sleep(0.02)
                continue
            head = b""
            while time.monotonic() < self.end and not reader.at_eof() and b"close" not in head:
                head = await self.ask(reader, writer)
                if not head:
                    break
                if first:
                    first = False
                    self.pids[head.lower().split(b"x-pid: ")[1].split(b"\r")[0].decode()] += 1
            writer.close()

    async def talk_once(self) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            self.seen[errno.errorcode[error.errno or 0]] += 1
            return
        await self.ask(reader, writer)
        writer.close()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Send one request; the answer's head, or nothing where no answer came."""
        try:
            writer.write(POST)
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(13)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            self.seen["unanswered"] += 1
            self.seen[f"unanswered, {type(error).__name__}"] += 1
            return b""
        self.seen[head[9:12].decode()] += 1
        self.answers.append(time.monotonic())
        return head


async def load(port: int, connections: int, seconds: float, new_every_s: float) -> None:
    """Run a client, with one more request on a new connection each ``new_every_s`` (0: none)."""
    client = Client(port, seconds)
    tasks = [asyncio.create_task(client.talk()) for _ in range(connections)]
    while new_every_s and time.monotonic() < client.end:
        tasks.append(asyncio.create_task(client.talk_once()))
        await asyncio.sleep(new_every_s)
    await asyncio.wait_for(asyncio.gather(*tasks), seconds + 15)
    print(json.dumps({"seen": client.seen, "answers": client.answers, "pids": client.pids}))


class Running:
    """A candidate's server process group with its notes: (event, pid, time)."""

    def __init__(
        self, candidate: Candidate, load: str = "sleep:0", *, thread: bool = False, workers: int = 2
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = Path(tempfile.mkstemp(prefix="bench-")[1])
        environment = {**os.environ, "BENCH_STATE": str(self.log), "BENCH_LOAD": load}
        environment |= {"PYTHONPATH": str(Path(__file__).parent), "BENCH_THREAD": "1" * thread}
        arguments = json.dumps([asdict(candidate), self.port, workers])
        role = [sys.executable, http_candidates.__file__, "serve", arguments]
        self.began = time.monotonic()
        self.process = subprocess.Popen(role, env=environment, start_new_session=True)

    def notes(self, event: str) -> list[tuple[int, float]]:
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [(int(pid), float(at)) for name, pid, at in lines if name == event]

    def health(self, timeout: float = 1.0) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health", timeout=timeout
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def wait_ready(self, workers: int = 2) -> "Running":
        for _ in range(200):
            if len(self.notes("ready")) >= workers and self.health():
                break
            time.sleep(0.05)
        time.sleep(0.4)
        return self

    def load(
        self, connections: int, seconds: float, new_every_s: float = 0
    ) -> subprocess.Popen[str]:
        arguments = json.dumps([self.port, connections, seconds, new_every_s])
        role = [sys.executable, __file__, "_load", arguments]
        return subprocess.Popen(role, stdout=subprocess.PIPE, text=True)

    def stop(self) -> int | str:
        self.process.terminate()
        try:
            return self.process.wait(8)
        except subprocess.TimeoutExpired:
            return "none in 8 s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.log.unlink(missing_ok=True)


def show(title: str, rows: dict[str, dict[str, list[Any]]]) -> None:
    """Print a Markdown table of medians, and of the most common word where it is no number."""

    def middle(values: list[Any]) -> str:
        if all(isinstance(value, int | float) for value in values):
            form = ".0f" if max(values) >= 100 else ".3g"
            low, median, high = (f(values) for f in (min, statistics.median, max))
            spread = f" ({low:{form}}-{high:{form}})" if low < high else ""
            return f"{median:{form}}{spread}"
        word, _ = Counter(map(str, values)).most_common(1)[0]
        return str(word)

    columns = list(next(iter(rows.values())))
    print(f"\n### {title}\n\n| candidate | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(middle(row[column]) for column in columns)} |", flush=True)


def rounds(
    title: str, candidates: dict[str, Callable[[], dict[str, Any]]], times: int, *, together: bool
) -> None:
    rows: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    with ThreadPoolExecutor(len(candidates) if together else 1) as pool:
        for _ in range(times):
            for name, result in zip(
                candidates, pool.map(lambda measure: measure(), candidates.values()), strict=True
            ):
                for column, value in result.items():
                    rows[name][column].append(value)
    show(title, rows)


def before(candidate: Candidate, *, thread: bool) -> dict[str, Any]:
    server = Running(candidate, f"sleep:{LOAD_S}", thread=thread)
    while not server.health() and time.monotonic() < server.began + 3 * LOAD_S:
        time.sleep(0.02)
    result = {"/health answers after, s": time.monotonic() - server.began}
    server.stop()
    return result


def lock(candidate: Candidate, *, thread: bool) -> dict[str, Any]:
    server = Running(candidate, f"lock:{LOCK_S}", thread=thread)
    waits: list[float] = []
    failed = 0
    while time.monotonic() < server.began + LOCK_S + 5:
        begun = time.monotonic()
        answered = server.health(timeout=30)
        if waits or answered:  # from the first answer on
            waits.append(time.monotonic() - begun)
            failed += not answered
        time.sleep(0.05)
    at = [at for _, at in server.notes("ready")]
    result = {
        "workers started": len(server.notes("start")),
        "first ready after, s": at[0] - server.began if at else "never",
        "/health asked": len(waits),
        "failed": failed,
        "slowest, s": max(waits, default="none"),
    }
    server.stop()
    return result


def crash(candidate: Candidate) -> dict[str, Any]:
    server = Running(candidate).wait_ready()
    client = server.load(16, 4.5)
    time.sleep(2.0)
    pids = [pid for pid, _ in server.notes("ready")]
    victim = max(pids, key=lambda pid: len(list(Path(f"/proc/{pid}/fd").iterdir())))
    killed = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    out = json.loads(client.communicate(timeout=40)[0])
    new = [at for _, at in server.notes("ready")[2:]]
    server.stop()

    def rate(start: float, end: float) -> float:
        return len([at for at in out["answers"] if start <= at < end]) / (end - start)

    steady = rate(killed - 1.2, killed)
    steps = [n / 10 for n in range(20)]
    back = next(
        (s for s in steps if rate(killed + s, killed + s + 0.4) >= 0.9 * steady), "not in 2 s"
    )
    return {
        "connections in it": out["pids"].get(str(victim), 0),
        "requests failed": out["seen"].get("unanswered", 0),
        "rate back after, s": back,
        "replacement ready after, s": new[0] - killed if new else "never",
    }


def drain(candidate: Candidate) -> dict[str, Any]:
    server = Running(candidate).wait_ready()
    client = server.load(16, 4.0, 0.01)
    time.sleep(1.5)
    begun = time.monotonic()
    code = server.stop()
    took = time.monotonic() - begun
    seen = json.loads(client.communicate(timeout=40)[0])["seen"]
    answered = seen.get("200", 0)
    return {
        "answered": answered,
        "unanswered": seen.get("unanswered", 0),
        "exit code": str(code),
        "took, s": took,
    }


def rate(candidate: Candidate) -> dict[str, Any]:
    result: dict[str, Any] = {}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"wrk.method='POST' wrk.body='{BODY.decode()}' wrk.headers['content-type']='application/json'"
        )
        script.flush()
        for workers in (1, 2):
            server = Running(candidate, workers=workers).wait_ready(workers)
            command = [
                "wrk",
                "-t1",
                "-c64",
                "-d2",
                "-s",
                script.name,
                f"http://127.0.0.1:{server.port}/predict",
            ]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            result[f"{workers} workers, req/s"] = float(text.split("Requests/sec:")[1].split()[0])
            if workers == 2:
                for n in (16, 64):
                    out = json.loads(server.load(n, 0.8).communicate(timeout=40)[0])
                    result[f"of {n}, busier worker has"] = max(out["pids"].values())
            server.stop()
    return result


def scenarios() -> dict[str, tuple[str, dict[str, Callable[[], dict[str, Any]]], int]]:
    """Title, measurements by candidate, rounds."""
    threads = [(c, False) for c in ALL] + [(GRANIAN, True), (UVICORN, True)]
    patient = replace(UVICORN, name="uvicorn, healthcheck 60 s", healthcheck_s=60)
    names = {t: ", loads in a thread" * t for t in (False, True)}
    fast = [*ALL, replace(UVICORN, name="uvicorn, zttp", http="zttp")]
    return {
        "before": (
            f"Model import of {LOAD_S:g} s",
            {c.name + names[t]: partial(before, c, thread=t) for c, t in threads},
            ROUNDS,
        ),
        "lock": (
            f"Model load that holds the interpreter lock for {LOCK_S:g} s",
            {c.name + names[t]: partial(lock, c, thread=t) for c, t in [*threads, (patient, True)]},
            1,
        ),
        "crash": (
            "kill -9 of one of two workers, 16 connections",
            {c.name: partial(crash, c) for c in ALL},
            ROUNDS,
        ),
        "drain": (
            "SIGTERM, 16 connections and a new one each 10 ms",
            {c.name: partial(drain, c) for c in ALL},
            ROUNDS,
        ),
        "rate": ("Throughput and spread", {c.name: partial(rate, c) for c in fast}, ROUNDS),
    }


def main() -> None:
    if sys.argv[1:2] == ["_load"]:
        asyncio.run(load(*json.loads(sys.argv[2])))
        return
    for name, (title, candidates, times) in scenarios().items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            rounds(title, candidates, times, together=name == "lock")


if __name__ == "__main__":
    main()
