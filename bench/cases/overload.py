"""More clients than the server can please, and more requests than it can answer."""

from dataclasses import replace
from functools import partial

import flood
import payload
import wrk
from lineup import boxship
from openloop import percentile
from plan import Plan
from server import Running

FEW, MANY = 64, 1000
TIMEOUT_S = 2
TIMES_CAPACITY = 3
DEADLINE_MS = 100
CONNECTIONS = 2000
LOAD_S = 4

MODEL = "rf"
_TIMEOUT = ("--request-timeout", str(TIMEOUT_S))
CROWDED = tuple(
    replace(boxship(suffix, *_TIMEOUT), name=f"crowded-{suffix}") for suffix in ("onnx", "pkl")
)
FLOODED = replace(boxship("pkl"), name="flooded-pkl")


def run(plan: Plan) -> None:
    """Both kinds, in each round."""
    asked = payload.rows(FLOODED, MODEL)
    for number in range(plan.rounds):
        for peer in CROWDED:
            plan.visit(number, peer, MODEL, asked, partial(_crowd, plan, number))
        plan.visit(number, FLOODED, MODEL, asked, partial(_flood, plan, number))


def _crowd(plan: Plan, number: int, server: Running) -> None:
    asked, port = server.payload, server.port
    wrk.run(port, asked, connections=FEW, seconds=1)
    few = wrk.run(port, asked, connections=FEW, seconds=plan.seconds(LOAD_S))
    plan.ask_each(number, server, MODEL)
    many = wrk.run(port, asked, connections=MANY, seconds=plan.seconds(LOAD_S))
    plan.record(
        number,
        server.peer.name,
        MODEL,
        few_rate=few.rate,
        many_rate=many.rate,
        many_p99_ms=many.p99_ms,
        many_refused=many.bad_status,
        many_broken=many.broken,
    )


def _flood(plan: Plan, number: int, server: Running) -> None:
    asked, port = server.payload, server.port
    wrk.run(port, asked, connections=FEW, seconds=1)
    seconds = plan.seconds(LOAD_S)
    capacity = wrk.run(port, asked, connections=FEW, seconds=seconds).rate
    plan.ask_each(number, server, MODEL)
    load = flood.run(
        port,
        asked,
        rate=TIMES_CAPACITY * capacity,
        seconds=seconds,
        connections=CONNECTIONS,
        headers={"x-request-timeout-ms": str(DEADLINE_MS)},
    )
    in_time = sum(1 for ms in load.good_ms if ms <= DEADLINE_MS)
    plan.record(
        number,
        server.peer.name,
        MODEL,
        capacity=capacity,
        offered=load.sent / seconds,
        goodput=in_time / seconds,
        too_late=len(load.good_ms) - in_time,
        refused=len(load.refused_ms),
        refused_p99_ms=percentile(load.refused_ms, 0.99) if load.refused_ms else 0.0,
        neither=load.neither,
        expired=load.statuses.get(504, 0),
        no_retry_after=load.without_retry_after,
        wrong_rows=load.wrong,
        late_ms=percentile(load.late_ms, 0.99),
        generator=load.generator_cpu,
    )
    if load.wrong:
        plan.fail(number, f"flooded: {load.wrong} answers to another request's row")
