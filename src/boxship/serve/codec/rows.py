"""``/predict`` for models of tensors: JSON rows into arrays, arrays into JSON answers."""

import re
import struct
from collections.abc import Callable, Sequence
from itertools import starmap
from typing import Annotated, Any

import msgspec
import numpy as np

from boxship import json_input
from boxship.errors import InputError, Problem
from boxship.runtimes.base import Array, Tensors
from boxship.serve.codec import explain
from boxship.signature import NUMPY_DTYPES, Answer, Signature, TensorSpec

# msgspec has no fields of such names.
_UNUSUAL = re.compile(r'["\\\x00-\x1f]')
_STRUCT_CODES = {"FP16": "e", "FP32": "f", "FP64": "d"}
_astuple = msgspec.structs.astuple
_encoder = msgspec.json.Encoder()


class RowsCodec:
    """Reads and writes the rows of one signature; ``signature.columns`` must be known."""

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        if signature.columns is None:
            raise ValueError("a model of true tensors has no rows of fields")
        self._columns = signature.columns
        self._matrix = signature.matrix
        # A runtime that takes its columns one by one takes each in its input's own rank.
        self._shapes = {
            spec.name: (-1,) + (1,) * (len(spec.shape) - 1) for spec in signature.inputs
        }
        self._answers = signature.answers
        self._answer_row = _answer_type([answer.name for answer in signature.answers])
        self._max_rows = max_rows
        self._packer = _packer(self._columns, self._matrix)
        self._fields = _single_fields(signature)
        self._decoders: tuple[Any, Any] | None = None
        if not any(_UNUSUAL.search(spec.name) for spec in self._columns):
            row = _row_type(self._columns)
            many: Any = list[row]  # type: ignore[valid-type]
            self._decoders = msgspec.json.Decoder(row), msgspec.json.Decoder(many)

    @property
    def packs(self) -> bool:
        """Whether rows are numbers that ``pack`` can lay side by side at all."""
        return self._packer is not None and self._decoders is not None

    def decode(self, body: bytes) -> tuple[Tensors, int, bool]:
        """A body into the runtime's tensors, the number of rows, and whether it is one object.

        Raises ``MalformedError`` on what is no JSON, ``InputError`` with every
        problem on JSON that does not fit the signature.
        """
        if packed := self.pack(body):
            return self.unpack((packed,)), 1, True
        single = body.lstrip(b" \t\r\n")[:1] != b"["
        values = self._values(body, single=single)
        if not 0 < len(values) <= self._max_rows:
            raise InputError(explain.row_count(len(values), self._max_rows))
        try:
            tensors = self._as_matrix(values) if self._matrix else self._as_columns(values)
        except OverflowError as error:
            # UINT64's upper bound is beyond what the decoder can check.
            raise self._explained(body, error) from None
        return tensors, len(values), single

    def pack(self, body: bytes) -> bytes | None:
        """One object's numbers as the matrix will hold them, with no array of objects between.

        None for whatever else it is, right or wrong: ``decode`` tells.
        """
        if self._packer is None or self._decoders is None or body[:1] != b"{":
            return None
        try:
            return self._packer(*_astuple(self._decoders[0].decode(body)))
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, struct.error):
            return None  # missing, too large or wrong

    def unpack(self, rows: Sequence[bytes]) -> Tensors:
        """Packed rows as the runtime's tensors."""
        assert self._matrix is not None  # noqa: S101 (only a matrix's rows are ever packed)
        dtype = NUMPY_DTYPES[self._matrix.datatype]
        # Some models refuse an array that they cannot write to, so no plain bytes.
        buffer = bytearray(b"".join(rows))
        return {self._matrix.name: np.ndarray((len(rows), len(self._columns)), dtype, buffer)}

    def _values(self, body: bytes, *, single: bool) -> list[tuple[Any, ...]]:
        """Each row's values in the order of the columns."""
        if self._decoders is None:
            return self._values_slowly(body, single=single)
        one, many = self._decoders
        try:
            rows = [one.decode(body)] if single else many.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            # ValidationError is a DecodeError: say what is wrong, and all of it.
            raise self._explained(body, error) from None
        return [msgspec.structs.astuple(row) for row in rows]

    def _values_slowly(self, body: bytes, *, single: bool) -> list[tuple[Any, ...]]:
        content = json_input.parse(body)
        rows = [content] if single else content
        if problems := explain.rows(content, self._columns, self._max_rows):
            raise InputError(*problems)
        return [tuple(row[spec.name] for spec in self._columns) for row in rows]

    def _explained(self, body: bytes, refusal: Exception) -> InputError:
        content = json_input.reread(body, refusal)
        problems = explain.rows(content, self._columns, self._max_rows)
        # Of a field that is given twice, only the last value shows there.
        return InputError(*problems or [Problem((), "rows with each field once", "others")])

    def _as_matrix(self, values: Sequence[tuple[Any, ...]]) -> Tensors:
        assert self._matrix is not None  # noqa: S101 (the caller's branch, for the type checker)
        matrix = _narrowed(np.array(values, dtype=np.float64), self._matrix)
        if np.isinf(matrix).any():
            places = np.argwhere(np.isinf(matrix))[: json_input.MAX_PROBLEMS].tolist()
            raise InputError(*(_too_large(self._columns[c], r, values[r][c]) for r, c in places))
        return {self._matrix.name: matrix}

    def _as_columns(self, values: Sequence[tuple[Any, ...]]) -> Tensors:
        tensors: dict[str, Array] = {}
        for spec, column in zip(self._columns, zip(*values, strict=True), strict=True):
            array = np.empty(len(column), dtype=object)
            array[:] = column
            if spec.datatype.startswith("FP"):
                array = _narrowed(array.astype(np.float64), spec)
                places = np.flatnonzero(np.isinf(array))[: json_input.MAX_PROBLEMS].tolist()
                if places:
                    raise InputError(*(_too_large(spec, r, column[r]) for r in places))
            tensors[spec.name] = array.astype(NUMPY_DTYPES[spec.datatype], copy=False).reshape(
                self._shapes.get(spec.name, (-1,))
            )
        return tensors

    def encode(self, outputs: Tensors, *, single: bool) -> bytes:
        """The runtime's outputs as one JSON object, or a list of them."""
        if single and self._fields is not None:
            values = {name: outputs[output].item(index) for name, output, index in self._fields}
            return msgspec.json.encode(values)
        rows = self._answer_rows(outputs)
        return msgspec.json.encode(rows[0] if single else rows)

    def encode_each(self, outputs: Tensors) -> list[bytes]:
        """The runtime's outputs as a JSON object for each row."""
        # A line each: inside an object a line break is written as an escape.
        return _encoder.encode_lines(self._answer_rows(outputs)).split(b"\n")[:-1]

    def _answer_rows(self, outputs: Tensors) -> list[Any]:
        columns = [_column(answer, outputs[answer.output]) for answer in self._answers]
        return list(starmap(self._answer_row, zip(*columns, strict=True)))


def _packer(
    columns: Sequence[TensorSpec], matrix: TensorSpec | None
) -> Callable[..., bytes] | None:
    """Packs one row's numbers as a matrix of floats holds them.

    It raises ``struct.error`` for a missing value, ``OverflowError`` for a number that the
    matrix's float cannot hold. None where the row is no matrix of floats.
    """
    if matrix is None or matrix.datatype not in _STRUCT_CODES:
        return None
    return struct.Struct(f"={len(columns)}{_STRUCT_CODES[matrix.datatype]}").pack


def _single_fields(signature: Signature) -> tuple[tuple[str, str, int], ...] | None:
    """Name, output and position of each answer field, where one row's fields are all scalars."""
    shapes = {spec.name: spec.shape for spec in signature.outputs}
    fields = []
    for answer in signature.answers:
        shape = shapes.get(answer.output, ())
        if answer.classes or not (
            shape in ((-1,), (-1, 1))
            or (len(shape) == 2 and answer.index is not None and 0 <= answer.index < shape[1])
        ):
            return None
        fields.append((answer.name, answer.output, answer.index or 0))
    return tuple(fields)


def _row_type(columns: Sequence[TensorSpec]) -> type[msgspec.Struct]:
    """A struct with one field per column; JSON names are the columns' own."""
    return msgspec.defstruct(
        "Row",
        [(f"f{index}", _field_type(spec)) for index, spec in enumerate(columns)],
        rename={f"f{index}": spec.name for index, spec in enumerate(columns)},
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
    )


def _answer_type(names: Sequence[str]) -> Callable[..., Any]:
    """Makes one row's answers, in the order of ``names``, into a JSON object to be."""
    if any(_UNUSUAL.search(name) for name in names):
        return lambda *values: dict(zip(names, values, strict=True))
    fields = [f"f{index}" for index in range(len(names))]
    renamed = dict(zip(fields, names, strict=True))
    return msgspec.defstruct("AnswerRow", fields, rename=renamed, gc=False)


def _field_type(spec: TensorSpec) -> Any:
    kind: Any
    if spec.datatype == "BYTES":
        kind = str
    elif spec.datatype == "BOOL":
        kind = bool
    elif spec.datatype.startswith("FP"):
        kind = float
    else:
        low, high = explain.integer_range(spec.datatype)
        # msgspec's bounds are those of a 64-bit integer; numpy refuses what is beyond.
        upper = high if high < 2**63 else None
        kind = Annotated[int, msgspec.Meta(ge=low, le=upper)]
    return kind | None if spec.nullable else kind


def _narrowed(exact: Array, spec: TensorSpec) -> Array:
    """The spec's own float; what it cannot hold becomes infinite, which no JSON number is."""
    with np.errstate(over="ignore"):
        return exact.astype(NUMPY_DTYPES[spec.datatype], copy=False)


def _too_large(spec: TensorSpec, row: int, value: object) -> Problem:
    return Problem((row, spec.name), f"a number that {spec.datatype} can hold", repr(value))


def _column(answer: Answer, output: Array) -> Sequence[Any]:
    """One answer field's value for every row."""
    array = output if answer.index is None else output[..., answer.index]
    if array.ndim > 1 and array.shape[-1] == 1 and not answer.classes:
        array = array[..., 0]
    values: list[Any] = array.tolist()
    if answer.classes:
        return [_named(answer.classes, value) for value in values]
    return values


def _named(classes: Sequence[str], value: Any) -> Any:
    """``{class: p}`` for the innermost axis."""
    if value and isinstance(value[0], list):
        return [_named(classes, inner) for inner in value]
    return dict(zip(classes, value, strict=True))
