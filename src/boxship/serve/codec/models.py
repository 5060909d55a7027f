"""A loaded model as the routes see it: bytes in, batches through, bytes out.

Two kinds share the routes and the batcher. A ``TensorModel``'s batch is a mapping
of arrays; that of a ``ServiceModel``, in ``services.py``, is a list of the user's own row objects.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Protocol

import numpy as np

from boxship.errors import InputError, PredictionError
from boxship.runtimes.base import Array, Runtime, Tensors
from boxship.serve.codec.call_thread import REST_S, CallThread
from boxship.serve.codec.rows import RowsCodec
from boxship.signature import NUMPY_DTYPES, Signature

ASYNC_SLOTS = 64
"""Concurrent batches of an ``async def predict``, which waits for others rather than computes."""


@dataclass(frozen=True)
class SingleRows:
    """A model's shortest way from one JSON object to another, for many requests at once.

    ``pack`` reads a body, or leaves it to ``decode_rows`` and gives None; ``answer`` makes
    packed rows into a body each, with one call in the caller's thread.
    """

    pack: Callable[[bytes], bytes | None]
    answer: Callable[[Sequence[bytes]], Sequence[bytes]]


class ServedModel(Protocol):
    """What the routes need of a model.

    ``runtime`` is what executes it, ``slots`` how many calls may be under way,
    ``large_slots`` how many more of larger batches than usual. ``single_rows`` is None
    where rows are no matrix of numbers, or must not share a call.
    """

    runtime: str
    slots: int
    large_slots: int
    single_rows: SingleRows | None

    @property
    def signature(self) -> Signature:
        """As it is now: a service's first answer may settle its outputs."""

    def decode_rows(self, body: bytes) -> tuple[Any, int, bool]:
        """A ``/predict`` body into a batch, its number of rows, and whether it is one object."""

    def encode_answers(self, outputs: Any, *, single: bool) -> bytes:
        """A batch's answers as ``/predict`` gives them: one object, or a list."""

    def from_tensors(self, tensors: Tensors) -> tuple[Any, int]:
        """V2 tensors into a batch and its number of rows."""

    def to_tensors(self, outputs: Any) -> Tensors:
        """A batch's answers as the signature's outputs."""

    def kind(self, batch: Any) -> Hashable:
        """Batches of one kind may share a call."""

    def execute(self, batch: Any) -> Awaitable[Any]:
        """The model's answers to one batch."""

    def execute_crowded(self, batch: Any) -> Awaitable[Any]:
        """The same; a model in a thread first has the interpreter for itself, for a moment."""

    def execute_large(self, batch: Any) -> Awaitable[Any]:
        """The same for a large one, where there are slots for such."""

    def run(self, batch: Any) -> Any:
        """The same at once, in the caller's thread."""

    def merge(self, batches: Sequence[Any]) -> Any:
        """Batches of one kind as one."""

    def split(self, outputs: Any, rows: Sequence[int]) -> Sequence[Any]:
        """A merged batch's answers, cut by the rows of each that was in it."""


class TensorModel:
    """A runtime of tensors, called in a thread of its own; ``run_async`` is called in none.

    Batches of more rows than usual may have a second thread, where the runtime is reentrant.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        max_rows: int,
        run_async: Callable[[Tensors], Awaitable[Tensors]] | None = None,
    ) -> None:
        self.slots = 1 if run_async is None else ASYNC_SLOTS
        self._run_async = run_async
        self.runtime = runtime.name
        self.batchable = runtime.batchable
        self.reentrant = runtime.reentrant and run_async is None
        self.large_slots = int(self.reentrant)
        self._runtime = runtime
        rows = runtime.signature.columns is not None
        self._rows = RowsCodec(runtime.signature, max_rows=max_rows) if rows else None
        self.single_rows: SingleRows | None = None
        if self._rows is not None and self._rows.packs and self.batchable:
            self.single_rows = SingleRows(self._rows.pack, partial(self._answer, self._rows))
        self._thread = CallThread("model")
        self._large_thread = CallThread("model-large")

    @property
    def signature(self) -> Signature:
        return self._runtime.signature

    def decode_rows(self, body: bytes) -> tuple[Tensors, int, bool]:
        if self._rows is None:
            names = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in self.signature.inputs)
            raise InputError(
                f"this model takes tensors, not rows of fields ({names}); "
                "send them to /v2/models/…/infer"
            )
        return self._rows.decode(body)

    def encode_answers(self, outputs: Tensors, *, single: bool) -> bytes:
        if self._rows is None:
            raise InputError("this model has no rows of fields")
        return self._rows.encode(outputs, single=single)

    def from_tensors(self, tensors: Tensors) -> tuple[Tensors, int]:
        matrix = self.signature.matrix
        if matrix is not None and not any(
            (spec.name, spec.shape) == (matrix.name, matrix.shape) for spec in self.signature.inputs
        ):
            # The columns came one by one, and travel together from here on.
            columns = [tensors[spec.name] for spec in self.signature.inputs]
            together = np.concatenate(columns, axis=1)
            dtype = NUMPY_DTYPES[matrix.datatype]
            tensors = {matrix.name: together.astype(dtype, copy=False)}
        return tensors, _rows_in(tensors)

    def to_tensors(self, outputs: Tensors) -> Tensors:
        return outputs

    def sample(self, rows: int) -> Tensors:
        """A batch that the model accepts."""
        return self._runtime.sample(rows)

    def kind(self, batch: Tensors) -> Hashable:
        if not self.batchable:
            return object()
        return tuple((name, array.shape[1:]) for name, array in sorted(batch.items()))

    async def execute(self, batch: Tensors) -> Tensors:
        if self._run_async is not None:
            return self._checked(batch, await self._run_async(batch))
        return await self._thread.run(self.run, batch)

    async def execute_crowded(self, batch: Tensors) -> Tensors:
        if self._run_async is not None:
            return await self.execute(batch)
        return await self._thread.run(self.run, batch, rest_s=REST_S)

    async def execute_large(self, batch: Tensors) -> Tensors:
        return await self._large_thread.run(self.run, batch)

    def run(self, batch: Tensors) -> Tensors:
        """The answers to a batch, from whichever thread asks."""
        return self._checked(batch, self._runtime.run(batch))

    def _answer(self, codec: RowsCodec, rows: Sequence[bytes]) -> Sequence[bytes]:
        return codec.encode_each(self.run(codec.unpack(rows)))

    def _checked(self, batch: Tensors, outputs: Tensors) -> Tensors:
        """``outputs``, as many rows as the batch has; nobody is given another's."""
        if self.batchable:
            rows = (_rows_in(batch),)
            for name, array in outputs.items():
                if array.shape[:1] != rows:
                    raise PredictionError(
                        f"output {name}: expected {rows[0]} rows, found the shape {array.shape}"
                    )
        return outputs

    def merge(self, batches: Sequence[Tensors]) -> Tensors:
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def split(self, outputs: Tensors, rows: Sequence[int]) -> list[Tensors]:
        return [
            {name: array[start:end] for name, array in outputs.items()}
            for start, end in pairwise((0, *accumulate(rows)))
        ]


def _rows_in(tensors: Tensors) -> int:
    first: Array = next(iter(tensors.values()))
    return first.shape[0] if first.ndim else 1
