"""JSON rows into arrays and arrays into JSON answers, exactly."""

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from boxship.errors import InputError, MalformedError
from boxship.serve.codec.rows import RowsCodec
from boxship.signature import DATATYPES, NUMPY_DTYPES, Answer, Datatype, Signature, TensorSpec

INTEGERS = [name for name in DATATYPES if "INT" in name]


def codec(
    *columns: TensorSpec,
    matrix: Datatype | None = None,
    answers: tuple[Answer, ...] = (),
    max_rows: int = 10,
) -> RowsCodec:
    together = None
    if matrix is not None:
        together = TensorSpec(name="input", datatype=matrix, shape=(-1, len(columns)))
    signature = Signature(
        inputs=columns, outputs=(), columns=columns, answers=answers, matrix=together
    )
    return RowsCodec(signature, max_rows=max_rows)


def column(name: str, datatype: Datatype = "FP64", *, nullable: bool = False) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, nullable=nullable)


A, B = column("a"), column("b")


def refused(rows: RowsCodec, body: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        rows.decode(body if isinstance(body, bytes) else json.dumps(body).encode())
    return [str(problem) for problem in caught.value.problems]


# Rows of numbers that travel together


def test_one_object_is_one_row() -> None:
    """The columns' order is the model's, whatever the object's."""
    tensors, rows, single = codec(A, B, matrix="FP64").decode(b' \n{"b": 2, "a": 1.5}')
    assert (rows, single, list(tensors)) == (1, True, ["input"])
    np.testing.assert_array_equal(tensors["input"], [[1.5, 2.0]])
    assert tensors["input"].dtype == np.float64


def test_a_list_is_as_many_rows_as_it_holds() -> None:
    body = b'\t[{"a": 1, "b": 2}, {"a": 3, "b": 4}]'
    tensors, rows, single = codec(A, B, matrix="FP64").decode(body)
    assert (rows, single) == (2, False)
    np.testing.assert_array_equal(tensors["input"], [[1, 2], [3, 4]])


def test_a_list_of_one_is_a_list() -> None:
    assert codec(A, matrix="FP64").decode(b'[{"a": 1}]')[1:] == (1, False)


NAMES = ["mean radius", "a.b", "Größe", "class", "f0", "", "a\u2028b"]


@pytest.mark.parametrize("more", [[], ['5" pipe'], ["back\\slash"], ["two\nlines"]])
def test_names_are_the_columns_own(more: list[str]) -> None:
    """Whatever they hold: spaces, dots, quotes, other scripts, or Python's own words."""
    names = NAMES + more
    rows = codec(*map(column, names), matrix="FP64")
    row = {name: index for index, name in enumerate(names)}
    for body in (row, [row]):
        tensors, count, single = rows.decode(json.dumps(body).encode())
        np.testing.assert_array_equal(tensors["input"], [list(row.values())])
        assert (count, single) == (1, body is row)
    (problem,) = refused(rows, [row | {names[-1]: "x"}])
    assert problem == f'[0].{names[-1]}: expected a finite number, found the string "x"'
    with pytest.raises(MalformedError):
        rows.decode(b"{")


def test_null_is_nan_where_a_value_may_be_missing() -> None:
    rows = codec(column("a", nullable=True), B, matrix="FP64")
    matrix = rows.decode(b'[{"a": null, "b": 1}, {"a": 2, "b": 3}]')[0]["input"]
    np.testing.assert_array_equal(matrix, [[math.nan, 1], [2, 3]])


EXACT = [0.1, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53 + 1, 1 / 3]


@pytest.mark.parametrize("value", EXACT)
@pytest.mark.parametrize("matrix", ["FP64", None])
def test_a_double_arrives_to_the_last_bit(value: float, matrix: Datatype | None) -> None:
    tensors = codec(A, matrix=matrix).decode(json.dumps({"a": value}).encode())[0]
    found = next(iter(tensors.values()))
    assert struct.pack("<d", found[0, 0]) == struct.pack("<d", value)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
def test_any_double_arrives_to_the_last_bit(values: list[float]) -> None:
    body = json.dumps([{"a": value} for value in values]).encode()
    found = codec(A, matrix="FP64").decode(body)[0]["input"]
    assert found.tobytes() == np.array(values).tobytes()


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_any_single_arrives_to_the_last_bit(values: list[float]) -> None:
    body = json.dumps([{"a": value} for value in values]).encode()
    found = codec(A, matrix="FP32").decode(body)[0]["input"]
    assert found.tobytes() == np.array(values, dtype=np.float32).tobytes()


@pytest.mark.parametrize(("datatype", "most"), [("FP32", 3.4028234663852886e38), ("FP16", 65504.0)])
@pytest.mark.parametrize("together", [True, False])
def test_a_number_too_large_for_its_datatype(
    datatype: Datatype,
    most: float,
    together: bool,  # noqa: FBT001
) -> None:
    """The largest is taken; what would become infinite is refused by its row and field."""
    rows = codec(column("a", datatype), B, matrix=datatype if together else None)
    found = rows.decode(json.dumps({"a": most, "b": 0}).encode())[0]
    assert float(next(iter(found.values()))[0, 0]) == most
    body = [{"a": 0, "b": 0}, {"a": -1e300, "b": 0}]
    assert refused(rows, body) == [
        f"[1].a: expected a number that {datatype} can hold, found -1e+300"
    ]


# Columns that travel one by one


def test_each_column_has_its_datatype_and_its_inputs_rank() -> None:
    columns = [column(name.lower(), name) for name in DATATYPES]
    values: dict[str, Any] = {name.lower(): 1 for name in DATATYPES}
    values |= {"bool": True, "bytes": "1"}
    tensors = codec(*columns).decode(json.dumps([values, values]).encode())[0]
    assert {name: str(array.dtype) for name, array in tensors.items()} == {
        name.lower(): dtype for name, dtype in NUMPY_DTYPES.items()
    }
    assert {array.shape for array in tensors.values()} == {(2, 1)}


def test_a_column_that_is_no_input_is_flat() -> None:
    """And one whose input is a flat tensor as well."""
    flat = TensorSpec(name="flat", datatype="INT64", shape=(-1,))
    signature = Signature(inputs=(flat,), outputs=(), columns=(flat, column("other", "BYTES")))
    tensors = RowsCodec(signature, max_rows=2).decode(b'{"flat": 1, "other": "x"}')[0]
    assert (tensors["flat"].shape, tensors["other"].shape) == ((1,), (1,))


@pytest.mark.parametrize("datatype", INTEGERS)
def test_integers_arrive_up_to_their_bounds(datatype: Datatype) -> None:
    bounds = np.iinfo(NUMPY_DTYPES[datatype])
    low, high = int(bounds.min), int(bounds.max)
    rows = codec(column("a", datatype))
    found = rows.decode(json.dumps([{"a": low}, {"a": high}]).encode())[0]["a"]
    assert found.tolist() == [[low], [high]]
    for beyond in (low - 1, high + 1):
        assert refused(rows, {"a": beyond}) == [
            f"a: expected a whole number from {low} to {high}, found the number {beyond}"
        ]


@given(st.lists(st.tuples(st.text(), st.booleans()), min_size=1, max_size=10))
def test_any_text_and_any_truth_value_arrive(values: list[tuple[str, bool]]) -> None:
    """In whichever way the client escapes them."""
    rows = codec(column("text", "BYTES"), column("truth", "BOOL"))
    body = [{"text": text, "truth": truth} for text, truth in values]
    for escaped in (True, False):
        tensors = rows.decode(json.dumps(body, ensure_ascii=escaped).encode())[0]
        assert tensors["text"].ravel().tolist() == [text for text, _ in values]
        assert tensors["truth"].ravel().tolist() == [truth for _, truth in values]
        assert tensors["text"].dtype == object


def test_null_is_none_for_a_text_and_nan_for_a_number() -> None:
    rows = codec(column("a", "BYTES", nullable=True), column("b", "FP32", nullable=True))
    tensors = rows.decode(b'[{"a": null, "b": null}, {"a": "x", "b": 1}]')[0]
    assert tensors["a"].tolist() == [[None], ["x"]]
    np.testing.assert_array_equal(tensors["b"], [[math.nan], [1]])


# What does not fit


@pytest.mark.parametrize(
    ("datatype", "value", "expectation", "found"),
    [
        ("FP64", "1", "a finite number", 'the string "1"'),
        ("FP64", None, "a finite number", "null"),
        ("FP64", True, "a finite number", "true"),
        ("FP64", [1], "a finite number", "a list of 1"),
        ("FP64", {"b": 1}, "a finite number", "an object"),
        ("BOOL", 1, "true or false", "the number 1"),
        ("BYTES", 1, "a string", "the number 1"),
        ("BYTES", None, "a string", "null"),
        ("INT8", 1.5, "a whole number from -128 to 127", "the number 1.5"),
        ("UINT8", -1, "a whole number from 0 to 255", "the number -1"),
        ("INT8", "x" * 100, "a whole number from -128 to 127", 'the string "' + "x" * 58 + "…"),
    ],
)
def test_a_value_that_does_not_fit(
    datatype: Datatype, value: object, expectation: str, found: str
) -> None:
    assert refused(codec(column("a", datatype)), {"a": value}) == [
        f"a: expected {expectation}, found {found}"
    ]


@pytest.mark.parametrize("matrix", ["FP64", None])
def test_every_problem_of_every_row(matrix: Datatype | None) -> None:
    body = [{"a": 1, "b": 2}, {"a": "x"}, {"a": 1, "b": None}, 3]
    assert refused(codec(A, B, matrix=matrix), body) == [
        '[1].a: expected a finite number, found the string "x"',
        "[1].b: expected a finite number, found nothing: it is missing",
        "[2].b: expected a finite number, found null",
        "[3]: expected an object with one field per column, found the number 3",
    ]


def test_no_more_problems_than_a_client_can_read() -> None:
    assert len(refused(codec(A, max_rows=100), [{}] * 50)) == 20
    assert len(refused(codec(A, matrix="FP32", max_rows=100), [{"a": 1e300}] * 50)) == 20


def test_a_field_that_no_column_has() -> None:
    """The message names the nearest column that the row lacks."""
    rows = codec(column("income"), A, matrix="FP64")
    assert refused(rows, {"incom": 1, "a": 1}) == [
        "incom: expected one of the model's columns, found an unknown field (did you mean 'income'?)",
        "income: expected a finite number, found nothing: it is missing",
    ]
    assert refused(rows, {"income": 1, "a": 1, "zzz": 1}) == [
        "zzz: expected one of the model's columns, found an unknown field"
    ]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_beyond_every_double(number: str) -> None:
    (found,) = refused(codec(A), f'{{"a": {number}}}'.encode())
    assert found.startswith("a: expected a finite number, found ")


def test_a_field_that_is_given_twice() -> None:
    """Its last value fits, its first does not: still a refusal that says something."""
    found = refused(codec(A), b'{"a": "x", "a": 1}')
    assert found == ["body: expected rows with each field once, found others"]


@pytest.mark.parametrize("count", [0, 4])
def test_the_number_of_rows(count: int) -> None:
    assert refused(codec(A, max_rows=3), [{"a": 1}] * count) == [
        f"body: expected a list of 1 to 3 rows, found {count} rows"
    ]


def test_too_many_rows_are_the_first_thing_said() -> None:
    """Not what is wrong with each of them."""
    assert refused(codec(A, max_rows=3), [{"b": "x"}] * 4) == [
        "body: expected a list of 1 to 3 rows, found 4 rows"
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON, found: an empty body"),
        (b" \n", "expected JSON, found: an empty body"),
        (b'{"a": 1', "expected JSON, found: Expecting ',' delimiter at position 7"),
        (b"a=1&b=2", "expected JSON, found: Expecting value at position 0"),
        (b'{"a": NaN}', "expected JSON, found: NaN, which JSON does not have"),
        (b'{"a": -Infinity}', "expected JSON, found: -Infinity, which JSON does not have"),
        (b'{"a": "\xff"}', "expected JSON in UTF-8, found the byte 0xff at position 7"),
        (
            b"[" * 100_000 + b"]" * 100_000,
            "expected JSON of a few levels, found it nested too deep",
        ),
    ],
)
def test_what_is_no_json(body: bytes, message: str) -> None:
    """Another error than JSON that does not fit: the client's code is at fault, not its data."""
    with pytest.raises(MalformedError) as caught:
        codec(A).decode(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "body", [rb'{"a": "\ud800"}', rb'{"\ud800": 1}', b"\xef\xbb\xbf{}", b'{"a": 1} x']
)
def test_what_is_almost_json(body: bytes) -> None:
    with pytest.raises((MalformedError, InputError)) as caught:
        codec(column("a", "BYTES")).decode(body)
    str(caught.value).encode()


@given(st.binary(max_size=60) | st.text(alphabet='[]{}":,a1.e-\\ \n', max_size=30).map(str.encode))
def test_no_body_is_answered_with_another_error(body: bytes) -> None:
    """Whatever comes in is rows, or malformed, or does not fit; and the reason can be sent."""
    rows = codec(A, column("b", "BYTES", nullable=True))
    reason = "rows"
    try:
        rows.decode(body)
    except (MalformedError, InputError) as error:
        reason = str(error)
    assert reason.encode()


def test_a_model_of_true_tensors_has_no_rows() -> None:
    with pytest.raises(ValueError, match="no rows of fields"):
        RowsCodec(Signature(inputs=(A,), outputs=()), max_rows=1)


# Answers


def encoded(answer: Answer, output: Any, *, single: bool = False) -> Any:
    rows = codec(A, answers=(answer,))
    return json.loads(rows.encode({answer.output: np.asarray(output)}, single=single))


@pytest.mark.parametrize(
    ("answer", "output", "rows"),
    [
        (Answer(name="value", output="value"), [[1.5], [2.5]], [{"value": 1.5}, {"value": 2.5}]),
        (Answer(name="value", output="value"), [1, 2], [{"value": 1}, {"value": 2}]),
        (Answer(name="value", output="value"), [[1, 2]], [{"value": [1, 2]}]),
        (Answer(name="label", output="label"), [["a"], ["b"]], [{"label": "a"}, {"label": "b"}]),
        (Answer(name="label", output="label"), [[True]], [{"label": True}]),
        (Answer(name="score", output="p", index=1), [[0.25, 0.75]], [{"score": 0.75}]),
        (
            Answer(name="scores", output="p", classes=("no", "yes")),
            [[0.25, 0.75], [1, 0]],
            [{"scores": {"no": 0.25, "yes": 0.75}}, {"scores": {"no": 1, "yes": 0}}],
        ),
        (Answer(name="scores", output="p", classes=("only",)), [[1]], [{"scores": {"only": 1}}]),
        (
            Answer(name="scores", output="p", classes=("no", "yes")),
            [[[0.25, 0.75], [1, 0]]],
            [{"scores": [{"no": 0.25, "yes": 0.75}, {"no": 1, "yes": 0}]}],
        ),
        (Answer(name="value", output="value"), [[math.nan], [math.inf]], [{"value": None}] * 2),
    ],
)
def test_an_answer_reads_its_output(answer: Answer, output: Any, rows: list[Any]) -> None:
    """One row of the output for each row; what JSON cannot say is null."""
    assert encoded(answer, output) == rows
    assert encoded(answer, output, single=True) == rows[0]


def test_an_answer_has_its_fields_in_order() -> None:
    answers = (Answer(name="score", output="p", index=0), Answer(name="label", output="label"))
    outputs = {"label": np.array([["x"], ["y"]], dtype=object), "p": np.array([[0.5], [1.0]])}
    rows = codec(A, answers=answers)
    assert rows.encode(outputs, single=False) == (
        b'[{"score":0.5,"label":"x"},{"score":1.0,"label":"y"}]'
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_is_answered_to_the_last_bit(value: float) -> None:
    found = encoded(Answer(name="v", output="v"), [[value]], single=True)["v"]
    assert struct.pack("<d", found) == struct.pack("<d", value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_any_single_is_answered_to_the_last_bit(value: float) -> None:
    found = encoded(
        Answer(name="v", output="v"), np.array([[value]], dtype=np.float32), single=True
    )["v"]
    assert np.float32(found).tobytes() == np.float32(value).tobytes()


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    output = np.array([[text]], dtype=object)
    assert encoded(Answer(name="v", output="v"), output, single=True) == {"v": text}


@given(
    st.sampled_from(["v", "first name", 'a "quoted" one', "a\nb", "über", "f0"]),
    st.lists(st.text(), min_size=1, max_size=5),
)
def test_each_row_has_a_text_of_its_own(name: str, texts: list[str]) -> None:
    """The same as alone, whatever its strings and its names hold."""
    rows = codec(A, answers=(Answer(name=name, output="v"),))
    output = np.array([[text] for text in texts], dtype=object)
    found = rows.encode_each({"v": output})
    assert [json.loads(one) for one in found] == [{name: text} for text in texts]
    assert found == [
        rows.encode({"v": output[at : at + 1]}, single=True) for at in range(len(texts))
    ]
