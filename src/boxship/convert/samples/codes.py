"""One number per cell: rows of any columns as one float64 matrix, until they are a batch.

A number stands for itself, NaN for a missing value. A string is its position among the
words of its column, a boolean 0 or 1. So all rows are mixed by the same arithmetic.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from boxship.runtimes.base import INPUT, Array, Tensors
from boxship.signature import NUMPY_DTYPES, Signature, TensorSpec

Floats = npt.NDArray[np.float64]
"""Codes: ``[rows, columns]``, or the values of one column."""

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


def in_float32(values: Floats) -> Floats:
    """``values``, none beyond what a float32 holds: no converted model could be asked about it."""
    return np.clip(values, -FLOAT32_MAX, FLOAT32_MAX)


def to_batch(
    codes: Floats, signature: Signature, columns: Sequence[TensorSpec], words: Sequence[list[str]]
) -> Tensors:
    """The batch that ``codes`` stand for; ``words`` holds each column's strings."""
    arrays = [
        decode(codes[:, position], spec, words[position]) for position, spec in enumerate(columns)
    ]
    if signature.matrix is not None:
        return {INPUT: np.column_stack([array.astype(np.float64) for array in arrays])}
    return {spec.name: array.reshape(-1, 1) for spec, array in zip(columns, arrays, strict=True)}


def decode(codes: Floats, spec: TensorSpec, words: list[str]) -> Array:
    """The values of one column, ``[rows]``, in its own datatype."""
    dtype = np.dtype(NUMPY_DTYPES[spec.datatype])
    if spec.datatype == "BYTES":
        texts: Array = np.array([*words, None], dtype=object)
        return texts[np.where(np.isnan(codes), len(words), codes).astype(np.intp)]
    if spec.datatype == "BOOL":
        return np.nan_to_num(codes) > 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # As a double, the largest int64 is one more than an int64 holds.
        top = float(limits.max)
        largest = top if int(top) <= limits.max else np.nextafter(top, 0)
        return np.clip(np.rint(np.nan_to_num(codes)), float(limits.min), largest).astype(dtype)
    most = float(np.finfo(dtype).max)
    return np.clip(codes, -most, most).astype(dtype)
