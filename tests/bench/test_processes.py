import subprocess
import sys
import time
from pathlib import Path

import processes

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def test_a_child_that_outlives_its_parent_is_found_and_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(child=STUBBORN)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert processes.descendants(parent.pid) == [parent.pid, child]
        assert processes.stop(parent) is False
    # Ended, or a zombie that its new parent has yet to look at.
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_process_that_ends_on_sigterm_ended_by_itself() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert processes.stop(process) is True


def test_memory_is_that_of_the_whole_tree() -> None:
    hold = "import time; held = b'x' * 50_000_000; time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(child=hold)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        deadline = time.monotonic() + 10
        while (found := processes.pss_mb(parent.pid)) < 50 and time.monotonic() < deadline:
            time.sleep(0.02)
        processes.stop(parent)
    assert 50 < found < 100
