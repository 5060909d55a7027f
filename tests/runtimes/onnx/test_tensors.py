"""The tensors of an ONNX file, as the file itself names them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from boxship.errors import ModelError
from boxship.runtimes.onnx.signature import input_spec
from boxship.runtimes.onnx.tensors import read_tensors
from boxship.signature import TensorSpec

KINDS = {
    "FP32": TensorProto.FLOAT,
    "UINT8": TensorProto.UINT8,
    "INT8": TensorProto.INT8,
    "UINT16": TensorProto.UINT16,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "BYTES": TensorProto.STRING,
    "BOOL": TensorProto.BOOL,
    "FP16": TensorProto.FLOAT16,
    "FP64": TensorProto.DOUBLE,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
}


def save(
    folder: Path,
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Sequence[TensorProto] = (),
) -> Path:
    nodes = [
        helper.make_node("Identity", [given.name], [out.name])
        for given, out in zip(inputs, outputs, strict=False)
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    path = folder / "model.onnx"
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_every_datatype_is_what_onnxruntime_says(tmp_path: Path) -> None:
    shape = ("rows", 3, None)
    given = [
        helper.make_tensor_value_info(f"x{kind}", number, shape) for kind, number in KINDS.items()
    ]
    out = [
        helper.make_tensor_value_info(f"y{kind}", number, shape) for kind, number in KINDS.items()
    ]
    path = save(tmp_path, given, out)
    inputs, outputs = read_tensors(path)
    assert [one.datatype for one in inputs] == list(KINDS)
    assert outputs[0] == TensorSpec(name="yFP32", datatype="FP32", shape=(-1, 3, -1))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert inputs == [input_spec(node) for node in session.get_inputs()]


def test_weights_are_no_inputs_and_class_maps_no_tensors(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    w = helper.make_tensor_value_info("w", TensorProto.FLOAT, [2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    of_maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
        )
    )
    maps = helper.make_value_info("maps", of_maps)
    weight = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    path = save(tmp_path, [x, w], [y, maps], [weight])
    inputs, outputs = read_tensors(path)
    assert [one.name for one in inputs] == ["x"]
    assert [one.name for one in outputs] == ["y"]


def test_a_broken_file_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x3a\x05\x5a\xff")
    with pytest.raises(ModelError, match="cannot be read as one"):
        read_tensors(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be read as one"):
        read_tensors(path)
