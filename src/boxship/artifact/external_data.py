"""The files beside an ONNX file that hold its larger weights.

Read from the wire; weights are stepped over. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from boxship.artifact.protobuf import iter_fields

_MODEL_GRAPH: Final = 7
_GRAPH_INITIALIZER: Final = 5
_TENSOR_EXTERNAL_DATA: Final = 13
_ENTRY_KEY: Final = 1
_ENTRY_VALUE: Final = 2


def external_files(path: Path) -> tuple[Path, ...]:
    """The files that the ONNX file at ``path`` names and that exist, each once, in its order.

    Raises ``ValueError`` where ``path`` is no ONNX file.
    """
    with path.open("rb") as file:
        # Not closed by hand: an error below still holds views of it.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    locations = (
        _text(entry, _ENTRY_VALUE)
        for graph in _messages(memoryview(data), _MODEL_GRAPH)
        for tensor in _messages(graph, _GRAPH_INITIALIZER)
        for entry in _messages(tensor, _TENSOR_EXTERNAL_DATA)
        if _text(entry, _ENTRY_KEY) == "location"
    )
    files = (path.parent / location for location in dict.fromkeys(locations))
    return tuple(file for file in files if file.is_file())


def _messages(buffer: memoryview, wanted: int) -> Iterator[memoryview]:
    for field, _, value in iter_fields(buffer):
        if field == wanted and not isinstance(value, int):
            yield value


def _text(message: memoryview, wanted: int) -> str:
    return "".join(bytes(part).decode("utf-8", "replace") for part in _messages(message, wanted))
