"""JSON Schema of rows and answers, and examples that fit it."""

import datetime as dt
import enum
import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt
import pydantic
import pytest

from boxship import Service
from boxship.runtimes.service.row_examples import example
from boxship.runtimes.service.runtime import ServiceRuntime


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Inner:
    city: str
    zone: int = 0


@dataclass
class Row:
    """One customer."""

    age: Annotated[float, msgspec.Meta(ge=18, examples=[42.5])]
    low: Annotated[int, msgspec.Meta(gt=7)]
    high: Annotated[float, msgspec.Meta(lt=-3)]
    code: Annotated[str, msgspec.Meta(min_length=6, max_length=6)]
    when: dt.datetime
    clock: dt.time | None
    day: dt.date
    id: uuid.UUID
    colour: Colour
    size: Literal["s", "m"]
    member: bool
    pair: tuple[int, float]
    inner: Inner
    tags: Annotated[list[str], msgspec.Meta(min_length=2)]
    raw: bytes
    step: Annotated[int, msgspec.Meta(multiple_of=5)]
    plan: str | None = None
    limit: int = 12
    odds: float = math.nan
    free: Any = None
    table: dict[str, float] = field(default_factory=dict)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    age: float = pydantic.Field(gt=0, lt=1)
    name: str = pydantic.Field(examples=["Ada"])
    count: int
    inner: Inner
    plan: str | None = None
    children: "list[Model]" = []


class Typed(TypedDict):
    count: int


@dataclass
class Node:
    name: str
    child: "Node | None" = None


@dataclass
class Endless:
    child: "Endless"


def runtime(rows: Any, answer: Any = list[float]) -> ServiceRuntime:
    class Hinted(Service):
        def predict(self, rows: Any) -> Any:
            return rows

    Hinted.predict.__annotations__.update({"rows": rows, "return": answer})
    return ServiceRuntime(Hinted)


@pytest.mark.parametrize("kind", [Row, Model, Typed, Node])
def test_the_example_is_accepted_as_it_stands(kind: Any) -> None:
    made = runtime(list[kind])
    (row,) = made.example_rows()
    rows, single = made.decode_rows(json.dumps(row).encode())
    assert single
    assert len(rows) == 1


def test_examples_are_the_authors_own_where_there_are_some() -> None:
    (row,) = runtime(list[Row]).example_rows()
    assert row["age"] == 42.5
    assert row["limit"] == 12
    assert row["size"] in ("s", "m")
    assert row["plan"] == "text"
    assert "free" not in row
    (row,) = runtime(list[Model]).example_rows()
    assert row["name"] == "Ada"


def test_a_type_without_any_finite_value_has_no_example() -> None:
    assert runtime(list[Endless]).example_rows() == []


@pytest.mark.parametrize(
    ("kind", "closed"), [(Row, {"Row", "Inner"}), (Model, {"Model", "Inner"}), (Typed, {"Typed"})]
)
def test_components_that_refuse_unknown_fields_say_so(kind: Any, closed: set[str]) -> None:
    schema, components = runtime(list[kind]).row_schema()
    assert schema == {"$ref": f"#/components/schemas/{kind.__name__}"}
    assert {
        name for name, part in components.items() if part.get("additionalProperties") is False
    } == closed


@pytest.mark.parametrize("kind", [Row, Model])
def test_schemas_are_json_and_refer_only_to_their_components(kind: Any) -> None:
    schema, components = runtime(list[kind]).row_schema()
    text = json.dumps([schema, components], allow_nan=False)
    found = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert found <= set(components)
    assert "$defs" not in text


def test_integers_are_bounded_as_the_decoder_bounds_them() -> None:
    _, components = runtime(list[Row]).row_schema()
    properties = components["Row"]["properties"]
    assert properties["limit"]["maximum"] == 2**63 - 1
    assert properties["limit"]["minimum"] == -(2**63)
    assert "minimum" not in properties["low"]
    _, components = runtime(list[Typed]).row_schema()
    assert components["Typed"]["properties"]["count"]["format"] == "int64"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (list[float], {"type": "number"}),
        (list[str | None], {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (list[list[int]], {"type": "array", "items": {"type": "integer"}}),
        (list[np.float32], {"type": "number"}),
        (list[np.int8], {"type": "integer"}),
        (list[np.bool_], {"type": "boolean"}),
        (list[npt.NDArray[np.float32]], {"type": "array", "items": {"type": "number"}}),
        (np.ndarray, {}),
        (npt.NDArray[np.float64], {"anyOf": [{"type": "number"}, {"type": "array"}]}),
        (np.ndarray[tuple[int], np.dtype[np.int64]], {"type": "integer"}),
        (
            np.ndarray[tuple[int, int], np.dtype[np.str_]],
            {"type": "array", "items": {"type": "string"}},
        ),
    ],
)
def test_an_answer_that_is_no_object_is_a_value(answer: Any, value: Any) -> None:
    schema, components = runtime(list[Row], answer).answer_schema()
    assert schema == {"type": "object", "properties": {"value": value}, "required": ["value"]}
    assert components == {}


@dataclass
class WithArray:
    scores: npt.NDArray[np.float64]


class Out(pydantic.BaseModel):
    score: float = pydantic.Field(serialization_alias="Score")


@pytest.mark.parametrize(
    ("answer", "schema"),
    [
        (list[dict[str, Any]], {"type": "object"}),
        (list[Any], {"type": "object"}),
        (list[WithArray], {"type": "object"}),
        (list[Inner], {"$ref": "#/components/schemas/Inner"}),
        (list[Out], {"$ref": "#/components/schemas/Out"}),
    ],
)
def test_an_answer_that_is_an_object(answer: Any, schema: Any) -> None:
    found, components = runtime(list[Row], answer).answer_schema()
    assert found == schema
    if answer == list[Out]:
        assert set(components["Out"]["properties"]) == {"Score"}


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, lambda v: 0 < v < 1),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1}, lambda v: 0 < v < 0.1),
        ({"type": "integer", "minimum": 3, "maximum": 3}, lambda v: v == 3),
        ({"type": "number", "maximum": -5}, lambda v: v <= -5),
        ({"type": "number", "multipleOf": 0.25, "minimum": 1.1}, lambda v: v == 1.25),
        ({"type": "string", "format": "email"}, lambda v: "@" in v),
        ({"type": "string", "maxLength": 1}, lambda v: len(v) == 1),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 3}, lambda v: v == [True] * 3),
        ({"type": "array"}, lambda v: v == []),
        ({"const": 4}, lambda v: v == 4),
        ({"anyOf": [{"type": "null"}]}, lambda v: v is None),
        ({"oneOf": [{"type": "null"}, {"enum": ["a"]}]}, lambda v: v == "a"),
        ({}, lambda v: v is None),
    ],
)
def test_an_example_obeys_the_bounds(schema: Any, check: Callable[[Any], bool]) -> None:
    assert check(example(schema, {}))
