"""A service's type hints → its ``Signature``."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from boxship.errors import UsageError
from boxship.runtimes.base import INPUT
from boxship.runtimes.service.row_columns import ArrayHint, Column
from boxship.runtimes.service.row_types import AnswerHint
from boxship.signature import Answer, Datatype, Signature, TensorSpec


def row_signature(
    columns: Sequence[Column], answer: AnswerHint, description: str, example: Mapping[str, Any]
) -> Signature:
    """The signature of a service that takes rows of fields. ``example`` is a JSON row."""
    inputs = tuple(
        dataclasses.replace(column.spec, example=_example(column, example)) for column in columns
    )
    return Signature(
        inputs=inputs,
        outputs=_outputs(answer),
        columns=inputs,
        answers=_answers(answer),
        description=description,
    )


def array_signature(
    hint: ArrayHint, inputs: Sequence[TensorSpec], answer: AnswerHint, description: str
) -> Signature:
    """The signature of a service that takes one array.

    ``inputs`` are the columns that the project declares, or one declared tensor of
    another shape than ``[-1, 1]``. Raises ``UsageError`` where they make no array.
    """
    columns: tuple[TensorSpec, ...] | None = None
    matrix: TensorSpec | None = None
    if inputs and all(spec.shape == (-1, 1) for spec in inputs):
        columns = tuple(inputs)
        datatype = _common_datatype(columns)
        _refuse_other_kind(hint, datatype)
        matrix = TensorSpec(
            name=INPUT, datatype=hint.datatype or datatype, shape=(-1, len(columns))
        )
    elif len(inputs) > 1:
        raise UsageError(
            f"predict takes one array; expected columns of shape [-1, 1] or one tensor, found "
            f"{len(inputs)} inputs of other shapes.",
            tip="Declare one input, or take rows of a dataclass.",
        )
    tensor = TensorSpec(name=INPUT, datatype="FP64", shape=(-1,) * (hint.rank or 2))
    if len(inputs) == 1:
        tensor = inputs[0]
        _refuse_other_kind(hint, tensor.datatype)
    tensor = dataclasses.replace(tensor, datatype=hint.datatype or tensor.datatype)
    return Signature(
        inputs=columns or (tensor,),
        outputs=_outputs(answer),
        columns=columns,
        answers=_answers(answer),
        matrix=matrix,
        description=description,
    )


def _refuse_other_kind(hint: ArrayHint, datatype: str) -> None:
    if hint.datatype is not None and (hint.datatype == "BYTES") != (datatype == "BYTES"):
        raise UsageError(
            f"predict takes an array of {hint.datatype}, but the project's inputs are {datatype}.",
            tip="Make the type hint and the project's inputs agree.",
        )


def _outputs(answer: AnswerHint) -> tuple[TensorSpec, ...]:
    return tuple(column.spec for column in answer.columns)


def _answers(answer: AnswerHint) -> tuple[Answer, ...]:
    return tuple(
        Answer(name=spec.name, output=spec.name, description=spec.description)
        for spec in _outputs(answer)
    )


def _example(column: Column, row: Mapping[str, Any]) -> Any:
    value = row.get(column.spec.name)
    if column.form == "json" and column.spec.name in row:
        return json.dumps(value)
    return value


def _common_datatype(specs: Sequence[TensorSpec]) -> Datatype:
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
