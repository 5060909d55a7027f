"""The machine that measures, in words."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from places import ROOT


def describe() -> dict[str, str]:
    """Processor, cores, memory, kernel, Python, wrk, nginx, and the revision that is measured."""
    memory_kb = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0])
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_kb / 1024**2:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "wrk": _version("wrk", "-v"),
        "nginx": _version("nginx", "-v"),
        "revision": _revision(),
    }


def _processor() -> str:
    found = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[0] if found else platform.machine()


def _version(program: str, flag: str) -> str:
    if shutil.which(program) is None:
        return "missing"
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    found = re.findall(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def _revision() -> str:
    argv = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def missing_programs() -> list[str]:
    """What must be installed before a run."""
    return [name for name in ("wrk", "nginx") if shutil.which(name) is None]
