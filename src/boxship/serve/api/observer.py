"""Counts and logs each request, whichever application answers it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from boxship.serve import logs, metrics
from boxship.serve.batcher import Timing
from boxship.settings import ServeSettings

CLIENT_GONE = 499
"""nginx's status for a client that did not wait; it is counted and never sent."""


@dataclass(frozen=True)
class Identity:
    """What every answer says about the model that gave it."""

    name: str
    version: str
    digest: str


class Asked(NamedTuple):
    """What is counted and logged of one request.

    ``route`` is a label of ours, ``path`` the client's own and without its query.
    ``model`` is empty where none was asked, ``rows`` 0 where none were read.
    """

    method: str
    route: str
    path: str
    request_id: str
    trace_id: str
    model: str
    rows: int
    client: tuple[str, int] | None


class Observer:
    """One application's metrics and access log. Times are in seconds."""

    def __init__(
        self, identity: Identity, settings: ServeSettings, counters: metrics.ServerMetrics
    ) -> None:
        self._identity = identity
        self._counters = counters
        self._access = logs.AccessLog(every=settings.access_log)

    def began(self) -> None:
        """A request is in flight, until it has ``ended``."""
        self._counters.request_started()

    def ended(self, asked: Asked, status: int, seconds: float) -> None:
        """It was answered, or its client has gone."""
        self._counters.request_ended()
        self._counters.request_answered(asked.route, asked.method, status, asked.model, seconds)
        if self.admit(status, seconds):
            self.log(asked, status, seconds)

    def count(self, route: str, status: int, seconds: float) -> None:
        """A POST to ``route`` that never was in flight ended so."""
        self._counters.request_answered(route, "POST", status, self._identity.name, seconds)

    def success_counter(self, route: str) -> Callable[[Sequence[float]], None]:
        """Counts such POSTs with status 200 by the seconds of each, and looks nothing up."""
        return self._counters.success_counter(route, self._identity.name)

    def concerns(self, status: int, seconds: float) -> bool:
        """Whether a request that ended so is one for the log."""
        return self._access.concerns(status, seconds)

    def admit(self, status: int, seconds: float) -> bool:
        """Whether a request that ended so is to be logged: ask once, then ``log`` it."""
        return self._access.admit(status, seconds)

    def log(self, asked: Asked, status: int, seconds: float) -> None:
        """One line of the access log."""
        self._access.record(
            method=asked.method,
            route=asked.route,
            path=asked.path,
            status=status,
            seconds=seconds,
            request_id=asked.request_id,
            trace_id=asked.trace_id or None,
            model=asked.model or None,
            version=self._identity.version if asked.model else None,
            rows=asked.rows or None,
            remote=asked.client[0] if asked.client else None,
        )

    def batch(self, timing: Timing) -> None:
        """The model was called once."""
        self._counters.batch(self._identity.name, timing.rows, timing.queue_s, timing.compute_s)

    def flush(self) -> None:
        """Write what was counted to where every worker's counts are read."""
        self._counters.flush()
