"""JSON bodies → rows: what is refused, where, and in which words."""

import datetime as dt
import enum
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from boxship.errors import MISSING, InputError, MalformedError, UsageError
from boxship.json_input import MAX_PROBLEMS
from boxship.runtimes.service.records import record_of
from boxship.runtimes.service.row_codec import RowCodec
from boxship.runtimes.service.row_columns import row_columns


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Address:
    city: str
    zone: int = 0


@dataclass
class Row:
    age: Annotated[float, msgspec.Meta(ge=0, description="In years")]
    count: int = 0
    plan: str | None = None
    colour: Colour = Colour.RED
    size: Literal["s", "m"] = "s"
    tags: list[str] = field(default_factory=list)
    home: Address | None = None
    others: list[Address] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    places: Mapping[str, Address] = field(default_factory=dict)
    when: dt.date | None = None
    either: int | str = 0
    free: Any = None
    odds: float = math.nan


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    age: float = pydantic.Field(ge=0)
    count: int = 0
    odds: float = math.nan
    home: Address | None = None
    path: list[float] = []

    @pydantic.field_validator("count")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("count must be even")
        return value


class Lenient(pydantic.BaseModel):
    age: float


class Closed(msgspec.Struct, forbid_unknown_fields=True, rename="camel", tag=True):
    the_age: float


class Open(msgspec.Struct):
    age: float


class Typed(TypedDict):
    age: float
    count: NotRequired[int]


@dataclass
class Node:
    name: str
    child: "Node | None" = None


@dataclass
class Sorted:
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


INT64 = f"a whole number from {-(2**63)} to {2**63 - 1}"


def codec(kind: Any) -> RowCodec:
    record = record_of(kind)
    assert record is not None
    return RowCodec(record, row_columns(record))


def refusal(kind: Any, body: bytes | str) -> list[str]:
    with pytest.raises(InputError) as caught:
        codec(kind).decode(body if isinstance(body, bytes) else body.encode())
    return [str(problem) for problem in caught.value.problems]


def test_every_type_of_field_is_decoded() -> None:
    body = json.dumps(
        {
            "age": 3,
            "count": 2**63 - 1,
            "plan": None,
            "colour": "blue",
            "size": "m",
            "tags": ["a"],
            "home": {"city": "Bonn"},
            "others": [{"city": "Ulm", "zone": 2}],
            "scores": {"x": 0.1},
            "places": {"p": {"city": "Kiel"}},
            "when": "2024-02-29",
            "either": "x",
            "free": [1, {"a": None}],
        }
    )
    (row,), single = codec(Row).decode(body.encode())
    assert single
    assert row.age == 3.0
    assert row.colour is Colour.BLUE
    assert row.home == Address("Bonn")
    assert row.others == [Address("Ulm", 2)]
    assert row.places == {"p": Address("Kiel")}
    assert row.when == dt.date(2024, 2, 29)
    assert math.isnan(row.odds)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ('"age": "x"', 'age: expected a number, found the string "x"'),
        ('"age": null', "age: expected a number, found null"),
        ('"age": true', "age: expected a number, found true"),
        ('"age": -1', "age: expected a number >= 0.0, found the number -1"),
        ('"age": [1]', "age: expected a number, found a list of 1"),
        (
            '"age": 1e999',
            "age: expected a finite number, found a number that is too large",
        ),
        (f'"age": 1{"0" * 400}', "age: expected a finite number, found a number that is"),
        (f'"age": 1{"0" * 5000}', "age: expected a finite number, found a number that is"),
        ('"age": 1, "count": 1.5', "count: expected a whole number, found the number 1.5"),
        (f'"age": 1, "count": {2**63}', f"count: expected {INT64}, found the number"),
        ('"age": 1, "plan": 3', "plan: expected a string or null, found the number 3"),
        (
            '"age": 1, "colour": "rd"',
            'colour: expected one of "red", "blue", found the string "rd"',
        ),
        ('"age": 1, "size": "x"', 'size: expected one of "s", "m", found the string "x"'),
        ('"age": 1, "tags": "x"', 'tags: expected a list, found the string "x"'),
        ('"age": 1, "tags": ["a", 1]', "tags[1]: expected a string, found the number 1"),
        ('"age": 1, "home": 3', "home: expected an object or null, found the number 3"),
        ('"age": 1, "home": {}', "home.city: expected a string, found " + MISSING),
        (
            '"age": 1, "home": {"city": "x", "cty": 1}',
            "home.cty: expected one of the fields of Addr",
        ),
        ('"age": 1, "others": [{"city": 1}]', "others[0].city: expected a string, found"),
        (
            '"age": 1, "others": [{"city": "x", "y": 1}]',
            "others[0].y: expected one of the fields of",
        ),
        ('"age": 1, "scores": {"x": "y"}', 'scores.x: expected a number, found the string "y"'),
        ('"age": 1, "scores": 1', "scores: expected an object, found the number 1"),
        (
            '"age": 1, "places": {"p": {"city": "x", "y": 1}}',
            "places.p.y: expected one of the fields",
        ),
        ('"age": 1, "when": "x"', "when: expected what the model's own check accepts (Invalid RFC"),
        (
            '"age": 1, "either": []',
            "either: expected a whole number or a string, found a list of 0",
        ),
        ('"age": 1, "free": {"a": [1e999]}', "free.a[0]: expected a finite number"),
        (
            '"age": 1, "pln": "x"',
            "pln: expected one of the fields of Row, found an unknown field (did you mean 'plan'?)",
        ),
        ('"age": 1, "": 1', "expected one of the fields of Row, found an unknown field"),
        ('"count": 1', "age: expected a number, found " + MISSING),
        ('"home": null, "plan": null', "age: expected a number, found " + MISSING),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected_and_found(fields: str, problem: str) -> None:
    (found,) = refusal(Row, f"{{{fields}}}")
    assert problem in found
    (found,) = refusal(Row, f'[{{"age": 1}}, {{{fields}}}]')
    assert found.startswith("[1].")
    assert problem.partition(": ")[2] in found


def test_all_problems_of_all_rows_are_named_and_sound_rows_are_not() -> None:
    body = '[{"age": "x", "count": "y", "z": 1}, {"age": 1}, {}, {"age": 1, "tags": [1, 2]}, 7]'
    assert [problem.partition(":")[0] for problem in refusal(Row, body)] == [
        "[0].age",
        "[0].count",
        "[0].z",
        "[2].age",
        "[3].tags[0]",
        "[3].tags[1]",
        "[4]",
    ]


def test_problems_have_a_limit() -> None:
    assert len(refusal(Row, json.dumps([{}] * 500))) == MAX_PROBLEMS


@pytest.mark.parametrize("kind", [Row, Model])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON, found: an empty body"),
        (b'{"age": 1', "Expecting ',' delimiter at position 9"),
        (b'{"age": 1} x', "Extra data at position 11"),
        (b'{"age": 1},{"age": 2}', "Extra data at position 10"),
        (b'{"age": NaN}', "NaN, which JSON does not have"),
        (b'{"age": Infinity}', "Infinity, which JSON"),
        (b'{"age": "\xff"}', "found the byte 0xff at position 9"),
        (b"\xff", "found the byte 0xff at position 0"),
        (b"{'age': 1}", "at position 1"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"home":' * 100_000, "nested too deep"),
        (b'[{"age": "x"}, {', "JSON"),
        (b'[{"age": "x"}, {"age": NaN}]', "JSON"),
        (rb'[{"age": [], "plan": "\ud800"}]', "JSON"),
    ],
)
def test_what_is_no_json_is_malformed(kind: Any, body: bytes, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        codec(kind).decode(body)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", [Row, Model])
@pytest.mark.parametrize(
    ("body", "found"),
    [(b"3", "the number 3"), (b'"x"', 'the string "x"'), (b"null", "null"), (b"true", "true")],
)
def test_a_body_is_an_object_or_a_list(kind: Any, body: bytes, found: str) -> None:
    assert refusal(kind, body) == [f"body: expected an object or a list of objects, found {found}"]


def test_deep_recursive_rows_are_malformed() -> None:
    deep = '{"name": "x", "child": ' * 2000 + "null" + "}" * 2000
    with pytest.raises(MalformedError, match="nested too deep"):
        codec(Node).decode(deep.encode())


def test_a_refused_deep_row_is_malformed_too() -> None:
    deep = '{"name": "x", "child": ' * 700 + '{"nam": 1}' + "}" * 700
    with pytest.raises(MalformedError, match="nested too deep"):
        codec(Node).decode(deep.encode())


def test_types_that_contain_themselves_are_checked_to_the_bottom() -> None:
    (row,), _ = codec(Node).decode(b'{"name": "a", "child": {"name": "b"}}')
    assert row == Node("a", Node("b"))
    assert refusal(Node, '{"name": "a", "child": {"name": "b", "nme": 1}}') == [
        "child.nme: expected one of the fields of Node, found an unknown field (did you mean 'name'?)"
    ]


def test_the_row_types_own_check_is_told_for_each_row() -> None:
    body = '[{"low": 2, "high": 1}, {"low": 1, "high": 2}, {"low": 4, "high": 3}]'
    own = "expected what the model's own check accepts (low must not be above high)"
    assert refusal(Sorted, body) == [f"[{i}]: {own}, found an object" for i in (0, 2)]


def test_a_struct_obeys_its_own_settings() -> None:
    rows, _ = codec(Open).decode(b'[{"age": 1, "more": 2}]')
    assert rows == [Open(1)]
    rows, _ = codec(Closed).decode(b'[{"type": "Closed", "theAge": 1}]')
    assert rows == [Closed(1)]
    assert refusal(Closed, '{"theAge": 1, "the_age": 2}') == [
        "the_age: expected one of the fields of Closed, found an unknown field (did you mean 'theAge'?)"
    ]


def test_a_typed_dict_is_closed_and_checks_its_integers() -> None:
    rows, _ = codec(Typed).decode(b'[{"age": 1}, {"age": 2, "count": 3}]')
    assert rows == [{"age": 1.0}, {"age": 2.0, "count": 3}]
    assert refusal(Typed, '{"cout": 1}') == [
        "age: expected a number, found " + MISSING,
        "cout: expected one of the fields of Typed, found an unknown field (did you mean 'count'?)",
    ]
    assert refusal(Typed, f'{{"age": 1, "count": {2**64}}}') == [
        f"count: expected {INT64}, found the number {2**64}"
    ]


def test_pydantic_rules_apply_to_pydantic_rows() -> None:
    rows, _ = codec(Model).decode(b'[{"age": "3", "home": {"city": "Bonn"}}]')
    assert rows[0].age == 3.0
    assert rows[0].home == Address("Bonn")
    assert codec(Lenient).decode(b'{"age": 1, "more": 2}')[0] == [Lenient(age=1)]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ('"age": "x"', 'age: expected a valid number, found the string "x"'),
        ('"age": -1', "age: expected greater than or equal to 0, found the number -1"),
        ('"age": 1e999', "age: expected a finite number, found a number that is"),
        ('"age": "inf"', "age: expected a finite number, found a number that is"),
        (
            '"age": 1, "path": [1, "1e999"]',
            "path: expected a finite number, found a number that is",
        ),
        (f'"age": 1, "count": {2**64}', f"count: expected {INT64}, found the number"),
        ('"age": 1, "count": 3', "count: expected what the model's own check accepts (count must"),
        (
            '"age": 1, "cont": 3',
            "cont: expected one of the fields of Model, found an unknown field (did you",
        ),
        ('"age": 1, "home": {}', "home.city: expected a value, found " + MISSING),
        ('"count": 2', "age: expected a number, found " + MISSING),
    ],
)
def test_pydantic_problems_are_told_in_the_same_words(fields: str, problem: str) -> None:
    (found,) = refusal(Model, f"{{{fields}}}")
    assert problem in found
    (found,) = refusal(Model, f'[{{"age": 1}}, {{{fields}}}]')
    assert found.startswith("[1].")


def test_pydantic_names_all_problems() -> None:
    found = refusal(Model, '[{"age": "x", "count": "y", "z": 1}, 3, {"age": 1e999}, {}]')
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "[0].age",
        "[0].count",
        "[0].z",
        "[1]",
        "[2].age",
        "[3].age",
    ]


class Nested(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    inner: Model


def test_pydantic_nested_extras() -> None:
    assert refusal(Nested, '{"inner": {"age": 1, "z": 2}}') == [
        "inner.z: expected one of the fields of its type, found an unknown field"
    ]


class Folder(pydantic.BaseModel):
    free: Any


def test_pydantic_rows_nested_too_deeply_are_malformed() -> None:
    body = b'{"free": ' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(MalformedError, match="recursion limit"):
        codec(Folder).decode(body)


def test_a_default_that_is_not_finite_is_the_authors_own() -> None:
    (row,), _ = codec(Model).decode(b'{"age": 1}')
    assert math.isnan(row.odds)


class Foreign:
    """No type that JSON can hold."""


@dataclass
class WithForeign:
    thing: Foreign


@dataclass
class WithModel:
    inner: Model
    thing: Foreign


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (WithForeign, "WithForeign.thing has the type .*Foreign"),
        (WithModel, "pydantic cannot take rows of WithModel"),
    ],
)
def test_a_field_that_json_cannot_hold_is_refused_at_the_start(kind: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        codec(kind)


@dataclass
class Plain:
    items: Sequence[int]
    id: uuid.UUID | None = None


def test_lists_of_integers_are_bounded_too() -> None:
    assert codec(Plain).decode(b'{"items": [1, 2]}')[0][0].items == [1, 2]
    assert refusal(Plain, "{}") == ["items: expected a list, found " + MISSING]
    assert refusal(Plain, f'{{"items": [1, {2**63}]}}') == [
        f"items: expected {INT64}, found the number {2**63}"
    ]


def test_an_empty_list_has_no_rows() -> None:
    assert codec(Row).decode(b" [ ] ") == ([], False)
