"""The Open Inference Protocol's infer request and response: JSON tensors and binary ones.

Source: the protocol's REST specification, and Triton's binary tensor data
extension (``Inference-Header-Content-Length``, ``binary_data``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from boxship import json_input
from boxship.errors import MISSING, InputError, MalformedError, Problem
from boxship.runtimes.base import Array, Tensors
from boxship.serve.codec import explain, tensor_bytes, tensor_json
from boxship.serve.turns import Turns
from boxship.signature import NUMPY_DTYPES, Datatype, TensorSpec, is_datatype


class _Input(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: msgspec.Raw = msgspec.Raw(b"")


class _Output(msgspec.Struct, gc=False):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct, gc=False):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[_Output] = []


_decoder = msgspec.json.Decoder(_Request)


@dataclass(frozen=True)
class InferRequest:
    """A request's tensors by name, and how its answer is to look.

    ``binary`` tells for each output that is wanted whether it travels as bytes.
    """

    id: str
    tensors: Tensors
    binary: Mapping[str, bool]


@dataclass(frozen=True)
class InferResponse:
    """A body; ``header_length`` is the length of its JSON part where bytes follow."""

    body: bytes
    header_length: int | None = None


def parse(body: bytes, header_length: str | None, codec: "TensorsCodec") -> Turns[InferRequest]:
    """A request's body, read by the signature; ``header_length`` is the raw HTTP header.

    Large tensors are read in turns. Raises ``MalformedError`` for a body that is not what it
    says, ``InputError`` with every problem for tensors that do not fit.
    """
    head, tail = _cut(body, header_length)
    try:
        request = _decoder.decode(head)
    except msgspec.ValidationError as error:
        raise InputError(_in_words(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        json_input.reread(head, error)
        raise MalformedError("expected an infer request in JSON, found broken JSON") from None
    binary = codec.wanted(request.outputs, request.parameters)
    tensors = yield from codec.tensors(request.inputs, tail)
    return InferRequest(request.id, tensors, binary)


def _cut(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not header_length.isascii() or not header_length.isdigit() or len(header_length) > 18:
        raise MalformedError(
            "Inference-Header-Content-Length: expected the JSON part's length in bytes, "
            f"found {header_length!r}"
        )
    length = int(header_length)
    if length > len(body):
        raise MalformedError(
            f"Inference-Header-Content-Length: expected at most the body's {len(body)} bytes, "
            f"found {length}"
        )
    return body[:length], memoryview(body)[length:]


def _in_words(message: str) -> str:
    """Msgspec's message with the path first: ``inputs[0].shape: expected …, found …``."""
    text, _, path = message.partition(" - at `")
    text = text.replace("Expected", "expected").replace("got", "found")
    text = text.replace("Object missing required field", "expected the required field")
    place = path.rstrip("`").removeprefix("$").lstrip(".") or "body"
    return f"{place.replace('[...]', '[]')}: {text}"


@dataclass
class TensorsCodec:
    """Reads and writes the tensors of one signature."""

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    max_rows: int
    _by_name: dict[str, TensorSpec] = field(init=False)
    _outputs: dict[str, TensorSpec] = field(init=False)

    def __post_init__(self) -> None:
        self._by_name = {spec.name: spec for spec in self.inputs}
        self._outputs = {spec.name: spec for spec in self.outputs}

    def wanted(self, outputs: Sequence[_Output], parameters: Mapping[str, Any]) -> dict[str, bool]:
        """The outputs that the answer holds, each with whether it is binary."""
        every = _switch(parameters, "binary_data_output", "parameters", default=False)
        if not outputs:
            return dict.fromkeys(self._outputs, every)
        chosen: dict[str, bool] = {}
        problems: list[Problem | str] = []
        for index, output in enumerate(outputs):
            if len(problems) >= json_input.MAX_PROBLEMS:
                break
            where = f"outputs[{index}]"
            if output.name not in self._outputs:
                found = json_input.shown(output.name)
                expected = f"one of {', '.join(self._outputs)}"
                problems.append(Problem(("outputs", index, "name"), expected, found))
            problems += [
                f"{where}: the parameter {unsupported!r} is not supported here"
                for unsupported in ("classification", "shared_memory_region")
                if output.parameters.get(unsupported)
            ]
            chosen[output.name] = _switch(
                output.parameters, "binary_data", f"{where}.parameters", default=every
            )
        if problems:
            raise InputError(*problems)
        return chosen

    def tensors(self, inputs: Sequence[_Input], tail: memoryview) -> Turns[Tensors]:
        """Every input as an array of its spec's datatype and rank."""
        problems: list[Problem | str] = []
        tensors: dict[str, Array] = {}
        offset = 0
        for index, entry in enumerate(inputs):
            if len(problems) >= json_input.MAX_PROBLEMS:
                raise InputError(*problems)
            size = entry.parameters.get("binary_data_size")
            raw: memoryview | None = None
            if size is not None:
                raw, offset = _slice(tail, offset, size, index)
            if entry.name in tensors:
                problems.append(Problem(("inputs", index, "name"), "each name once", "twice"))
                continue
            try:
                tensors[entry.name] = yield from self._tensor(entry, raw, index)
            except InputError as error:
                problems += error.problems
        if offset != len(tail):
            raise MalformedError(
                f"expected {offset} bytes of binary tensors (the sum of binary_data_size), "
                f"found {len(tail)} after the JSON part"
            )
        given = {entry.name for entry in inputs}
        problems += [
            Problem(("inputs", spec.name), f"a {spec.datatype} tensor", MISSING)
            for spec in self.inputs
            if spec.required and spec.name not in given
        ]
        if not problems:
            problems += self._rows_problems(tensors)
        if problems:
            raise InputError(*problems[: json_input.MAX_PROBLEMS])
        return tensors

    def _tensor(self, entry: _Input, raw: memoryview | None, index: int) -> Turns[Array]:
        spec = self._by_name.get(entry.name)
        loc = ("inputs", index)
        if spec is None:
            expected = f"one of {', '.join(self._by_name)}"
            raise InputError(Problem((*loc, "name"), expected, json_input.shown(entry.name)))
        if entry.parameters.get("shared_memory_region"):
            raise InputError(f"{entry.name}: shared memory is not supported here")
        if not is_datatype(entry.datatype) or not _widens(entry.datatype, spec):
            raise InputError(
                Problem((entry.name, "datatype"), spec.datatype, json_input.shown(entry.datatype))
            )
        shape = _shape(entry, spec)
        given = TensorSpec(
            name=spec.name,
            datatype=entry.datatype,
            shape=spec.shape,
            nullable=spec.nullable,
        )
        if raw is None:
            array = yield from tensor_json.decode_in_turns(bytes(entry.data), given, shape)
        elif bytes(entry.data):
            raise InputError(f"{entry.name}: expected data or binary_data_size, found both")
        else:
            array = tensor_bytes.decode(raw, given, shape)
        array = array.astype(NUMPY_DTYPES[spec.datatype], copy=False)
        _refuse_non_finite(array, spec)
        return array.reshape(-1, 1) if len(shape) == 1 and len(spec.shape) == 2 else array

    def _rows_problems(self, tensors: Tensors) -> list[Problem]:
        # A first dimension that the model fixes is part of its tensor and counts no rows.
        counts = {
            name: array.shape[0]
            for name, array in tensors.items()
            if self._by_name[name].shape[:1] == (-1,)
        }
        if len(set(counts.values())) > 1 and len(counts) == len(tensors):
            found = ", ".join(f"{name} {count}" for name, count in counts.items())
            return [Problem(("inputs",), "as many rows in every tensor", found)]
        most = max(counts.values(), default=1)
        if not 0 < most <= self.max_rows:
            return [explain.row_count(most, self.max_rows)]
        return []

    def response(
        self, request: InferRequest, outputs: Tensors, *, model: str, version: str
    ) -> Turns[InferResponse]:
        """The answer to ``request``, with the outputs that it wants."""
        entries: list[dict[str, Any]] = []
        chunks: list[bytes | memoryview] = []
        for name, binary in request.binary.items():
            array, spec = outputs[name], self._outputs[name]
            entry: dict[str, Any] = {
                "name": name,
                "datatype": spec.datatype,
                "shape": list(array.shape),
            }
            if binary:
                chunks.append(tensor_bytes.encode(array, spec))
                entry["parameters"] = {"binary_data_size": len(chunks[-1])}
            else:
                entry["data"] = yield from tensor_json.encode_in_turns(array)
            entries.append(entry)
        head: dict[str, Any] = {"model_name": model, "model_version": version}
        if request.id:
            head["id"] = request.id
        encoded = msgspec.json.encode(head | {"outputs": entries})
        if not any(request.binary.values()):
            return InferResponse(encoded)
        return InferResponse(b"".join([encoded, *chunks]), len(encoded))


def _switch(parameters: Mapping[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{where}.{name}: expected true or false, found {json_input.shown(value)}")
    return value


def _slice(tail: memoryview, offset: int, size: object, index: int) -> tuple[memoryview, int]:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise MalformedError(
            f"inputs[{index}].parameters.binary_data_size: expected a number of bytes, "
            f"found {json_input.shown(size)}"
        )
    if offset + size > len(tail):
        raise MalformedError(
            f"inputs[{index}].parameters.binary_data_size: expected at most the "
            f"{len(tail) - offset} bytes that are left of the body, found {size}"
        )
    return tail[offset : offset + size], offset + size


def _widens(datatype: Datatype, spec: TensorSpec) -> bool:
    """Whether every value of ``datatype`` is a value of the spec's: nothing is lost."""
    if datatype == spec.datatype:
        return True
    if "BYTES" in (datatype, spec.datatype) or "BOOL" in (datatype, spec.datatype):
        return False
    return np.can_cast(NUMPY_DTYPES[datatype], NUMPY_DTYPES[spec.datatype], "safe")


def _shape(entry: _Input, spec: TensorSpec) -> tuple[int, ...]:
    """The request's shape, held against the spec's; ``[n]`` stands for ``[n, 1]``."""
    shape = tuple(entry.shape)
    full = (*shape, 1) if len(shape) == 1 and spec.shape[1:] == (1,) else shape
    matches = len(full) == len(spec.shape) and all(
        have >= 0 and (want in (-1, have)) for have, want in zip(full, spec.shape, strict=True)
    )
    if not matches:
        found = json_input.short(str(entry.shape))
        raise InputError(Problem((entry.name, "shape"), f"{list(spec.shape)}", found))
    if math.prod(shape) > 2**40:
        found = json_input.short(str(entry.shape))
        raise InputError(Problem((entry.name, "shape"), "fewer elements", found))
    return shape


def _refuse_non_finite(array: Array, spec: TensorSpec) -> None:
    if array.dtype.kind != "f":
        return
    bad = np.isinf(array) if spec.nullable else ~np.isfinite(array)
    if bad.any():
        place = tuple(int(axis) for axis in np.argwhere(bad)[0])
        found = str(array[place])
        raise InputError(Problem((spec.name, *place), explain.expected(spec), found))
