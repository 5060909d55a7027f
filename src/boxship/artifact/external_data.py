"""The files beside an ONNX file that hold its larger weights.

Read from the wire; weights are stepped over. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from pathlib import Path
from typing import Final

from boxship.artifact.protobuf import MODEL_GRAPH, mapped, messages, text

_GRAPH_INITIALIZER: Final = 5
_TENSOR_EXTERNAL_DATA: Final = 13
_ENTRY_KEY: Final = 1
_ENTRY_VALUE: Final = 2


def external_files(path: Path) -> tuple[Path, ...]:
    """The files that the ONNX file at ``path`` names and that exist, each once, in its order.

    Raises ``ValueError`` where ``path`` is no ONNX file.
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
    files = (path.parent / location for location in dict.fromkeys(locations))
    return tuple(file for file in files if file.is_file())
