"""More requests than a server can answer, by wrk on a schedule; for servers that send ids back."""

import resource
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from payload import Payload
from places import FOLDER

_SCRIPT = Path(__file__).parent / "flood.lua"
_RECORD = struct.Struct("<dddiiii")
_AFTER_S = 3
"""For the moment before the first request and for the last answers."""


@dataclass(frozen=True, kw_only=True)
class Flood:
    """What came of the requests: latencies in milliseconds from when each was due."""

    sent: int
    good_ms: Sequence[float]
    """Of the answers with status 200, shortest first."""
    refused_ms: Sequence[float]
    """Of those with 503, shortest first."""
    statuses: Mapping[int, int]
    wrong: int
    """Answers with status 200 that are not the right one to their own request."""
    without_retry_after: int
    """Answers with status 503 that do not say when to come again."""
    late_ms: Sequence[float]
    """From when each answered request was due to when it was sent, shortest first."""
    generator_cpu: float = 0.0
    """The share of one core that the generator used."""

    @property
    def neither(self) -> int:
        """Requests that were neither answered nor refused."""
        return self.sent - len(self.good_ms) - len(self.refused_ms)


def parse(report: Path, payload: Payload) -> Flood:
    """Read what ``flood.lua`` wrote: requests sent, a record of each answer, distinct answers."""
    good, refused, late = [], [], []
    statuses: Counter[int] = Counter()
    judged: dict[tuple[int, int], bool] = {}
    wrong = without = 0
    packed = report.with_name(f"{report.name}.records").read_bytes()
    for due, sent, answered, identity, status, retry_after, answer in _RECORD.iter_unpack(packed):
        statuses[status] += 1
        late.append(sent - due)
        # A timer may fire within a millisecond of its slot; the earlier of both counts.
        latency = answered - min(due, sent)
        if status == 200:
            good.append(latency)
            pair = ((identity - 1) % len(payload.bodies), answer)
            if pair not in judged:
                text = report.with_name(f"{report.name}.{answer}").read_bytes()
                judged[pair] = payload.is_right(pair[0], text)
            wrong += not judged[pair]
        elif status == 503:
            refused.append(latency)
            without += not retry_after
    return Flood(
        sent=int(report.read_text()),
        good_ms=sorted(good),
        refused_ms=sorted(refused),
        statuses=statuses,
        wrong=wrong,
        without_retry_after=without,
        late_ms=sorted(late),
    )


def run(
    port: int,
    payload: Payload,
    *,
    rate: float,
    seconds: int,
    connections: int,
    headers: Mapping[str, str],
) -> Flood:
    """Offer ``rate`` requests a second for ``seconds``."""
    folder = FOLDER / "run" / "flood"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for index, body in enumerate(payload.bodies, 1):
        (folder / str(index)).write_bytes(body)
    report = folder / "report"
    lines = [part for pair in {**payload.headers, **headers}.items() for part in pair]
    script = [str(folder), str(len(payload.bodies)), payload.path, str(report)]
    script += [f"{rate:.3f}", str(seconds), *lines]
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds + _AFTER_S}s", "--timeout", "10s"]
    argv += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", *script]
    before = _children_s()
    subprocess.run(argv, check=True, capture_output=True)
    found = parse(report, payload)
    return Flood(**{**vars(found), "generator_cpu": (_children_s() - before) / seconds})


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
