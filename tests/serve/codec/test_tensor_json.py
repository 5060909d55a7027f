"""Tensors as JSON data, flat or nested."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from boxship.errors import InputError, MalformedError
from boxship.serve.codec import tensor_json
from boxship.serve.turns import LARGE_BYTES, Turns, at_once
from boxship.signature import DATATYPES, NUMPY_DTYPES, Datatype, TensorSpec

INTEGERS = [name for name in DATATYPES if "INT" in name]


def decode(data: object, datatype: Datatype, *shape: int, nullable: bool = False) -> Any:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    spec = TensorSpec(name="x", datatype=datatype, nullable=nullable)
    return tensor_json.decode(raw, spec, shape)


def refused(data: object, datatype: Datatype, *shape: int, nullable: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        decode(data, datatype, *shape, nullable=nullable)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("datatype", "data", "shape", "values"),
    [
        ("FP64", [1, 2.5, 3, 4, 5, 6], (2, 3), [[1, 2.5, 3], [4, 5, 6]]),
        ("FP64", [[1, 2.5, 3], [4, 5, 6]], (2, 3), [[1, 2.5, 3], [4, 5, 6]]),
        ("FP32", [[[1], [2]]], (1, 2, 1), [[[1], [2]]]),
        ("INT8", [1, 2], (1, 2, 1), [[[1], [2]]]),
        ("BOOL", [[True], [False]], (2, 1), [[True], [False]]),
        ("BYTES", ["a", "[["], (2,), ["a", "[["]),
        ("BYTES", [["a", ""]], (1, 2), [["a", ""]]),
        ("FP64", [5], (), 5),
        ("FP64", [], (0, 3), []),
        ("FP64", [[]], (1, 0), [[]]),
        ("FP64", b" \n[ \t[1]\r,[2] ]", (2, 1), [[1], [2]]),
        ("FP64", b"[" + b" " * 5000 + b"[1, 2]]", (1, 2), [[1, 2]]),
    ],
)
def test_data_is_flat_or_nested_like_its_shape(
    datatype: Datatype, data: object, shape: tuple[int, ...], values: Any
) -> None:
    array = decode(data, datatype, *shape)
    assert (array.dtype, array.shape) == (np.dtype(NUMPY_DTYPES[datatype]), shape)
    assert array.tolist() == values


def test_null_where_a_value_may_be_missing() -> None:
    assert decode(["a", None], "BYTES", 2, nullable=True).tolist() == ["a", None]
    np.testing.assert_array_equal(
        decode([[1], [None]], "FP32", 2, 1, nullable=True), [[1], [math.nan]]
    )


SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, max_side=4)


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
@given(data=st.data())
def test_any_array_arrives_to_the_last_bit(datatype: Datatype, data: st.DataObject) -> None:
    """Nested and flat: subnormals, negative zero and both bounds of every integer."""
    dtype = np.dtype(NUMPY_DTYPES[datatype])
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    array = data.draw(arrays.arrays(dtype, SHAPES, elements=finite))
    for content in (array.tolist(), array.ravel().tolist()):
        assert decode(content, datatype, *array.shape).tobytes() == array.tobytes()


@given(st.lists(st.text(), min_size=1, max_size=6))
def test_any_texts_arrive(texts: list[str]) -> None:
    for content in (texts, [[text] for text in texts]):
        assert decode(content, "BYTES", len(texts), 1).ravel().tolist() == texts


@pytest.mark.parametrize("datatype", INTEGERS)
def test_an_integer_beyond_its_bounds(datatype: Datatype) -> None:
    bounds = np.iinfo(NUMPY_DTYPES[datatype])
    low, high = int(bounds.min), int(bounds.max)
    for beyond in (low - 1, high + 1):
        assert refused([0, beyond], datatype, 2) == (
            f"x.data[1]: expected a whole number from {low} to {high}, found the number {beyond}"
        )


@pytest.mark.parametrize(
    ("datatype", "least"), [("FP16", 70000.0), ("FP32", 3.5e38), ("FP32", -1e300)]
)
def test_a_number_too_large_for_its_datatype(datatype: Datatype, least: float) -> None:
    """It would become infinite."""
    assert refused([[0], [least]], datatype, 2, 1) == (
        f"x.data[1]: expected a number that {datatype} can hold, found {least!r}"
    )


@pytest.mark.parametrize(
    ("datatype", "data", "shape", "message"),
    [
        ("FP64", b"", (1,), "x.data: expected a list of elements, found nothing"),
        ("FP64", 1, (1,), "x.data: expected a list of elements, found the number 1"),
        ("FP64", {"a": 1}, (1,), "x.data: expected a list of elements, found an object"),
        ("FP64", None, (1,), "x.data: expected a list of elements, found null"),
        ("FP64", [1, "2"], (2,), 'x.data[1]: expected a finite number, found the string "2"'),
        ("FP64", [1, None], (2,), "x.data[1]: expected a finite number, found null"),
        ("FP64", b"[1, 1e999]", (2,), "x.data[1]: expected a finite number, found a number that"),
        ("INT8", [1, 2.0], (2,), "x.data[1]: expected a whole number from -128 to 127, found"),
        ("INT8", [True], (1,), "x.data[0]: expected a whole number from -128 to 127, found true"),
        ("BOOL", [0], (1,), "x.data[0]: expected true or false, found the number 0"),
        ("BYTES", ["a", 1], (2,), "x.data[1]: expected a string, found the number 1"),
        ("FP64", [1, 2], (3,), "x.data: expected 3 elements for the shape [3], found 2"),
        ("FP64", [1, 2], (), "x.data: expected 1 elements for the shape [], found 2"),
        ("FP64", [[1, 2]], (2,), "x.data[0]: expected a finite number, found a list of 2"),
        ("FP64", [[1, 2]], (2, 2), "x.data: expected a list of 2, found a list of 1"),
        ("FP64", [[1, 2], [3]], (2, 2), "x.data[1]: expected a list of 2, found a list of 1"),
        ("FP64", [[1], 2], (2, 1), "x.data[1]: expected a list, found the number 2"),
        ("FP64", [1, [2]], (2, 1), "x.data[0]: expected a list, found the number 1"),
        ("FP64", [[1], ["2"]], (2, 1), "x.data[1][0]: expected a finite number, found the string"),
        ("FP64", [[[1]]], (1, 1), "x.data[0][0]: expected a finite number, found a list of 1"),
    ],
)
def test_data_that_does_not_fit(
    datatype: Datatype, data: object, shape: tuple[int, ...], message: str
) -> None:
    """The element at fault is named by its place in the data as it was sent."""
    assert refused(data, datatype, *shape).startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'["\xff"]', "expected JSON in UTF-8, found the byte 0xff at position 2"),
        (rb'["\ud800"]', r"expected JSON, found: '\ud800', which is half of a surrogate pair"),
        (b"[" * 100_000, "expected JSON of a few levels, found it nested too deep"),
    ],
)
def test_data_that_is_no_json(data: bytes, message: str) -> None:
    """The request around it was read without looking inside the data."""
    with pytest.raises(MalformedError) as caught:
        decode(data, "BYTES", 1)
    assert str(caught.value) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(
    data=st.lists(JSON, max_size=4),
    datatype=st.sampled_from(DATATYPES),
    shape=st.lists(st.integers(0, 3), max_size=3),
)
def test_any_data_fits_or_is_refused(data: list[Any], datatype: Datatype, shape: list[int]) -> None:
    """Never another error, and never an array of another shape."""
    found = None
    try:
        found = decode(data, datatype, *shape)
    except (InputError, MalformedError) as error:
        reason = str(error)
        assert reason
    assert found is None or found.shape == tuple(shape)


# Large tensors, in turns


LARGE = np.random.default_rng(7).normal(size=(50, 300))
LARGE_SHAPES = [(15_000,), (50, 300), (1, 15_000), (1, 3, 50, 100), (15_000, 1), (3, 5, 10, 100)]


def in_turns(data: object, datatype: Datatype, *shape: int) -> Any:
    return at_once(turns_of(data, datatype, *shape))


def turns_of(data: object, datatype: Datatype, *shape: int) -> Turns[Any]:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return tensor_json.decode_in_turns(raw, TensorSpec(name="x", datatype=datatype), shape)


@pytest.mark.parametrize("shape", LARGE_SHAPES)
@pytest.mark.parametrize("nested", [True, False])
def test_a_large_tensor_is_read_as_in_one_piece(shape: tuple[int, ...], *, nested: bool) -> None:
    data = (LARGE.reshape(shape) if nested else LARGE.ravel()).tolist()
    found = in_turns(data, "FP32", *shape)
    np.testing.assert_array_equal(found, decode(data, "FP32", *shape))
    assert found.shape == shape
    raw = json.dumps(data).encode()
    assert sum(1 for _ in turns_of(raw, "FP32", *shape)) >= len(raw) // (2 * LARGE_BYTES)


@pytest.mark.parametrize("shape", LARGE_SHAPES)
@pytest.mark.parametrize("nested", [True, False])
def test_a_problem_in_a_large_tensor_is_told_at_its_place(
    shape: tuple[int, ...], *, nested: bool
) -> None:
    array = (LARGE.reshape(shape) if nested else LARGE.ravel()).astype(object)
    place = tuple(size - 1 for size in array.shape)
    array[place] = "x"
    with pytest.raises(InputError) as caught:
        in_turns(array.tolist(), "FP64", *shape)
    (problem,) = caught.value.problems
    assert str(problem) == refused(array.tolist(), "FP64", *shape)


@pytest.mark.parametrize(
    ("data", "shape", "says"),
    [
        ([1.5] * 30_000, (30_001,), "30001 elements for the shape [30001], found 30000"),
        ([[1.5] * 100] * 300, (301, 100), "a list of 301, found a list of 300"),
        ([[1.5] * 100] * 300 + [[1.5]], (301, 100), "a list of 100, found a list of 1"),
        ([1.5] * 30_000 + [[1.5] * 9_000], (39_000,), "found a list of 9000"),
        ([1.5] * 3_000 + [[1.5] * 90_000], (93_000,), "in each place"),
    ],
)
def test_a_large_tensor_of_another_shape_is_refused(
    data: list[Any], shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(InputError) as caught:
        in_turns(data, "FP64", *shape)
    assert says in str(caught.value)


@given(st.integers(0, 20_000))
def test_a_large_tensor_is_written_as_in_one_piece(size: int) -> None:
    array = np.arange(size) / 3
    text = bytes(at_once(tensor_json.encode_in_turns(array)))
    assert json.loads(text) == array.tolist()
