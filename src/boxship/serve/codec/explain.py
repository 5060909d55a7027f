"""What is wrong with JSON that does not fit a signature: every problem, in words.

The way to an answer never comes through here; only a body that was refused is
read again, slowly and completely.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from boxship.errors import MISSING, Problem
from boxship.json_input import MAX_PROBLEMS, Loc, shown, unknown_field
from boxship.signature import TensorSpec


def rows(content: Any, columns: Sequence[TensorSpec], max_rows: int) -> list[Problem]:
    """Every problem with a ``/predict`` body, at most ``MAX_PROBLEMS``."""
    specs = {spec.name: spec for spec in columns}
    if not isinstance(content, list):
        found = _row(content, specs, ())
    elif 0 < len(content) <= max_rows:
        found = chain.from_iterable(_row(row, specs, (at,)) for at, row in enumerate(content))
    else:
        return [row_count(len(content), max_rows)]
    return list(islice(found, MAX_PROBLEMS))


def row_count(found: int, max_rows: int) -> Problem:
    """The problem with a list of no rows, or of too many."""
    return Problem((), f"a list of 1 to {max_rows} rows", f"{found} rows")


def _row(row: Any, specs: Mapping[str, TensorSpec], loc: Loc) -> Iterator[Problem]:
    if not isinstance(row, dict):
        yield Problem(loc, "an object with one field per column", shown(row))
        return
    for name in row:
        if name not in specs:
            missing = [other for other in specs if other not in row]
            yield unknown_field(loc, name, "one of the model's columns", missing)
    for name, spec in specs.items():
        if name not in row:
            yield Problem((*loc, name), expected(spec), MISSING)
        elif not fits(row[name], spec):
            yield Problem((*loc, name), expected(spec), shown(row[name]))


def fits(value: Any, spec: TensorSpec) -> bool:
    """Whether one JSON value can be an element of the tensor."""
    if value is None:
        return spec.nullable
    if spec.datatype == "BYTES":
        return isinstance(value, str)
    if spec.datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if spec.datatype.startswith("FP"):
        return isinstance(value, int | float) and _finite(value)
    low, high = integer_range(spec.datatype)
    return isinstance(value, int) and low <= value <= high


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def integer_range(datatype: str) -> tuple[int, int]:
    """The least and the greatest value of INT8 to UINT64."""
    bits = int(datatype.lstrip("UINT"))
    if datatype.startswith("U"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def expected(spec: TensorSpec) -> str:
    """What an element of the tensor is, in words."""
    if spec.datatype == "BYTES":
        words = "a string"
    elif spec.datatype == "BOOL":
        words = "true or false"
    elif spec.datatype.startswith("FP"):
        words = "a finite number"
    else:
        low, high = integer_range(spec.datatype)
        words = f"a whole number from {low} to {high}"
    return f"{words} or null" if spec.nullable else words
