"""One tensor as JSON data: flat in row-major order, or nested like its shape."""

import math
import re
from typing import Any

import msgspec
import numpy as np

from boxship import json_input
from boxship.errors import InputError, MalformedError, Problem
from boxship.runtimes.base import Array
from boxship.serve.codec import explain
from boxship.signature import NUMPY_DTYPES, TensorSpec

_ELEMENTS: dict[str, Any] = {"BYTES": str, "BOOL": bool, "FP16": float, "FP32": float}
_ELEMENTS |= {"FP64": float}
_NESTED = re.compile(rb"\s*\[\s*\[")


def decode(data: bytes, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """An array of ``shape``; raises ``InputError`` naming the element at fault."""
    if not data:
        raise InputError(Problem((spec.name, "data"), "a list of elements", "nothing"))
    element = _ELEMENTS.get(spec.datatype, int)
    kind: Any = list[element | None] if spec.nullable else list[element]  # type: ignore[valid-type]
    nested = _NESTED.match(data) is not None
    if nested:
        for _ in range(len(shape) - 1):
            kind = list[kind]
    try:
        values = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _explained(data, spec, shape) from None
    if nested:
        _check_nesting(values, spec, shape, ())
        for _ in range(len(shape) - 1):
            values = [inner for outer in values for inner in outer]
    elif len(values) != math.prod(shape):
        raise InputError(
            Problem(
                (spec.name, "data"),
                f"{math.prod(shape)} elements for the shape {list(shape)}",
                f"{len(values)}",
            )
        )
    return _array(values, spec, shape)


def _check_nesting(
    values: list[Any], spec: TensorSpec, shape: tuple[int, ...], place: tuple[int, ...]
) -> None:
    if len(values) != shape[0]:
        raise InputError(
            Problem(
                (spec.name, "data", *place), f"a list of {shape[0]}", f"a list of {len(values)}"
            )
        )
    if len(shape) > 1:
        for index, inner in enumerate(values):
            _check_nesting(inner, spec, shape[1:], (*place, index))


def _array(values: list[Any], spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    dtype = np.dtype(NUMPY_DTYPES[spec.datatype])
    if dtype.kind == "O":
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array.reshape(shape)
    widest = {"f": "float64", "i": "int64", "u": "uint64"}.get(dtype.kind, "bool")
    try:
        exact = np.array(values, dtype=widest)
    except (OverflowError, TypeError):
        raise _element(values, spec) from None
    with np.errstate(over="ignore"):
        array = exact.astype(dtype, copy=False)
    if dtype.kind in "iu" and (array != exact).any():
        raise _element(values, spec)
    if dtype.kind == "f" and np.isinf(array).any():
        raise InputError(
            Problem(
                (spec.name, "data", int(np.argmax(np.isinf(array)))),
                f"a number that {spec.datatype} can hold",
                repr(values[int(np.argmax(np.isinf(array)))]),
            )
        )
    return array.reshape(shape)


def _element(values: list[Any], spec: TensorSpec) -> InputError:
    index = next((i for i, value in enumerate(values) if not explain.fits(value, spec)), 0)
    return InputError(
        Problem((spec.name, "data", index), explain.expected(spec), json_input.shown(values[index]))
    )


def _explained(data: bytes, spec: TensorSpec, shape: tuple[int, ...]) -> Exception:
    """Read the data again without a type, to say which element is at fault."""
    try:
        content = json_input.parse(data)
    except MalformedError as error:
        return error
    if not isinstance(content, list):
        return InputError(
            Problem((spec.name, "data"), "a list of elements", json_input.shown(content))
        )
    place: tuple[int, ...] = ()
    rank = len(shape) if any(isinstance(entry, list) for entry in content) else 1
    problem = _find(content, spec, rank, place)
    return InputError(problem or Problem((spec.name, "data"), explain.expected(spec), "another"))


def _find(
    content: list[Any], spec: TensorSpec, rank: int, place: tuple[int, ...]
) -> Problem | None:
    for index, entry in enumerate(content):
        here = (*place, index)
        if rank > 1:
            if not isinstance(entry, list):
                return Problem((spec.name, "data", *here), "a list", json_input.shown(entry))
            problem = _find(entry, spec, rank - 1, here)
            if problem is not None:
                return problem
        elif not explain.fits(entry, spec):
            return Problem(
                (spec.name, "data", *here), explain.expected(spec), json_input.shown(entry)
            )
    return None
