"""Which column of a file is which of the model's."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from boxship.convert.samples.files.table import Table
from boxship.errors import UsageError
from boxship.json_input import short
from boxship.signature import TensorSpec

_SHOWN: Final = 10


def match(
    table: Table, columns: Sequence[TensorSpec], path: Path
) -> tuple[list[int], tuple[str, ...]]:
    """The position in ``table`` of each of ``columns``, and notes for the report.

    By name, in any order; by position where the file has no names or the model never
    knew any. Raises ``UsageError`` where columns are missing, or named twice.
    """
    if table.names is None:
        return _by_position(table, columns, path), table.notes
    names = [name.strip() for name in table.names]
    wanted = [spec.name for spec in columns]
    if _unknown_to_model(columns) and table.width == len(columns) and not set(names) & set(wanted):
        note = (
            "The model does not know its columns' names, so those of the file are taken "
            f"in their order: {named(names)}."
        )
        return list(range(table.width)), (*table.notes, note)
    missing = [name for name in wanted if name.strip() not in names]
    if missing:
        raise UsageError(
            f"{path} has no column {named(missing)}. Its columns are: {named(names)}.",
            tip=_tip(missing, names),
        )
    twice = [name for name in wanted if names.count(name.strip()) > 1]
    if twice:
        raise UsageError(
            f"{path} has more than one column {named(twice)}.",
            tip="Leave one of them, or rename the others.",
        )
    positions = [names.index(name.strip()) for name in wanted]
    extra = [name for position, name in enumerate(names) if position not in positions]
    notes = (f"Columns of the file that the model does not take: {named(extra)}.",) if extra else ()
    return positions, (*table.notes, *notes)


def named(names: Sequence[str]) -> str:
    """The names, quoted, the first ten of them."""
    shown = ", ".join(f"'{short(name)}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else "")


def _by_position(table: Table, columns: Sequence[TensorSpec], path: Path) -> list[int]:
    if table.width != len(columns):
        raise UsageError(
            f"Expected the model's {len(columns)} column{'s' * (len(columns) != 1)} in {path}, "
            f"found {table.width} and no names.",
            tip="Keep exactly the columns that the model was fitted on, in their order, "
            "or name them in a CSV or Parquet file.",
        )
    return list(range(table.width))


def _unknown_to_model(columns: Sequence[TensorSpec]) -> bool:
    """Whether the names are those that Boxship itself gives to columns without any."""
    return all(spec.name == f"feature_{number}" for number, spec in enumerate(columns, 1))


def _tip(missing: Sequence[str], names: Sequence[str]) -> str:
    if len(names) == 1 and any(sign in names[0] for sign in ";\t|"):
        return "Its fields seem to be divided by another sign: divide them with commas."
    close = difflib.get_close_matches(missing[0], names, n=1)
    if close:
        return f"Did you mean '{short(missing[0])}' where it says '{short(close[0])}'?"
    return "Add the columns, in any order; the first row of a CSV file holds their names."
