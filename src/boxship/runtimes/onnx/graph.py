"""What an ONNX file says that onnxruntime does not tell: its operators and class names.

Read from the wire; weights are stepped over, not read. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxship.artifact.mishaps import COPY_AGAIN
from boxship.artifact.protobuf import (
    LENGTH,
    MODEL_GRAPH,
    iter_fields,
    mapped,
    messages,
    read_varint,
    text,
)
from boxship.errors import ModelError

_GRAPH_NODE = 1
_NODE_OP_TYPE = 4
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_NAME = 1
_ATTRIBUTE_INTS = 8
_ATTRIBUTE_STRINGS = 9

_NAMELESS = memoryview(b"")

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
        nodes = (
            node
            for graph in messages(mapped(path), MODEL_GRAPH)
            for node in messages(graph, _GRAPH_NODE)
        )
        for node in nodes:
            operators.update(map(text, messages(node, _NODE_OP_TYPE)))
            for attribute in messages(node, _NODE_ATTRIBUTE):
                # It comes first; behind it may be a forest's hundred thousand numbers.
                name = text(next(messages(attribute, _ATTRIBUTE_NAME), _NAMELESS))
                if name in _CLASS_LABELS:
                    labels.append(_values(attribute))
                elif name in _CATEGORIES:
                    categories.append(_values(attribute))
    except (OSError, ValueError) as error:
        raise broken(path, error) from error
    return Graph(
        operators=frozenset(operators),
        class_labels=tuple(group for group in labels if group),
        categories=tuple(group for group in categories if group),
    )


def broken(path: Path, error: Exception) -> ModelError:
    """What to say of a file whose wire format cannot be read."""
    return ModelError(
        f"Expected an ONNX file at {path}, found something that cannot be read as one: {error}.",
        tip=COPY_AGAIN,
    )


def _values(attribute: memoryview) -> tuple[str, ...]:
    values: list[str] = []
    for field, wire_type, value in iter_fields(attribute):
        if field == _ATTRIBUTE_STRINGS and not isinstance(value, int):
            values.append(text(value))
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
