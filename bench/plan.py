"""What one run measures, and where its numbers go."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from lineup import Peer
from payload import Payload
from processes import others_share
from samples import Sample
from server import Running, ServerFailedError

_T = TypeVar("_T")

CASES = {
    "throughput": "64 connections, as fast as they can",
    "latency": "at a fixed rate, from an open-loop generator",
    "start": "from the first instruction to the first right answer",
    "memory": "of all processes, after the load",
    "single": "one connection, batching on and off",
    "tensors": "1x3x224x224 float32 through an identity model",
    "overload": "1,000 connections, and three times the capacity",
}


@dataclass(kw_only=True)
class Plan:
    """The choices of a run, and its results so far."""

    rounds: int
    quick: bool
    peers: tuple[Peer, ...]
    cases: frozenset[str]
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def seconds(self, usual: int) -> int:
        """How long something is measured."""
        return max(1, usual // 2) if self.quick else usual

    def record(self, round_: int, server: str, model: str, **values: float) -> None:
        """Keep numbers and show them."""
        found = [
            Sample(round_, server, model, name, float(f"{value:.6g}"))
            for name, value in values.items()
        ]
        self.samples += found
        shown = "  ".join(f"{one.metric} {one.value:,.5g}" for one in found)
        print(f"round {round_ + 1}  {model:<8} {server:<24} {shown}", flush=True)

    def fail(self, round_: int, what: str) -> None:
        """Something that makes a number doubtful or impossible; the page shows it."""
        print(f"round {round_ + 1}  FAILED  {what}", file=sys.stderr, flush=True)
        self.failures.append(what)

    def visit(
        self,
        round_: int,
        peer: Peer,
        model: str,
        payload: Payload,
        measure: Callable[[Running], None],
    ) -> None:
        """Start a server, measure it, stop it; a server that fails does not end the run."""
        self.record(round_, peer.name, model, others=others_share())
        try:
            with Running(peer, model, payload) as server:
                if "start" in self.cases:
                    self.record(round_, peer.name, model, ready_s=server.ready_s)
                self.ask_each(round_, server, model)
                measure(server)
                self.ask_each(round_, server, model)
        except (ServerFailedError, OSError) as error:
            self.fail(round_, f"{peer.name}, {model}: {error}")
            return
        self.record(round_, peer.name, model, orphans=float(not server.stopped_itself))

    def ask_each(self, round_: int, server: Running, model: str) -> None:
        """Send every body once, one after another, and judge the answers.

        It also waits for what an earlier load has left in the server's queue.
        """
        wrong = server.ask_each()
        if wrong:
            self.fail(round_, f"{server.peer.name}, {model}: {wrong} wrong answers without load")


def rotated(items: list[_T], by: int) -> list[_T]:
    """Each round begins elsewhere, so that nobody always follows the same neighbour."""
    by %= len(items)
    return items[by:] + items[:by]
