"""The inputs of the ONNX file: what the converter is told of them, and what they become.

All numbers travel in one matrix. Where a column is no number, each has an input of its
own, ``[rows, 1]``; the converter sees neutral names and floats, and the columns' own
names and datatypes are put in front afterwards.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from boxship.convert.edits import Edit, element_type, tensor_info
from boxship.convert.missing import MISSING_TEXT
from boxship.runtimes.base import INPUT, Tensors
from boxship.signature import NUMPY_DTYPES, Datatype, Signature, TensorSpec


@dataclass(frozen=True)
class Input:
    """One input: its name for the converter, and the tensor that a client sends."""

    internal: str
    spec: TensorSpec


@dataclass(frozen=True)
class Inputs:
    """``number`` is the datatype of every number inside the graph: FP32 or FP64."""

    tensors: tuple[Input, ...]
    number: Datatype

    def initial_types(self) -> list[tuple[str, Any]]:
        """What skl2onnx wants to know: names and types."""
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

        numbers = DoubleTensorType if self.number == "FP64" else FloatTensorType
        return [
            (one.internal, kind([None, one.spec.shape[1]]))
            for one in self.tensors
            for kind in [StringTensorType if one.spec.datatype == "BYTES" else numbers]
        ]

    def narrowed(self, batch: Tensors) -> dict[str, Any]:
        """A batch of the original's, in the datatypes of the ONNX file."""
        with np.errstate(over="ignore"):
            return {
                one.spec.name: batch[one.spec.name].astype(
                    NUMPY_DTYPES[one.spec.datatype], copy=False
                )
                for one in self.tensors
            }

    def inside(self, batch: Tensors) -> dict[str, Any]:
        """The same batch as the converter's graph takes it, before its inputs are named."""
        narrow = self.narrowed(batch)
        number = NUMPY_DTYPES[self.number]
        return {
            one.internal: narrow[one.spec.name].astype(
                object if one.spec.datatype == "BYTES" else number, copy=False
            )
            for one in self.tensors
        }


def plan_inputs(signature: Signature, number: Datatype) -> Inputs:
    """The inputs of the ONNX file for a model that has ``signature``."""
    if signature.matrix is not None:
        spec = TensorSpec(name=INPUT, datatype=number, shape=signature.matrix.shape)
        return Inputs((Input(INPUT, spec),), number)
    tensors = tuple(
        Input(
            f"column_{position}",
            TensorSpec(
                name=spec.name,
                datatype=number if spec.datatype.startswith("FP") else spec.datatype,
            ),
        )
        for position, spec in enumerate(signature.inputs)
    )
    return Inputs(tensors, number)


def put_inputs(graph: Any, inputs: Inputs) -> None:
    """Give the inputs of ``graph`` the names and datatypes that clients send."""
    edit = Edit(graph, kept=[one.spec.name for one in inputs.tensors])
    for one in inputs.tensors:
        same = one.spec.datatype in ("BYTES", inputs.number)
        edit.feed(one.internal, one.spec.name, None if same else element_type(inputs.number))
    del graph.input[:]
    graph.input.extend(
        tensor_info(one.spec.name, element_type(one.spec.datatype), one.spec.shape)
        for one in inputs.tensors
    )


def described(signature: Signature) -> list[dict[str, Any]]:
    """What the graph cannot say of its columns, for the file's metadata."""
    return [_described(spec) for spec in signature.columns or ()]


def _described(spec: TensorSpec) -> dict[str, Any]:
    said: dict[str, Any] = {"name": spec.name, "example": spec.example}
    if spec.description:
        said["description"] = spec.description
    if spec.nullable:
        said["nullable"] = True
        if spec.datatype == "BYTES":
            said["missing"] = MISSING_TEXT
    return said
