"""The page's pictures."""

from collections.abc import Iterable, Mapping
from itertools import product

from cases import serving
from chart import Bar, Chart, Kind, Panel, decades, nice_ticks
from goals import MODEL_TITLES
from lineup import PEERS_IN_ORDER, Peer
from results import Results
from samples import Samples

_MODELS = tuple(reversed(serving.MODELS))
_KINDS: Mapping[str, Kind] = {"boxship": "own", "ceiling": "ceiling"}


def plots(results: Results) -> dict[str, Chart]:
    """By file name, those that have something to show."""
    samples, rounds = results.samples, results.rounds
    found = {
        "throughput": _throughput(samples, rounds),
        "latency": _latency(samples),
        "footprint": _footprint(samples, rounds),
    }
    return {
        name: chart for name, chart in found.items() if any(panel.bars for panel in chart.panels)
    }


def _rows(peers: Iterable[Peer]) -> list[tuple[str, Kind]]:
    return [(peer.title, _KINDS.get(peer.kind, "other")) for peer in peers]


def _models(title: str) -> str:
    return MODEL_TITLES[title].capitalize()


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _range(rounds: int) -> str:
    return f"Median of {rounds} rounds; the line in a bar is their range." if rounds > 1 else ""


def _axis(values: Iterable[float]) -> list[float]:
    """One logarithmic axis for both panels, so that they can be compared."""
    found = sorted(values) or [1.0]
    # Below half of the least, so that the shortest bar is seen.
    return decades(found[0] / 2, found[-1])


def _throughput(samples: Samples, rounds: int) -> Chart:
    bars: dict[str, dict[str, Bar]] = {model: {} for model in _MODELS}
    for model, peer in product(_MODELS, PEERS_IN_ORDER):
        one = samples.spread(peer.name, model, "rate")
        if one is not None and one.median > 0:
            text = f"{one.median:,.0f}"
            bars[model][peer.title] = Bar(one.median, text, low=one.low, high=one.high)
    ticks = _axis(bar.end for found in bars.values() for bar in found.values())
    panels = [
        Panel(title=_models(model), ticks=ticks, bars=bars[model], tick_text=_short, log=True)
        for model in _MODELS
    ]
    return Chart(
        title="Requests per second, two workers each",
        subtitle="One-row JSON requests over 64 connections. The scale is logarithmic.",
        rows=_rows(PEERS_IN_ORDER),
        panels=panels,
        note=f"Longer is better. {_range(rounds)}",
    )


def _latency(samples: Samples) -> Chart:
    peers = [peer for peer in PEERS_IN_ORDER if peer.kind != "ceiling"]
    bars: dict[str, dict[str, Bar]] = {model: {} for model in _MODELS}
    ends = []
    for model, peer in product(_MODELS, peers):
        p50 = samples.spread(peer.name, model, "steady_p50_ms")
        p99 = samples.spread(peer.name, model, "steady_p99_ms")
        if p50 and p99:
            text = f"{_three_digits(p50.median)} to {_three_digits(p99.median)}"
            bars[model][peer.title] = Bar(p99.median, text, start=p50.median)
            ends += [p50.median, p99.median]
    ticks = _axis(ends)
    panels = [
        Panel(
            title=f"{_models(model)}, {serving.STEADY[model]}/s",
            ticks=ticks,
            bars=bars[model],
            tick_text=_short,
            log=True,
        )
        for model in _MODELS
    ]
    return Chart(
        title="Latency at a steady rate: median to 99th percentile, milliseconds",
        subtitle="Requests leave at a fixed mean rate, whatever the server does. The scale is logarithmic.",
        rows=_rows(peers),
        panels=panels,
        note="Further left is better.",
    )


def _footprint(samples: Samples, rounds: int) -> Chart:
    peers = [peer for peer in PEERS_IN_ORDER if peer.kind != "ceiling"]
    model = _MODELS[0]
    panels = []
    for metric, title, form in (
        ("ready_s", "Start to first right answer, seconds", "{:.2f}"),
        ("memory_mb", "Memory of all processes, MB", "{:.0f}"),
    ):
        found = {peer: samples.spread(peer.name, model, metric) for peer in peers}
        bars = {
            peer.title: Bar(one.median, form.format(one.median), low=one.low, high=one.high)
            for peer, one in found.items()
            if one is not None
        }
        most = max([bar.high or bar.end for bar in bars.values()] or [1])
        panels.append(Panel(title=title, ticks=nice_ticks(most), bars=bars))
    return Chart(
        title="Start and memory, two workers each",
        subtitle=f"{_models(model)}. Memory is the proportional set size after the load.",
        rows=_rows(peers),
        panels=panels,
        note=f"Shorter is better. {_range(rounds)}",
    )
