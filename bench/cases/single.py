"""One connection: what a batcher costs a request that has no company."""

from dataclasses import replace

import payload
import wrk
from lineup import boxship
from plan import Plan, rotated
from server import Running

MODEL = "lr"
TURNS = 4

BATCHING = replace(boxship("pkl"), name="single-batching", title="batching on")
ALONE = replace(
    boxship("pkl", "--max-batch-size", "1"), name="single-alone", title="--max-batch-size 1"
)


def run(plan: Plan) -> None:
    """Both servers stand side by side and are asked in turns: the difference is a small one."""
    asked = payload.rows(BATCHING, MODEL)
    for number in range(plan.rounds):

        def measure(first: Running, number: int = number) -> None:
            def compare(second: Running) -> None:
                _compare(plan, number, [first, second])

            plan.visit(number, ALONE, MODEL, asked, compare)

        plan.visit(number, BATCHING, MODEL, asked, measure)


def _compare(plan: Plan, number: int, servers: list[Running]) -> None:
    for server in servers:
        wrk.run(server.port, server.payload, connections=1, seconds=1)
    for turn in range(TURNS):
        for server in rotated(servers, turn):
            load = wrk.run(server.port, server.payload, connections=1, seconds=1)
            # Every turn is a round of its own: its ratio is taken between neighbours in time.
            plan.record(number * TURNS + turn, server.peer.name, MODEL, single_p50_ms=load.p50_ms)
