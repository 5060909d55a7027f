"""What is read from an ONNX file's wire format, and what a broken file says."""

from pathlib import Path

import pytest
from onnx import helper

from boxship.artifact.mishaps import COPY_AGAIN
from boxship.errors import ModelError
from boxship.runtimes.onnx.graph import read_graph


def test_operators_classes_and_categories_are_read_in_order(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("OneHotEncoder", ["x"], ["a"], cats_strings=["b", "å"], zeros=0),
        helper.make_node("LinearClassifier", ["a"], ["l", "s"], classlabels_ints=[-1, 1]),
        helper.make_node("ZipMap", ["s"], ["z"], classlabels_strings=["no", "yes"]),
    ]
    path = tmp_path / "model.onnx"
    proto = helper.make_model(helper.make_graph(nodes, "g", [], []))
    path.write_bytes(proto.SerializeToString())
    graph = read_graph(path)
    assert graph.operators == {"OneHotEncoder", "LinearClassifier", "ZipMap"}
    assert graph.class_labels == (("-1", "1"), ("no", "yes"))
    assert graph.categories == (("b", "å"),)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def test_packed_class_numbers_are_read(tmp_path: Path) -> None:
    """Some exporters pack repeated integers into one field, as proto3 does by default."""
    attribute = field(1, b"classlabels_int64s") + field(8, b"\x00\xac\x02" + b"\xff" * 9 + b"\x01")
    node = field(4, b"ZipMap") + field(5, attribute)
    path = tmp_path / "model.onnx"
    path.write_bytes(field(7, field(1, node)))
    assert read_graph(path).class_labels == (("0", "300", "-1"),)


@pytest.mark.parametrize("content", [b"", b"\x3a\x7f\x0a", b"\x3a\x02\x0a\x09"])
def test_a_broken_file_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="Expected an ONNX file at") as caught:
        read_graph(path)
    assert caught.value.tip == COPY_AGAIN
