"""Rows from a file that ``numpy.save`` wrote."""

from pathlib import Path

import numpy as np

from boxship.convert.samples.files.table import Column, Table
from boxship.errors import UsageError
from boxship.runtimes.base import Array


def read_npy(path: Path) -> Table:
    """The array ``[rows, columns]`` in ``path``, of numbers, booleans or strings.

    A flat array is one column. Raises ``UsageError`` where it is no such file.
    """
    try:
        # Mapped first: a header may claim a size that no memory holds.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as an array: {str(error).splitlines()[0]}",
            tip="Write numbers with `numpy.save`, without Python objects among them.",
        ) from error
    if not isinstance(mapped, np.ndarray):
        mapped.close()
        raise UsageError(
            f"Expected one array in {path}, found an archive of arrays.",
            tip="Write it with `numpy.save`, not `numpy.savez`.",
        )
    array: Array = np.array(mapped)
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufU":
        raise UsageError(
            f"Expected an array of rows and columns, of numbers or strings, in {path}, "
            f"found {array.dtype} of shape {array.shape}.",
            tip="Save the very array that the model's `predict` takes.",
        )
    table = array.reshape(-1, 1) if array.ndim == 1 else array
    rows, width = table.shape

    def column(position: int) -> Column:
        values = table[:, position]
        return [str(text) or None for text in values] if values.dtype.kind == "U" else values

    return Table(None, width, rows, column)
