"""Rows for a model from a file of the user's: CSV, Parquet or npy."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from boxship.convert.samples.files.cells import read_column
from boxship.convert.samples.files.csv_file import read_csv
from boxship.convert.samples.files.matching import match
from boxship.convert.samples.files.npy_file import read_npy
from boxship.convert.samples.files.parquet_file import read_parquet
from boxship.convert.samples.files.table import Table
from boxship.convert.samples.samples import Samples
from boxship.errors import UsageError
from boxship.runtimes.base import INPUT, Array
from boxship.signature import Signature, TensorSpec

_SUFFIXES: Final = ".csv, .csv.gz, .parquet, .npy"
_MISFITS_SHOWN: Final = 5


def read(path: Path, signature: Signature) -> Samples:
    """The rows in ``path`` for a model with ``signature``.

    Raises ``UsageError`` where the file cannot be read, has not the model's columns, or
    holds fields that these cannot take: the first five, by row and column.
    """
    columns = signature.columns
    if columns is None:
        raise UsageError(
            f"{path} holds rows of columns, and the inputs of this model are whole tensors.",
            tip="Leave `--samples` out.",
        )
    table = _table(path, columns)
    positions, notes = match(table, columns, path)
    if not table.rows:
        raise UsageError(f"{path} holds no rows.", tip="Add rows that the model should answer.")
    arrays = _arrays(path, table, columns, positions)
    if signature.matrix is not None:
        batch: dict[str, Array] = {
            INPUT: np.column_stack([array.astype(np.float64) for array in arrays])
        }
    else:
        batch = {
            spec.name: array.reshape(-1, 1) for spec, array in zip(columns, arrays, strict=True)
        }
    return Samples(batch=batch, rows=table.rows, origin=path.name, notes=notes)


def _table(path: Path, columns: Sequence[TensorSpec]) -> Table:
    if path.is_dir():
        raise UsageError(f"Expected a file of rows, found the folder {path}.", tip=_TIP)
    name = path.name.lower()
    try:
        if not path.stat().st_size:
            raise UsageError(f"{path} is empty.", tip=_TIP)
        if name.endswith((".csv", ".csv.gz")):
            return read_csv(path, [spec.name for spec in columns])
        if name.endswith((".parquet", ".pq")):
            return read_parquet(path)
        if name.endswith(".npy"):
            return read_npy(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.",
            tip="Check the path, and that you may read the file.",
        ) from error
    raise UsageError(f"Expected rows in one of {_SUFFIXES}, found {path}.", tip=_TIP)


_TIP: Final = f"Give a file of the model's columns, one of {_SUFFIXES}."


def _arrays(
    path: Path, table: Table, columns: Sequence[TensorSpec], positions: Sequence[int]
) -> list[Array]:
    arrays: list[Array] = []
    misfits = []
    for spec, position in zip(columns, positions, strict=True):
        array, bad = read_column(spec, table.column(position))
        arrays.append(array)
        misfits += bad
    if misfits:
        misfits.sort(key=lambda misfit: misfit.row)
        shown = "; ".join(str(misfit) for misfit in islice(misfits, _MISFITS_SHOWN))
        more = len(misfits) - _MISFITS_SHOWN
        raise UsageError(
            f"{path} has fields that do not fit: {shown}{f'; and {more} more' if more > 0 else ''}.",
            tip="Mend these rows or leave them out. Rows are counted from 1, without the header.",
        )
    return arrays
