"""The type hints of ``predict`` → what a batch is, what an answer is, which tensors they make."""

import enum
import inspect
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from boxship.errors import UsageError
from boxship.runtimes.records import Record, arms, bare, item_of, record_of
from boxship.signature import NUMPY_DTYPES, Datatype, TensorSpec

DATATYPE_OF_DTYPE: dict[str, Datatype] = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
_SCALARS: dict[type, Datatype] = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
_EXAMPLE = "Write, for example: def predict(self, rows: list[Customer]) -> list[float]: ..."
_ROWS = (
    f"{_EXAMPLE} Customer is a dataclass, a msgspec.Struct, a pydantic model or a TypedDict. "
    "A batch as one array is rows: numpy.typing.NDArray[numpy.float32]."
)
_ANSWERS = (
    f"{_EXAMPLE} An answer is a float, int, str, bool, dict, dataclass, msgspec.Struct, "
    "pydantic model or TypedDict; all answers as one array are a numpy.ndarray."
)


@dataclass(frozen=True)
class ArrayHint:
    """``numpy.ndarray`` and ``NDArray[…]``: what the hint says, ``None`` where it is silent."""

    datatype: Datatype | None
    rank: int | None


@dataclass(frozen=True)
class Column:
    """One field as a tensor.

    ``form``: one ``scalar`` per row, one ``list`` of scalars per row, or one text
    per row that holds the field's ``json``.
    """

    spec: TensorSpec
    attribute: str
    form: Literal["scalar", "list", "json"]


@dataclass(frozen=True)
class AnswerHint:
    """What one answer is.

    ``record``: an object of known fields. ``value``: one scalar or list. ``array``:
    ``predict`` returns one array for the batch. ``open``: any JSON, known only when
    it is there.
    """

    form: Literal["record", "value", "array", "open"]
    hint: Any
    columns: tuple[Column, ...]
    record: Record | None = None
    array: ArrayHint | None = None


@dataclass(frozen=True)
class PredictHints:
    """``rows`` is the type of one row, or what is known of the batch array."""

    rows: Record | ArrayHint
    answer: AnswerHint


def read_hints(service: type) -> PredictHints:
    """The signature that ``service.predict`` is annotated with, or a ``UsageError``."""
    predict = service.predict  # type: ignore[attr-defined]
    where = f"{service.__name__}.predict"
    parameter = _batch_parameter(predict, where)
    try:
        names = {**vars(inspect.getmodule(service) or service), service.__name__: service}
        hints = typing.get_type_hints(predict, localns=names, include_extras=True)
    except NameError as error:
        raise UsageError(
            f"The type hints of {where} cannot be resolved: {error}.",
            tip="Import the name when the program runs, not only under TYPE_CHECKING, "
            "and define row classes at the top of their module.",
        ) from error
    if parameter not in hints:
        raise UsageError(
            f"{where} has no type hint on {parameter!r}, and the hint is the signature.", tip=_ROWS
        )
    if "return" not in hints:
        raise UsageError(
            f"{where} has no return type hint, and the hint is the signature.", tip=_ANSWERS
        )
    return PredictHints(
        rows=_rows_hint(hints[parameter], f"{where}({parameter})"),
        answer=_answer_hint(hints["return"], where),
    )


def array_hint(hint: Any) -> ArrayHint | None:
    """What an array annotation says, or ``None`` where ``hint`` is no array."""
    kind = bare(hint)
    if kind is np.ndarray:
        return ArrayHint(None, None)
    if typing.get_origin(kind) is not np.ndarray:
        return None
    shape, dtype = typing.get_args(kind)
    lengths = typing.get_args(shape)
    rank = None if not lengths or Ellipsis in lengths else len(lengths)
    scalar = typing.get_args(dtype)
    return ArrayHint(_datatype_of_numpy(scalar[0]) if scalar else None, rank)


def row_columns(record: Record) -> tuple[Column, ...]:
    """A row's fields as input tensors."""
    return tuple(
        _column(field.name, field.attribute, field.hint, (-1, 1), field.required, field.description)
        for field in record.fields
    )


def _answer_columns(record: Record) -> tuple[Column, ...]:
    columns = []
    for field in record.fields:
        column = _column(field.name, field.attribute, field.hint, (-1,), True, field.description)
        if column.spec.nullable and column.spec.datatype in ("INT64", "BOOL"):
            column = _json_column(field.name, field.attribute, (-1,), True, field.description)
        columns.append(column)
    return tuple(columns)


def _column(
    name: str,
    attribute: str,
    hint: Any,
    scalar_shape: tuple[int, ...],
    required: bool,
    description: str,
) -> Column:
    kinds, nullable = arms(hint)
    kind = kinds[0] if len(kinds) == 1 else None
    datatype, shape = scalar_datatype(kind), scalar_shape
    form: Literal["scalar", "list"] = "scalar"
    if datatype is None and not nullable and (item := item_of(kind)) is not None:
        datatype, shape, form = scalar_datatype(item), (-1, -1), "list"
    if datatype is None:
        return _json_column(name, attribute, scalar_shape, required, description)
    spec = TensorSpec(
        name=name,
        datatype=datatype,
        shape=shape,
        nullable=nullable,
        required=required,
        description=description,
    )
    return Column(spec, attribute, form)


def _json_column(
    name: str, attribute: str, shape: tuple[int, ...], required: bool, description: str
) -> Column:
    note = f"{description} (JSON text)".strip()
    spec = TensorSpec(name=name, datatype="BYTES", shape=shape, required=required, description=note)
    return Column(spec, attribute, "json")


def scalar_datatype(hint: Any) -> Datatype | None:
    """The datatype of a scalar hint; ``None`` for lists, objects and unions.

    What JSON writes as a string (dates, UUIDs, decimals, bytes as base64) is BYTES.
    """
    kind = bare(hint)
    if typing.get_origin(kind) is Literal:
        return _common({_SCALARS.get(type(value)) for value in typing.get_args(kind)})
    if not isinstance(kind, type):
        return None
    if kind in _SCALARS:
        return _SCALARS[kind]
    if issubclass(kind, np.generic):
        return _datatype_of_numpy(kind)
    if issubclass(kind, enum.Enum):
        return _common({_SCALARS.get(type(member.value)) for member in kind})
    return "BYTES" if _is_text(kind) else None


def _is_text(kind: type) -> bool:
    schema = _schema_or_none(kind)
    return schema is not None and schema.get("type") == "string"


def _schema_or_none(kind: type) -> dict[str, Any] | None:
    if record_of(kind) is not None:
        return None
    try:
        return msgspec.json.schema(kind)
    except (TypeError, RuntimeError):
        return None


def _common(datatypes: set[Datatype | None]) -> Datatype | None:
    return datatypes.pop() if len(datatypes) == 1 else None


def _datatype_of_numpy(scalar: Any) -> Datatype | None:
    if not isinstance(scalar, type) or not issubclass(scalar, np.generic):
        return None
    if issubclass(scalar, np.str_ | np.bytes_ | np.object_):
        return "BYTES"
    try:
        return DATATYPE_OF_DTYPE.get(np.dtype(scalar).name)
    except TypeError:
        return None


def _batch_parameter(predict: Any, where: str) -> str:
    parameters = list(inspect.signature(predict).parameters.values())[1:]
    required = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if not parameters or len(required) > 1 or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise UsageError(
            f"Expected {where} to take self and one batch, found ({', '.join(map(str, parameters))}).",
            tip=_ROWS,
        )
    return parameters[0].name


def _rows_hint(hint: Any, where: str) -> Record | ArrayHint:
    array = array_hint(hint)
    if array is not None:
        return array
    record = record_of(item_of(hint))
    if record is None:
        one = record_of(hint)
        raise UsageError(
            f"{where} is annotated {_shown(hint)}; expected a list of rows or an array.",
            tip=f"predict always receives a batch: write list[{one.name}]." if one else _ROWS,
        )
    if not record.fields:
        raise UsageError(f"{where}: {record.name} has no fields.", tip=_ROWS)
    return record


def _answer_hint(hint: Any, where: str) -> AnswerHint:
    array = array_hint(hint)
    if array is not None:
        return AnswerHint("array", hint, (_array_column(array),), array=array)
    item = item_of(hint)
    if item is None:
        raise UsageError(
            f"{where} is annotated to return {_shown(hint)}; expected a list of answers, "
            "one for each row, or an array.",
            tip=_ANSWERS,
        )
    record = record_of(item)
    if record is not None and record.fields:
        return AnswerHint("record", item, _answer_columns(record), record=record)
    column = _value_column(item)
    if column is not None:
        return AnswerHint("value", item, (column,))
    return AnswerHint("open", item, (_json_column("answer", "", (-1,), True, "The answer"),))


def _array_column(array: ArrayHint) -> Column:
    shape = (-1,) * (array.rank or 2)
    spec = TensorSpec(name="value", datatype=array.datatype or "FP64", shape=shape)
    return Column(spec, "", "scalar" if array.rank == 1 else "list")


def _value_column(item: Any) -> Column | None:
    array = array_hint(item)
    if array is not None:
        return _array_column(ArrayHint(array.datatype, 2))
    column = _column("value", "", item, (-1,), True, "")
    if column.form == "json" or (
        column.spec.nullable and column.spec.datatype in ("INT64", "BOOL")
    ):
        return None
    return column


def _shown(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def common_datatype(specs: Sequence[TensorSpec]) -> Datatype:
    """The datatype that columns of one matrix share; FP64 where they are mixed numbers.

    Text beside numbers is a ``UsageError``: no array holds both.
    """
    datatypes = {spec.datatype for spec in specs}
    if len(datatypes) == 1:
        return datatypes.pop()
    if "BYTES" in datatypes:
        text = [spec.name for spec in specs if spec.datatype == "BYTES"]
        raise UsageError(
            f"The inputs {', '.join(text)} are BYTES, the others are numbers; "
            "one array cannot hold both.",
            tip="Take rows of a dataclass instead of an array.",
        )
    return "FP64"
