"""A user's service as the routes see it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from boxship.errors import InputError
from boxship.runtimes.base import Tensors
from boxship.runtimes.service.runtime import ServiceRuntime
from boxship.serve.codec import explain
from boxship.serve.codec.call_thread import REST_S, CallThread
from boxship.serve.codec.models import (
    ASYNC_SLOTS,
    ServedModel,
    SingleRows,
    TensorModel,
)
from boxship.signature import Signature


class ServiceModel:
    """A user's ``Service``: its own types for rows, its own code for answers."""

    def __init__(self, runtime: ServiceRuntime, *, max_rows: int) -> None:
        self.runtime = runtime.name
        self.slots = ASYNC_SLOTS if runtime.is_async else 1
        # Whether the user's code may run in two threads at once is not ours to say.
        self.large_slots = 0
        self.single_rows: SingleRows | None = None
        self._runtime = runtime
        self._max_rows = max_rows
        self._thread = CallThread("service")

    @property
    def signature(self) -> Signature:
        return self._runtime.signature

    def decode_rows(self, body: bytes) -> tuple[list[Any], int, bool]:
        rows, single = self._runtime.decode_rows(body)
        if not 0 < len(rows) <= self._max_rows:
            raise InputError(explain.row_count(len(rows), self._max_rows))
        return rows, len(rows), single

    def encode_answers(self, outputs: list[Any], *, single: bool) -> bytes:
        return self._runtime.encode_answers(outputs, single=single)

    def from_tensors(self, tensors: Tensors) -> tuple[list[Any], int]:
        rows = self._runtime.rows_from_tensors(tensors)
        return rows, len(rows)

    def to_tensors(self, outputs: list[Any]) -> Tensors:
        return self._runtime.tensors_from_answers(outputs)

    def kind(self, batch: list[Any]) -> Hashable:  # noqa: ARG002 (rows of one type always merge)
        return "rows"

    async def execute(self, batch: list[Any]) -> list[Any]:
        if self._runtime.is_async:
            return await self._runtime.run_async(batch)
        return await self._thread.run(self.run, batch)

    async def execute_crowded(self, batch: list[Any]) -> list[Any]:
        if self._runtime.is_async:
            return await self.execute(batch)
        return await self._thread.run(self.run, batch, rest_s=REST_S)

    async def execute_large(self, batch: list[Any]) -> list[Any]:
        return await self.execute(batch)

    def run(self, batch: list[Any]) -> list[Any]:
        return self._runtime.run(batch)

    def merge(self, batches: Sequence[list[Any]]) -> list[Any]:
        return [row for batch in batches for row in batch]

    def split(self, outputs: list[Any], rows: Sequence[int]) -> list[list[Any]]:
        return [outputs[start:end] for start, end in pairwise((0, *accumulate(rows)))]


@dataclass(frozen=True)
class _ArrayService:
    """A service that takes an array, in a runtime's shape."""

    service: ServiceRuntime
    batchable: bool = True
    reentrant: bool = False

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def signature(self) -> Signature:
        return self.service.signature

    def run(self, batch: Tensors) -> Tensors:
        return self.service.run(batch)

    def sample(self, rows: int) -> Tensors:
        sample = self.service.sample(rows)
        return sample if isinstance(sample, Mapping) else {}


def of_service(runtime: ServiceRuntime, *, max_rows: int) -> ServedModel:
    """The model of a loaded service, whose rows are objects or one array."""
    if runtime.row_type is not None:
        return ServiceModel(runtime, max_rows=max_rows)
    run_async = runtime.run_async if runtime.is_async else None
    return TensorModel(_ArrayService(runtime), max_rows=max_rows, run_async=run_async)
