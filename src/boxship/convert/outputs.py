"""The outputs of the ONNX file: the original's, by name and by shape.

Converters give a label and a matrix, or one value per row in a column. What the
original is served with is made of these by a node or two; whether these were the right
ones is for the proof to tell.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from boxship.convert.edits import Edit, element_type, tensor_info
from boxship.convert.errors import INSTEAD, ConversionError
from boxship.runtimes.base import Array
from boxship.signature import Signature, TensorSpec

Given = Mapping[str, Array | Sequence[Array]]
"""What each output of the converter really is for a few rows: an array, or several. What the
graph declares of them is not always true."""

PROBE_ROWS: Final = 5
"""Rows of that question; a number that no model is likely to have of classes or outputs."""


def put_outputs(graph: Any, signature: Signature, given: Given) -> dict[str, str]:
    """Replace the outputs of ``graph`` by those of ``signature``.

    Returns what each output is called in the graph: as in the signature, unless an input
    bears that name. Raises ``ConversionError`` where the graph has nothing to make one of.
    """
    from onnx import helper

    edit = Edit(graph, kept=[spec.name for spec in signature.inputs])
    sources = [one.name for one in graph.output]
    made = []
    for spec in signature.outputs:
        source = sources[0] if spec.name in ("label", "value") else sources[-1]
        if source is sources[0] and spec.name not in ("label", "value"):
            raise _cannot(spec, "nothing but a label")
        tensor = _made(edit, spec, source, given[source])
        if spec.name == "label":
            kind = element_type(spec.datatype)
            if spec.datatype in ("BOOL", "FP64"):
                tensor = edit.node("Cast", [tensor], to=kind)
        else:
            kind = helper.np_dtype_to_tensor_dtype(_first(given[source]).dtype)
        made.append((spec, tensor, kind))
    del graph.output[:]
    names = {}
    for spec, tensor, kind in made:
        names[spec.name] = edit.call(tensor, spec.name)
        graph.output.append(tensor_info(names[spec.name], kind, spec.shape))
    edit.drop_unused()
    return names


def _made(edit: Edit, spec: TensorSpec, source: str, found: Array | Sequence[Array]) -> str:
    """The tensor that is ``spec``, made of the converter's ``source``."""
    if spec.name.startswith("scores_"):
        return _one_of_many(edit, spec, source, found)
    if not isinstance(found, np.ndarray):
        return _stacked(edit, spec, source, found)
    return _shaped(edit, spec, source, found)


def _shaped(edit: Edit, spec: TensorSpec, source: str, found: Array) -> str:
    shape, given = (PROBE_ROWS, *spec.shape[1:]), found.shape
    if given == shape:
        return source
    match shape:
        case (_,) if found.size == PROBE_ROWS:
            return edit.node("Reshape", [source, edit.constant([-1])])
        case (_,) if given == (PROBE_ROWS, 2):
            # Of two classes, the second is the one that a score or a decision speaks of.
            return edit.node("Gather", [source, edit.constant(1)], axis=1)
        case (_, width) if given == (PROBE_ROWS, 2 * width):
            # The probabilities that each label is absent, then those that it is there.
            chosen = edit.constant(list(range(width, 2 * width)))
            return edit.node("Gather", [source, chosen], axis=1)
        case (_, outputs, classes) if given == (outputs, PROBE_ROWS, classes):
            return edit.node("Transpose", [source], perm=[1, 0, 2])
        case _:
            raise _cannot(spec, f"a tensor of shape {list(given)} for {PROBE_ROWS} rows")


def _one_of_many(edit: Edit, spec: TensorSpec, source: str, found: Array | Sequence[Array]) -> str:
    """The matrix of one output of several, which may be wider than its number of classes."""
    position, width = int(spec.name.rpartition("_")[2]) - 1, spec.shape[1]
    if not isinstance(found, np.ndarray):
        if position < len(found) and found[position].shape == (PROBE_ROWS, width):
            return edit.node("SequenceAt", [source, edit.constant(position)])
        raise _cannot(spec, "matrices of other shapes")
    if found.ndim != 3 or found.shape[0] <= position or found.shape[2] < width:
        raise _cannot(spec, f"a tensor of shape {list(found.shape)}")
    matrix = edit.node("Gather", [source, edit.constant(position)], axis=0)
    if found.shape[2] == width:
        return matrix
    return edit.node("Gather", [matrix, edit.constant(list(range(width)))], axis=1)


def _stacked(edit: Edit, spec: TensorSpec, source: str, found: Sequence[Array]) -> str:
    """A sequence of matrices ``[rows, classes]`` as one tensor ``[rows, outputs, classes]``."""
    if len(spec.shape) != 3 or [one.shape for one in found] != (
        [(PROBE_ROWS, spec.shape[2])] * spec.shape[1]
    ):
        raise _cannot(spec, f"{len(found)} matrices")
    flat = edit.constant([-1, 1, spec.shape[2]])
    layers = [
        edit.node("Reshape", [edit.node("SequenceAt", [source, edit.constant(position)]), flat])
        for position in range(len(found))
    ]
    return edit.node("Concat", layers, axis=1)


def _first(found: Array | Sequence[Array]) -> Array:
    return found if isinstance(found, np.ndarray) else found[0]


def _cannot(spec: TensorSpec, found: str) -> ConversionError:
    return ConversionError(
        f"Expected the converter to give `{spec.name}` of shape {list(spec.shape)}, as the "
        f"original does; found {found}.",
        tip=INSTEAD.format("choose another kind of model"),
    )
