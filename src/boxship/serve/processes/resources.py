"""How much CPU and memory this process may use, and how many workers fit into it."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boxship import contract
from boxship.cgroups import Cgroups, KernelFiles
from boxship.contract import CPU_REQUEST_VARIABLE
from boxship.errors import UsageError

MIB = 1024 * 1024
WORKER_BASE_BYTES = 150 * MIB
"""A worker before its model: the interpreter, numpy, the model library, the server."""
COPY_FACTOR = 2.5
"""A loaded model against its file: compression, Python objects, working memory of a batch."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_CORES = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(m?)")


@dataclass(frozen=True)
class Resources:
    """What this process may use.

    ``cpus`` is in cores and above 0. ``memory_bytes`` is None where nothing bounds
    it. ``cpus_from`` and ``memory_from`` say in words where the numbers come from.
    """

    cpus: float
    cpus_from: str
    memory_bytes: int | None
    memory_from: str


@dataclass(frozen=True)
class Allotment:
    """How many workers, with how many threads each, and why, in printable sentences."""

    workers: int
    threads: int
    reasons: tuple[str, ...]


def read_resources(
    *,
    root: Path = Path("/"),
    environ: Mapping[str, str] = os.environ,
    affinity: int | None = None,
) -> Resources:
    """Read the limits of this process: control groups, CPU affinity, environment.

    ``root`` is where ``/proc`` and ``/sys`` are found. ``affinity`` is the number
    of CPUs the scheduler may use; None asks the operating system. Files that
    cannot be read or understood are ignored, and ``cpus_from`` and
    ``memory_from`` say so.
    """
    files = KernelFiles(root)
    cgroups = Cgroups.of_this_process(files)
    if affinity is None:
        affinity = _affinity()
    limit = cgroups.cpu_limit() or _cpu_request(files, environ) or _container(files, environ)
    if limit is None:
        cpus, source = float(affinity), "CPU affinity, with no CPU limit"
    elif affinity < limit[0]:
        cpus, source = float(affinity), f"CPU affinity, below {limit[1]}"
    else:
        cpus, source = limit
    cpus_from = files.words(source)
    memory_bytes, memory_source = _memory(files, cgroups)
    return Resources(cpus, cpus_from, memory_bytes, files.words(memory_source))


def allot(
    resources: Resources, *, workers: int | None, model_bytes: int, shared_model: bool = False
) -> Allotment:
    """Choose workers and threads so that their product does not exceed the CPUs.

    ``workers`` None chooses as many as there are whole CPUs and as memory holds.
    ``model_bytes`` is the size of the model's files; ``shared_model`` says that
    they are memory-mapped, so that all workers hold one copy. Raises
    ``UsageError`` for fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise UsageError(
            f"Expected at least 1 worker, found {workers}.",
            tip='Give a number from 1 on, or "auto".',
        )
    whole = min(contract.MAX_WORKERS, max(1, math.floor(resources.cpus)))
    memory = resources.memory_bytes
    reasons = [
        f"CPU: {resources.cpus:g} ({resources.cpus_from}).",
        f"Memory: {'unknown' if memory is None else _size(memory)} ({resources.memory_from}).",
    ]
    chosen = whole if workers is None else workers
    if workers is None and memory is not None:
        chosen = max(1, min(whole, _fitting(memory, model_bytes, shared=shared_model)))
        if chosen < whole:
            reasons.append(
                f"There are CPUs for {whole} workers, but by estimate memory only for {chosen}."
            )
    threads = max(1, math.floor(resources.cpus / chosen))
    reasons.append(_choice(chosen, threads, whole=whole, asked=workers is not None))
    if model_bytes:
        reasons.append(_cost(chosen, model_bytes, shared=shared_model))
    if memory is not None and _need(chosen, model_bytes, shared=shared_model) > memory:
        advice = " or lower the number of workers" if chosen > 1 else ""
        reasons.append(
            f"That is more than the {_size(memory)} there are, and the kernel may kill workers: "
            f"raise the memory limit{advice}."
        )
    return Allotment(chosen, threads, tuple(reasons))


def thread_environment(threads: int) -> dict[str, str]:
    """The variables that hold BLAS and OpenMP libraries to ``threads`` threads.

    They are read when the libraries are loaded, so they belong into the worker's
    environment before it imports numpy.
    """
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def _cpu_request(files: KernelFiles, environ: Mapping[str, str]) -> tuple[float, str] | None:
    request = environ.get(CPU_REQUEST_VARIABLE, "").strip()
    if not request:
        return None
    match = _CORES.fullmatch(request)
    cores = float(match[1]) / (1000 if match[2] else 1) if match else 0.0
    if 0 < cores < math.inf:
        return cores, f"{CPU_REQUEST_VARIABLE}={request}, with no CPU limit"
    files.notes.append(
        f"ignored {CPU_REQUEST_VARIABLE}={request[:40]!r}: expected cores above 0, such as "
        "1.5 or 500m"
    )
    return None


def _container(files: KernelFiles, environ: Mapping[str, str]) -> tuple[float, str] | None:
    markers = (files.root / ".dockerenv", files.root / "run/.containerenv")
    if "KUBERNETES_SERVICE_HOST" not in environ and not any(marker.exists() for marker in markers):
        return None
    return 1.0, (
        f"a container with no CPU limit and no {CPU_REQUEST_VARIABLE}; the machine's other cores "
        "are not taken for its own"
    )


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory(files: KernelFiles, cgroups: Cgroups) -> tuple[int | None, str]:
    limit = cgroups.memory_limit()
    total = re.search(r"^MemTotal:\s+([0-9]+) kB$", files.text("/proc/meminfo"), re.MULTILINE)
    if total is None:
        return limit or (None, "no cgroup limit, and no MemTotal in /proc/meminfo")
    machine = int(total[1]) * 1024
    if limit is not None and limit[0] <= machine:
        return limit
    return machine, "MemTotal in /proc/meminfo, with no lower cgroup limit"


def _need(workers: int, model_bytes: int, *, shared: bool) -> int:
    if shared:
        return workers * WORKER_BASE_BYTES + model_bytes
    return workers * (WORKER_BASE_BYTES + _loaded(model_bytes))


def _fitting(memory_bytes: int, model_bytes: int, *, shared: bool) -> int:
    if shared:
        return (memory_bytes - model_bytes) // WORKER_BASE_BYTES
    return memory_bytes // (WORKER_BASE_BYTES + _loaded(model_bytes))


def _loaded(model_bytes: int) -> int:
    return math.ceil(COPY_FACTOR * model_bytes)


def _choice(workers: int, threads: int, *, whole: int, asked: bool) -> str:
    each = " each" if workers > 1 else ""
    text = f"{_count(workers, 'worker')} with {_count(threads, 'thread')}{each}"
    if not asked:
        return f"{text}."
    if workers > whole:
        return f"{text}: as asked for, though that is more than {_count(whole, 'whole CPU')}."
    return f"{text}: as many workers as asked for."


def _cost(workers: int, model_bytes: int, *, shared: bool) -> str:
    need = _size(_need(workers, model_bytes, shared=shared))
    base = f"{_count(workers, 'worker')} of {_size(WORKER_BASE_BYTES)}"
    if shared:
        return (
            f"The weights are memory-mapped, so that all workers hold one copy of "
            f"{_size(model_bytes)}: with {base}, about {need}."
        )
    copies = "1 copy" if workers == 1 else f"{workers} copies"
    return (
        f"Each worker holds its own copy of the model, about {_size(_loaded(model_bytes))} for "
        f"{_size(model_bytes)} of files: {base} with {copies}, about {need}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _size(size: int) -> str:
    if size < MIB:
        return f"{math.ceil(size / 1024)} KiB"
    if size >= 10 * 1024 * MIB:
        return f"{size / (1024 * MIB):.1f} GiB"
    return f"{size / MIB:.1f} MiB" if size < 10 * MIB else f"{size / MIB:.0f} MiB"
