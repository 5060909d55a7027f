"""What the parts of a fitted model know about the columns that it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from boxship.convert.samples.codes import Floats
from boxship.convert.samples.known.links import Link
from boxship.convert.samples.known.trees import Tree

Inputs = Sequence[Link | None]
"""The columns that an estimator is given, in its own order."""


@dataclass(frozen=True)
class Linear:
    """A linear decision: ``inputs @ weights + intercept``, one weight per input."""

    inputs: Inputs
    weights: Floats
    intercept: float


@dataclass
class Knowledge:
    """What was found, by the position of the column among the model's inputs."""

    trees: list[tuple[Inputs, Tree]] = field(default_factory=list)
    edges: list[tuple[Link, Floats]] = field(default_factory=list)
    """Borders between bins, as the step sees them."""
    ranges: dict[int, list[Floats]] = field(default_factory=dict)
    """Values that training data had, or lay around."""
    rows: list[Floats] = field(default_factory=list)
    """Whole rows ``[rows, columns]`` of that kind; NaN where a column is not known."""
    categories: dict[int, dict[object, None]] = field(default_factory=dict)
    """Each once, in the order in which they were found."""
    whole: set[int] = field(default_factory=set)
    """Columns whose categories are whole numbers, and that are cut to such before comparing."""
    vocabularies: dict[int, list[str]] = field(default_factory=dict)
    """The words of the text in a column; empty where the vectorizer keeps none."""
    linear: list[Linear] = field(default_factory=list)

    def add_range(self, column: int, values: Floats) -> None:
        self.ranges.setdefault(column, []).append(values)

    def add_categories(self, column: int, values: Sequence[object]) -> None:
        self.categories.setdefault(column, {}).update(dict.fromkeys(values))
