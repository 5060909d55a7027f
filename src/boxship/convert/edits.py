"""Small edits of an ONNX graph: renaming tensors, adding nodes, dropping what is not used."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from boxship.signature import Datatype

ROWS: Final = "rows"
"""The name of the open dimension that every input and output begins with."""

_ELEMENT_TYPES: Final[dict[Datatype, str]] = {
    "BOOL": "BOOL",
    "UINT8": "UINT8",
    "UINT16": "UINT16",
    "UINT32": "UINT32",
    "UINT64": "UINT64",
    "INT8": "INT8",
    "INT16": "INT16",
    "INT32": "INT32",
    "INT64": "INT64",
    "FP16": "FLOAT16",
    "FP32": "FLOAT",
    "FP64": "DOUBLE",
    "BYTES": "STRING",
}


def element_type(datatype: Datatype) -> int:
    """ONNX's number for a datatype of the protocol."""
    import onnx

    return int(getattr(onnx.TensorProto, _ELEMENT_TYPES[datatype]))


def tensor_info(name: str, datatype: int, shape: Sequence[int]) -> Any:
    """An input or output; its first dimension is the batch, others of ``-1`` are open."""
    from onnx import helper

    dims: list[str | int | None] = [None if dim < 0 else dim for dim in shape]
    return helper.make_tensor_value_info(name, datatype, [ROWS, *dims[1:]])


class Edit:
    """One graph being edited in place.

    New names never meet an existing one, nor one that is ``kept`` for an input.
    """

    def __init__(self, graph: Any, kept: Collection[str] = ()) -> None:
        self._graph = graph
        self._kept = frozenset(kept)
        self._names = {name for node in graph.node for name in (*node.input, *node.output)}
        self._names |= {one.name for one in (*graph.input, *graph.output, *graph.initializer)}

    def fresh(self, stem: str) -> str:
        """A name that nothing in the graph bears."""
        name, number = stem, 1
        while name in self._names | self._kept:
            number += 1
            name = f"{stem}_{number}"
        self._names.add(name)
        return name

    def call(self, tensor: str, name: str) -> str:
        """Call ``tensor`` by ``name``, or by one like it where that is kept; returns which.

        Another tensor of that name inside the graph gives way.
        """
        if tensor in {one.name for one in self._graph.input}:
            tensor = self.node("Identity", [tensor])
        if name in self._kept:
            name = self.fresh(name)
        self._take(tensor, name)
        return name

    def feed(self, tensor: str, name: str, cast: int | None = None) -> None:
        """Have the input ``name`` in the place of the input ``tensor``, cast if need be."""
        from onnx import helper

        self._take(tensor, name)
        if cast is not None:
            inside = self.fresh(f"{tensor}_number")
            self._rename(name, inside)
            made = helper.make_node("Cast", [name], [inside], name=inside, to=cast)
            self._graph.node.insert(0, made)

    def _take(self, tensor: str, name: str) -> None:
        if tensor == name:
            return
        if name in self._names:
            self._rename(name, self.fresh(f"{name}_inside"))
        self._rename(tensor, name)
        self._names.add(name)

    def _rename(self, old: str, new: str) -> None:
        for one in self._graph.initializer:
            if one.name == old:
                one.name = new
        for node in self._graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]
            for inner in _subgraphs(node):
                for deep in inner.node:
                    deep.input[:] = [new if name == old else name for name in deep.input]

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node of one output after all others; its output's name."""
        from onnx import helper

        output = self.fresh(f"boxship_{kind.lower()}")
        made = helper.make_node(kind, list(inputs), [output], name=output, **attributes)
        self._graph.node.append(made)
        return output

    def constant(self, values: int | Sequence[int]) -> str:
        """An INT64 constant, a scalar or a vector; its name."""
        from onnx import TensorProto, helper

        name = self.fresh("boxship_constant")
        numbers, shape = (
            ([values], []) if isinstance(values, int) else (list(values), [len(values)])
        )
        self._graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, shape, numbers))
        return name

    def drop_unused(self) -> None:
        """Remove the nodes and constants that no output needs."""
        needed = {one.name for one in self._graph.output}
        kept = []
        for node in reversed(self._graph.node):
            if needed.isdisjoint(node.output):
                continue
            kept.append(node)
            needed.update(node.input)
            for inner in _subgraphs(node):
                needed.update(name for deep in inner.node for name in deep.input)
        constants = [one for one in self._graph.initializer if one.name in needed]
        del self._graph.node[:]
        self._graph.node.extend(reversed(kept))
        del self._graph.initializer[:]
        self._graph.initializer.extend(constants)


def _subgraphs(node: Any) -> Iterator[Any]:
    """The graphs inside a node, and inside those."""
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            yield inner
            for deep in inner.node:
                yield from _subgraphs(deep)
