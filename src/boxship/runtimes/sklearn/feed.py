"""From a batch of tensors to what a scikit-learn model takes: array, DataFrame or documents."""

from collections.abc import Callable
from typing import Any

import numpy as np

from boxship.errors import ModelError
from boxship.runtimes.base import INPUT, Array, Tensors
from boxship.runtimes.sklearn.columns import Columns
from boxship.signature import NUMPY_DTYPES, TensorSpec

Feed = Callable[[Tensors], Any]


def matrix_spec(columns: Columns, *, frame: bool) -> TensorSpec | None:
    """The ``[rows, columns]`` tensor that carries every column, or None where none can."""
    datatypes = {spec.datatype for spec in columns.specs}
    if "BYTES" in datatypes or (frame and datatypes != {"FP64"}):
        return None
    return TensorSpec(name=INPUT, datatype="FP64", shape=(-1, len(columns.specs)))


def make_feed(columns: Columns, *, frame: bool) -> Feed:
    """What turns a batch into the model's own input.

    Raises ``ModelError`` where a DataFrame is needed and pandas is not installed.
    """
    if columns.text:
        name = columns.specs[0].name
        return lambda batch: batch[name].reshape(-1)
    matrix = matrix_spec(columns, frame=frame) is not None
    if frame:
        return _frame_of_matrix(columns) if matrix else _frame_of_columns(columns)
    if matrix:
        return _take_columns if columns.named else _take_rows
    return _objects(columns)


def _take_rows(batch: Tensors) -> Array:
    return batch[INPUT]


def _take_columns(batch: Tensors) -> Array:
    """Column by column in memory, as pandas keeps numbers.

    BLAS adds in another order for the other layout, and the last bits of a linear
    model's answer with it.
    """
    return np.asfortranarray(batch[INPUT])


def _objects(columns: Columns) -> Feed:
    flats = _flats(columns)

    def feed(batch: Tensors) -> Array:
        table = np.empty((len(batch[flats[0][0]]), len(flats)), dtype=object)
        for position, (name, flat) in enumerate(flats):
            table[:, position] = flat(batch[name])
        return table

    return feed


def _frame_of_matrix(columns: Columns) -> Feed:
    pandas = _pandas()
    index = pandas.Index([spec.name for spec in columns.specs])
    return lambda batch: pandas.DataFrame(_take_columns(batch), columns=index, copy=False)


def _frame_of_columns(columns: Columns) -> Feed:
    pandas = _pandas()
    flats = _flats(columns)
    keep_none = [
        spec.name
        for spec, missing in zip(columns.specs, columns.missing, strict=True)
        if spec.datatype == "BYTES" and missing is None
    ]

    def feed(batch: Tensors) -> Any:
        arrays = {name: flat(batch[name]) for name, flat in flats}
        for name in keep_none:
            # pandas 3 makes str of an object column, and with it NaN of None.
            arrays[name] = pandas.Series(arrays[name], dtype=object)
        return pandas.DataFrame(arrays, copy=False)

    return feed


def _flats(columns: Columns) -> list[tuple[str, Callable[[Array], Array]]]:
    """For each column its name, and what makes its tensor the flat array the model takes."""
    return [
        (spec.name, _flat_strings if spec.datatype == "BYTES" and missing is not None else _flat)
        for spec, missing in zip(columns.specs, columns.missing, strict=True)
    ]


def _flat(values: Array) -> Array:
    return values.reshape(-1)


def _flat_strings(values: Array) -> Array:
    flat = values.reshape(-1)
    absent = flat == np.array(None)
    if absent.any():
        flat = flat.copy()
        flat[absent] = np.nan
    return flat


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ModelError(
            "The model was fitted on a DataFrame and looks at its columns by name, "
            "but pandas is not installed.",
            tip="Install pandas: `pip install pandas`.",
        ) from error
    return pd


def sample_batch(columns: Columns, examples: list[Any], rows: int, *, matrix: bool) -> Tensors:
    """``rows`` equal rows of ``examples``, one per column; None stands for a missing value."""
    if matrix:
        row = [np.nan if example is None else float(example) for example in examples]
        return {INPUT: np.tile(np.array(row, dtype=np.float64), (rows, 1))}
    batch: dict[str, Array] = {}
    for spec, example in zip(columns.specs, examples, strict=True):
        array = np.empty((rows, 1), dtype=NUMPY_DTYPES[spec.datatype])
        array[:] = np.nan if example is None and spec.datatype != "BYTES" else example
        batch[spec.name] = array
    return batch
