"""One tensor as the bytes of the binary tensor data extension: little-endian, row-major.

A BYTES element is its length (four bytes, little-endian) and then the bytes.
"""

import struct

import numpy as np

from boxship.errors import InputError, Problem
from boxship.runtimes.base import Array
from boxship.signature import NUMPY_DTYPES, TensorSpec

_LENGTH = struct.Struct("<I")


def decode(raw: memoryview, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """An array of ``shape``; raises ``InputError`` where the bytes do not fill it exactly."""
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if spec.datatype == "BYTES":
        return _decode_texts(raw, spec, count).reshape(shape)
    native = np.dtype(NUMPY_DTYPES[spec.datatype])
    dtype = native.newbyteorder("<")
    if len(raw) != count * dtype.itemsize:
        raise InputError(
            Problem(
                (spec.name, "binary_data_size"),
                f"{count * dtype.itemsize} bytes for the shape {list(shape)}",
                str(len(raw)),
            )
        )
    if spec.datatype == "BOOL":
        flags: Array = np.frombuffer(raw, np.uint8).reshape(shape) != 0
        return flags
    # A copy: models and services may write to their input, and want it aligned.
    return np.frombuffer(raw, dtype).reshape(shape).astype(native)


def _decode_texts(raw: memoryview, spec: TensorSpec, count: int) -> Array:
    texts: list[str] = []
    offset = 0
    while offset < len(raw):
        if offset + _LENGTH.size > len(raw):
            raise _not_texts(spec, f"{len(raw) - offset} bytes where a length was due")
        (length,) = _LENGTH.unpack_from(raw, offset)
        offset += _LENGTH.size
        if offset + length > len(raw):
            raise _not_texts(spec, f"an element of {length} bytes with {len(raw) - offset} left")
        try:
            texts.append(str(raw[offset : offset + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise _not_texts(spec, f"an element that is not UTF-8 ({error.reason})") from None
        offset += length
    if len(texts) != count:
        raise _not_texts(spec, f"{len(texts)} elements")
    array = np.empty(count, dtype=object)
    array[:] = texts
    return array


def _not_texts(spec: TensorSpec, found: str) -> InputError:
    return InputError(
        Problem((spec.name, "data"), "one length and UTF-8 text for each element", found)
    )


def encode(array: Array, spec: TensorSpec) -> bytes | memoryview:
    """The array's bytes: its own, where they are what is to be sent."""
    if spec.datatype == "BYTES":
        encoded = [str(text).encode() for text in array.ravel().tolist()]
        return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)
    dtype = np.dtype(NUMPY_DTYPES[spec.datatype]).newbyteorder("<")
    # By way of a flat array: no view with a dimension of 0 can be cast.
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1).view(np.uint8).data
