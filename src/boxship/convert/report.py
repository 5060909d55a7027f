"""What a conversion came to: everything that is told of it, in words or as JSON."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from boxship.convert.parity import Comparison
from boxship.proof import Proof
from boxship.signature import Datatype

JSON_VERSION: Final = 1


@dataclass(frozen=True)
class Attempt:
    """One graph: the datatype of its numbers, and either the comparison or why there is none."""

    datatype: Datatype
    comparison: Comparison | None = None
    obstacle: str = ""

    @property
    def agrees(self) -> bool:
        return self.comparison is not None and self.comparison.agrees

    @property
    def exact(self) -> bool:
        """Whether it agrees on the rows too on which the original is undecided."""
        return self.comparison is not None and self.comparison.exact


@dataclass(frozen=True, kw_only=True)
class Report:
    """One conversion.

    ``chosen`` is the one of ``attempts`` that was written to ``output``, with ``proof``; all
    three are None where none agrees, and no file was written.
    """

    source: Path
    source_bytes: int
    model: str
    samples: str
    tolerance: float
    attempts: tuple[Attempt, ...]
    chosen: Attempt | None = None
    versions: dict[str, str]
    output: Path | None = None
    output_bytes: int = 0
    proof: Proof | None = None
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return self.chosen is not None


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; numbers that JSON does not have are strings."""
    return {
        "version": JSON_VERSION,
        "agrees": report.agrees,
        "source": str(report.source),
        "model": report.model,
        "output": str(report.output) if report.output else None,
        "samples": report.samples,
        "tolerance": report.tolerance,
        "datatype": report.chosen.datatype if report.chosen else None,
        "attempts": [_attempt(attempt) for attempt in report.attempts],
        "proof": _plain(asdict(report.proof)) if report.proof else None,
        "versions": report.versions,
        "notes": list(report.notes),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    found = attempt.comparison
    return {
        "datatype": attempt.datatype,
        "agrees": attempt.agrees,
        "obstacle": attempt.obstacle or None,
        "comparison": None if found is None else _plain(asdict(found)),
    }


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value
