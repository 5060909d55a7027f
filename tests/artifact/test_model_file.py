"""What is told of a model before any library reads it."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from boxship.artifact.external_data import external_files
from boxship.artifact.mishaps import READABLE
from boxship.artifact.model_file import check_stamp, examine
from boxship.errors import ModelError


def save_external(folder: Path, value: float) -> Path:
    """An ONNX file whose one weight lies in ``weights.bin`` beside it."""
    weight = numpy_helper.from_array(np.full((64, 64), value, np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 64]) for name in "xy"]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weight])
    path = folder / "model.onnx"
    onnx.save(
        helper.make_model(graph),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    return path


def test_a_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"weights")
    found = examine(path)
    assert found.digest == "sha256:" + hashlib.sha256(b"weights").hexdigest()
    assert (found.size, found.shared) == (7, False)


def test_a_folder_counts_every_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/one").write_bytes(b"12345")
    (tmp_path / "two").write_bytes(b"123")
    assert examine(tmp_path).size == 8


def test_external_data_belongs_to_the_model(tmp_path: Path) -> None:
    """The digest changes with the weights, wherever they lie, and all workers map one copy."""
    path = save_external(tmp_path, 1.0)
    weights = tmp_path / "weights.bin"
    assert external_files(path) == (weights,)
    first = examine(path)
    assert first.size == path.stat().st_size + weights.stat().st_size
    assert first.shared
    weights.write_bytes(bytes(weights.stat().st_size))
    assert examine(path).digest != first.digest


def test_what_only_looks_like_onnx_stands_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"\x80\x05K\x01.")
    with pytest.raises(ValueError, match=r"."):
        external_files(path)
    assert examine(path).size == 5
    path.write_bytes(b"")
    assert examine(path).size == 0


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Expected a model at .*, found nothing there"):
        examine(tmp_path / "no")


def names_weights(folder: Path, location: str) -> Path:
    """An ONNX file whose one weight lies in the file that is called ``location``."""
    model = onnx.ModelProto()
    model.graph.initializer.add().external_data.add(key="location", value=location)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("make", [Path.joinpath, names_weights])
def test_what_the_system_does_not_let_be_read(
    make: Callable[[Path, str], Path], tmp_path: Path
) -> None:
    """A name that no file system takes stands for every refusal: it stops root too."""
    with pytest.raises(ModelError, match=r"xxx cannot be read: File name too long") as caught:
        examine(make(tmp_path, "x" * 300))
    assert caught.value.tip == READABLE


@pytest.mark.parametrize("location", ["../.ssh/id_rsa", "{absolute}", "deep/../../.ssh/id_rsa"])
def test_external_data_outside_of_the_models_folder(tmp_path: Path, location: str) -> None:
    """Whoever made the model would have any file of this machine served, locked and shipped."""
    (tmp_path / ".ssh").mkdir()
    secret = tmp_path / ".ssh" / "id_rsa"
    secret.write_text("hunter2")
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    named = location.format(absolute=secret)
    path = names_weights(folder, named)
    with pytest.raises(ModelError, match="expected its external data in its own folder") as caught:
        examine(path)
    assert repr(named) in caught.value.message


def test_external_data_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "w.bin").write_bytes(bytes(4))
    assert external_files(names_weights(tmp_path, "./deep/w.bin")) == (tmp_path / "deep" / "w.bin",)


def test_progress_is_told_in_percent(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(bytes(5 << 20))
    seen: list[int] = []
    examine(path, seen.append)
    assert seen == [20, 40, 60, 80, 100]


def test_the_stamp_of_the_same_files_is_the_same(tmp_path: Path) -> None:
    """Another link to a file is no change of it; nor are other permissions."""
    path = save_external(tmp_path, 1.0)
    stamp = examine(path).stamp
    check_stamp(path, stamp)
    os.link(path, tmp_path / "another")
    path.chmod(0o400)
    check_stamp(path, stamp)


@pytest.mark.parametrize("name", ["model.onnx", "weights.bin"])
def test_a_file_that_was_replaced_has_another_stamp(tmp_path: Path, name: str) -> None:
    path = save_external(tmp_path, 1.0)
    stamp = examine(path).stamp
    (tmp_path / "new").write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "new").replace(tmp_path / name)
    with pytest.raises(ModelError, match="found the file changed since"):
        check_stamp(path, stamp)


def test_a_folder_with_another_file_has_another_stamp(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    stamp = examine(tmp_path).stamp
    (tmp_path / "two").write_bytes(b"2")
    with pytest.raises(ModelError, match="found the file changed since"):
        check_stamp(tmp_path, stamp)
    (tmp_path / "two").unlink()
    check_stamp(tmp_path, stamp)
    (tmp_path / "one").unlink()
    with pytest.raises(ModelError, match="found the file changed since"):
        check_stamp(tmp_path, stamp)
