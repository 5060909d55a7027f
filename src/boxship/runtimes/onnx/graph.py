"""What an ONNX file says that onnxruntime does not tell: its operators and class names.

Read from the wire; weights are stepped over, not read. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxship.artifact.protobuf import LENGTH, iter_fields, read_varint
from boxship.errors import ModelError

_MODEL_GRAPH = 7
_GRAPH_NODE = 1
_NODE_OP_TYPE = 4
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_NAME = 1
_ATTRIBUTE_INTS = 8
_ATTRIBUTE_STRINGS = 9

_CLASS_LABELS = {"classlabels_ints", "classlabels_int64s", "classlabels_strings"}
_CATEGORIES = {"cats_strings", "keys_strings"}


@dataclass(frozen=True)
class Graph:
    """``class_labels`` of each classifier and ``categories`` of each string encoder, in order."""

    operators: frozenset[str]
    class_labels: tuple[tuple[str, ...], ...]
    categories: tuple[tuple[str, ...], ...]


def read_graph(path: Path) -> Graph:
    """The graph of the ONNX file at ``path``. Raises ``ModelError`` where it is broken."""
    operators: set[str] = set()
    labels: list[tuple[str, ...]] = []
    categories: list[tuple[str, ...]] = []
    try:
        with path.open("rb") as file:
            # Not closed by hand: an error below still holds views of it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        nodes = (
            node
            for graph in _messages(memoryview(data), _MODEL_GRAPH)
            for node in _messages(graph, _GRAPH_NODE)
        )
        for node in nodes:
            operators.update(_text(name) for name in _messages(node, _NODE_OP_TYPE))
            for attribute in _messages(node, _NODE_ATTRIBUTE):
                name = "".join(_text(part) for part in _messages(attribute, _ATTRIBUTE_NAME))
                if name in _CLASS_LABELS:
                    labels.append(_values(attribute))
                elif name in _CATEGORIES:
                    categories.append(_values(attribute))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Expected an ONNX file at {path}, found something that cannot be read as one: "
            f"{error}.",
            tip="Export the model again, and check that the copy is complete.",
        ) from error
    return Graph(
        operators=frozenset(operators),
        class_labels=tuple(group for group in labels if group),
        categories=tuple(group for group in categories if group),
    )


def _messages(buffer: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    for field, _, value in iter_fields(buffer):
        if field == wanted and not isinstance(value, int):
            yield value


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")


def _values(attribute: memoryview) -> tuple[str, ...]:
    values: list[str] = []
    for field, wire_type, value in iter_fields(attribute):
        if field == _ATTRIBUTE_STRINGS and not isinstance(value, int):
            values.append(_text(value))
        elif field == _ATTRIBUTE_INTS and isinstance(value, int):
            values.append(str(_signed(value)))
        elif field == _ATTRIBUTE_INTS and wire_type == LENGTH and not isinstance(value, int):
            values += _packed(value)
    return tuple(values)


def _packed(buffer: memoryview) -> Iterator[str]:
    at = 0
    while at < len(buffer):
        value, at = read_varint(buffer, at, len(buffer))
        yield str(_signed(value))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
