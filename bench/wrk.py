"""wrk: the closed-loop load, and what it says."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from payload import Payload
from places import FOLDER

_SCRIPT = Path(__file__).parent / "load.lua"


@dataclass(frozen=True, kw_only=True)
class Load:
    """One run of wrk. ``answers`` counts distinct bodies, in a run that checks."""

    seconds: float
    requests: int
    bad_status: int
    broken: int
    """Connections that were refused or broke, and requests that had no answer in time."""
    p50_ms: float
    p99_ms: float
    answers: Mapping[bytes, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Successful answers in a second."""
        return (self.requests - self.bad_status) / self.seconds


def parse(report: Path) -> Load:
    """Read what ``load.lua`` wrote: the report, and beside it each distinct answer."""
    counts, latency, *answers = report.read_text().splitlines()
    duration, requests, connect, read, write, status, timeout = map(int, counts.split())
    p50, p99 = map(int, latency.split())
    times = [one.split() for one in answers]
    return Load(
        seconds=duration / 1e6,
        requests=requests,
        bad_status=status,
        broken=connect + read + write + timeout,
        p50_ms=p50 / 1e3,
        p99_ms=p99 / 1e3,
        answers={
            report.with_name(f"{report.name}.{number}").read_bytes(): int(count)
            for number, count in times
        },
    )


def run(
    port: int, payload: Payload, *, connections: int, seconds: int, check: bool = False
) -> Load:
    """Load the server at ``port`` with one thread of wrk."""
    folder = FOLDER / "run" / "wrk"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for index, body in enumerate(payload.bodies, 1):
        (folder / str(index)).write_bytes(body)
    report = folder / "report"
    headers = [part for pair in payload.headers.items() for part in pair]
    script = [str(folder), str(len(payload.bodies)), payload.path, str(report)]
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    argv += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--"]
    subprocess.run(
        [*argv, *script, "check" if check else "time", *headers], check=True, capture_output=True
    )
    return parse(report)
