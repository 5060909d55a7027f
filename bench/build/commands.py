"""Commands that are measured: how long they take, what they send, how much memory they need."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from processes import descendants

_EVERY_S = 0.05


@dataclass(frozen=True)
class Ran:
    """``memory`` is the peak of the whole tree, in bytes, where it was asked for."""

    seconds: float
    memory: int = 0
    sent: int = 0

    def plus(self, other: "Ran") -> "Ran":
        """One after the other."""
        memory = max(self.memory, other.memory)
        return Ran(self.seconds + other.seconds, memory, self.sent + other.sent)


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    watched: bool = False,
    sent: Callable[[], int] = lambda: 0,
) -> Ran:
    """Run ``argv`` to its end; ends the program with what it said where it fails."""
    before = sent()
    with tempfile.TemporaryFile("w+") as said:
        began = time.monotonic()
        process = subprocess.Popen(argv, env=dict(environ), cwd=cwd, stdout=said, stderr=said)
        watch = _Watch(process.pid) if watched else None
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(argv)} failed:\n{said.read()[-4000:]}")
    # The kernel's own figure is exact, but of the largest process alone.
    memory = max(usage.ru_maxrss * 1024, watch.end()) if watch else 0
    return Ran(seconds, memory, sent() - before)


class _Watch:
    """The largest sum of the resident sets of a process and all below it; shared pages count twice."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._largest = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> int:
        """Bytes."""
        self._ended.set()
        self._thread.join()
        return self._largest

    def _look(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._ended.wait(_EVERY_S):
            pages = 0
            for pid in descendants(self._pid):
                with suppress(OSError):
                    pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            self._largest = max(self._largest, pages * page)
