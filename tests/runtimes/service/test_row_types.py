"""Type hints → signature: which hints are taken, and what is said of the others."""

import datetime as dt
import decimal
import enum
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt
import pydantic
import pytest

from boxship import Service
from boxship.errors import UsageError
from boxship.runtimes.service.importing import import_target
from boxship.runtimes.service.records import record_of
from boxship.runtimes.service.row_columns import array_hint, row_columns, scalar_datatype
from boxship.runtimes.service.row_types import read_hints
from boxship.runtimes.service.runtime import ServiceRuntime

Cents = NewType("Cents", int)


class Colour(enum.Enum):
    RED = "red"
    ONE = "one"


class Mixed(enum.Enum):
    RED = "red"
    ONE = 1


@dataclass
class Inner:
    x: float


@dataclass
class Row:
    f: float
    i: int
    s: str
    b: bool
    maybe: float | None
    default: int = 3
    items: list[float] = field(default_factory=list)
    names: Sequence[str] = ()
    pair: tuple[int, ...] = ()
    maybe_items: list[float] | None = None
    nested: list[list[float]] = field(default_factory=list)
    inner: Inner | None = None
    table: dict[str, float] = field(default_factory=dict)
    either: int | str = 0
    any: Any = None
    colour: Colour = Colour.RED
    mixed: Mixed = Mixed.RED
    literal: Literal[1, 2] = 1
    when: dt.datetime | None = None
    id: UUID | None = None
    price: decimal.Decimal | None = None
    raw: bytes = b""
    cents: Cents = Cents(0)
    note: Annotated[float, msgspec.Meta(description="In kilograms")] = 0


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "nullable", "required"),
    [
        ("f", "FP64", (-1, 1), False, True),
        ("i", "INT64", (-1, 1), False, True),
        ("s", "BYTES", (-1, 1), False, True),
        ("b", "BOOL", (-1, 1), False, True),
        ("maybe", "FP64", (-1, 1), True, True),
        ("default", "INT64", (-1, 1), False, False),
        ("items", "FP64", (-1, -1), False, False),
        ("names", "BYTES", (-1, -1), False, False),
        ("pair", "INT64", (-1, -1), False, False),
        ("colour", "BYTES", (-1, 1), False, False),
        ("literal", "INT64", (-1, 1), False, False),
        ("when", "BYTES", (-1, 1), True, False),
        ("id", "BYTES", (-1, 1), True, False),
        ("price", "BYTES", (-1, 1), True, False),
        ("raw", "BYTES", (-1, 1), False, False),
        ("cents", "INT64", (-1, 1), False, False),
        ("note", "FP64", (-1, 1), False, False),
    ],
)
def test_a_field_is_a_tensor(
    name: str, datatype: str, shape: tuple[int, ...], *, nullable: bool, required: bool
) -> None:
    specs = {column.spec.name: column.spec for column in row_columns(known(Row))}
    spec = specs[name]
    assert (spec.datatype, spec.shape, spec.nullable, spec.required) == (
        datatype,
        shape,
        nullable,
        required,
    )
    assert specs["note"].description == "In kilograms"


@pytest.mark.parametrize(
    "name", ["maybe_items", "nested", "inner", "table", "either", "any", "mixed"]
)
def test_what_no_tensor_holds_is_json_text(name: str) -> None:
    columns = {column.spec.name: column for column in row_columns(known(Row))}
    assert columns[name].form == "json"
    assert columns[name].spec.datatype == "BYTES"
    assert columns[name].spec.description == "(JSON text)"


def known(kind: Any) -> Any:
    record = record_of(kind)
    assert record is not None
    return record


class Struct(msgspec.Struct, rename={"age": "Age of person"}):
    age: float
    plan: str | None = None


class Model(pydantic.BaseModel):
    age: float = pydantic.Field(alias="Age of person", description="In years")
    plan: str | None = pydantic.Field(
        None, validation_alias=pydantic.AliasChoices("plan", "tariff")
    )


class Typed(TypedDict):
    age: float
    plan: NotRequired[str]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Struct, ["Age of person", "plan"]),
        (Model, ["Age of person", "plan"]),
        (Typed, ["age", "plan"]),
    ],
)
def test_tensors_bear_the_names_of_json(kind: Any, names: list[str]) -> None:
    columns = row_columns(known(kind))
    assert [column.spec.name for column in columns] == names
    assert [column.attribute for column in columns] == ["age", "plan"]
    assert [column.spec.required for column in columns] == [True, False]


@pytest.mark.parametrize(
    ("hint", "datatype", "rank"),
    [
        (np.ndarray, None, None),
        (npt.NDArray[np.float32], "FP32", None),
        (npt.NDArray[np.str_], "BYTES", None),
        (npt.NDArray[np.object_], "BYTES", None),
        (npt.NDArray[np.bool_], "BOOL", None),
        (npt.NDArray[np.floating[Any]], None, None),
        (npt.NDArray[np.number[Any]], None, None),
        (npt.NDArray[Any], None, None),
        (np.ndarray[Any, np.dtype[np.floating]], None, None),
        (npt.NDArray[np.longlong], "INT64", None),
        (np.ndarray[Any, Any], None, None),
        (np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], "UINT8", 3),
    ],
)
def test_an_array_hint_says_datatype_and_rank(hint: Any, datatype: str, rank: int | None) -> None:
    found = array_hint(hint)
    assert found is not None
    assert (found.datatype, found.rank) == (datatype, rank)


@pytest.mark.parametrize("hint", [float, list[float], Row, "np.ndarray", None])
def test_other_hints_are_no_arrays(hint: Any) -> None:
    assert array_hint(hint) is None


@pytest.mark.parametrize("hint", [list[int], dict, Row, Mixed, Literal[1, "a"], int | str, object])
def test_what_is_no_scalar(hint: Any) -> None:
    assert scalar_datatype(hint) is None


def service(rows: Any, answer: Any) -> type[Service]:
    """A service whose ``predict`` has these hints."""

    class Hinted(Service):
        def predict(self, rows: Any) -> Any:
            return rows

    Hinted.predict.__annotations__.update({"rows": rows, "return": answer})
    return Hinted


@pytest.mark.parametrize(
    ("answer", "form", "outputs"),
    [
        (list[float], "value", [("value", "FP64", (-1,), False)]),
        (list[np.float32], "value", [("value", "FP32", (-1,), False)]),
        (Sequence[str], "value", [("value", "BYTES", (-1,), False)]),
        (tuple[bool, ...], "value", [("value", "BOOL", (-1,), False)]),
        (list[float | None], "value", [("value", "FP64", (-1,), True)]),
        (list[list[float]], "value", [("value", "FP64", (-1, -1), False)]),
        (list[npt.NDArray[np.float32]], "value", [("value", "FP32", (-1, -1), False)]),
        (npt.NDArray[np.int64], "array", [("value", "INT64", (-1, -1), False)]),
        (
            np.ndarray[tuple[int], np.dtype[np.int64]],
            "array",
            [("value", "INT64", (-1,), False)],
        ),
        (list[Inner], "record", [("x", "FP64", (-1,), False)]),
        (list[dict[str, float]], "open", [("answer", "BYTES", (-1,), False)]),
        (list[int | None], "open", [("answer", "BYTES", (-1,), False)]),
        (list[Any], "open", [("answer", "BYTES", (-1,), False)]),
        (list, "open", [("answer", "BYTES", (-1,), False)]),
        (list[Inner | Row], "open", [("answer", "BYTES", (-1,), False)]),
    ],
)
def test_an_answer_hint_makes_outputs(answer: Any, form: str, outputs: list[Any]) -> None:
    hint = read_hints(service(list[Row], answer)).answer
    assert hint.form == form
    assert [
        (column.spec.name, column.spec.datatype, column.spec.shape, column.spec.nullable)
        for column in hint.columns
    ] == outputs


def test_a_missing_integer_of_an_answer_is_json_text() -> None:
    @dataclass
    class Answer:
        rank: int | None
        score: float | None = None

    hint = read_hints(service(list[Row], list[Answer])).answer
    assert [(column.form, column.spec.required) for column in hint.columns] == [
        ("json", True),
        ("scalar", True),
    ]


@dataclass
class Nothing:
    pass


@pytest.mark.parametrize(
    ("rows", "answer", "message"),
    [
        (list[float], list[float], r"annotated list\[float\]; expected a list of rows or an array"),
        (Row, list[float], "annotated Row; expected a list of rows"),
        (list[dict[str, float]], list[float], "expected a list of rows or an array"),
        (float, list[float], "annotated float"),
        (list, list[float], "annotated list"),
        (list[Nothing], list[float], "Nothing has no fields"),
        (list[Row], float, "annotated to return float; expected a list of answers"),
        (list[Row], None, "annotated to return NoneType"),
        (list[Row], dict[str, float], "expected a list of answers, one for each row"),
        (list["Missing"], list[float], "cannot be resolved: name 'Missing' is not defined"),  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_unusable_hints_show_what_to_write(rows: Any, answer: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_hints(service(rows, answer))
    assert caught.value.tip


def test_a_single_row_is_told_to_be_a_batch() -> None:
    with pytest.raises(UsageError) as caught:
        read_hints(service(Row, list[float]))
    assert caught.value.tip == "predict always receives a batch: write list[Row]."


class NoRows(Service):
    def predict(self, rows) -> list[float]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return []


class NoReturn(Service):
    def predict(self, rows: list[Row]):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return []


class NoBatch(Service):
    def predict(self) -> list[float]:  # type: ignore[override]
        return []


class TwoBatches(Service):
    def predict(self, rows: list[Row], more: int) -> list[float]:  # type: ignore[override]
        return []


class Keyword(Service):
    def predict(self, *, rows: list[Row]) -> list[float]:  # type: ignore[override]
        return []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (NoRows, "NoRows.predict has no type hint on 'rows'"),
        (NoReturn, "NoReturn.predict has no return type hint"),
        (NoBatch, r"NoBatch.predict to take self and one batch, found \(\)"),
        (TwoBatches, r"take self and one batch, found \(rows: .*more: int\)"),
        (Keyword, "to take self and one batch"),
    ],
)
def test_a_predict_of_another_form_shows_what_to_write(kind: type[Service], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        ServiceRuntime(kind)
    assert "def predict(self, rows: list[Customer]) -> list[float]" in caught.value.tip


STRINGS = """
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxship import Service

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Customer:
    age: float
    friends: list[Customer]


@dataclass
class Bad:
    price: Decimal


class Churn(Service):
    def predict(self, rows: list[Customer]) -> list[float]:
        return []


class BadField(Service):
    def predict(self, rows: list[Bad]) -> list[float]:
        return []
"""


def test_string_annotations_resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "users_strings.py").write_text(STRINGS)
    churn: Any = import_target("users_strings:Churn", [tmp_path])
    runtime = ServiceRuntime(churn)
    assert [spec.name for spec in runtime.signature.inputs] == ["age", "friends"]
    assert runtime.sample(1)
    bad: Any = import_target("users_strings:BadField", [tmp_path])
    with pytest.raises(UsageError, match="hints of Bad cannot be resolved: name 'Decimal'"):
        ServiceRuntime(bad)
    assert inspect.isclass(churn)


def test_a_struct_that_json_writes_as_a_list_is_no_row() -> None:
    class Listed(msgspec.Struct, array_like=True):
        age: float

    with pytest.raises(UsageError, match="expected a list of rows"):
        read_hints(service(list[Listed], list[float]))
