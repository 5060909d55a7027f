"""One tensor as JSON data: flat in row-major order, or nested like its shape."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from boxship import json_input
from boxship.errors import InputError, MalformedError, Problem
from boxship.runtimes.base import Array
from boxship.serve.codec import explain
from boxship.serve.turns import LARGE_BYTES, Turns
from boxship.signature import NUMPY_DTYPES, TensorSpec

_ELEMENTS: dict[str, Any] = {"BYTES": str, "BOOL": bool, "FP16": float, "FP32": float}
_ELEMENTS |= {"FP64": float}
_LARGE_SIZE = 4096
"""Elements that are written in one turn."""
_NESTED = re.compile(rb"\s*\[\s*\[")


def encode_in_turns(array: Array) -> Turns[msgspec.Raw]:
    """The elements as one flat JSON list, in row-major order."""
    flat = array.ravel()
    texts = []
    for first in range(0, max(flat.size, 1), _LARGE_SIZE):
        texts.append(msgspec.json.encode(flat[first : first + _LARGE_SIZE].tolist())[1:-1])
        if first + _LARGE_SIZE < flat.size:
            yield
    return msgspec.Raw(b"[%b]" % b",".join(texts))


def decode_in_turns(data: bytes, spec: TensorSpec, shape: tuple[int, ...]) -> Turns[Array]:
    """``decode`` for data that is known to be JSON, much of it read a slice at a time.

    A list of numbers is cut at its commas, a list of lists between the lists. Strings may
    hold commas, and are read in one go.
    """
    if len(data) <= LARGE_BYTES or spec.datatype == "BYTES" or data[:1] != b"[":
        return decode(data, spec, shape)
    nested = _NESTED.match(data) is not None and len(shape) > 1
    pieces = _lists(data) if nested else _commas(data)
    parts: list[Array] = []
    count = 0
    for piece, length in pieces:
        alone = nested and length == 1 and len(piece) > LARGE_BYTES
        try:
            if alone:
                inner = yield from decode_in_turns(piece[1:-1], spec, shape[1:])
                part = inner.reshape(1, *shape[1:])
            else:
                part = decode(piece, spec, (length, *shape[1:]) if nested else (length,))
        except InputError as error:
            place = (0,) if alone else ()
            raise InputError(*(_moved(each, place, count) for each in error.problems)) from None
        except MalformedError:
            # A list among the numbers, cut in two.
            expected = f"{explain.expected(spec)} in each place"
            raise InputError(Problem((spec.name, "data"), expected, "a list")) from None
        parts.append(part)
        count += length
        yield
    if nested and count != shape[0]:
        raise InputError(
            Problem((spec.name, "data"), f"a list of {shape[0]}", f"a list of {count}")
        )
    if not nested and count != math.prod(shape):
        raise _wrong_count(count, spec, shape)
    return np.concatenate(parts).reshape(shape)


def _commas(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The elements of a flat list in lists of about ``LARGE_BYTES``, with their number."""
    first, last = 1, data.rindex(b"]")
    while first <= last:
        cut = data.find(b",", first + LARGE_BYTES, last)
        piece = data[first : cut if cut >= 0 else last]
        yield b"[%b]" % piece, piece.count(b",") + 1
        first = cut + 1 if cut >= 0 else last + 1


def _lists(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The lists in a list, in lists of about ``LARGE_BYTES``, with their number."""
    raws: list[bytes] = []
    size = 0
    for raw in msgspec.json.decode(data, type=list[msgspec.Raw]):
        raws.append(bytes(raw))
        size += len(raws[-1])
        if size >= LARGE_BYTES:
            yield b"[%b]" % b",".join(raws), len(raws)
            raws, size = [], 0
    if raws:
        yield b"[%b]" % b",".join(raws), len(raws)


def _moved(problem: Problem | str, place: tuple[int, ...], count: int) -> Problem | str:
    """A problem of a piece, at its place in the whole: ``count`` elements came before."""
    if not isinstance(problem, Problem):
        return problem
    loc = (*problem.loc[:2], *place, *problem.loc[2:])
    if len(loc) > 2 and isinstance(loc[2], int):
        loc = (*loc[:2], loc[2] + count, *loc[3:])
    return replace(problem, loc=loc)


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
        raise _wrong_count(len(values), spec, shape)
    return _array(values, spec, shape)


def _wrong_count(found: int, spec: TensorSpec, shape: tuple[int, ...]) -> InputError:
    expected = f"{math.prod(shape)} elements for the shape {list(shape)}"
    return InputError(Problem((spec.name, "data"), expected, f"{found}"))


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
