"""Metrics of several real processes, merged through the files of one directory."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import boxship
from boxship.errors import BoxshipError
from boxship.serve import metrics

SOURCE = str(Path(boxship.__file__).parents[1])
REQUESTS = 'boxship_requests_total{code="200",method="POST",model="churn",route="/predict"}'
IN_FLIGHT = "boxship_requests_in_flight{}"

Samples = dict[str, float]


def samples(exposition: str) -> Samples:
    return {
        sample.name
        + "{"
        + ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
        + "}": sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def start(directory: Path, slot: str, code: str) -> subprocess.Popen[str]:
    """A process in ``slot`` that runs ``code`` with ``server`` at hand."""
    setup = f"""
        import os, signal, sys
        from pathlib import Path
        from boxship.serve import metrics
        metrics.prepare(Path({str(directory)!r}), {slot!r})
        server = metrics.ServerMetrics()
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(setup) + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(directory: Path, slot: str, code: str) -> str:
    process = start(directory, slot, code)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """This process is the supervisor, in the directory's slot of that name."""
    metrics.prepare(tmp_path, "supervisor")
    yield tmp_path
    metrics.release()


def merged() -> Samples:
    body, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return samples(body.decode())


ONE_REQUEST = """
server.request_started()
server.request_ended()
server.request_answered("/predict", "POST", 200, "churn", 0.004)
"""


def test_two_workers_are_summed(directory: Path) -> None:
    run(directory, "0", ONE_REQUEST * 2)
    run(directory, "1", ONE_REQUEST * 3)
    found = merged()
    assert found[REQUESTS] == 5
    duration = "boxship_request_duration_seconds"
    assert found[f'{duration}_count{{model="churn",route="/predict"}}'] == 5
    assert found[f'{duration}_sum{{model="churn",route="/predict"}}'] == pytest.approx(0.02)
    assert found[f'{duration}_bucket{{le="0.0025",model="churn",route="/predict"}}'] == 0
    assert found[f'{duration}_bucket{{le="0.005",model="churn",route="/predict"}}'] == 5
    assert found[f'{duration}_bucket{{le="+Inf",model="churn",route="/predict"}}'] == 5
    assert found[IN_FLIGHT] == 0


def test_a_killed_workers_slot_goes_on_with_its_counters(directory: Path) -> None:
    worker = start(directory, "0", ONE_REQUEST + "os.kill(os.getpid(), signal.SIGKILL)")
    worker.communicate(timeout=30)
    assert worker.returncode == -9
    before = sorted(path.name for path in directory.iterdir())
    run(directory, "0", ONE_REQUEST)
    assert merged()[REQUESTS] == 2
    assert sorted(path.name for path in directory.iterdir()) == before


def test_forget_removes_what_only_a_living_worker_has(directory: Path) -> None:
    code = """
        server.model_loaded("churn", "3", "sha256:ab", "onnxruntime 1.23", 1.5)
        server.request_started()
        print("started", flush=True)
        sys.stdin.read()
    """
    worker = start(directory, "0", ONE_REQUEST + textwrap.dedent(code))
    assert worker.stdout is not None
    assert worker.stdout.readline() == "started\n"
    info = 'boxship_model_info{digest="sha256:ab",model="churn",runtime="onnxruntime 1.23",version="3"}'
    load = 'boxship_model_load_duration_seconds{model="churn"}'
    alive = merged()
    assert (alive[IN_FLIGHT], alive[info], alive[load]) == (1, 1, 1.5)
    worker.kill()
    worker.communicate(timeout=30)
    metrics.forget("0")
    dead = merged()
    assert IN_FLIGHT not in dead
    assert info not in dead
    assert load not in dead
    assert dead[REQUESTS] == 1


def test_a_replaced_worker_starts_with_nothing_in_flight_even_unforgotten(directory: Path) -> None:
    run(directory, "0", "server.request_started()")
    assert merged()[IN_FLIGHT] == 1
    run(directory, "0", ONE_REQUEST)
    assert merged()[IN_FLIGHT] == 0


def test_a_slot_that_a_living_process_has_is_refused(directory: Path) -> None:
    with pytest.raises(AssertionError, match=r"slot 'supervisor' in .* held by another process"):
        run(directory, "supervisor", "")


def test_the_slot_of_a_dead_worker_is_free_while_its_children_live(directory: Path) -> None:
    """A pool that the user's code forked may outlive the worker."""
    child = """
        pid = os.fork()
        if pid == 0:
            os.close(1), os.close(2)
            sys.stdin.read()
            os._exit(0)
        print(pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    worker = start(directory, "0", ONE_REQUEST + textwrap.dedent(child))
    assert worker.stdout is not None
    orphan = int(worker.stdout.readline())
    worker.wait(timeout=30)
    os.kill(orphan, 0)
    run(directory, "0", ONE_REQUEST)
    worker.communicate(timeout=30)
    assert merged()[REQUESTS] == 2


def test_a_forked_child_counts_in_files_of_its_own(directory: Path) -> None:
    """Two writers of one file would overwrite each other's numbers."""
    code = """
        pid = os.fork()
        if pid == 0:
            request()
            os._exit(0)
        os.waitpid(pid, 0)
        request()
    """
    request = "def request():\n" + textwrap.indent(ONE_REQUEST, "    ")
    run(directory, "0", request + "request()\n" + textwrap.dedent(code))
    assert merged()[REQUESTS] == 3
    metrics.forget("0")
    assert IN_FLIGHT not in merged()


def test_the_users_own_metrics_are_merged_too(directory: Path) -> None:
    code = """
        from prometheus_client import Counter, Gauge
        Counter("app_orders", "Orders.", ["kind"]).labels("new").inc(2)
        Gauge("app_temperature", "Of the room.").set(20)
    """
    run(directory, "0", textwrap.dedent(code))
    run(directory, "1", textwrap.dedent(code))
    found = merged()
    assert found['app_orders_total{kind="new"}'] == 4
    assert found['app_temperature{pid="0"}'] == 20
    assert found['app_temperature{pid="1"}'] == 20


def test_an_empty_file_of_a_process_killed_at_birth_does_no_harm(directory: Path) -> None:
    (directory / "counter_7.db").touch()
    metrics.ServerMetrics().worker_restarted()
    assert merged()["boxship_worker_restarts_total{}"] == 1


def test_the_supervisors_own_numbers(directory: Path) -> None:
    server = metrics.ServerMetrics()
    server.workers(ready=1, starting=2)
    server.readiness(ready=True)
    run(directory, "0", ONE_REQUEST)
    found = merged()
    assert found['boxship_workers{state="ready"}'] == 1
    assert found['boxship_workers{state="starting"}'] == 2
    assert found["boxship_ready{}"] == 1
    server.readiness(ready=False)
    server.workers(ready=0, starting=0)
    found = merged()
    assert found['boxship_workers{state="ready"}'] == 0
    assert found["boxship_ready{}"] == 0
    assert [name for name in found if name.startswith("boxship_build_info")] == [
        f'boxship_build_info{{python="{sys.version.split()[0]}",version="{boxship.__version__}"}}'
    ]


def test_a_batch_counts_its_rows_its_waits_and_its_computation(directory: Path) -> None:
    server = metrics.ServerMetrics()
    server.batch("churn", 3, (0.001, 0.002), 0.25)
    server.batch("churn", 1, (), 0.25)
    found = merged()
    assert found['boxship_batch_size_bucket{le="1.0",model="churn"}'] == 1
    assert found['boxship_batch_size_bucket{le="4.0",model="churn"}'] == 2
    assert found['boxship_batch_size_bucket{le="1024.0",model="churn"}'] == 2
    assert found['boxship_batch_size_sum{model="churn"}'] == 4
    assert found['boxship_queue_duration_seconds_count{model="churn"}'] == 2
    assert found['boxship_compute_duration_seconds_sum{model="churn"}'] == 0.5


def test_a_method_that_a_client_made_up_is_no_new_series(directory: Path) -> None:
    server = metrics.ServerMetrics()
    for number in range(50):
        server.request_started()
        server.request_answered("/predict", f"BREW{number}", 405, "", 0.001)
    series = {name: value for name, value in merged().items() if "requests_total" in name}
    assert series == {
        'boxship_requests_total{code="405",method="_OTHER",model="",route="/predict"}': 50
    }


def test_every_metric_of_ours_bears_the_name_and_a_help_text(directory: Path) -> None:
    server = metrics.ServerMetrics()
    server.request_started()
    server.request_answered("/predict", "POST", 200, "churn", 0.01)
    server.batch("churn", 1, (0.1,), 0.1)
    server.model_loaded("churn", "1", "sha256:ab", "scikit-learn 1.7.2", 0.1)
    server.warmed_up("churn", {1: 0.001}, 0.0001, inline_rows=0, shared_rows=64)
    server.workers(1, 0)
    server.reloaded(succeeded=True)
    families = list(text_string_to_metric_families(metrics.render()[0].decode()))
    assert all(family.documentation for family in families)
    assert {family.name: family.type for family in families} == {
        "boxship_requests": "counter",
        "boxship_request_duration_seconds": "histogram",
        "boxship_queue_duration_seconds": "histogram",
        "boxship_compute_duration_seconds": "histogram",
        "boxship_requests_in_flight": "gauge",
        "boxship_batch_size": "histogram",
        "boxship_model_load_duration_seconds": "gauge",
        "boxship_model_info": "gauge",
        "boxship_warmup_call_seconds": "gauge",
        "boxship_thread_hop_seconds": "gauge",
        "boxship_inline_max_rows": "gauge",
        "boxship_inline_max_shared_rows": "gauge",
        "boxship_model_fetch_bytes": "counter",
        "boxship_reloads": "counter",
        "boxship_model_fetch_duration_seconds": "gauge",
        "boxship_build_info": "gauge",
        "boxship_workers": "gauge",
        "boxship_worker_restarts": "counter",
        "boxship_ready": "gauge",
    }


def test_metrics_before_prepare_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"expected prepare\(\)"):
        metrics.ServerMetrics()


@pytest.mark.parametrize("slot", ["", "a_b", "../0", "0*", "\uff10"])
def test_a_slot_that_is_no_plain_word_is_refused(tmp_path: Path, slot: str) -> None:
    with pytest.raises(ValueError, match="expected a slot of ASCII letters and digits"):
        metrics.prepare(tmp_path, slot)


def test_a_slot_held_elsewhere_names_the_directory(tmp_path: Path) -> None:
    holder = start(tmp_path, "0", "print('held', flush=True); sys.stdin.read()")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BoxshipError, match="slot '0' in ") as caught:
        metrics.prepare(tmp_path, "0")
    holder.communicate(timeout=30)
    assert "its own slot" in caught.value.tip
