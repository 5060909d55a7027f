"""Counts and logs each request, whichever application answers it."""

from dataclasses import dataclass
from time import perf_counter

from boxship.serve import logs, metrics
from boxship.serve.batcher import Timing
from boxship.serve.messages import Request
from boxship.settings import ServeSettings

CLIENT_GONE = 499
"""nginx's status for a client that did not wait; it is counted and never sent."""


@dataclass(frozen=True)
class Identity:
    """What every answer says about the model that gave it."""

    name: str
    version: str
    digest: str


class Observer:
    """One application's metrics and access log."""

    def __init__(
        self, identity: Identity, settings: ServeSettings, counters: metrics.ServerMetrics
    ) -> None:
        self._identity = identity
        self._counters = counters
        self._access = logs.AccessLog(every=settings.access_log)

    def began(self) -> float:
        """A request has come; when, for ``ended``."""
        self._counters.request_started()
        return perf_counter()

    def ended(
        self, request: Request, began: float, *, route: str, status: int, request_id: str
    ) -> None:
        """It was answered, or its client has gone. ``route`` is a label of ours, never a path."""
        seconds = perf_counter() - began
        self._counters.request_finished(route, request.method, status, request.model, seconds)
        client = request.scope.get("client")
        self._access.record(
            method=request.method,
            route=route,
            path=request.path,
            status=status,
            seconds=seconds,
            request_id=request_id,
            trace_id=request.trace_id() or None,
            model=request.model or None,
            version=self._identity.version if request.model else None,
            rows=request.rows or None,
            remote=client[0] if client else None,
        )

    def batch(self, timing: Timing) -> None:
        """The model was called once."""
        self._counters.batch(self._identity.name, timing.rows, timing.queue_s, timing.compute_s)
