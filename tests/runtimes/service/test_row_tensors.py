"""Input tensors → rows."""

import json
import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest

from boxship import Service
from boxship.errors import MISSING, InputError, MalformedError
from boxship.runtimes.base import Tensors
from boxship.runtimes.service.runtime import ServiceRuntime


@dataclass
class Home:
    city: str


@dataclass
class Row:
    age: Annotated[float, msgspec.Meta(ge=0)]
    count: int | None = 7
    plan: str | None = "basic"
    member: bool = False
    tags: list[str] = field(default_factory=list)
    path: list[float] = field(default_factory=list)
    home: Home | None = None


class Echo(Service):
    def predict(self, rows: list[Row]) -> list[float]:
        return [row.age for row in rows]


RUNTIME = ServiceRuntime(Echo)


def objects(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=object)


def test_tensors_become_rows() -> None:
    tensors: Tensors = {
        "age": np.array([[1.5], [math.pi]]),
        "count": np.array([[1], [2]]),
        "plan": objects(["gold"], [None]),
        "member": np.array([[True], [False]]),
        "tags": objects(["a", "b"], ["c", "d"]),
        "path": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "home": objects(['{"city": "Bonn"}'], ["null"]),
    }
    assert RUNTIME.rows_from_tensors(tensors) == [
        Row(1.5, 1, "gold", True, ["a", "b"], [1.0, 2.0], Home("Bonn")),
        Row(math.pi, 2, None, False, ["c", "d"], [3.0, 4.0], None),
    ]


def test_flat_tensors_and_left_out_fields() -> None:
    rows = RUNTIME.rows_from_tensors({"age": np.array([1.0, 2.0]), "home": objects(None, None)})
    assert rows == [Row(1.0), Row(2.0)]


def test_missing_values_are_null() -> None:
    count = objects([None], [3])
    rows = RUNTIME.rows_from_tensors({"age": np.ones((2, 1)), "count": count})
    assert [row.count for row in rows] == [None, 3]
    count = np.array([[math.nan], [3]])
    with pytest.raises(InputError, match=r"expected a whole number or null, found the number 3\.0"):
        RUNTIME.rows_from_tensors({"age": np.ones((2, 1)), "count": count})


@pytest.mark.parametrize(
    ("tensors", "problems"),
    [
        ({"age": np.array([[math.nan]])}, ["[0].age: expected a number, found null"]),
        ({"age": np.array([[math.inf]])}, ["age: expected finite numbers, found infinity"]),
        ({"age": np.array([[-1.0]])}, ["[0].age: expected a number >= 0.0, found the number -1.0"]),
        ({"age": np.ones((2, 3))}, ["age: expected one value per row, found shape [2, 3]"]),
        (
            {"age": np.ones((1, 1)), "path": np.ones(1)},
            ["path: expected one list per row, found shape [1]"],
        ),
        (
            {"age": np.ones((2, 1)), "count": np.ones((1, 1), int)},
            ["count: expected 2 rows, as in the other tensors, found 1 rows"],
        ),
        (
            {"age": np.ones((1, 1)), "home": objects(["{"])},
            ["[0].home: expected JSON text, found Input data was truncated"],
        ),
        (
            {"age": np.ones((1, 1)), "home": objects(['{"city": 1}'])},
            ["[0].home.city: expected a string, found the number 1"],
        ),
        (
            {"count": np.ones((2, 1), int)},
            [f"[{i}].age: expected a number, found {MISSING}" for i in range(2)],
        ),
    ],
)
def test_tensors_that_make_no_rows(tensors: Tensors, problems: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        RUNTIME.rows_from_tensors(tensors)
    assert [str(problem) for problem in caught.value.problems] == problems


def test_json_text_nested_too_deeply() -> None:
    with pytest.raises(MalformedError, match="home: expected JSON of a few levels"):
        RUNTIME.rows_from_tensors({"age": np.ones((1, 1)), "home": objects(["[" * 100_000])})


def test_every_double_survives_the_way() -> None:
    values = np.random.default_rng(0).random(500) * 10.0 ** np.arange(-250, 250)
    rows = RUNTIME.rows_from_tensors({"age": values})
    assert [row.age for row in rows] == values.tolist()
    assert json.loads(RUNTIME.encode_answers(RUNTIME.run(rows), single=False)) == [
        {"value": value} for value in values.tolist()
    ]
