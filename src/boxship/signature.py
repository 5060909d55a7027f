"""What goes into a model and what comes out, in the Open Inference Protocol's words.

Nothing here imports numpy: the supervisor and the command line read signatures
too, and must start at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, get_args

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
DATATYPES: tuple[Datatype, ...] = get_args(Datatype)

NUMPY_DTYPES: Mapping[Datatype, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""numpy's name for each datatype. BYTES is an object array of ``str``."""


def is_datatype(name: str) -> TypeGuard[Datatype]:
    """Whether ``name`` is a datatype of the protocol."""
    return name in DATATYPES


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One named tensor.

    ``shape`` begins with the batch dimension; ``-1`` is any length. ``nullable``
    says that a missing value (JSON ``null``) is accepted.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...] = (-1, 1)
    nullable: bool = False
    required: bool = True
    description: str = ""
    example: Any = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One field of a ``/predict`` answer, and the output tensor it is read from.

    ``index`` picks one element of the output's last axis (a binary classifier's
    ``score`` is ``p(classes_[1])``); ``classes`` turns the last axis into an
    object, ``{class: p}``.
    """

    name: str
    output: str
    index: int | None = None
    classes: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A model's typed inputs and outputs, and how a JSON row maps onto them.

    ``inputs`` and ``outputs`` are the tensors of the Open Inference Protocol.
    ``columns`` are the fields of one ``/predict`` row, in the model's order; it is
    ``None`` for models of true tensors, which have no rows of fields. ``answers``
    are the fields of one ``/predict`` answer.
    ``matrix`` is the single ``[rows, columns]`` tensor that the runtime takes where
    all columns travel together; where it is ``None`` the runtime takes one array
    per input.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    columns: tuple[TensorSpec, ...] | None = None
    answers: tuple[Answer, ...] = ()
    matrix: TensorSpec | None = None
    description: str = ""
