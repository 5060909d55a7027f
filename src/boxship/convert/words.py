"""The report in words, for a terminal of 80 columns."""

import json
import math
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, Final

from boxship.convert.errors import ALONE, INSTEAD
from boxship.convert.parity import Comparison, Fault
from boxship.convert.report import Attempt, Report
from boxship.convert.samples import GENERATED

_WIDTH: Final = 80
_MOST_VALUES: Final = 12
_NAMES: Final = {"FP32": "float32", "FP64": "float64"}


def lines(report: Report) -> Iterator[str]:
    """The report, line by line."""
    yield from _agreement(report) if report.agrees else _refusal(report)
    for note in report.notes:
        yield from wrap(f"note: {note}", _WIDTH, subsequent_indent="      ")


def _agreement(report: Report) -> Iterator[str]:
    chosen = report.chosen
    assert chosen is not None and chosen.comparison is not None and report.output is not None  # noqa: S101, PT018 (that is what agreeing means)
    found = chosen.comparison
    size = f"{_size(report.source_bytes)} -> {_size(report.output_bytes)}"
    yield f"{report.source.name} -> {report.output} ({report.model}, {size})"
    yield ""
    yield from _row("samples", report.samples)
    yield from _row("rows compared", _rows(found))
    yield from _row("largest difference", _apart(found, report.tolerance))
    yield from _row("labels that differ", _labels(found))
    yield from _row("numbers", _numbers(report, chosen))
    yield ""
    yield from wrap(
        "Both models answer alike. The proof is written into the file, and "
        f"`boxship serve {report.output}` shows it at its start.",
        _WIDTH,
    )


def _refusal(report: Report) -> Iterator[str]:
    yield from wrap(
        f"{report.source.name} ({report.model}) was not converted: no ONNX file answers as it "
        "does, and none was written.",
        _WIDTH,
    )
    yield ""
    yield from _row("samples", report.samples)
    for attempt in report.attempts:
        yield from _row(_NAMES[attempt.datatype], _outcome(attempt, report.tolerance))
    compared = [one for one in report.attempts if one.comparison is not None]
    last = compared[-1].comparison if compared else None
    if last is not None and last.faults:
        yield ""
        yield f"The first rows at fault, with {_NAMES[compared[-1].datatype]}:"
        for fault in last.faults:
            yield from _fault(fault)
    yield ""
    yield from wrap(_advice(report, last), _WIDTH)


def _advice(report: Report, found: Comparison | None) -> str:
    """What may help; labels, and infinite or missing numbers, must be equal at any tolerance."""
    choices = []
    if report.samples == GENERATED:
        choices.append("compare rows of your own with --samples if such rows never come to you")
    if found is not None and not found.labels_that_differ and _is_beyond(found, report.tolerance):
        choices.append("allow more with --tolerance if these differences are good enough for you")
    return INSTEAD.format(", or ".join(choices)) if choices else ALONE


def _is_beyond(found: Comparison, tolerance: float) -> bool:
    """Whether numbers that can be compared differ too much."""
    return found.largest_relative > tolerance


def _outcome(attempt: Attempt, tolerance: float) -> str:
    found = attempt.comparison
    if found is None:
        return attempt.obstacle
    if not found.decided:
        return f"of {found.rows:,} rows none has an answer that could be compared"
    more = f"; {_labels(found)} labels differ" if found.labels_that_differ else ""
    if not more and not _is_beyond(found, tolerance):
        more = "; numbers are infinite or missing, or rows refused, by one model only"
    return (
        f"{found.faulty:,} of {found.rows:,} rows at fault; largest difference "
        f"{_apart(found, tolerance)}{more}"
    )


def _rows(found: Comparison) -> str:
    said = f"{found.rows:,}"
    if found.refused:
        said += f", {found.refused:,} of them refused by both"
    if found.undecided:
        said += f", {found.undecided:,} on which the original itself is undecided"
    return said


def _apart(found: Comparison, tolerance: float) -> str:
    return (
        f"{found.largest_absolute:.2g} absolute, {found.largest_relative:.2g} relative "
        f"(allowed: {tolerance:g})"
    )


def _labels(found: Comparison) -> str:
    return f"{found.labels_that_differ:,}" if found.labels_that_differ else "none"


def _numbers(report: Report, chosen: Attempt) -> str:
    first = report.attempts[0]
    name = _NAMES[chosen.datatype]
    if chosen.datatype == "FP32" or first is chosen or first.comparison is None:
        return name
    differing = first.comparison.faulty + first.comparison.undecided
    rows = f"{differing:,} row{'' if differing == 1 else 's'}"
    return f"{name}: with {_NAMES[first.datatype]}, {rows} would differ"


def _fault(fault: Fault) -> Iterator[str]:
    values = [
        f"{name}={'missing' if _is_missing(value) else _plain(value)}"
        for name, value in fault.values.items()
    ]
    more = f", and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    text = ", ".join(values[:_MOST_VALUES]) + more
    yield from wrap(f"  row {fault.row}: {text}", _WIDTH, subsequent_indent="    ")
    for title, said in (("original ", fault.original), ("converted", fault.converted)):
        text = f"    {title}  {_said(said)}"
        yield from wrap(text, _WIDTH, subsequent_indent=" " * 15)


def _said(answer: Mapping[str, Any] | str) -> str:
    if isinstance(answer, str):
        return f"refuses: {answer}"
    return ", ".join(f"{name}={_plain(value)}" for name, value in answer.items())


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _row(title: str, text: str) -> Iterator[str]:
    yield from wrap(f"  {title:<20}{text}", _WIDTH, subsequent_indent=" " * 22)


def _size(count: int) -> str:
    """Bytes for people: ``812 kB``."""
    amount, unit = float(count), "bytes"
    for bigger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "bytes" else f"{amount:.1f} {unit}"
