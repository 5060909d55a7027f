"""The values of one column of a file, as the array that the model's runtime takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxship.convert.samples.files.table import Column
from boxship.json_input import short
from boxship.runtimes.base import Array
from boxship.signature import NUMPY_DTYPES, TensorSpec

_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Misfit:
    """A field that its column cannot take; ``row`` counts from 1."""

    row: int
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"row {self.row}, column '{self.column}': expected {self.expected}, found {self.found}"
        )


class _Unfit(Exception):  # noqa: N818 (never leaves this file)
    """A field that is not what its column takes."""


def read_column(spec: TensorSpec, column: Column) -> tuple[Array, list[Misfit]]:
    """The array ``[rows]`` in the datatype of ``spec``, and what does not fit in it."""
    if spec.datatype == "BYTES":
        return _texts(spec, column)
    dtype: np.dtype[Any] = np.dtype(NUMPY_DTYPES[spec.datatype])
    array: npt.NDArray[Any] = np.zeros(len(column), dtype=dtype)
    expected, parse = _parser(dtype)
    if isinstance(column, np.ndarray):
        values, fits = _from_numbers(column, dtype)
        array[fits] = values[fits]
        return array, [
            Misfit(int(row) + 1, spec.name, expected, _shown(column[row].item()))
            for row in np.flatnonzero(~fits)
        ]
    misfits: list[Misfit] = []
    for row, text in enumerate(column):
        try:
            array[row] = parse(text or "")
        except _Unfit:
            misfits.append(Misfit(row + 1, spec.name, expected, _shown(text)))
    return array, misfits


def _texts(spec: TensorSpec, column: Column) -> tuple[Array, list[Misfit]]:
    array = np.empty(len(column), dtype=object)
    if isinstance(column, np.ndarray):
        return array, [Misfit(1, spec.name, "text", f"a column of {column.dtype}")]
    for row, text in enumerate(column):
        array[row] = text
    return array, []


def _from_numbers(
    column: npt.NDArray[Any], dtype: np.dtype[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The numbers as ``dtype``, and which of them it can hold."""
    if dtype.kind == "b":
        return column == 1, (column == 0) | (column == 1)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            cast = column.astype(dtype)
        return cast, ~(np.isinf(cast) & np.isfinite(column))
    limits = np.iinfo(dtype)
    fits = column >= limits.min
    if column.dtype.kind == "f":
        # The largest int64 is no double, one more than it is.
        fits &= (column == np.rint(column)) & (column < float(limits.max) + 1)
    else:
        fits &= column <= limits.max
    return np.where(fits, column, 0).astype(dtype), fits


def _parser(dtype: np.dtype[Any]) -> tuple[str, Callable[[str], object]]:
    """What a field of this datatype is, in words, and what reads it."""
    if dtype.kind == "b":
        return "true or false", _boolean
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        return f"a whole number from {low} to {high}", lambda text: _integer(text, low, high)
    most = float(np.finfo(dtype).max)
    words = "a number" if dtype.itemsize == 8 else f"a number of at most {most:.4g}"
    return words, lambda text: _number(text, most)


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise _Unfit from None


def _integer(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        number = _number(text, float("inf"))
        if not number.is_integer():
            raise _Unfit from None
        value = int(number)
    if "_" in text or not low <= value <= high:
        raise _Unfit
    return value


def _number(text: str, most: float) -> float:
    """A number, NaN for an empty field; infinity only where it is written out."""
    if not text.strip():
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        raise _Unfit from None
    infinite = value in (float("inf"), float("-inf"))
    if "_" in text or (abs(value) > most and not (infinite and "i" in text.lower())):
        raise _Unfit
    return value


def _shown(value: object) -> str:
    if value is None or value == "":
        return "an empty field"
    if isinstance(value, float) and np.isnan(value):
        return "a missing value"
    return repr(short(value)) if isinstance(value, str) else str(value)
