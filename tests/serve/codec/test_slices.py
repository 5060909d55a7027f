"""Large bodies are read and written in slices, with the answers that they had in one piece."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from boxship.errors import InputError, MalformedError, RequestError
from boxship.json_input import MAX_PROBLEMS
from boxship.runtimes.base import Tensors
from boxship.serve.codec import slices
from boxship.serve.codec.models import TensorModel
from boxship.serve.turns import LARGE_BYTES, LARGE_ROWS, at_once
from boxship.signature import Answer, Signature, TensorSpec

MAX_ROWS = 20_000
A, B = TensorSpec(name="a", datatype="FP64"), TensorSpec(name="b", datatype="FP64")
SUM = TensorSpec(name="sum", datatype="FP64", shape=(-1,))
SIGNATURE = Signature(
    inputs=(A, B),
    outputs=(SUM,),
    columns=(A, B),
    answers=(Answer(name="sum", output="sum"),),
    matrix=TensorSpec(name="input", datatype="FP64", shape=(-1, 2)),
)


@dataclass
class Adder:
    """A runtime that adds two columns."""

    name: str = "adder 1.0"
    signature: Signature = SIGNATURE
    batchable: bool = True
    reentrant: bool = True

    def run(self, batch: Tensors) -> Tensors:
        return {"sum": batch["input"].astype(np.float64).sum(axis=1)}

    def sample(self, rows: int) -> Tensors:
        return {"input": np.zeros((rows, 2))}


@pytest.fixture(scope="module")
def model() -> TensorModel:
    return TensorModel(Adder(), max_rows=MAX_ROWS)


def rows(count: int) -> list[dict[str, Any]]:
    return [{"a": index + 0.25, "b": -index * 1.5} for index in range(count)]


def turns(work: Any) -> int:
    count = 0
    for _ in work:
        count += 1
    return count


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9_000), st.sampled_from([None, 2, 7]))
def test_a_list_of_any_length_is_read_as_in_one_piece(
    model: TensorModel, count: int, indent: int | None
) -> None:
    body = json.dumps(rows(count), indent=indent).encode()
    batch, found, single = at_once(slices.decode_rows(model, body, MAX_ROWS))
    whole, _, _ = model.decode_rows(body)
    assert (found, single) == (count, False)
    np.testing.assert_array_equal(batch["input"], whole["input"])


@pytest.mark.parametrize("count", [1, LARGE_ROWS, LARGE_ROWS + 1, 5_000])
def test_answers_are_written_as_in_one_piece(model: TensorModel, count: int) -> None:
    outputs = {"sum": np.arange(count) / 3}
    text = at_once(slices.encode_answers(model, outputs, count, single=False))
    assert text == model.encode_answers(outputs, single=False)


def test_a_large_body_leaves_turns_to_others(model: TensorModel) -> None:
    """Each slice is of about the same size, so that no turn is long."""
    body = json.dumps(rows(10_000)).encode()
    assert turns(slices.decode_rows(model, body, MAX_ROWS)) >= len(body) // (2 * LARGE_BYTES)
    answers = {"sum": np.zeros(10_000)}
    work = slices.encode_answers(model, answers, 10_000, single=False)
    assert turns(work) >= 10_000 // LARGE_ROWS


def test_a_small_body_is_read_at_once(model: TensorModel) -> None:
    assert turns(slices.decode_rows(model, json.dumps(rows(5)).encode(), MAX_ROWS)) == 0


def problems(model: TensorModel, body: bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        at_once(slices.decode_rows(model, body, MAX_ROWS))
    return [str(problem) for problem in caught.value.problems]


def test_a_problem_is_told_at_its_place_in_the_whole_list(model: TensorModel) -> None:
    content = rows(8_000)
    content[10]["a"] = "x"
    del content[6_543]["b"]
    body = json.dumps(content).encode()
    assert problems(model, body) == [
        '[10].a: expected a finite number, found the string "x"',
        "[6543].b: expected a finite number, found nothing: it is missing",
    ]
    with pytest.raises(InputError) as caught:
        model.decode_rows(body)
    assert [str(problem) for problem in caught.value.problems] == problems(model, body)


def test_many_problems_are_cut_off(model: TensorModel) -> None:
    body = json.dumps([{"a": 1.0}] * 8_000).encode()
    assert len(problems(model, body)) == MAX_PROBLEMS


def test_too_many_rows_are_counted_before_any_is_read(model: TensorModel) -> None:
    body = json.dumps([{"wrong": 1}] * (MAX_ROWS + 1)).encode()
    assert problems(model, body) == [
        f"body: expected a list of 1 to {MAX_ROWS} rows, found {MAX_ROWS + 1} rows"
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[" + b'{"a": 1, "b": 2},' * 5_000 + b"]", "expected JSON, found: "),
        (b"[" + b'{"a": 1, "b": 2},' * 5_000, "expected JSON, found: "),
        (b"[" * 100_000, "nested too deep"),
        (b"[" + b'{"a": NaN, "b": 2},' * 5_000 + b"1]", "expected JSON, found: "),
    ],
)
def test_what_is_no_json_is_refused(model: TensorModel, body: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        at_once(slices.decode_rows(model, body, MAX_ROWS))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=3))
def test_a_spoilt_body_is_read_as_in_one_piece_or_refused(
    model: TensorModel, place: int, byte: bytes
) -> None:
    body = bytearray(json.dumps(rows(3_000)).encode())
    at = place % len(body)
    body[at : at + len(byte)] = byte

    def read(*, whole: bool) -> Any:
        try:
            if whole:
                return model.decode_rows(bytes(body))[0]["input"].tolist()
            return at_once(slices.decode_rows(model, bytes(body), MAX_ROWS))[0]["input"].tolist()
        except RequestError as error:
            return type(error)

    assert read(whole=False) == read(whole=True)
