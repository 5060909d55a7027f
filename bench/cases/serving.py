"""Every server with every model: throughput, latency at a steady rate, start, memory."""

import lineup
import openloop
import payload
import wrk
from lineup import Peer
from openloop import percentile
from plan import Plan, rotated
from server import Running

MODELS = ("lr", "rf")
CONNECTIONS = 64
WARM_S = 1
LOAD_S = 3
CHECK_S = 1

STEADY = {"lr": 300, "rf": 100}
"""Requests a second that every server can hold."""

BRISK = 1000
"""Requests a second for those that can hold it; measured where the closed loop gave twice as much."""


_ORDER = (
    *(lineup.NGINX, lineup.CEILING_ASGI, lineup.CEILING, lineup.ONNX, lineup.PLAIN_ONNX),
    *(lineup.PLAIN, lineup.PICKLE, *lineup.FRAMEWORKS),
)
"""Those that are compared with each other are neighbours: the machine is the same for both."""


def measured(peers: tuple[Peer, ...]) -> list[tuple[Peer, str]]:
    """Each server with each model."""
    ordered = sorted(peers, key=_ORDER.index)
    return [(peer, model) for model in MODELS for peer in ordered]


def run(plan: Plan) -> None:
    """All rounds."""
    everything = measured(plan.peers)
    for number in range(plan.rounds):
        # A step that shares no factor with the length, so that rounds differ in more than a shift.
        for peer, model in rotated(everything, number * 7):
            _visit(plan, number, peer, model)


def _visit(plan: Plan, number: int, peer: Peer, model: str) -> None:
    asked = payload.rows(peer, model)

    def measure(server: Running) -> None:
        wrk.run(server.port, asked, connections=CONNECTIONS, seconds=WARM_S)
        plan.ask_each(number, server, model)
        rate = 0.0
        if "throughput" in plan.cases:
            _check(plan, number, server, model)
            plan.ask_each(number, server, model)
            load = wrk.run(
                server.port, asked, connections=CONNECTIONS, seconds=plan.seconds(LOAD_S)
            )
            rate = load.rate
            plan.record(
                number,
                peer.name,
                model,
                rate=rate,
                bad=load.bad_status + load.broken,
                closed_p50_ms=load.p50_ms,
                closed_p99_ms=load.p99_ms,
            )
            plan.ask_each(number, server, model)
        if "latency" in plan.cases and peer.kind != "ceiling":
            _latency(plan, number, server, model, rate=STEADY[model], prefix="steady")
            if rate > 2 * BRISK:
                _latency(plan, number, server, model, rate=BRISK, prefix="brisk")
        if "memory" in plan.cases:
            plan.record(number, peer.name, model, memory_mb=server.memory_mb())

    plan.visit(number, peer, model, asked, measure)


def _check(plan: Plan, number: int, server: Running, model: str) -> None:
    """A pass of its own under full load, in which every answer is kept and judged."""
    asked = server.payload
    load = wrk.run(server.port, asked, connections=CONNECTIONS, seconds=CHECK_S, check=True)
    wrong = sum(n for text, n in load.answers.items() if not asked.is_one_of_ours(text))
    plan.record(number, server.peer.name, model, checked=sum(load.answers.values()), wrong=wrong)
    if wrong:
        plan.fail(number, f"{server.peer.name}, {model}: {wrong} wrong answers under load")


def _latency(
    plan: Plan, number: int, server: Running, model: str, *, rate: int, prefix: str
) -> None:
    load = openloop.run(server.port, server.payload, rate=rate, seconds=plan.seconds(3))
    good = load.good_ms()
    values = {
        "p50_ms": percentile(good, 0.5),
        "p99_ms": percentile(good, 0.99),
        "good_share": len(good) / load.outcome.sent,
        "wrong_rows": load.wrong,
        "late_ms": load.outcome.late_ms_p99,
        "generator": load.outcome.generator_cpu,
    }
    named = {f"{prefix}_{name}": value for name, value in values.items() if good}
    plan.record(number, server.peer.name, model, **named)
    if load.wrong:
        name = server.peer.name
        plan.fail(number, f"{name}, {model}: {load.wrong} answers to another request's row")
