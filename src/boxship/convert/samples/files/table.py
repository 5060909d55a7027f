"""What a file of rows holds, before the model's columns are found in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from boxship.runtimes.base import Array

Column = Sequence[str | None] | Array
"""One column of a file: strings, None for a missing one; or numbers, NaN for a missing one."""


@dataclass(frozen=True)
class Table:
    """The columns of a file, in its own order.

    ``names`` is None where the file has none. ``column`` gives the column at a position.
    """

    names: tuple[str, ...] | None
    width: int
    rows: int
    column: Callable[[int], Column]
    notes: tuple[str, ...] = ()
