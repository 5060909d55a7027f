"""The page's tables, in Markdown."""

from collections.abc import Iterable, Sequence

from cases import overload, serving, tensors
from goals import MODEL_TITLES, goals
from lineup import FRAMEWORKS, PEERS_IN_ORDER, PLAIN
from samples import Samples, Spread, ratio


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def spread(found: Spread | None, form: str = "{:,.0f}") -> str:
    """The median, with the range where there is one."""
    if found is None:
        return "not measured"
    middle, low, high = (form.format(one) for one in (found.median, found.low, found.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def goal_table(samples: Samples) -> str:
    """Every goal with its verdict."""
    rows = []
    for one in goals(samples):
        wanted = f"{one.sense} {one.form.format(one.limit)}"
        rows.append([one.what, one.than, wanted, spread(one.found, one.form), one.verdict])
    return table(["what", "against", "wanted", "found", ""], rows)


def throughput(samples: Samples, model: str) -> str:
    """One row for each server: rate, its ratio to the hand-written service, latency under load."""
    plain = samples.rounds(PLAIN.name, model, "rate")
    rows = []
    for peer in PEERS_IN_ORDER:
        own = samples.rounds(peer.name, model, "rate")
        failed = sum(samples.rounds(peer.name, model, "bad").values())
        rows.append(
            [
                peer.title,
                spread(Spread.of(own.values())),
                spread(ratio(own, plain), "{:.2f}"),
                spread(samples.spread(peer.name, model, "closed_p50_ms"), "{:.1f}"),
                spread(samples.spread(peer.name, model, "closed_p99_ms"), "{:.1f}"),
                f"{failed:,.0f}" if own else "not measured",
            ]
        )
    head = [
        "server",
        "requests/s",
        "times FastAPI + pickle",
        "p50, ms",
        "p99, ms",
        "failed requests",
    ]
    return table(head, rows)


def latency(samples: Samples, model: str, prefix: str) -> str:
    """Open loop: one row for each server that was measured so."""
    rows = []
    for peer in PEERS_IN_ORDER:
        found = [
            samples.spread(peer.name, model, f"{prefix}_{one}")
            for one in ("p50_ms", "p99_ms", "good_share", "late_ms")
        ]
        if found[0] is not None:
            p50, p99, share, late = found
            rows.append(
                [
                    peer.title,
                    spread(p50, "{:.2f}"),
                    spread(p99, "{:.2f}"),
                    spread(share, "{:.1%}"),
                    spread(late, "{:.2f}"),
                ]
            )
    head = ["server", "p50, ms", "p99, ms", "answered", "the generator's own lag, p99, ms"]
    return table(head, rows)


def footprint(samples: Samples) -> str:
    """Start and memory, for both models."""
    models = tuple(reversed(serving.MODELS))
    rows = []
    for peer in PEERS_IN_ORDER:
        cells = [
            spread(samples.spread(peer.name, model, metric), form)
            for metric, form in (("ready_s", "{:.2f}"), ("memory_mb", "{:.0f}"))
            for model in models
        ]
        rows.append([peer.title, *cells])
    head = ["server"]
    head += [f"first answer, s: {MODEL_TITLES[model]}" for model in models]
    head += [f"memory, MB: {MODEL_TITLES[model]}" for model in models]
    return table(head, rows)


def images(samples: Samples) -> str:
    """Big tensors."""
    titles = {
        tensors.BOXSHIP_BINARY.name: "Boxship, V2 binary",
        tensors.ECHO.name: "ceiling: the same server echoing the same body",
        tensors.BOXSHIP_JSON.name: "Boxship, V2 JSON",
        tensors.MLSERVER_JSON.name: "MLServer, V2 JSON",
    }
    rows = [
        [title, spread(samples.spread(name, tensors.MODEL, "rate"), "{:,.1f}")]
        for name, title in titles.items()
    ]
    return table(["server", "requests/s"], rows)


def crowd(samples: Samples) -> str:
    """A thousand connections."""
    metrics = ("few_rate", "many_rate", "many_p99_ms", "many_refused", "many_broken")
    rows = [
        [
            f"Boxship, {peer.suffix}",
            *(spread(samples.spread(peer.name, overload.MODEL, one)) for one in metrics),
        ]
        for peer in overload.CROWDED
    ]
    head = ["random forest", f"requests/s, {overload.FEW} connections"]
    head += [f"requests/s, {overload.MANY:,}", "p99, ms", "refused", "broken"]
    return table(head, rows)


_FLOOD = {
    "capacity": "capacity, requests/s (closed loop, 64 connections)",
    "offered": "offered, requests/s",
    "goodput": "answered within the deadline, requests/s",
    "too_late": "answered later, requests",
    "refused": "refused with 503, requests",
    "refused_p99_ms": "p99 of a refusal, ms",
    "neither": "neither, requests",
    "expired": "of these with 504, requests",
    "no_retry_after": "refused without `Retry-After`, requests",
    "late_ms": "the generator's own lag, p99, ms",
    "generator": "the generator's share of one core",
}


def flood(samples: Samples) -> str:
    """Three times the capacity."""
    rows = [
        [
            title,
            spread(
                samples.spread(overload.FLOODED.name, overload.MODEL, metric),
                "{:.2f}" if metric == "generator" else "{:,.0f}",
            ),
        ]
        for metric, title in _FLOOD.items()
    ]
    return table(["what", "found"], rows)


def orphaned(samples: Samples) -> list[str]:
    """The frameworks whose processes outlived the one that was told to stop."""
    return [
        peer.title
        for peer in FRAMEWORKS
        if any(
            value
            for model in serving.MODELS
            for value in samples.rounds(peer.name, model, "orphans").values()
        )
    ]
