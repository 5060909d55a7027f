"""A process and all it has started: its memory, and its end."""

import contextlib
import os
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path

_STOP_WITHIN_S = 10.0
_ORPHANS_WITHIN_S = 2.0
"""How long children may outlive the process that started them."""


def descendants(pid: int) -> list[int]:
    """``pid`` and every process below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command name stands in brackets and may hold spaces.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children[int(fields[1])].append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children[found[-1]]
    return found


def pss_mb(pid: int) -> float:
    """Proportional set size of the tree below ``pid``: a shared page counts once in all."""
    total = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total * 1024 / 1e6


def others_share(seconds: float = 0.3) -> float:
    """The share of all cores that is in use now, while we do nothing ourselves."""

    def ticks() -> tuple[int, int]:
        fields = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    before, idle_before = ticks()
    time.sleep(seconds)
    after, idle_after = ticks()
    return 1 - (idle_after - idle_before) / max(1, after - before)


def _birth(pid: int) -> str:
    """When a process began: with its id, that names it for good; nothing where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def stop(process: "subprocess.Popen[bytes]") -> bool:
    """SIGTERM, patience, SIGKILL for what is left of the tree; whether nothing was left."""
    tree = {pid: _birth(pid) for pid in descendants(process.pid)}

    def left() -> list[int]:
        return [pid for pid, born in tree.items() if born and _birth(pid) == born]

    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_WITHIN_S)
    deadline = time.monotonic() + _ORPHANS_WITHIN_S
    while left() and time.monotonic() < deadline:
        time.sleep(0.02)
    orphans = left()
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    while left():
        time.sleep(0.005)
    return not orphans
