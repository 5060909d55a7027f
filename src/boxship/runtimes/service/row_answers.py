"""A service's answers → JSON, and → the signature's output tensors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from boxship.errors import PredictionError
from boxship.runtimes.base import Array, Tensors
from boxship.runtimes.service.row_columns import DATATYPE_OF_DTYPE, ArrayHint, Column
from boxship.runtimes.service.row_types import AnswerHint
from boxship.signature import NUMPY_DTYPES, Datatype, TensorSpec


def encode_answers(answers: Sequence[Any], hint: AnswerHint, *, single: bool) -> bytes:
    """The answers as JSON: one object where ``single``, else a list of objects.

    An answer that is no object is wrapped, ``{"value": 0.5}``. Numbers keep full
    precision; NaN, which JSON does not have, is ``null``. ``PredictionError``: an
    answer is not what the return type hint says, or JSON cannot hold it.
    """
    objects = [_as_object(answer, hint) for answer in answers]
    body = objects[0] if single else objects
    try:
        return msgspec.json.encode(body, enc_hook=_plain)
    except (TypeError, ValueError, RecursionError):
        return _encode_slowly(body)


def answer_tensors(answers: Sequence[Any], hint: AnswerHint) -> Tensors:
    """The answers as one output tensor for each column. Raises ``PredictionError``."""
    if hint.form == "open":
        texts = [_encode_slowly(answer).decode() for answer in answers]
        return {hint.columns[0].spec.name: _texts(texts)}
    if hint.form == "record":
        objects = [_builtins(_as_object(answer, hint)) for answer in answers]
        return {column.spec.name: _field_tensor(objects, column) for column in hint.columns}
    values = [{"value": _builtins(_not_object(answer, hint))} for answer in answers]
    return {"value": _field_tensor(values, hint.columns[0])}


def settled(hint: AnswerHint, array: Array) -> AnswerHint:
    """``hint`` with the rank and datatype of a returned array where it left them open.

    ``PredictionError`` where the array has another rank than the hint says.
    """
    known = hint.array
    if known is None or not array.size:
        return hint
    if known.rank is not None and array.ndim != known.rank:
        raise PredictionError(
            f"expected an array of {known.rank} dimensions, found shape {list(array.shape)}"
        )
    if known.rank is not None and known.datatype is not None:
        return hint
    datatype = known.datatype or _datatype(array)
    spec = dataclasses.replace(hint.columns[0].spec, datatype=datatype, shape=(-1,) * array.ndim)
    column = Column(spec, "", "scalar" if array.ndim == 1 else "list")
    return dataclasses.replace(hint, columns=(column,), array=ArrayHint(datatype, array.ndim))


def as_spec(array: Array, spec: TensorSpec) -> Array:
    """``array`` with the datatype of ``spec``, or ``PredictionError`` where that would lie."""
    if spec.datatype == "BYTES":
        return array.astype(str).astype(object)
    dtype = np.dtype(NUMPY_DTYPES[spec.datatype])
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise PredictionError(
            f"expected an array of {dtype.name} ({spec.datatype}), found {array.dtype.name}"
        )
    return array.astype(dtype, copy=False)


def _datatype(array: Array) -> Datatype:
    datatype = DATATYPE_OF_DTYPE.get(array.dtype.name)
    if datatype is None and array.dtype.kind in "SU":
        return "BYTES"
    if datatype is None:
        raise PredictionError(f"expected an array of numbers or strings, found {array.dtype.name}")
    return datatype


def is_object(answer: Any) -> bool:
    """Whether JSON writes ``answer`` as an object."""
    return (
        isinstance(answer, Mapping | msgspec.Struct)
        or hasattr(answer, "model_dump")
        or (dataclasses.is_dataclass(answer) and not isinstance(answer, type))
    )


def _as_object(answer: Any, hint: AnswerHint) -> Any:
    if hint.form in ("value", "array"):
        return {"value": _not_object(answer, hint)}
    if is_object(answer):
        return answer
    if hint.form == "open":
        return {"value": answer}
    name = hint.record.name if hint.record else "object"
    raise PredictionError(f"expected answers of type {name}, found {type(answer).__name__}")


def _not_object(answer: Any, hint: AnswerHint) -> Any:
    if is_object(answer):
        raise PredictionError(
            f"expected answers of type {getattr(hint.hint, '__name__', hint.hint)}, "
            f"found {type(answer).__name__}"
        )
    return answer


def _plain(value: Any) -> Any:
    """What msgspec does not know: pydantic models, numpy's arrays and scalars, pandas' series."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"JSON cannot hold an object of type {type(value).__name__}")


def _builtins(value: Any) -> Any:
    """``value`` as dicts, lists and scalars. Keys may be numpy scalars, as in {class: p}."""
    try:
        return msgspec.to_builtins(_with_plain_keys(value), enc_hook=_plain, str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise PredictionError(f"the answer cannot be written as JSON: {error}") from error


def _with_plain_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain_key(key): _with_plain_keys(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_with_plain_keys(element) for element in value]
    return value


def _plain_key(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key


def _encode_slowly(value: Any) -> bytes:
    try:
        return msgspec.json.encode(_builtins(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise PredictionError(f"the answer cannot be written as JSON: {error}") from error


def _field_tensor(objects: list[Any], column: Column) -> Array:
    name = column.spec.name
    missing = next((index for index, answer in enumerate(objects) if name not in answer), None)
    if missing is not None:
        raise PredictionError(f"answer {missing} has no field {name!r}")
    values = [answer[name] for answer in objects]
    if column.form == "json":
        return _texts([msgspec.json.encode(value).decode() for value in values])
    if column.spec.datatype == "BYTES":
        return _texts(values)
    try:
        array = np.array(values, dtype=np.dtype(NUMPY_DTYPES[column.spec.datatype]))
    except (TypeError, ValueError, OverflowError) as error:
        raise PredictionError(
            f"the field {name!r} of the answers is no tensor of {column.spec.datatype}: {error}"
        ) from error
    rank = len(column.spec.shape)
    if not values:
        return array.reshape((0,) * rank)
    if array.ndim != rank:
        raise PredictionError(
            f"expected {'one value' if rank == 1 else 'one list of values'} per row in "
            f"{name!r}, found an array of shape {list(array.shape)}"
        )
    return array


def _texts(values: Sequence[Any]) -> Array:
    """An object array, one element for each value, whatever the values are."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array
