"""What the builder is meant to reach, and the table that says whether it does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samples import Samples, Spread, ratio
from tables import spread

OURS, TUTORIAL = "boxship", "tutorial"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One line: at most ``limit`` is wanted; None says that the figure is only shown."""

    what: str
    limit: float | None
    found: Spread | None
    form: str
    beside: Spread | None = None
    """The same figure of the tutorial's Dockerfile."""

    @property
    def verdict(self) -> str:
        """The median decides."""
        if self.limit is None:
            return ""
        if self.found is None:
            return "not measured"
        return "met" if self.found.median <= self.limit else "MISSED"

    def cells(self) -> list[str]:
        """A line of the table."""
        wanted = "" if self.limit is None else f"at most {self.form.format(self.limit)}"
        beside = spread(self.beside, self.form) if self.beside else ""
        return [self.what, wanted, spread(self.found, self.form), beside, self.verdict]


def wanted(samples: Samples) -> Iterator[Wanted]:
    """All lines, in order."""

    def both(metric: str, model: str = "churn") -> dict[str, Spread | None]:
        return {
            "found": samples.spread(OURS, model, metric),
            "beside": samples.spread(TUTORIAL, model, metric),
        }

    def rounds(server: str, metric: str, model: str = "churn") -> dict[int, float]:
        return samples.rounds(server, model, metric)

    yield Wanted(
        what="packages, code and model over the base, compressed",
        limit=38,
        form="{:.1f} MB",
        **both("added_mb"),
    )
    yield Wanted(
        what="built anew with wheels cached, against the tutorial's Dockerfile",
        limit=1 / 3,
        form="{:.2f}",
        found=ratio(rounds(OURS, "anew_s"), rounds(TUTORIAL, "anew_s")),
    )
    yield Wanted(what="the same in seconds", limit=None, form="{:.1f} s", **both("anew_s"))
    yield Wanted(
        what="built with everything cached", limit=None, form="{:.1f} s", **both("cached_s")
    )
    yield Wanted(
        what="one line of code changed: build and push", limit=2, form="{:.1f} s", **both("line_s")
    )
    yield Wanted(
        what="one line of code changed: sent", limit=100, form="{:,.0f} kB", **both("line_kb")
    )
    yield Wanted(
        what="second model, same packages, another repository: sent beside the model",
        limit=100,
        form="{:,.0f} kB",
        **both("beside_model_kb", "other"),
    )
    yield Wanted(
        what="peak memory of a build with a dependency of 2 GB",
        limit=500,
        form="{:.0f} MB",
        found=samples.spread(OURS, "heavy", "memory_mb"),
    )
    yield Wanted(
        what="that build, from its wheel",
        limit=None,
        form="{:.0f} s",
        found=samples.spread(OURS, "heavy", "build_s"),
    )


def table(lines: Sequence[Wanted]) -> str:
    """For a terminal."""
    rows = [["what", "goal", "found", "tutorial", ""], *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
