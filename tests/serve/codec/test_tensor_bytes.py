"""Tensors as the bytes of the binary tensor data extension."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from boxship.errors import InputError
from boxship.serve.codec import tensor_bytes
from boxship.signature import DATATYPES, NUMPY_DTYPES, Datatype, TensorSpec

NUMERIC = [name for name in DATATYPES if name != "BYTES"]


def spec(datatype: Datatype) -> TensorSpec:
    return TensorSpec(name="x", datatype=datatype)


def decode(raw: bytes | bytearray, datatype: Datatype, *shape: int) -> Any:
    return tensor_bytes.decode(memoryview(raw), spec(datatype), shape)


def refused(raw: bytes, datatype: Datatype, *shape: int) -> str:
    with pytest.raises(InputError) as caught:
        decode(raw, datatype, *shape)
    return str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "raw", "shape", "values"),
    [
        ("BOOL", b"\x00\x01\x02", (3,), [False, True, True]),
        ("UINT8", b"\x00\xff", (2, 1), [[0], [255]]),
        ("INT16", b"\x01\x00\xff\xff", (1, 2), [[1, -1]]),
        ("INT64", b"\x00" * 7 + b"\x80", (1,), [-(2**63)]),
        ("FP32", b"\x00\x00\xc0\x3f", (), 1.5),
        ("FP64", b"\x00" * 6 + b"\xf8\x3f", (1, 1, 1), [[[1.5]]]),
        ("FP16", b"\x00\x3e", (1,), [1.5]),
        ("FP64", b"", (0, 3), []),
        ("BYTES", b"\x02\x00\x00\x00hi\x00\x00\x00\x00", (2,), ["hi", ""]),
        ("BYTES", b"\x03\x00\x00\x00\xe2\x9b\xb5", (1, 1), [["⛵"]]),
        ("BYTES", b"", (0,), []),
    ],
)
def test_bytes_are_little_endian_and_row_major(
    datatype: Datatype, raw: bytes, shape: tuple[int, ...], values: Any
) -> None:
    """As Triton's extension writes them."""
    array = decode(raw, datatype, *shape)
    assert (array.dtype, array.shape) == (np.dtype(NUMPY_DTYPES[datatype]), shape)
    assert array.tolist() == values
    if datatype != "BOOL":
        assert tensor_bytes.encode(array, spec(datatype)) == raw


SHAPES = arrays.array_shapes(max_dims=3, max_side=4)


@pytest.mark.parametrize("datatype", NUMERIC)
@given(data=st.data())
def test_any_array_comes_back_as_it_was(datatype: Datatype, data: st.DataObject) -> None:
    """Bit by bit: NaNs, infinities and negative zeros too."""
    array = data.draw(arrays.arrays(np.dtype(NUMPY_DTYPES[datatype]), SHAPES))
    found = decode(bytes(tensor_bytes.encode(array, spec(datatype))), datatype, *array.shape)
    assert (found.shape, found.tobytes()) == (array.shape, array.tobytes())


@given(st.lists(st.text(), max_size=10))
def test_any_texts_come_back_as_they_were(texts: list[str]) -> None:
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    assert (
        decode(bytes(tensor_bytes.encode(array, spec("BYTES"))), "BYTES", len(texts)).tolist()
        == texts
    )


def test_an_answer_may_be_laid_out_in_any_way() -> None:
    """Column by column, big-endian, every second element: the bytes are those of its values."""
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    expected = array.tobytes()
    for other in (
        np.asfortranarray(array),
        array.astype(">f8"),
        np.repeat(array, 2, axis=1)[:, ::2],
    ):
        assert tensor_bytes.encode(other, spec("FP64")) == expected


def test_an_answer_is_of_its_declared_datatype() -> None:
    """A model that computes in doubles answers FP32 where its signature says so."""
    assert tensor_bytes.encode(np.array([1.5]), spec("FP32")) == b"\x00\x00\xc0\x3f"


def test_the_array_may_be_written_to() -> None:
    """Models and services change their input in place; the request's bytes are not theirs."""
    raw = bytearray(16)
    array = decode(raw, "FP64", 2)
    array[:] = math.pi
    assert raw == bytes(16)


@pytest.mark.parametrize("datatype", NUMERIC)
def test_bytes_that_do_not_fill_the_shape(datatype: Datatype) -> None:
    size = np.dtype(NUMPY_DTYPES[datatype]).itemsize
    for length in (0, 6 * size - 1, 6 * size + 1):
        assert refused(bytes(length), datatype, 2, 3) == (
            f"x.binary_data_size: expected {6 * size} bytes for the shape [2, 3], found {length}"
        )


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"\x01\x00\x00", "3 bytes where a length was due"),
        (b"\x01\x00\x00\x00", "an element of 1 bytes with 0 left"),
        (b"\xff\xff\xff\xffx", "an element of 4294967295 bytes with 1 left"),
        (b"\x01\x00\x00\x00\xff", "an element that is not UTF-8 (invalid start byte)"),
        (b"", "0 elements"),
        (b"\x00" * 8, "2 elements"),
    ],
)
def test_bytes_that_are_no_texts(raw: bytes, found: str) -> None:
    assert refused(raw, "BYTES", 1) == (
        f"x.data: expected one length and UTF-8 text for each element, found {found}"
    )
