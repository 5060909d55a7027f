"""The runtime of ONNX models: onnxruntime on the CPU."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    RuntimeException,
)

from boxship.errors import InputError, ModelError, PredictionError, RequestError
from boxship.runtimes.base import Array, Tensors
from boxship.runtimes.nullable import find_nullable
from boxship.runtimes.onnx.graph import Graph, read_graph
from boxship.runtimes.onnx.metadata import known_answers, known_columns, known_proof
from boxship.runtimes.onnx.signature import (
    find_answers,
    find_columns,
    input_spec,
    is_zipmap,
    output_datatype,
    output_spec,
)
from boxship.signature import NUMPY_DTYPES, Signature, TensorSpec

_KNOW_MISSING = {
    "Imputer",
    "IsNaN",
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
}
"""Operators that mean something by NaN. Elsewhere a finite answer may be an accident: a ReLU
swallows NaN."""

_SIZES = (1, 8, 32, 224)
"""What is tried, in order, for a dimension that the graph leaves open."""


class OnnxRuntime:
    """An ONNX file. External data beside it is memory-mapped by onnxruntime.

    ``threads`` run one operator; operators run one after the other. ``inputs`` are
    the project's own column declarations. Raises ``ModelError`` where the file cannot
    be loaded, has inputs or outputs that are no tensors, contradicts ``inputs``, or
    refuses every sample made from its own shapes.

    A column takes missing values where the file's metadata says so. Where it describes no
    column: where the graph has an operator that means something by NaN and the model, asked
    with NaN in that column, answers finite numbers only.

    ``proof`` is the parity proof of a converted model, if it holds for the file as it is;
    ``notes`` are worth a log line when the model is served.
    """

    reentrant = True

    def __init__(self, path: Path, *, threads: int = 1, inputs: Sequence[TensorSpec] = ()) -> None:
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self._session = _load(path, threads)
        graph = read_graph(path)
        given, returned = self._session.get_inputs(), self._session.get_outputs()
        meta = self._session.get_modelmeta()
        self._inputs = tuple(input_spec(node) for node in given)
        if not self._inputs:
            raise ModelError(
                f"The ONNX model {path} has no inputs.",
                tip="Export it with the data as an input, not as a constant.",
            )
        for node in returned:
            output_datatype(node)
        metadata = meta.custom_metadata_map
        self.proof, self.notes = known_proof(metadata, path)
        known = known_columns(metadata)
        columns, matrix = find_columns(self._inputs, inputs, known)
        self._columns = columns and _with_categories(columns, graph)
        self._matrix = matrix
        self._outputs = [node.name for node in returned]
        self._zipmaps = [node.name for node in returned if is_zipmap(node.type)]
        self._reshapes = (
            {spec.name: spec.shape for spec in self._inputs} if columns and not matrix else {}
        )
        self._missing = {
            column.name: column.missing for column in known if column.missing is not None
        }
        self._size = 1
        answers = self._learn()
        self.batchable = _one_batch(given) and self._rows_stay_apart()
        outputs = tuple(
            output_spec(node, answers[node.name], batchable=self.batchable) for node in returned
        )
        described = any(column.described for column in known)
        if self._columns and not described and graph.operators & _KNOW_MISSING:
            self._columns = self._ask_about_missing(self._columns)
        self.signature = Signature(
            inputs=self._inputs if matrix or not self._columns else self._columns,
            outputs=outputs,
            columns=self._columns,
            answers=known_answers(metadata, outputs) or find_answers(outputs, graph.class_labels)
            if self._columns
            else (),
            matrix=matrix,
            description=meta.description or metadata.get("description", ""),
        )

    def run(self, batch: Tensors) -> Tensors:
        """The graph's outputs for its inputs, in the signature's datatypes.

        A class map becomes one FP32 tensor ``[rows, classes]``. What onnxruntime says
        against names, types and shapes is an ``InputError``; any other failure a
        ``PredictionError``.
        """
        try:
            feed = (
                {name: batch[name].reshape(shape) for name, shape in self._reshapes.items()}
                if self._reshapes
                else dict(batch)
            )
            for name, text in self._missing.items():
                feed[name] = np.where(feed[name] == np.array(None), text, feed[name])
            answers = dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))
        except (InvalidArgument, Fail, RuntimeException, ValueError, TypeError) as error:
            if "allocate" in str(error):
                # Memory is ours to have; all else that a node refuses came with the request.
                raise PredictionError(sentence(error)) from error
            raise InputError(sentence(error)) from error
        except Exception as error:
            raise PredictionError(sentence(error)) from error
        for name in self._zipmaps:
            rows = [list(row.values()) for row in answers[name]]
            answers[name] = np.array(rows, dtype=np.float32)
        return answers

    def sample(self, rows: int) -> Tensors:
        """``rows`` rows of the columns' examples, or of zeros.

        A dimension that the graph fixes keeps its size, be it the batch.
        """
        return self._sample(rows, [spec.example for spec in self._columns or ()])

    def _sample(self, rows: int, examples: Sequence[Any]) -> dict[str, Array]:
        if self._matrix is not None:
            fixed = self._matrix.shape[0]
            dtype = NUMPY_DTYPES[self._matrix.datatype]
            row = np.array(examples, dtype=dtype)
            return {self._matrix.name: np.tile(row, (fixed if fixed >= 0 else rows, 1))}
        batch: dict[str, Array] = {}
        for position, spec in enumerate(self._inputs):
            head = tuple(dim if dim >= 0 else rows for dim in spec.shape[:1])
            tail = tuple(dim if dim >= 0 else self._size for dim in spec.shape[1:])
            blank: Any = "text" if spec.datatype == "BYTES" else 0
            value = examples[position] if examples else blank
            batch[spec.name] = np.full(head + tail, value, dtype=NUMPY_DTYPES[spec.datatype])
        return batch

    def _learn(self) -> Tensors:
        """The answers to a sample of one row, with the first size that works for open dimensions."""
        refusal: RequestError | None = None
        for size in _SIZES if any(-1 in spec.shape[1:] for spec in self._inputs) else (1,):
            self._size = size
            try:
                return self.run(self.sample(1))
            except RequestError as error:
                refusal = refusal or error
        raise ModelError(
            f"The ONNX model cannot answer a sample of its own inputs: {refusal}",
            tip="Export it with fixed sizes, or declare its columns under `inputs` in "
            "boxship.toml, each with an `example` that it accepts.",
        ) from refusal

    def _rows_stay_apart(self) -> bool:
        """Whether a batch of two gives two rows in every output."""
        try:
            answers = self.run(self.sample(2))
        except RequestError:
            return False
        return all(np.ndim(answer) > 0 and len(answer) == 2 for answer in answers.values())

    def _ask_about_missing(self, columns: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        examples = [spec.example for spec in columns]

        def accepts(positions: Sequence[int]) -> bool:
            probe = list(examples)
            for position in positions:
                probe[position] = np.nan
            try:
                answers = self.run(self._sample(1, probe)).values()
            except RequestError:
                return False
            floats = [answer for answer in answers if answer.dtype.kind == "f"]
            # A label alone proves nothing: there is an argmax of NaN too.
            return bool(floats) and all(np.isfinite(answer).all() for answer in floats)

        askable = [at for at, spec in enumerate(columns) if spec.datatype.startswith("FP")]
        found = find_nullable(accepts, askable, divide=True)
        return tuple(
            replace(spec, nullable=spec.nullable or at in found) for at, spec in enumerate(columns)
        )


def _load(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin while they wait burn the container's CPU quota.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors are raised; the log would say them a second time, in its own format.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} cannot load {path}: {sentence(error)}",
            tip="Check that the file is complete, that its external data lies beside it, and "
            "that it was exported for an opset this onnxruntime knows.",
        ) from error


def _one_batch(nodes: Sequence[Any]) -> bool:
    """Whether every input begins with the same open dimension."""
    heads = {node.shape[0] if node.shape else 0 for node in nodes}
    names = {head for head in heads if isinstance(head, str)}
    return len(names) <= 1 and not any(isinstance(head, int) and head >= 0 for head in heads)


def _with_categories(columns: tuple[TensorSpec, ...], graph: Graph) -> tuple[TensorSpec, ...]:
    """String columns with the first category of their encoder as the example.

    Encoders stand in the graph in the order of the columns; where their numbers differ
    nobody knows which is whose, and the examples stay.
    """
    strings = [spec.name for spec in columns if spec.datatype == "BYTES"]
    if len(strings) != len(graph.categories):
        return columns
    first = {name: group[0] for name, group in zip(strings, graph.categories, strict=True)}
    return tuple(
        replace(spec, example=first[spec.name])
        if spec.example == "text" and spec.name in first
        else spec
        for spec in columns
    )


def sentence(error: BaseException) -> str:
    """What onnxruntime says, in one line, without its codes and source positions."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^(Non-zero status code .*? node)\. .*? Status Message: ", r"\1: ", text)
    return re.sub(r"( in \S+)? Please fix either the inputs/outputs or the model\.$", "", text)
