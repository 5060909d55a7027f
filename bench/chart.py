"""Horizontal bars as SVG, in panels that share their row labels; for light and dark pages."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

Kind = Literal["own", "other", "ceiling"]

_WIDTH = 960
_LABELS = 252
_GAP = 84
_ROW = 27
_TOP = 96
_FOOT = 56

# An own background: a page may be dark where the reader's system is light.
_STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; fill: #1f2937; }
.back { fill: #ffffff; stroke: #e5e7eb; }
.title { font-size: 17px; font-weight: 600; }
.panel { font-weight: 600; }
.quiet { font-size: 12px; fill: #6b7280; }
.strong { font-weight: 600; }
.grid { stroke: #e5e7eb; }
.own { fill: #2563eb; }
.other { fill: #9ca3af; }
.ceiling { fill: #e5e7eb; stroke: #9ca3af; stroke-dasharray: 3 2; }
.spread { stroke: #111827; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
text { fill: #e5e7eb; }
.back { fill: #0d1117; stroke: #30363d; }
.quiet { fill: #9ca3af; }
.grid { stroke: #262c36; }
.own { fill: #58a6ff; }
.other { fill: #6e7681; }
.ceiling { fill: #21262d; stroke: #6e7681; }
.spread { stroke: #f0f6fc; }
}
"""


@dataclass(frozen=True)
class Bar:
    """From ``start`` (none: the axis) to ``end``; ``low`` and ``high`` are the rounds' range."""

    end: float
    text: str
    start: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One column of bars, by row label."""

    title: str
    ticks: Sequence[float]
    """The first and the last are the ends of the axis."""
    bars: Mapping[str, Bar]
    tick_text: Callable[[float], str] = "{:g}".format
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The whole picture; ``rows`` are labels and kinds from top to bottom."""

    title: str
    subtitle: str
    rows: Sequence[tuple[str, Kind]]
    panels: Sequence[Panel]
    note: str = ""


def draw(chart: Chart) -> str:
    """The chart as an SVG document."""
    height = _TOP + _ROW * len(chart.rows) + _FOOT
    alt = escape(f"{chart.title}. {chart.subtitle}")
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            f'width="{_WIDTH}" height="{height}">'
        ),
        f"<title>{alt}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text(20, 32, chart.title, "title"),
        _text(20, 53, chart.subtitle, "quiet"),
        _text(20, height - 14, chart.note, "quiet"),
    ]
    for index, (label, kind) in enumerate(chart.rows):
        style = "strong" if kind == "own" else ""
        parts.append(_text(_LABELS - 8, _middle(index) + 4, label, style, "end"))
    width = (_WIDTH - _LABELS - _GAP * len(chart.panels)) / len(chart.panels)
    for index, panel in enumerate(chart.panels):
        parts += _panel(panel, chart.rows, _LABELS + index * (width + _GAP), width)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, rows: Sequence[tuple[str, Kind]], left: float, width: float) -> list[str]:
    place = _scale(panel, left, width)
    bottom = _TOP + _ROW * len(rows)
    parts = [_text(left, _TOP - 16, panel.title, "panel")]
    for tick in panel.ticks:
        x = place(tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>'
        )
        parts.append(_text(x, bottom + 15, panel.tick_text(tick), "quiet", "middle"))
    for index, (label, kind) in enumerate(rows):
        bar = panel.bars.get(label)
        y = _middle(index)
        if bar is None:
            parts.append(_text(left + 4, y + 4, "not measured", "quiet"))
            continue
        start, end = place(bar.start) if bar.start is not None else left, place(bar.end)
        size = f'width="{max(end - start, 3):.1f}" height="16" rx="2"'
        parts.append(f'<rect class="{kind}" x="{start:.1f}" y="{y - 8:.1f}" {size}/>')
        reach = end
        if bar.low is not None and bar.high is not None:
            low, reach = place(bar.low), max(end, place(bar.high))
            parts.append(
                f'<line class="spread" x1="{low:.1f}" x2="{place(bar.high):.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        parts.append(_text(max(reach, start + 3) + 5, y + 4, bar.text, "strong" * (kind == "own")))
    return parts


def _scale(panel: Panel, left: float, width: float) -> Callable[[float], float]:
    """Where a value lies; what is beyond the axis is drawn at its end."""
    first, last = panel.ticks[0], panel.ticks[-1]

    def place(value: float) -> float:
        value = min(max(value, first), last)
        if panel.log:
            share = math.log(value / first) / math.log(last / first)
        else:
            share = (value - first) / (last - first)
        return left + share * width

    return place


def _middle(row: int) -> float:
    return _TOP + _ROW * (row + 0.5)


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    look = f' class="{style}"' if style else ""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{look}{side}>{escape(text)}</text>'


def nice_ticks(most: float) -> list[float]:
    """Up to six round values from zero to just above ``most``."""
    step = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    step = next(one for one in (step / 5, step / 2, step, 2 * step) if most / one <= 5)
    return [step * index for index in range(math.ceil(most / step) + 1)]


def decades(least: float, most: float) -> list[float]:
    """Powers of ten that hold both."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
