import bz2
import gzip
import json
import lzma
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from boxship.artifact.formats import Format, detect
from boxship.errors import ModelError

MODEL = LogisticRegression().fit(np.arange(12.0).reshape(6, 2), [0, 1] * 3)


def onnx_bytes() -> bytes:
    node = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in "xy"]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    data: bytes = helper.make_model(graph, producer_name="a test").SerializeToString()
    return data


def joblib_bytes(folder: Path, **options: object) -> bytes:
    joblib.dump(MODEL, folder / "made", **options)
    return (folder / "made").read_bytes()


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [MODEL, {"a": [1.5, "x", None]}, 3, b"\x00"], ids=str)
def test_pickles_of_every_protocol_are_pickles(
    value: object, protocol: int, tmp_path: Path
) -> None:
    assert detect(write(tmp_path / "m.onnx", pickle.dumps(value, protocol))) is Format.PICKLE


@pytest.mark.parametrize("compress", [0, 3, *(("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3))])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_joblib_files_are_pickles(protocol: int, compress: object, tmp_path: Path) -> None:
    data = joblib_bytes(tmp_path, compress=compress, protocol=protocol)
    assert detect(write(tmp_path / "model.bin", data)) is Format.PICKLE


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, bz2.compress, lzma.compress])
def test_compressed_plain_pickles_are_pickles(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    assert detect(write(tmp_path / "m", pack(pickle.dumps(MODEL)))) is Format.PICKLE


def test_onnx_files_are_told_by_content(tmp_path: Path) -> None:
    assert detect(write(tmp_path / "model.pkl", onnx_bytes())) is Format.ONNX


def test_a_large_onnx_file_is_not_read_into_memory(tmp_path: Path) -> None:
    """The graph of a model with 200 MB of weights is passed over."""
    size = 200_000_000
    length = b""
    rest = size
    while rest > 127:
        length += bytes([rest & 127 | 128])
        rest >>= 7
    with (tmp_path / "large").open("wb") as file:
        file.write(b"\x08\x09" + b"\x3a" + length + bytes([rest]))
        file.truncate(file.tell() + size)
        file.seek(0, 2)
        file.write(b"\x42\x02\x10\x11")
    tracemalloc.start()
    assert detect(tmp_path / "large") is Format.ONNX
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def zipped(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "x")

    return make


def content(data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "model.pkl")


def cut_zip(path: Path) -> None:
    zipped("a/data.pkl")(path)
    path.write_bytes(path.read_bytes()[:30])


def saved_model(path: Path) -> None:
    path.mkdir()
    (path / "saved_model.pb").touch()


def tree(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).write_text("x")

    return make


REFUSED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda path: None, "There is no file", "MODEL_PATH"),
    "empty": (Path.touch, "is empty", "again"),
    "folder": (Path.mkdir, "is a folder", "Name the file inside"),
    "SavedModel": (saved_model, "TensorFlow SavedModel", "tf2onnx"),
    "under a file": (lambda path: path.symlink_to(Path(__file__) / "x"), "cannot be read", "user"),
    "HTML": (content(b"\n<!DOCTYPE html><html>Sign in</html>"), "an HTML or XML page", "login"),
    "XML": (content(b"<?xml version='1.0'?><Error/>"), "an HTML or XML page", "login"),
    "JSON": (content(b'{"a": 1}'), "JSON text", "Boxship serves"),
    "JSON list": (content(json.dumps([{}, 1]).encode()), "JSON text", "Boxship serves"),
    "XGBoost UBJSON": (
        content(b"{L" + bytes(7) + b"\x07learner{"),
        "an XGBoost UBJSON file",
        "ONNX",
    ),
    "XGBoost JSON": (content(b'{"learner":{}}'), "an XGBoost JSON file", "ONNX"),
    "LightGBM": (content(b"tree\nversion=v4\n"), "a LightGBM text file", "ONNX"),
    "text": (content("Das Modell lädt nicht.\n".encode()), "its content is text", "Boxship serves"),
    "text cut in a letter": (content("Nä".encode()[:-1]), "its content is text", "Boxship serves"),
    "text with escapes": (content(b"S'\\ '\nx"), "its content is text", "Boxship serves"),
    "Python": (content(b"import os\nprint(1)\n"), "its content is text", "Boxship serves"),
    "git-lfs": (content(b"version https://git-lfs.github.com/spec/v1\n"), "git-lfs", "git lfs pull"),
    "torch": (zipped("model/data.pkl", "model/version"), "PyTorch", "torch.onnx.export"),
    "old torch": (content(pickle.dumps(0x1950A86A20F9469CFC6C, 2)), "PyTorch", "torch.onnx.export"),
    "Keras": (zipped("config.json", "model.weights.h5"), "a Keras file", "ONNX"),
    "HDF5": (content(b"\x89HDF\r\n\x1a\n"), "HDF5", "ONNX"),
    "TorchScript": (
        zipped("m/data.pkl", "m/constants.pkl", "m/code/x.py"),
        "a TorchScript file",
        "torch.jit.load",
    ),
    "torch.export": (zipped("serialized_exported_program.json"), "torch.export", "torch.onnx"),
    "newer torch.export": (zipped("m/models/model.json"), "torch.export", "torch.onnx"),
    "MLflow": (tree("MLmodel", "model.pkl"), "an MLflow model", "model.pkl"),
    "MLflow of something else": (tree("MLmodel"), "an MLflow model", "ONNX"),
    "Hugging Face": (
        tree("config.json", "model.safetensors"),
        "a Hugging Face model",
        "optimum-cli",
    ),
    "folder with an ONNX file": (tree("m.onnx"), "a folder", "m.onnx"),
    "skops": (zipped("schema.json"), "a skops file", "skops.io"),
    "npz": (zipped("a.npy"), "a numpy archive", "Boxship serves"),
    "npy": (content(b"\x93NUMPY\x01\x00"), "a numpy array", "Boxship serves"),
    "zip": (zipped("model.pkl"), "a zip archive", "Unpack it"),
    "cut zip": (cut_zip, "a zip archive that is cut off", "again"),
    "tar": (tar, "a tar archive", "Unpack it"),
    "tar.gz": (content(gzip.compress(bytes(257) + b"ustar")), "no pickle but a tar archive", "Unpack"),
    "gzipped noise": (content(gzip.compress(b"\xff" * 9)), "something unknown", "Unpack"),
    "safetensors": (content(struct.pack("<Q", 9) + b'{"a": {}}'), "a safetensors file", "Service"),
    "joblib 0.9": (content(b"ZF0x12"), "joblib before 0.10", "newer"),
    "ORT": (content(b"\x10\x00\x00\x00ORTM"), "an ONNX Runtime file", "ONNX"),
    "TFLite": (content(b"\x10\x00\x00\x00TFL3"), "a TensorFlow Lite file", "tf2onnx"),
    "newer pickle": (content(b"\x80\x06N."), "pickle of protocol 6", "protocol=5"),
    "cut gzip": (content(gzip.compress(pickle.dumps(MODEL))[:40]), "gzip-compressed, and cut", "again"),
    "cut zlib": (content(zlib.compress(pickle.dumps(MODEL))[:40]), "zlib-compressed, and cut", "again"),
    "cut ONNX": (content(onnx_bytes()[:-5]), "an ONNX file that is cut off", "again"),
    "ONNX without graph": (content(b"\x08\x09\x42\x02\x10\x11"), "no graph; it is cut off", "again"),
    "noise": (content(bytes(range(200, 240))), "its first bytes are c8 c9", "Boxship serves"),
    "another protobuf": (content(b"\x08\x09\x12\x01x\x48\x01"), "its first bytes are", "Boxship"),
    "protobuf with a large number": (content(b"\x08\xff\xff\x03"), "its first bytes are", "Boxship"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_named_for_what_they_are(case: str, tmp_path: Path) -> None:
    make, message, tip = REFUSED[case]
    path = tmp_path / "model.pkl"
    make(path)
    with pytest.raises(ModelError) as caught:
        detect(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert tip in caught.value.tip


def test_lz4_without_its_package_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    with pytest.raises(ModelError, match="the package lz4 is not installed"):
        detect(write(tmp_path / "model", b"\x04\x22\x4d\x18" + bytes(20)))


def test_lz4_with_its_package_is_read(tmp_path: Path) -> None:
    from boxship.artifact import pickles

    path = write(tmp_path / "model", joblib_bytes(tmp_path, compress=("lz4", 3)))
    assert detect(path) is Format.PICKLE
    assert np.array_equal(pickles.load(path).model.coef_, MODEL.coef_)
    write(path, path.read_bytes()[:40] + b"\xff" * 40)
    with pytest.raises(ModelError, match="lz4-compressed, and cut off or damaged"):
        detect(path)
    with pytest.raises(ModelError, match="is not a whole pickle"):
        pickles.scan(path)
