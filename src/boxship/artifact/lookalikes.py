"""Files that people take for a model that can be served, and what to do with each."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from boxship.artifact.mishaps import COPY_AGAIN


@dataclass(frozen=True)
class Lookalike:
    """``what`` follows "is"; ``tip`` is the next step."""

    what: str
    tip: str


SERVED: Final = "Boxship serves pickle, joblib and ONNX files."
EXPORT: Final = "Export the model to ONNX and serve that."
TORCH: Final = Lookalike(
    "a PyTorch file, written by torch.save",
    "Export the model with torch.onnx.export and serve the ONNX file.",
)
KERAS: Final = (
    "Export the model to ONNX (model.export(…, format='onnx') or tf2onnx) and serve that."
)

MAGIC: Final = (
    (0, b"version https://git-lfs", Lookalike(
        "a git-lfs pointer, not the file it stands for",
        "Bring the file itself: git lfs install, then git lfs pull.")),
    (0, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9", TORCH),
    (0, b"\x89HDF\r\n\x1a\n", Lookalike("an HDF5 file, as Keras writes it", KERAS)),
    (0, b"\x93NUMPY", Lookalike("a numpy array, not a model", SERVED)),
    (0, b"GGUF", Lookalike("a GGUF file of a language model", SERVED)),
    (0, b"CBM1", Lookalike("a CatBoost file", "Save it with format='onnx' and serve that.")),
    (0, b"binf", Lookalike("an XGBoost file", EXPORT)),
    (0, b"{L\0\0\0\0\0\0\0\x07learner", Lookalike("an XGBoost UBJSON file", EXPORT)),
    (0, b"tree\nversion=", Lookalike("a LightGBM text file", EXPORT)),
    (0, b"PAR1", Lookalike("a Parquet table, not a model", SERVED)),
    (0, b"ZF0x", Lookalike(
        "a file of joblib before 0.10, which keeps its arrays in other files",
        "Load it with that joblib and save it again with a newer one.")),
    (4, b"ORTM", Lookalike("an ONNX Runtime file (.ort)", "Serve the ONNX file that it was made from.")),
    (4, b"TFL3", Lookalike("a TensorFlow Lite file", "Convert it with tf2onnx and serve the ONNX file.")),
    (257, b"ustar", Lookalike("a tar archive", "Unpack it, and name the model file inside.")),
)  # fmt: skip
"""Offset, bytes, what they mean."""


def lookalike(path: Path, head: bytes) -> Lookalike | None:
    """What the file that begins with ``head`` is, if it is none of the served formats."""
    by_magic = (found for offset, magic, found in MAGIC if head.startswith(magic, offset))
    by_content = (found for test in _TESTS if (found := test(path, head)) is not None)
    return next(chain(by_magic, by_content), None)


def _archive(path: Path, head: bytes) -> Lookalike | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return Lookalike("a zip archive that is cut off or damaged", COPY_AGAIN)
    return next((found for inside, found in ARCHIVES if inside(names)), ARCHIVE)


ARCHIVE: Final = Lookalike("a zip archive", "Unpack it, and name the model file inside.")
TORCH_SCRIPT: Final = Lookalike(
    "a TorchScript file, written by torch.jit.save",
    "Export the model with torch.onnx.export and serve the ONNX file, or write a Service that "
    "loads it with torch.jit.load.",
)
TORCH_EXPORT: Final = Lookalike(
    "an archive of torch.export",
    "Load it with torch.export.load, export it with torch.onnx.export and serve the ONNX file.",
)
ARCHIVES: Final[tuple[tuple[Callable[[list[str]], bool], Lookalike], ...]] = (
    (lambda names: any(name.endswith("/constants.pkl") for name in names), TORCH_SCRIPT),
    (
        lambda names: any(
            name.endswith(("serialized_exported_program.json", "/models/model.json"))
            for name in names
        ),
        TORCH_EXPORT,
    ),
    (lambda names: any(name.endswith("data.pkl") for name in names), TORCH),
    (lambda names: "model.weights.h5" in names, Lookalike("a Keras file", KERAS)),
    (
        lambda names: "schema.json" in names,
        Lookalike("a skops file", "Load it with skops.io and save it with joblib.dump."),
    ),
    (
        lambda names: all(name.endswith(".npy") for name in names),
        Lookalike("a numpy archive of arrays, not a model", SERVED),
    ),
)


def folder_lookalike(path: Path) -> Lookalike:
    """What the folder ``path`` is; the formats that are served are files."""
    if (path / "saved_model.pb").is_file():
        return Lookalike(
            "a TensorFlow SavedModel",
            "Convert it to ONNX (python -m tf2onnx.convert --saved-model …) and serve that.",
        )
    if (path / "MLmodel").is_file():
        inside = next((one for one in ("model.onnx", "model.pkl") if (path / one).is_file()), "")
        tip = f"Serve the file inside it: {path / inside}" if inside else EXPORT
        return Lookalike("an MLflow model", tip)
    weights = [*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")]
    if (path / "config.json").is_file() and weights:
        return Lookalike(
            "a Hugging Face model: weights and a configuration",
            "Export it to ONNX (optimum-cli export onnx), or write a Service that loads it.",
        )
    onnx = sorted(path.glob("*.onnx"))
    if len(onnx) == 1:
        return Lookalike("a folder, and a model file was expected", f"Name its file: {onnx[0]}")
    return Lookalike(
        "a folder, and a model file was expected",
        "Name the file inside it, or a folder that has a boxship.toml.",
    )


def _safetensors(_: Path, head: bytes) -> Lookalike | None:
    if head[8:9] != b"{" or int.from_bytes(head[:8], "little") >= 100_000_000:
        return None
    return Lookalike(
        "a safetensors file: weights without the model around them",
        "Export the model to ONNX, or write a Service that loads the weights.",
    )


def _text(_: Path, head: bytes) -> Lookalike | None:
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return Lookalike(
            "an HTML or XML page, as a server sends in place of a file it does not give",
            "Open the download's address in a browser; it may want a login or another link.",
        )
    # No pickle begins with either, and a protobuf key of either is no field of ONNX.
    if not start.startswith((b"{", b"[")):
        return None
    if b'"learner"' in head:
        return Lookalike("an XGBoost JSON file", EXPORT)
    return Lookalike("JSON text", SERVED)


_TESTS: Final[tuple[Callable[[Path, bytes], Lookalike | None], ...]] = (
    _archive,
    _safetensors,
    _text,
)


def is_text(head: bytes) -> bool:
    """Whether ``head`` is readable text. A character cut at its end is forgiven."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)
