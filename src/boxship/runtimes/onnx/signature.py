"""From what onnxruntime and the graph say about an ONNX model to its signature."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from boxship.errors import ModelError
from boxship.runtimes.base import Array
from boxship.runtimes.onnx.metadata import KnownColumn
from boxship.signature import Answer, Datatype, TensorSpec

_DATATYPES: dict[str, Datatype] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_ZIPMAPS = {"seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))"}


def is_zipmap(kind: str) -> bool:
    """Whether onnxruntime's type is a list of ``{class: p}``, as skl2onnx writes by default."""
    return kind in _ZIPMAPS


def input_spec(node: Any) -> TensorSpec:
    """The tensor of one graph input; a dimension without a number is ``-1``."""
    if node.type not in _DATATYPES:
        raise ModelError(
            f"The input `{node.name}` is a {node.type}; only tensors of booleans, numbers and "
            "strings can be served.",
            tip="Export the model with tensors as inputs.",
        )
    return TensorSpec(name=node.name, datatype=_DATATYPES[node.type], shape=_shape(node))


def output_datatype(node: Any) -> Datatype:
    """The datatype of one graph output. Raises ``ModelError`` where it is no tensor."""
    if is_zipmap(node.type):
        return "FP32"
    if node.type not in _DATATYPES:
        raise ModelError(
            f"The output `{node.name}` is a {node.type}; only tensors and the class maps of "
            "skl2onnx can be served.",
            tip="Export the model with tensors as outputs.",
        )
    return _DATATYPES[node.type]


def output_spec(node: Any, answer: Array, *, batchable: bool) -> TensorSpec:
    """The tensor of one graph output, its rank taken from a real ``answer``.

    The graph gives no shape where its file holds none.
    """
    shape = (-1, answer.shape[1]) if is_zipmap(node.type) else _shape(node)
    if len(shape) != answer.ndim:
        shape = (-1,) * answer.ndim
    if batchable:
        shape = (-1, *shape[1:])
    return TensorSpec(name=node.name, datatype=output_datatype(node), shape=shape)


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in node.shape)


def find_columns(
    inputs: Sequence[TensorSpec], declared: Sequence[TensorSpec], known: Sequence[KnownColumn]
) -> tuple[tuple[TensorSpec, ...] | None, TensorSpec | None]:
    """The columns of one row and the matrix that carries them, either may be None.

    One numeric input ``[rows, k]`` has k columns; inputs that are all ``[rows, 1]`` or
    ``[rows]`` are a column each; any other model takes true tensors and has no rows.
    """
    first = inputs[0]
    if len(inputs) == 1 and len(first.shape) == 2 and first.datatype not in ("BYTES", "BOOL"):
        names = [spec.name for spec in declared] or [column.name for column in known]
        width = first.shape[1] if first.shape[1] >= 0 else len(names)
        if names and len(names) != width:
            raise ModelError(
                f"The model's input `{first.name}` has {width} columns, {len(names)} are named: "
                f"{', '.join(names)}.",
                tip="Name every column under `inputs`, in the order of the training data.",
            )
        if not width:
            return None, None
        names = names or [f"feature_{number}" for number in range(1, width + 1)]
        said, facts = {spec.name: spec for spec in declared}, {one.name: one for one in known}
        columns = tuple(
            _declare(TensorSpec(name=name, datatype=first.datatype, example=0), said, facts)
            for name in names
        )
        return columns, replace(first, shape=(first.shape[0], width))
    said, facts = {spec.name: spec for spec in declared}, {one.name: one for one in known}
    unknown = sorted(set(said) - {spec.name for spec in inputs})
    if unknown:
        raise ModelError(
            f"Declared inputs are no inputs of the model: {', '.join(unknown)}. "
            f"The model has: {', '.join(spec.name for spec in inputs)}.",
            tip="Correct the names under `inputs`, or leave `inputs` out.",
        )
    if all(
        len(spec.shape) == 1 or (len(spec.shape) == 2 and spec.shape[1] == 1) for spec in inputs
    ):
        return tuple(_declare(replace(spec, example=0), said, facts) for spec in inputs), None
    return None, None


def _declare(
    spec: TensorSpec, said: Mapping[str, TensorSpec], facts: Mapping[str, KnownColumn]
) -> TensorSpec:
    """``spec`` with the words of a declaration and of the file; the datatype stays the model's."""
    declared = said.get(spec.name, TensorSpec(name=spec.name, datatype=spec.datatype))
    known = facts.get(spec.name, KnownColumn(spec.name))
    example: Any = known.example if declared.example is None else declared.example
    if example is None or isinstance(example, str) != (spec.datatype == "BYTES"):
        example = "text" if spec.datatype == "BYTES" else spec.example
    if spec.datatype.startswith("FP"):
        example = float(example)
    elif spec.datatype == "BOOL":
        example = bool(example)
    return replace(
        spec,
        # Whole numbers and truth values have no way to be missing.
        nullable=spec.datatype.startswith(("FP", "BYTES"))
        and (declared.nullable or known.nullable),
        description=declared.description or known.description,
        example=example,
    )


def find_answers(
    outputs: Sequence[TensorSpec], class_labels: Sequence[Sequence[str]]
) -> tuple[Answer, ...]:
    """The fields of one ``/predict`` answer, named as for scikit-learn where that is clear.

    A label with one float ``[rows, k]`` beside it is a classifier; a single float
    ``[rows]`` or ``[rows, 1]`` a regressor; anything else keeps the outputs' names.
    ``class_labels`` are all the lists of class names in the file: the last of the right
    length belongs to the last classifier, whose answer this is.
    """
    flat = [spec for spec in outputs if _is_flat(spec)]
    if len(outputs) == 1 and flat and _is_float(outputs[0]):
        (value,) = flat
        index = 0 if len(value.shape) == 2 else None
        text = "The predicted value."
        return (Answer(name="value", output=value.name, index=index, description=text),)
    labels = [spec for spec in flat if spec.datatype in ("INT64", "BYTES")]
    scores = [spec for spec in outputs if _is_float(spec) and len(spec.shape) == 2]
    if len(outputs) == 2 and len(labels) == 1 and len(scores) == 1:
        return _classifier(labels[0], scores[0], class_labels)
    return tuple(Answer(name=spec.name, output=spec.name) for spec in outputs)


def _classifier(
    label: TensorSpec, scores: TensorSpec, class_labels: Sequence[Sequence[str]]
) -> tuple[Answer, ...]:
    width = scores.shape[1]
    fitting = [tuple(names) for names in class_labels if len(names) == width]
    names = fitting[-1] if fitting else ()
    index = 0 if len(label.shape) == 2 else None
    label_answer = Answer(
        name="label", output=label.name, index=index, description="The predicted label."
    )
    if width == 2:
        text = f"The probability of {names[1]}." if names else "The second class's probability."
        return (Answer(name="score", output=scores.name, index=1, description=text), label_answer)
    text = "The probability of each class."
    return (
        label_answer,
        Answer(name="scores", output=scores.name, classes=names, description=text),
    )


def _is_float(spec: TensorSpec) -> bool:
    return spec.datatype.startswith("FP")


def _is_flat(spec: TensorSpec) -> bool:
    return len(spec.shape) == 1 or (len(spec.shape) == 2 and spec.shape[1] == 1)
