"""Requests that can be sent as they stand, from a model's signature."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from boxship.signature import Datatype, Signature, TensorSpec

MAX_ELEMENTS: Final = 4096
"""A larger tensor has no example: browsers choke on a page that holds an image as digits."""


def row(columns: Sequence[TensorSpec]) -> dict[str, Any]:
    """One row of ``/predict``: the columns' own examples, else a plain value of their type."""
    return {
        column.name: _plain(column.datatype) if column.example is None else column.example
        for column in columns
    }


def infer_request(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A V2 request of one row in JSON, or None where the tensors are too large to print.

    ``rows`` are example rows of ``/predict``; their fields fill the inputs of the same name.
    """
    known = dict(rows[0]) if rows else row(signature.columns or ())
    inputs = []
    for spec in signature.inputs:
        if not spec.required and known.get(spec.name) is None:
            continue
        shape = [1, *(1 if length < 0 else length for length in spec.shape[1:])]
        count = math.prod(shape)
        if count > MAX_ELEMENTS:
            return None
        data = _data(spec, count, known, signature.columns or ())
        inputs.append({"name": spec.name, "shape": shape, "datatype": spec.datatype, "data": data})
    return {"inputs": inputs}


def _data(
    spec: TensorSpec, count: int, known: Mapping[str, Any], columns: Sequence[TensorSpec]
) -> list[Any]:
    for values in (
        _flat(spec.example),
        _flat(known.get(spec.name)),
        _flat([known.get(column.name) for column in columns]),
    ):
        if len(values) == count and None not in values:
            return values
    return [_plain(spec.datatype)] * count


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [element for part in value for element in _flat(part)]
    return [value]


def _plain(datatype: Datatype) -> Any:
    if datatype == "BYTES":
        return "text"
    if datatype == "BOOL":
        return True
    return 0.0 if datatype.startswith("FP") else 0
