"""Prometheus metrics of all worker processes, merged through files in one directory.

prometheus_client's multiprocess mode, with one change: its files carry the
worker's slot (0, 1, … or ``supervisor``) and not its process id. A replaced worker
goes on with its predecessor's counters, and a worker that dies again and again
does not fill the directory.
"""

import fcntl
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from prometheus_client import Counter, Gauge, Histogram, generate_latest, multiprocess, values
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from boxship import __version__
from boxship.errors import BoxshipError
from boxship.serve.tallies import CounterTally, GaugeTally, HistogramTally, Later, Ledger

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS_S: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
BATCH_BUCKETS: Final = tuple(2.0**power for power in range(11))

_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)
_OTHER_METHOD: Final = "_OTHER"
"""OpenTelemetry's word. A method is whatever the client sends, and each would be a new series."""


class _Slot:
    """This process's name in the metrics' files, and the lock that nobody else has it."""

    def __init__(self) -> None:
        self.name = ""
        self._lock: BinaryIO | None = None

    def take(self, directory: Path, name: str) -> None:
        self.give_up()
        # A record lock and no flock: children inherit a flock and would hold the slot of a
        # dead worker. The kernel drops it when this process ends, however it ends.
        lock = (directory / f"{name}.lock").open("ab")
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise BoxshipError(
                f"Expected the metrics' slot {name!r} in {directory} to be free, "
                f"found it held by another process ({error.strerror}).",
                tip="Give every server its own directory and every living worker its own slot.",
            ) from error
        self.name, self._lock = name, lock

    def give_up(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self.name, self._lock = "", None

    def forked(self) -> None:
        """A forked child is not the worker: two writers would spoil each other's files."""
        if self.name:
            self.name = f"{self.name.partition('-')[0]}-{os.getpid()}"


_slot = _Slot()
os.register_at_fork(after_in_child=_slot.forked)


def prepare(directory: Path, slot: str) -> None:
    """Keep this process's metrics in ``directory`` under ``slot``.

    Call it before any metric is made, so before the user's code is imported.
    ``slot`` is a worker's number or ``supervisor``; letters and digits only. Raises
    ``BoxshipError`` where a living process has the slot.
    """
    if not (slot.isascii() and slot.isalnum()):
        raise ValueError(f"expected a slot of ASCII letters and digits, found {slot!r}")
    directory.mkdir(parents=True, exist_ok=True)
    _slot.take(directory, slot)
    os.environ[_DIRECTORY] = str(directory)
    forget(slot)
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: _slot.name
    )


def release() -> None:
    """Close this process's files and give its slot up. Metrics made so far are of no more use."""
    if hasattr(values, "close_all_multiprocess_files"):  # before 0.26 they close with the process
        values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]
    values.ValueClass = values.MutexValue
    os.environ.pop(_DIRECTORY, None)
    _slot.give_up()


def forget(slot: str) -> None:
    """Remove what held only while ``slot``'s process lived: requests in flight, its model.

    The supervisor calls it when a worker has ended. Counters and histograms stay.
    """
    for name in (slot, f"{slot}-*"):  # the worker's own, then those of processes it forked
        multiprocess.mark_process_dead(name)  # type: ignore[no-untyped-call]


def render() -> tuple[bytes, str]:
    """The metrics of all processes, the user's own included, and their content type."""
    return generate_latest(_Merged()), CONTENT_TYPE


class ServerMetrics:
    """What the server counts. Bound children are kept, since ``labels()`` costs microseconds.

    ``route`` and ``model`` come from the server's own tables, never from a request.
    Times are in seconds.
    """

    def __init__(self, later: Later = lambda flush: flush()) -> None:
        """``later`` runs a function soon; by default every count is written at once."""
        if not _slot.name:
            raise RuntimeError("expected prepare() before the first ServerMetrics")
        self._ledger = Ledger(later)
        self._requests = _counter(
            "boxship_requests", "Requests answered.", ("route", "method", "code", "model")
        )
        self._duration = _histogram(
            "boxship_request_duration_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route", "model"),
        )
        self._queue = _histogram(
            "boxship_queue_duration_seconds", "Time a request waited for its batch.", ("model",)
        )
        self._compute = _histogram(
            "boxship_compute_duration_seconds", "Time the model took for a batch.", ("model",)
        )
        self._rows = _histogram(
            "boxship_batch_size", "Rows in a batch.", ("model",), buckets=BATCH_BUCKETS
        )
        self._in_flight = self._ledger.keep(
            GaugeTally(
                _gauge("boxship_requests_in_flight", "Requests being answered.", mode="livesum")
            )
        )
        # Live modes, so that a model which no living worker holds is not reported.
        self._load = _gauge(
            "boxship_model_load_duration_seconds",
            "Time the model's load took, the slowest worker's.",
            ("model",),
            mode="livemax",
        )
        self._model = _gauge(
            "boxship_model_info",
            "The models being served.",
            ("model", "version", "digest", "runtime"),
            mode="livemax",
        )
        self._fetch_bytes = _counter(
            "boxship_model_fetch_bytes", "Bytes of the model that came over the network.", ()
        )
        self._fetch = _gauge(
            "boxship_model_fetch_duration_seconds",
            "Time until the model was here.",
            mode="livemax",
        )
        self._inline_rows = _gauge(
            "boxship_inline_max_rows",
            "Rows of the largest request that is answered without a thread.",
            ("model",),
            mode="livemin",
        )
        self._shared_rows = _gauge(
            "boxship_inline_max_shared_rows",
            "Requests of one row that may share a call without a thread.",
            ("model",),
            mode="livemin",
        )
        self._warm_up = _gauge(
            "boxship_warmup_call_seconds",
            "Time of a call by its rows, as measured before the model was ready.",
            ("model", "rows"),
            mode="livemax",
        )
        self._hop = _gauge(
            "boxship_thread_hop_seconds",
            "Time to a thread and back, as measured before the model was ready.",
            ("model",),
            mode="livemax",
        )
        self._workers = _gauge(
            "boxship_workers", "Worker processes by state.", ("state",), mode="livemax"
        )
        self._ready = _gauge(
            "boxship_ready", "1 while the server takes traffic, else 0.", mode="livemax"
        )
        self._reloads = _counter(
            "boxship_reloads",
            "Times a newer model was to take over, by what came of it.",
            ("result",),
        )
        self._restarts = _counter(
            "boxship_worker_restarts", "Workers replaced after they died.", ()
        )
        _gauge(
            "boxship_build_info", "Boxship's version.", ("version", "python"), mode="livemax"
        ).labels(__version__, platform.python_version()).set(1)
        self._finished: dict[tuple[str, str, int, str], CounterTally] = {}
        self._durations: dict[tuple[str, str], HistogramTally] = {}
        self._batches: dict[str, tuple[HistogramTally, HistogramTally, HistogramTally]] = {}

    def flush(self) -> None:
        """Write what was counted and not yet written: before a scrape, and at the end."""
        self._ledger.flush()

    def request_started(self) -> None:
        """One more request is in flight."""
        self._in_flight.value += 1
        self._ledger.touched()

    def request_ended(self) -> None:
        """One that was in flight is so no more."""
        self._in_flight.value -= 1
        self._ledger.touched()

    def request_answered(
        self, route: str, method: str, code: int, model: str, seconds: float
    ) -> None:
        """A request was answered; ``model`` is empty where none was asked."""
        finished, duration = self._request(route, method, code, model)
        finished.count += 1
        duration.observe(seconds)
        self._ledger.touched()

    def _request(
        self, route: str, method: str, code: int, model: str
    ) -> tuple[CounterTally, HistogramTally]:
        if method not in _METHODS:
            method = _OTHER_METHOD
        finished = self._finished.get((route, method, code, model))
        if finished is None:
            finished = self._finished[route, method, code, model] = self._ledger.keep(
                CounterTally(self._requests.labels(route, method, str(code), model))
            )
        duration = self._durations.get((route, model))
        if duration is None:
            duration = self._durations[route, model] = self._ledger.keep(
                HistogramTally(self._duration.labels(route, model), LATENCY_BUCKETS_S)
            )
        return finished, duration

    def success_counter(self, route: str, model: str) -> Callable[[Sequence[float]], None]:
        """A function that counts POSTs with status 200 that never were in flight.

        It takes the seconds that each of them took, and looks nothing up.
        """
        finished, duration = self._request(route, "POST", 200, model)
        ledger = self._ledger

        def count(seconds: Sequence[float]) -> None:
            finished.count += len(seconds)
            duration.observe_each(seconds)
            ledger.touched()

        return count

    def batch(
        self, model: str, rows: int, queue_seconds: Iterable[float], compute_seconds: float
    ) -> None:
        """The model answered a batch. ``queue_seconds`` is how long each request waited."""
        batch_size, queue, compute = self._batch(model)
        batch_size.observe(rows)
        compute.observe(compute_seconds)
        queue.observe_each(queue_seconds)
        self._ledger.touched()

    def _batch(self, model: str) -> tuple[HistogramTally, HistogramTally, HistogramTally]:
        bound = self._batches.get(model)
        if bound is None:
            keep = self._ledger.keep
            bound = self._batches[model] = (
                keep(HistogramTally(self._rows.labels(model), BATCH_BUCKETS)),
                keep(HistogramTally(self._queue.labels(model), LATENCY_BUCKETS_S)),
                keep(HistogramTally(self._compute.labels(model), LATENCY_BUCKETS_S)),
            )
        return bound

    def model_loaded(
        self, model: str, version: str, digest: str, runtime: str, seconds: float
    ) -> None:
        """This worker holds the model, after ``seconds`` of loading, warm-up and the golden request."""
        self._load.labels(model).set(seconds)
        self._model.labels(model, version, digest, runtime).set(1)

    def warmed_up(
        self,
        model: str,
        call_s: Mapping[int, float],
        hop_s: float,
        *,
        inline_rows: int,
        shared_rows: int,
    ) -> None:
        """What this worker measured before it was ready, and what it chose."""
        for rows, seconds in call_s.items():
            self._warm_up.labels(model, str(rows)).set(seconds)
        self._hop.labels(model).set(hop_s)
        self._inline_rows.labels(model).set(inline_rows)
        self._shared_rows.labels(model).set(shared_rows)

    def fetched(self, read_bytes: int, seconds: float) -> None:
        """The supervisor has brought the model here; 0 bytes where it was here already."""
        self._fetch_bytes.inc(read_bytes)
        self._fetch.set(seconds)

    def reloaded(self, *, succeeded: bool) -> None:
        """A newer model has taken over, or was to."""
        self._reloads.labels("succeeded" if succeeded else "failed").inc()

    def worker_restarted(self) -> None:
        """The supervisor replaced a worker that died."""
        self._restarts.inc()

    def workers(self, ready: int, starting: int) -> None:
        """The supervisor's count of its workers."""
        self._workers.labels("ready").set(ready)
        self._workers.labels("starting").set(starting)

    def readiness(self, *, ready: bool) -> None:
        """Whether the server takes traffic. Only one process, the supervisor, says so."""
        self._ready.set(int(ready))


class _Merged(Collector):
    def collect(self) -> Iterator[Metric]:
        # A file is empty between its creation and its first page, and stays so where its
        # process is killed just then; the library cannot read it.
        files = []
        for path in Path(os.environ[_DIRECTORY]).glob("*.db"):
            with suppress(FileNotFoundError):
                if path.stat().st_size:
                    files.append(str(path))
        yield from multiprocess.MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]


# No registry: what is exposed comes from the files, and a user's metric may have any name.
def _counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
    return Counter(name, text, labels, registry=None)


def _histogram(
    name: str,
    text: str,
    labels: tuple[str, ...],
    buckets: tuple[float, ...] = LATENCY_BUCKETS_S,
) -> Histogram:
    return Histogram(name, text, labels, registry=None, buckets=buckets)


def _gauge(name: str, text: str, labels: tuple[str, ...] = (), *, mode: str) -> Gauge:
    return Gauge(name, text, labels, registry=None, multiprocess_mode=mode)  # type: ignore[arg-type]
