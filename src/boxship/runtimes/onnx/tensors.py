"""What goes into an ONNX file and comes out, by its own words, without onnxruntime.

Read from the wire; weights are stepped over, not read. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from boxship.artifact.protobuf import MODEL_GRAPH, iter_fields, mapped, messages, text
from boxship.runtimes.onnx.graph import broken
from boxship.signature import Datatype, TensorSpec

_GRAPH_INITIALIZER = 5
_GRAPH_INPUT = 11
_GRAPH_OUTPUT = 12
_TENSOR_NAME = 8
_VALUE_NAME = 1
_VALUE_TYPE = 2
_TYPE_TENSOR = 1
_TENSOR_ELEMENT = 1
_TENSOR_SHAPE = 2
_SHAPE_DIMENSION = 1
_DIMENSION_VALUE = 1

_EMPTY: Final = memoryview(b"")

_DATATYPES: Final[Mapping[int, Datatype]] = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    8: "BYTES",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
}


def read_tensors(path: Path) -> tuple[Sequence[TensorSpec], Sequence[TensorSpec]]:
    """The inputs and the outputs of the graph; what is no tensor, as a class map, is left out.

    A dimension without a number is ``-1``. Raises ``ModelError`` where the file is broken.
    """
    try:
        graph = next(messages(mapped(path), MODEL_GRAPH), _EMPTY)
        # Old files list weights among the inputs.
        weights = {
            text(name)
            for weight in messages(graph, _GRAPH_INITIALIZER)
            for name in messages(weight, _TENSOR_NAME)
        }
        inputs = [one for one in _tensors(graph, _GRAPH_INPUT) if one.name not in weights]
        return inputs, list(_tensors(graph, _GRAPH_OUTPUT))
    except (OSError, ValueError) as error:
        raise broken(path, error) from error


def _tensors(graph: memoryview, wanted: int) -> Iterator[TensorSpec]:
    for value in messages(graph, wanted):
        name = text(next(messages(value, _VALUE_NAME), _EMPTY))
        for kind in messages(value, _VALUE_TYPE):
            for tensor in messages(kind, _TYPE_TENSOR):
                datatype = _DATATYPES.get(_number(tensor, _TENSOR_ELEMENT))
                if datatype:
                    yield TensorSpec(name=name, datatype=datatype, shape=_shape(tensor))


def _shape(tensor: memoryview) -> tuple[int, ...]:
    return tuple(
        _number(dimension, _DIMENSION_VALUE) or -1
        for shape in messages(tensor, _TENSOR_SHAPE)
        for dimension in messages(shape, _SHAPE_DIMENSION)
    )


def _number(message: memoryview, wanted: int) -> int:
    """The value of a number's field, 0 where there is none."""
    found = (value for field, _, value in iter_fields(message) if field == wanted)
    return next((value for value in found if isinstance(value, int)), 0)
