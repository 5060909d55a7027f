"""Loads and runs a user's ``Service``."""

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, overload

import msgspec
import numpy as np

from boxship.errors import BoxshipError, ModelError, PredictionError, RequestError, UsageError
from boxship.runtimes.base import Array, Tensors
from boxship.runtimes.service.records import Record
from boxship.runtimes.service.row_answers import answer_tensors, as_spec, encode_answers, settled
from boxship.runtimes.service.row_codec import RowCodec
from boxship.runtimes.service.row_columns import Column, row_columns
from boxship.runtimes.service.row_examples import Schema, example
from boxship.runtimes.service.row_schemas import answer_schema, row_schema
from boxship.runtimes.service.row_tensors import rows_as_json
from boxship.runtimes.service.row_types import AnswerHint, read_hints
from boxship.runtimes.service.signature import array_signature, row_signature
from boxship.runtimes.service.user_code import failure
from boxship.service import Service
from boxship.signature import NUMPY_DTYPES, Signature, TensorSpec


class ServiceRuntime:
    """A ``Service`` as a runtime.

    ``row_type`` is the type of one row for a service that takes ``list[Row]``; it is
    ``None`` for one that takes an array. A batch is ``list[Row]`` for the former and
    ``{"input": array}`` for the latter, and so are the answers: a list, or the
    signature's output tensors.

    Raises ``UsageError`` where the type hints make no signature, ``ModelError``
    where the user's ``__init__`` fails.
    """

    def __init__(
        self, service: type[Service] | Service, *, inputs: Sequence[TensorSpec] = ()
    ) -> None:
        kind = service if isinstance(service, type) else type(service)
        if kind.predict is Service.predict:
            raise UsageError(
                f"{kind.__name__} has no predict.",
                tip="Write: def predict(self, rows: list[Customer]) -> list[float]: ...",
            )
        hints = read_hints(kind)
        self._class = kind.__name__
        self._answer: AnswerHint = hints.answer
        self._record = hints.rows if isinstance(hints.rows, Record) else None
        self.row_type: Any | None = self._record.type if self._record else None
        self._columns: tuple[Column, ...] = ()
        self.name = f"service {self._class}"
        self.predict_description = inspect.cleandoc(kind.predict.__doc__ or "")
        if isinstance(hints.rows, Record):
            self._take_rows(hints.rows, inputs, _own_doc(kind))
        else:
            self._signature = array_signature(hints.rows, inputs, self._answer, _own_doc(kind))
        self._array_name = (self._signature.matrix or self._signature.inputs[0]).name
        self._service = self._made(service) if isinstance(service, type) else service
        self.is_async = inspect.iscoroutinefunction(self._service.predict)

    def _take_rows(self, record: Record, inputs: Sequence[TensorSpec], description: str) -> None:
        if inputs:
            raise UsageError(
                f"{self._class}.predict takes rows of {record.name}, whose fields are the "
                "inputs; expected no other inputs, found "
                f"{', '.join(spec.name for spec in inputs)}.",
                tip="Remove `inputs` from the project, or let predict take an array.",
            )
        self._columns = row_columns(record)
        self._codec = RowCodec(record, self._columns)
        row = self._examples[0] if self._examples else {}
        self._signature = row_signature(self._columns, self._answer, description, row)

    @property
    def signature(self) -> Signature:
        """What goes in and what comes out.

        Where the return type is an array of unknown rank or datatype, the first
        answer settles them.
        """
        return self._signature

    async def load(self, model_path: str | None) -> None:
        """Call the service's ``load``; it blocks while a sync one runs. Raises ``ModelError``."""
        await self._started("load", lambda: self._service.load(model_path))

    async def warmup(self) -> None:
        """Call the service's ``warmup``; it blocks while a sync one runs. Raises ``ModelError``."""
        await self._started("warmup", self._service.warmup)

    @overload
    def run(self, batch: list[Any]) -> list[Any]: ...
    @overload
    def run(self, batch: Tensors) -> Tensors: ...
    def run(self, batch: list[Any] | Tensors) -> list[Any] | Tensors:
        """The answers to a batch, where ``predict`` is a plain function (``not is_async``).

        The user's ``InputError`` passes; every other failure is a ``PredictionError``
        whose ``__cause__`` is the user's exception.
        """
        argument = self._argument(batch)
        try:
            result = self._service.predict(argument) if len(argument) else []
        except RequestError:
            raise
        except (
            Exception,
            SystemExit,
            KeyboardInterrupt,
        ) as error:  # sys.exit() is no way to end the server
            raise self._failed(error) from error
        return self._checked(len(argument), result)

    @overload
    async def run_async(self, batch: list[Any]) -> list[Any]: ...
    @overload
    async def run_async(self, batch: Tensors) -> Tensors: ...
    async def run_async(self, batch: list[Any] | Tensors) -> list[Any] | Tensors:
        """As ``run``, where ``predict`` is ``async def`` (``is_async``)."""
        argument = self._argument(batch)
        try:
            result = await self._service.predict(argument) if len(argument) else []
        except RequestError:
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise self._failed(error) from error
        return self._checked(len(argument), result)

    def decode_rows(self, body: bytes) -> tuple[list[Any], bool]:
        """The rows of a JSON body, and whether it was one object rather than a list.

        ``MalformedError``: no JSON, or nested too deeply. ``InputError``: not such
        rows, with every problem. ``PredictionError``: the row type's own code failed.
        """
        try:
            return self._codec.decode(body)
        except RequestError:
            raise
        except Exception as error:
            raise PredictionError(f"making a row failed: {failure(error)}") from error

    def encode_answers(self, answers: list[Any], *, single: bool) -> bytes:
        """The answers of ``run`` as JSON: one object where ``single``, else a list of objects."""
        try:
            return encode_answers(answers, self._answer, single=single)
        except PredictionError as error:
            raise self._wrong(str(error)) from error

    def rows_from_tensors(self, tensors: Tensors) -> list[Any]:
        """Rows from the signature's input tensors, checked as JSON rows are."""
        return self.decode_rows(rows_as_json(tensors, self._columns))[0]

    def tensors_from_answers(self, answers: list[Any]) -> Tensors:
        """The signature's output tensors from the answers of ``run``."""
        try:
            return answer_tensors(answers, self._answer)
        except PredictionError as error:
            raise self._wrong(str(error)) from error

    def row_schema(self) -> tuple[Schema, Schema]:
        """The JSON Schema of one row of a row service, and the components it refers to."""
        return row_schema(self._rows())

    def answer_schema(self) -> tuple[Schema, Schema]:
        """The JSON Schema of one answer, and the components it refers to."""
        return answer_schema(self._answer)

    def example_rows(self) -> list[dict[str, Any]]:
        """One JSON row that validates, or none where no example could be made."""
        return [dict(row) for row in self._examples]

    def sample(self, rows: int) -> list[Any] | Tensors | None:
        """A batch for warm-up, made from the example; ``None`` where none can be made.

        That is so for a row type without a sound example, and for an array of an
        unknown number of columns.
        """
        if self._record is None:
            return self._sample_array(rows)
        if not self._examples:
            return None
        return self.decode_rows(msgspec.json.encode(self.example_rows() * rows))[0]

    def _rows(self) -> Record:
        if self._record is None:
            raise TypeError(f"{self._class} takes an array, not rows")
        return self._record

    @cached_property
    def _examples(self) -> tuple[dict[str, Any], ...]:
        if self._record is None:
            return ()
        row = example(*row_schema(self._record))
        try:
            self.decode_rows(msgspec.json.encode([row]))
        except RequestError:
            return ()
        return (row,)

    def _made(self, kind: type[Service]) -> Service:
        try:
            return kind()
        except Exception as error:
            raise ModelError(
                f"{self._class}() raised {failure(error)}.",
                tip="Make the class without arguments, or serve an instance: module:instance.",
            ) from error

    async def _started(self, method: str, call: Callable[[], Awaitable[None] | None]) -> None:
        try:
            waiting = call()
            if waiting is not None:
                await waiting
        except BoxshipError:
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise ModelError(
                f"{self._class}.{method} raised {failure(error)}.",
                tip=f"Mend {method}, or what it reads, then start again.",
            ) from error

    def _argument(self, batch: list[Any] | Tensors) -> Any:
        return batch if isinstance(batch, list) else batch[self._array_name]

    def _checked(self, count: int, result: Any) -> list[Any] | Tensors:
        """The result as answers, exactly ``count`` of them, or a ``PredictionError``."""
        if self._answer.form == "array":
            array = self._checked_array(count, result)
            return {"value": array} if self._record is None else list(array.tolist())
        if hasattr(result, "tolist"):
            result = result.tolist()
        if not isinstance(result, list | tuple):
            raise self._wrong(f"expected a list of {count} answers, found {_type_name(result)}")
        if len(result) != count:
            raise self._wrong(f"expected {count} answers, one for each row, found {len(result)}")
        return list(result) if self._record is not None else self.tensors_from_answers(list(result))

    def _checked_array(self, count: int, result: Any) -> Array:
        try:
            array = np.asarray(result)
        except ValueError as error:
            raise self._wrong(
                f"expected an array, found lists of different lengths: {error}"
            ) from error
        if array.ndim == 0 or len(array) != count:
            raise self._wrong(
                f"expected an array of {count} rows, found one of shape {list(array.shape)}"
            )
        try:
            self._settle(array)
            return as_spec(array, self._answer.columns[0].spec)
        except PredictionError as error:
            raise self._wrong(str(error)) from error

    def _settle(self, array: Array) -> None:
        """Learn from the first answer what the return type hint left open."""
        before = self._answer
        self._answer = settled(before, array)
        if self._answer is not before:
            self._signature = dataclasses.replace(
                self._signature, outputs=(self._answer.columns[0].spec,)
            )

    def _sample_array(self, rows: int) -> Tensors | None:
        spec = self._signature.matrix or self._signature.inputs[0]
        if -1 in spec.shape[1:]:
            return None
        columns = self._signature.columns or ()
        blank = "text" if spec.datatype == "BYTES" else 0
        row: Any = [blank if column.example is None else column.example for column in columns]
        dtype = NUMPY_DTYPES[spec.datatype]
        array: Array = np.full((rows, *spec.shape[1:]), blank, dtype=dtype)
        if columns:
            array[:] = np.array(row, dtype=dtype)
        return {self._array_name: array}

    def _failed(self, error: BaseException) -> PredictionError:
        return PredictionError(f"{self._class}.predict raised {failure(error)}")

    def _wrong(self, what: str) -> PredictionError:
        return PredictionError(f"{self._class}.predict: {what}")


def _type_name(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _own_doc(kind: type[Service]) -> str:
    """The docstring of the user's class, else of its module; never that of ``Service``."""
    own = kind.__mro__[: kind.__mro__.index(Service)]
    texts = [base.__doc__ for base in own] + [getattr(inspect.getmodule(kind), "__doc__", None)]
    return next((inspect.cleandoc(text) for text in texts if text), "")
