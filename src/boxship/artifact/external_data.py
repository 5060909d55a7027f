"""The files beside an ONNX file that hold its larger weights.

Read from the wire; weights are stepped over. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from pathlib import Path, PurePosixPath
from typing import Final

from boxship.artifact.protobuf import MODEL_GRAPH, mapped, messages, text
from boxship.errors import ModelError

_GRAPH_INITIALIZER: Final = 5
_TENSOR_EXTERNAL_DATA: Final = 13
_ENTRY_KEY: Final = 1
_ENTRY_VALUE: Final = 2


def external_files(path: Path) -> tuple[Path, ...]:
    """The files that the ONNX file at ``path`` names and that exist, each once, in its order.

    Raises ``ValueError`` where ``path`` is no ONNX file, and ``ModelError`` where it names a file
    outside its own folder: whoever made the model could have any file of this machine read.
    https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
    """
    locations = (
        text(value)
        for graph in messages(mapped(path), MODEL_GRAPH)
        for tensor in messages(graph, _GRAPH_INITIALIZER)
        for entry in messages(tensor, _TENSOR_EXTERNAL_DATA)
        for key in messages(entry, _ENTRY_KEY)
        if text(key) == "location"
        for value in messages(entry, _ENTRY_VALUE)
    )
    found = tuple(dict.fromkeys(locations))
    outside = [location for location in found if _is_outside(location)]
    if outside:
        raise ModelError(
            f"{path}: expected its external data in its own folder, found "
            f"{', '.join(map(repr, outside))}.",
            tip="No such file was read. Do not trust this model; or, if you made it, save it anew "
            "with its weights beside it.",
        )
    # One file may be called "w" and "./w".
    files = dict.fromkeys(path.parent / location for location in found)
    return tuple(file for file in files if file.is_file())


def files_beside(path: Path) -> tuple[Path, ...]:
    """The external data of an ONNX file; any other file, and a folder, stands by itself.

    Raises ``ModelError`` as ``external_files`` does.
    """
    if path.is_dir() or path.stat().st_size == 0:
        return ()
    try:
        return external_files(path)
    except ValueError:
        return ()


def _is_outside(location: str) -> bool:
    pure = PurePosixPath(location)
    return pure.is_absolute() or ".." in pure.parts
