"""The fields of records as tensors: datatype, shape, and how a row's value becomes one."""

import dataclasses
import enum
import typing
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from boxship.runtimes.service.records import Field, Record, arms, bare, item_of, record_of
from boxship.signature import NUMPY_DTYPES, Datatype, TensorSpec

DATATYPE_OF_DTYPE: dict[str, Datatype] = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
_ABSTRACT: tuple[type, ...] = (
    np.generic,
    np.number,
    np.integer,
    np.signedinteger,
    np.unsignedinteger,
    np.inexact,
    np.floating,
    np.complexfloating,
    np.flexible,
    np.character,
)
_SCALARS: dict[type, Datatype] = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


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
    return tuple(_column(field, (-1, 1)) for field in record.fields)


def answer_columns(record: Record) -> tuple[Column, ...]:
    """An answer's fields as output tensors."""
    return tuple(_answer_column(field) for field in record.fields)


def value_column(hint: Any) -> Column | None:
    """The output tensor ``value`` of answers that are scalars or lists, ``None`` for others."""
    array = array_hint(hint)
    if array is not None:
        return array_column(ArrayHint(array.datatype, 2))
    column = _answer_column(Field("value", "", hint, required=True))
    return None if column.form == "json" else column


def array_column(array: ArrayHint) -> Column:
    """The output tensor ``value`` of a returned array; two dimensions of FP64 where unknown."""
    shape = (-1,) * (array.rank or 2)
    spec = TensorSpec(name="value", datatype=array.datatype or "FP64", shape=shape)
    return Column(spec, "", "scalar" if array.rank == 1 else "list")


def json_column(field: Field, shape: tuple[int, ...]) -> Column:
    """A field of any type as JSON text, one for each row."""
    spec = TensorSpec(
        name=field.name,
        datatype="BYTES",
        shape=shape,
        required=field.required,
        description=f"{field.description} (JSON text)".strip(),
    )
    return Column(spec, field.attribute, "json")


def _answer_column(field: Field) -> Column:
    field = dataclasses.replace(field, name=field.written or field.name)
    column = _column(field, (-1,))
    if column.spec.nullable and column.spec.datatype in ("INT64", "BOOL"):
        # No array of integers holds a missing one.
        return json_column(field, (-1,))
    return dataclasses.replace(column, spec=dataclasses.replace(column.spec, required=True))


def _column(field: Field, scalar_shape: tuple[int, ...]) -> Column:
    kinds, nullable = arms(field.hint)
    kind = kinds[0] if len(kinds) == 1 else None
    datatype, shape = scalar_datatype(kind), scalar_shape
    form: Literal["scalar", "list"] = "scalar"
    if datatype is None and not nullable and (item := item_of(kind)) is not None:
        datatype, shape, form = scalar_datatype(item), (-1, -1), "list"
    if datatype is None:
        return json_column(field, scalar_shape)
    spec = TensorSpec(
        name=field.name,
        datatype=datatype,
        shape=shape,
        nullable=nullable,
        required=field.required,
        description=field.description,
    )
    return Column(spec, field.attribute, form)


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
    return None if scalar in _ABSTRACT else DATATYPE_OF_DTYPE.get(np.dtype(scalar).name)
