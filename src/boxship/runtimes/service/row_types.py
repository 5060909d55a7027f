"""The type hints of ``predict`` → what a batch is and what an answer is."""

import inspect
import typing
from dataclasses import dataclass
from typing import Any, Literal

from boxship.errors import UsageError
from boxship.runtimes.service.records import Field, Record, item_of, record_of
from boxship.runtimes.service.row_columns import (
    ArrayHint,
    Column,
    answer_columns,
    array_column,
    array_hint,
    json_column,
    value_column,
)

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
        return AnswerHint("array", hint, (array_column(array),), array=array)
    item = item_of(hint)
    if item is None:
        raise UsageError(
            f"{where} is annotated to return {_shown(hint)}; expected a list of answers, "
            "one for each row, or an array.",
            tip=_ANSWERS,
        )
    record = record_of(item)
    if record is not None and record.fields:
        return AnswerHint("record", item, answer_columns(record), record=record)
    column = value_column(item)
    if column is not None:
        return AnswerHint("value", item, (column,))
    return AnswerHint("open", item, (json_column(Field("answer", "", item, required=True), (-1,)),))


def _shown(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
