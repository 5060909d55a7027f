"""Input tensors → rows as JSON, which then pass the same checks as any other body."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from boxship.errors import InputError, MalformedError, Problem
from boxship.json_input import TOO_DEEP
from boxship.runtimes.base import Array, Tensors
from boxship.runtimes.service.row_columns import Column


def rows_as_json(tensors: Tensors, columns: Sequence[Column]) -> bytes:
    """A JSON list of rows. NaN becomes ``null``; an absent tensor is an absent field.

    ``InputError``: tensors of different lengths, infinity, or text that is no JSON
    where the column holds JSON.
    """
    lengths = {name: len(array) for name, array in tensors.items()}
    count = max(lengths.values(), default=0)
    wrong = [
        Problem((name,), f"{count} rows, as in the other tensors", f"{length} rows")
        for name, length in lengths.items()
        if length != count
    ]
    if wrong:
        raise InputError(*wrong)
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for column in columns:
        if column.spec.name in tensors:
            values = _values(tensors[column.spec.name], column)
            for row, value in zip(rows, values, strict=True):
                row[column.spec.name] = value
    return msgspec.json.encode(rows)


def _values(array: Array, column: Column) -> list[Any]:
    name = column.spec.name
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise InputError(Problem((name,), "finite numbers", "infinity"))
    if column.form == "list":
        return _nested(array, name)
    if array.size != len(array):
        raise InputError(Problem((name,), "one value per row", f"shape {list(array.shape)}"))
    values: list[Any] = array.reshape(-1).tolist()
    if column.form == "json":
        return [_parsed(text, (index, name)) for index, text in enumerate(values)]
    return values


def _nested(array: Array, name: str) -> list[Any]:
    if array.ndim != 2:
        raise InputError(Problem((name,), "one list per row", f"shape {list(array.shape)}"))
    values: list[Any] = array.tolist()
    return values


def _parsed(text: Any, loc: tuple[str | int, ...]) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise MalformedError(f"{loc[1]}: {TOO_DEEP}") from None
    except (TypeError, ValueError) as error:
        raise InputError(Problem(loc, "JSON text", str(error))) from error
