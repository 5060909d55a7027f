"""What the process may use is read from real file formats; what fits is derived from it."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from boxship.errors import UsageError
from boxship.serve.processes.resources import (
    COPY_FACTOR,
    MIB,
    WORKER_BASE_BYTES,
    Resources,
    allot,
    read_resources,
    thread_environment,
)

V2_MOUNT = (
    "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 "
    "- cgroup2 cgroup2 rw,nsdelegate\n"
)
V1_MOUNTS = (
    "33 32 0:29 {root} /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 32 0:30 {root} /sys/fs/cgroup/memory ro,nosuid master:10 - cgroup cgroup rw,memory\n"
    "35 32 0:31 {root} /sys/fs/cgroup/systemd ro - cgroup cgroup rw,xattr,name=systemd\n"
)
MEMINFO = "MemTotal:       65851104 kB\nMemFree:         1043236 kB\n"
MACHINE_BYTES = 65851104 * 1024
SLICE = "sys/fs/cgroup/kubepods.slice"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def read(root: Path, files: dict[str, str], *, affinity: int = 64, **environ: str) -> Resources:
    return read_resources(root=tree(root, files), environ=environ, affinity=affinity)


CPU_CASES = {
    "version 2, the container's own group at the mount": (
        {
            "proc/self/mountinfo": V2_MOUNT,
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
        },
        1.5,
        "cgroup cpu.max 150000/100000",
    ),
    "version 2, a parent has the smaller limit": (
        {
            "proc/self/mountinfo": V2_MOUNT,
            "proc/self/cgroup": "0::/kubepods.slice/pod1/web\n",
            f"{SLICE}/cpu.max": "max 100000\n",
            f"{SLICE}/pod1/cpu.max": "200000 100000\n",
            f"{SLICE}/pod1/web/cpu.max": "400000 100000\n",
        },
        2.0,
        "cgroup cpu.max 200000/100000",
    ),
    "version 2, no mountinfo to read": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        0.5,
        "cgroup cpu.max 50000/100000",
    ),
    "version 2, a group outside the container's namespace": (
        {
            "proc/self/mountinfo": V2_MOUNT,
            "proc/self/cgroup": "0::/../../other\n",
            "sys/fs/cgroup/cpu.max": "300000 100000\n",
        },
        3.0,
        "cgroup cpu.max 300000/100000",
    ),
    "version 1, Docker: the visible part is the container's group": (
        {
            "proc/self/mountinfo": V1_MOUNTS.format(root="/docker/abc"),
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        2.5,
        "cgroup cpu.cfs_quota_us/cpu.cfs_period_us 250000/100000",
    ),
    "version 1, the group has none and its parent has one": (
        {
            "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
            "proc/self/cgroup": "5:cpu,cpuacct:/pod/web\n4:memory:/\n",
            "sys/fs/cgroup/cpu,cpuacct/pod/web/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/pod/web/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/pod/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/pod/cpu.cfs_period_us": "50000\n",
        },
        2.0,
        "cgroup cpu.cfs_quota_us/cpu.cfs_period_us 100000/50000",
    ),
    "hybrid: the controllers are version 1, version 2 has none": (
        {
            "proc/self/mountinfo": V1_MOUNTS.format(root="/")
            + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            "proc/self/cgroup": "5:cpu,cpuacct:/web\n4:memory:/web\n1:name=systemd:/web\n0::/web\n",
            "sys/fs/cgroup/unified/web/cgroup.procs": "1\n",
            "sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_quota_us": "120000\n",
            "sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_period_us": "100000\n",
        },
        1.2,
        "cgroup cpu.cfs_quota_us/cpu.cfs_period_us 120000/100000",
    ),
}


@pytest.mark.parametrize("case", CPU_CASES)
def test_the_smallest_cpu_quota_wins(tmp_path: Path, case: str) -> None:
    files, cpus, source = CPU_CASES[case]
    found = read(tmp_path, files)
    assert (found.cpus, found.cpus_from) == (cpus, source)


def test_affinity_bounds_a_larger_quota(tmp_path: Path) -> None:
    found = read(tmp_path, {"sys/fs/cgroup/cpu.max": "800000 100000"}, affinity=4)
    assert found.cpus == 4.0
    assert found.cpus_from == "CPU affinity, below cgroup cpu.max 800000/100000"


@pytest.mark.parametrize(
    ("request_", "cpus"), [("1.5", 1.5), ("500m", 0.5), ("2", 2.0), (" .25 ", 0.25), ("2000m", 2.0)]
)
def test_without_a_quota_the_request_counts(tmp_path: Path, request_: str, cpus: float) -> None:
    found = read(
        tmp_path, {}, BOXSHIP_CPU_REQUEST=request_, KUBERNETES_SERVICE_HOST="10.96.0.1", affinity=96
    )
    assert found.cpus == cpus
    assert found.cpus_from == f"BOXSHIP_CPU_REQUEST={request_.strip()}, with no CPU limit"


def test_a_quota_goes_before_the_request(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/cpu.max": "300000 100000"}
    assert read(tmp_path, files, BOXSHIP_CPU_REQUEST="1").cpus == 3.0


@pytest.mark.parametrize(
    ("files", "environ"),
    [
        ({}, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}),
        ({".dockerenv": ""}, {}),
        ({"run/.containerenv": 'engine="podman-4.3.1"\n'}, {}),
    ],
)
def test_a_container_without_limits_has_one_cpu_and_not_the_nodes(
    tmp_path: Path, files: dict[str, str], environ: dict[str, str]
) -> None:
    found = read(tmp_path, {**files, "sys/fs/cgroup/cpu.max": "max 100000"}, affinity=96, **environ)
    assert found.cpus == 1.0
    assert "no CPU limit and no BOXSHIP_CPU_REQUEST" in found.cpus_from


def test_a_workstation_has_the_cpus_of_its_affinity(tmp_path: Path) -> None:
    found = read(tmp_path, {}, affinity=12)
    assert (found.cpus, found.cpus_from) == (12.0, "CPU affinity, with no CPU limit")


@pytest.mark.parametrize("bad", ["two", "0", "-1", "inf", "nan", "1e3", "1 core", "9" * 400])
def test_a_request_that_is_no_number_of_cores_is_ignored_and_said(tmp_path: Path, bad: str) -> None:
    found = read(tmp_path, {".dockerenv": ""}, BOXSHIP_CPU_REQUEST=bad)
    assert found.cpus == 1.0
    assert f"ignored BOXSHIP_CPU_REQUEST={bad[:40]!r}: expected cores above 0" in found.cpus_from


@pytest.mark.parametrize("bad", ["banana", "100000", "-5 100000", "100000 0", "1 2 3", "1.5 1"])
def test_a_malformed_quota_is_ignored_and_said(tmp_path: Path, bad: str) -> None:
    found = read(tmp_path, {"sys/fs/cgroup/cpu.max": bad}, affinity=3)
    assert found.cpus == 3.0
    assert f"ignored /sys/fs/cgroup/cpu.max: expected 2 numbers above 0, found {bad!r}" in (
        found.cpus_from
    )


def test_a_file_that_cannot_be_read_is_ignored_and_said(tmp_path: Path) -> None:
    (tmp_path / "sys/fs/cgroup/cpu.max").mkdir(parents=True)
    found = read(tmp_path, {"proc/self/cgroup": "nonsense\n0::/\n"}, affinity=3)
    assert "ignored /sys/fs/cgroup/cpu.max: Is a directory" in found.cpus_from
    assert "ignored a line of /proc/self/cgroup: 'nonsense'" in found.cpus_from


MEMORY_CASES = {
    "version 2, a parent has the smaller limit": (
        {
            "proc/self/mountinfo": V2_MOUNT,
            "proc/self/cgroup": "0::/kubepods.slice/web\n",
            f"{SLICE}/memory.max": "536870912\n",
            f"{SLICE}/web/memory.max": "max\n",
        },
        512 * MIB,
        "cgroup memory.max 536870912",
    ),
    "version 1": (
        {
            "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
            "proc/self/cgroup": "4:memory:/web\n",
            "sys/fs/cgroup/memory/web/memory.limit_in_bytes": "1073741824\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
        1024 * MIB,
        "cgroup memory.limit_in_bytes 1073741824",
    ),
    "no limit: the machine's": (
        {"sys/fs/cgroup/memory.max": "max"},
        MACHINE_BYTES,
        "MemTotal in /proc/meminfo, with no lower cgroup limit",
    ),
    "a limit above the machine's": (
        {"sys/fs/cgroup/memory.max": str(MACHINE_BYTES + 1)},
        MACHINE_BYTES,
        "MemTotal in /proc/meminfo, with no lower cgroup limit",
    ),
    "malformed": (
        {"sys/fs/cgroup/memory.max": "1Gi"},
        MACHINE_BYTES,
        (
            "MemTotal in /proc/meminfo, with no lower cgroup limit; ignored "
            "/sys/fs/cgroup/memory.max: expected a number above 0, found '1Gi'"
        ),
    ),
}


@pytest.mark.parametrize("case", MEMORY_CASES)
def test_the_smallest_memory_limit_wins(tmp_path: Path, case: str) -> None:
    files, size, source = MEMORY_CASES[case]
    found = read(tmp_path, {"proc/meminfo": MEMINFO, **files})
    assert (found.memory_bytes, found.memory_from) == (size, source)


def test_memory_is_unknown_where_nothing_says_it(tmp_path: Path) -> None:
    found = read(tmp_path, {})
    assert found.memory_bytes is None
    assert found.memory_from == "no cgroup limit, and no MemTotal in /proc/meminfo"


def test_this_machine_can_be_read() -> None:
    found = read_resources()
    assert 0 < found.cpus <= (os.cpu_count() or 1)
    assert found.cpus_from


def test_a_system_without_affinity_masks_has_its_core_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert read_resources(root=tmp_path, environ={}).cpus == os.cpu_count()


@settings(max_examples=40, deadline=None)
@given(mounts=st.binary(), groups=st.binary(), limit=st.binary(), request_=st.text(max_size=5))
def test_no_content_of_these_files_is_a_crash(
    mounts: bytes, groups: bytes, limit: bytes, request_: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "proc/self").mkdir(parents=True)
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "proc/self/mountinfo").write_bytes(V2_MOUNT.encode() + mounts)
        (root / "proc/self/cgroup").write_bytes(groups)
        for name in ("cpu.max", "memory.max"):
            (root / "sys/fs/cgroup" / name).write_bytes(limit)
        found = read_resources(root=root, environ={"BOXSHIP_CPU_REQUEST": request_}, affinity=8)
    assert 0 < found.cpus <= 8


def having(cpus: float, memory_bytes: int | None = None) -> Resources:
    return Resources(cpus, "a test", memory_bytes, "a test")


@pytest.mark.parametrize(
    ("cpus", "workers", "expected"),
    [
        (0.5, None, (1, 1)),
        (1.9, None, (1, 1)),
        (4.0, None, (4, 1)),
        (4.0, 1, (1, 4)),
        (7.5, 2, (2, 3)),
        (2.0, 3, (3, 1)),
        (0.5, 2, (2, 1)),
    ],
)
def test_workers_and_threads_fit_the_cpus(
    cpus: float, workers: int | None, expected: tuple[int, int]
) -> None:
    found = allot(having(cpus), workers=workers, model_bytes=0)
    assert (found.workers, found.threads) == expected


def test_memory_lowers_the_number_of_workers_and_threads_take_the_rest() -> None:
    """600 MiB hold two workers of 150 MiB + 2.5 * 40 MiB; four CPUs then give two threads each."""
    found = allot(having(4.0, 600 * MIB), workers=None, model_bytes=40 * MIB)
    assert (found.workers, found.threads) == (2, 2)
    assert found.reasons == (
        "CPU: 4 (a test).",
        "Memory: 600 MiB (a test).",
        "There are CPUs for 4 workers, but by estimate memory only for 2.",
        "2 workers with 2 threads each.",
        (
            "Each worker holds its own copy of the model, about 100 MiB for 40 MiB of files: "
            "2 workers of 150 MiB with 2 copies, about 500 MiB."
        ),
    )


def test_a_shared_model_costs_one_copy() -> None:
    found = allot(having(4.0, 1000 * MIB), workers=None, model_bytes=400 * MIB, shared_model=True)
    assert (found.workers, found.threads) == (4, 1)
    assert found.reasons[-1] == (
        "The weights are memory-mapped, so that all workers hold one copy of 400 MiB: "
        "with 4 workers of 150 MiB, about 1000 MiB."
    )


def test_more_workers_than_cpus_are_given_when_asked_for_and_said() -> None:
    found = allot(having(2.0), workers=5, model_bytes=0)
    assert "5 workers with 1 thread each: as asked for, though that is more than 2 whole CPUs." in (
        found.reasons
    )


@pytest.mark.parametrize(
    ("workers", "advice"),
    [(None, "raise the memory limit."), (3, "raise the memory limit or lower the number of")],
)
def test_a_model_that_does_not_fit_is_said(workers: int | None, advice: str) -> None:
    found = allot(having(1.0, 200 * MIB), workers=workers, model_bytes=100 * MIB)
    assert found.workers == (workers or 1)
    assert "That is more than the 200 MiB there are" in found.reasons[-1]
    assert advice in found.reasons[-1]


def test_large_sizes_are_printed_in_gibibytes() -> None:
    found = allot(having(1.0, 64 * 1024 * MIB), workers=None, model_bytes=1)
    assert "Memory: 64.0 GiB (a test)." in found.reasons


def test_fewer_than_one_worker_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="at least 1 worker, found 0"):
        allot(having(1.0), workers=0, model_bytes=0)


@given(
    cpus=st.floats(0.001, 512),
    memory=st.none() | st.integers(1, 1 << 42),
    workers=st.none() | st.integers(1, 600),
    model=st.integers(0, 1 << 40),
    shared=st.booleans(),
)
def test_workers_times_threads_never_exceed_the_quota(
    cpus: float, memory: int | None, workers: int | None, model: int, *, shared: bool
) -> None:
    """…unless the user asked for more workers than CPUs; then each has one thread."""
    found = allot(having(cpus, memory), workers=workers, model_bytes=model, shared_model=shared)
    whole = max(1, int(cpus))
    assert found.workers >= 1
    assert found.threads >= 1
    if workers is None:
        assert found.workers * found.threads <= whole
        copies = model if shared else found.workers * COPY_FACTOR * model
        need = found.workers * WORKER_BASE_BYTES + copies
        assert memory is None or found.workers == 1 or need <= memory
    else:
        assert found.workers == workers
        assert found.workers * found.threads <= max(whole, workers)


def test_every_numeric_library_is_held_to_the_threads() -> None:
    assert thread_environment(3) == {
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "BLIS_NUM_THREADS": "3",
        "NUMEXPR_NUM_THREADS": "3",
        "VECLIB_MAXIMUM_THREADS": "3",
    }
