"""The arrays that joblib writes into the midst of a pickle, passed over."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

from boxship.artifact.pickling.dtypes import Dtype
from boxship.artifact.pickling.values import Findings, Global, MalformedPickleError

_SKIP_BYTES: Final = 1 << 20
_ATTRIBUTES: Final[Mapping[str, Any]] = {
    "subclass": Global,
    "shape": tuple,
    "order": str,
    "dtype": Dtype,
    "allow_mmap": bool,
    "numpy_array_alignment_bytes": int | None,
}
"""What joblib writes of an array, and what kind each is."""


def pass_over(findings: Findings, state: dict[str, Any], nested: Callable[[], None]) -> None:
    """Pass over an array: raw bytes, or a pickle of objects, which ``nested`` reads.

    Raises ``MalformedPickleError`` where its length cannot be told, or it is cut off.
    """
    findings.arrays = True
    dtype, shape = state.get("dtype"), state.get("shape")
    if not isinstance(dtype, Dtype) or not isinstance(shape, tuple):
        raise MalformedPickleError("an array without dtype or shape")
    # Any other attribute could stand in the place of a method of joblib's.
    for name, value in state.items():
        if not isinstance(value, _ATTRIBUTES.get(name, ())):
            raise MalformedPickleError(f"an array with the attribute {name!r}")
    mappable = state.get("allow_mmap") is True
    if dtype.has_object:
        if mappable:
            findings.trick("maps an array of objects", findings.last_offset)
        nested()
        return
    if dtype.itemsize is None or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise MalformedPickleError("an array of unknown size")
    if state.get("numpy_array_alignment_bytes") is not None:
        _skip(findings, findings.stream.read(1)[0])
    _skip(findings, prod(shape) * dtype.itemsize)
    findings.mappable |= mappable


def _skip(findings: Findings, count: int) -> None:
    stream = findings.stream
    if findings.file_size is not None:
        if count > findings.file_size - stream.tell():
            stream.seek(0, 2)
            raise MalformedPickleError("an array is cut off")
        stream.seek(count, 1)
        return
    while count:
        data = stream.read(min(count, _SKIP_BYTES))
        if not data:
            raise MalformedPickleError("an array is cut off")
        count -= len(data)
