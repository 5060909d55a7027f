"""Where a server stands between start and ready, and what its probes say of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """The way to ready, in order; ``DRAINING`` leads out again.

    A worker that is ``RETIRED`` still answers, while another has taken its place.
    """

    START = "start"
    FETCH = "fetch"
    VERIFY = "verify"
    LOAD = "load"
    WARM_UP = "warm-up"
    GOLDEN = "golden"
    READY = "ready"
    RETIRED = "retired"
    DRAINING = "draining"


_DETAILS = {
    Phase.START: "server starting",
    Phase.FETCH: "model being fetched",
    Phase.VERIFY: "model being verified",
    Phase.LOAD: "model loading",
    Phase.WARM_UP: "model warming up",
    Phase.GOLDEN: "golden request running",
    Phase.READY: "ready",
    Phase.RETIRED: "ready",
    Phase.DRAINING: "draining",
}


@dataclass(frozen=True)
class State:
    """One moment of the lifecycle.

    ``percent`` (0 to 100) is known while the model is fetched and verified; ``reload_failure``
    says why the newest model is not the one that answers.
    """

    phase: Phase = Phase.START
    detail: str = ""
    percent: int | None = None
    reload_failure: str = ""

    @property
    def ready(self) -> bool:
        """Whether predictions are answered and new ones welcome."""
        return self.phase in (Phase.READY, Phase.RETIRED)

    @property
    def closing(self) -> bool:
        """Whether each answer is its connection's last."""
        return self.phase in (Phase.RETIRED, Phase.DRAINING)

    @property
    def reason(self) -> str:
        """Why the server is not ready, in words."""
        return self.detail or _DETAILS[self.phase]

    def body(self) -> dict[str, Any]:
        """What ``/ready`` answers."""
        if self.ready:
            body: dict[str, Any] = {"status": "ready"}
            if self.reload_failure:
                body["reload"] = {"status": "failed", "detail": self.reload_failure}
            return body
        body = {
            "status": "not_ready",
            "detail": self.reason,
            "phase": self.phase.value,
        }
        if self.percent is not None:
            body["percent"] = self.percent
        return body
