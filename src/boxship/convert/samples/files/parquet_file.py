"""Rows from a Parquet file, by pyarrow."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from boxship.convert.samples.files.table import Column, Table
from boxship.errors import UsageError
from boxship.runtimes.base import Array


def read_parquet(path: Path) -> Table:
    """The table in ``path``.

    Raises ``UsageError`` where it is no Parquet file or pyarrow is not installed.
    """
    arrow, parquet = _pyarrow(path)
    try:
        table = parquet.read_table(path, partitioning=None)
    except (arrow.ArrowException, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}",
            tip="Write or copy the file again.",
        ) from error

    def column(position: int) -> Column:
        return _column(arrow, table.column(position), table.column_names[position], path)

    return Table(tuple(table.column_names), table.num_columns, table.num_rows, column)


def _column(arrow: Any, column: Any, name: str, path: Path) -> Column:
    types = arrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_decimal(column.type):
        column = column.cast(arrow.float64())
    kind = column.type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if text or types.is_null(kind):
        texts: list[str | None] = column.to_pylist()
        return texts
    if types.is_boolean(kind):
        values = column.to_pylist()
        return np.array([np.nan if value is None else float(value) for value in values])
    if types.is_integer(kind) or types.is_floating(kind):
        numbers: Array = column.to_numpy()
        return numbers
    raise UsageError(
        f"Expected numbers, booleans or text in column '{name}' of {path}, found {kind}.",
        tip="Write the column as the model was given it.",
    )


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"{path} is a Parquet file, and the package pyarrow is not installed.",
            tip="Install it (pip install pyarrow), or write the rows as CSV.",
        ) from error
