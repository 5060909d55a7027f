"""JSON Schemas of a model's rows, answers and tensors, from its signature."""

from collections.abc import Iterable
from typing import Any, Final

from boxship.serve.codec import explain
from boxship.signature import DATATYPES, Answer, Datatype, Signature, TensorSpec

Schema = dict[str, Any]

_FLOAT_BOUNDS: Final = {"FP16": 65504.0, "FP32": 3.4028235e38}
"""The largest numbers that do not become infinite. FP64 holds all that JSON numbers usually are."""

_FORMATS: Final = {"INT32": "int32", "INT64": "int64", "FP32": "float", "FP64": "double"}


def scalar(datatype: Datatype, *, nullable: bool = False) -> Schema:
    """One element of a tensor as a JSON value."""
    kind = _kind(datatype)
    schema: Schema = {"type": [kind, "null"] if nullable else kind}
    if datatype in _FORMATS:
        schema["format"] = _FORMATS[datatype]
    return schema


def bounds(datatype: Datatype) -> Schema:
    """``minimum`` and ``maximum`` of a number that the datatype can hold, where they matter."""
    if _kind(datatype) == "integer":
        low, high = explain.integer_range(datatype)
        return {"minimum": low, "maximum": high}
    if datatype in _FLOAT_BOUNDS:
        return {"minimum": -_FLOAT_BOUNDS[datatype], "maximum": _FLOAT_BOUNDS[datatype]}
    return {}


def row(columns: Iterable[TensorSpec]) -> Schema:
    """One row of ``/predict``: an object of the columns and nothing else."""
    columns = tuple(columns)
    return {
        "type": "object",
        "properties": {column.name: _column(column) for column in columns},
        "required": [column.name for column in columns if column.required],
        "additionalProperties": False,
    }


def answer(signature: Signature) -> Schema:
    """One answer of ``/predict``: an object of the signature's answers."""
    outputs = {output.name: output for output in signature.outputs}
    fields = {field.name: _field(field, outputs[field.output]) for field in signature.answers}
    return {"type": "object", "properties": fields, "required": list(fields)}


def request_tensor(inputs: Iterable[TensorSpec]) -> Schema:
    """One input of a V2 request in JSON: any of the model's."""
    inputs = tuple(inputs)
    schema = _tensor(inputs)
    schema["required"] = ["name", "shape", "datatype", "data"]
    schema["properties"]["data"] = {
        "description": "The elements in row-major order, flat or nested as the shape is.",
        "type": "array",
        "items": {"type": [*_kinds(inputs), "array"]},
    }
    return schema


def response_tensor(outputs: Iterable[TensorSpec]) -> Schema:
    """One output of a V2 response; ``data`` is absent where it travels as binary."""
    outputs = tuple(outputs)
    schema = _tensor(outputs)
    schema["required"] = ["name", "shape", "datatype"]
    schema["properties"]["data"] = {
        "description": "The elements in row-major order, flat. null: not a finite number.",
        "type": "array",
        "items": {"type": list(dict.fromkeys([*_kinds(outputs), "null"]))},
    }
    return schema


def tensor_metadata() -> Schema:
    """One tensor of a model's metadata."""
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string", "enum": list(DATATYPES)},
            "shape": {
                "description": "-1 is any length; the first dimension is the batch.",
                "type": "array",
                "items": {"type": "integer", "minimum": -1},
            },
        },
        "required": ["name", "datatype", "shape"],
    }


def tensor_name(specs: Iterable[TensorSpec]) -> Schema:
    """The name of one of these tensors; any string where the model names none."""
    names = [spec.name for spec in specs]
    return {"type": "string", "enum": names} if names else {"type": "string"}


def _column(column: TensorSpec) -> Schema:
    schema = scalar(column.datatype, nullable=column.nullable) | bounds(column.datatype)
    if column.description:
        schema["description"] = column.description
    if column.example is not None:
        schema["examples"] = [column.example]
    return schema


def _field(field: Answer, output: TensorSpec) -> Schema:
    # A float that is not finite (an overflow inside the model) has no JSON number: it is null.
    element = scalar(output.datatype, nullable=output.nullable or output.datatype.startswith("FP"))
    dimensions = output.shape[1:]
    if field.classes:
        named = {
            "type": "object",
            "properties": dict.fromkeys(field.classes, element),
            "required": list(field.classes),
        }
        schema = _nested(named, dimensions[:-1])
    else:
        schema = _value(element, dimensions if field.index is None else dimensions[:-1])
    if field.description:
        schema["description"] = field.description
    return schema


def _value(element: Schema, dimensions: tuple[int, ...]) -> Schema:
    """A last axis of one element is written as the element itself."""
    if not dimensions or dimensions[-1] > 1:
        return _nested(element, dimensions)
    alone = _nested(element, dimensions[:-1])
    return alone if dimensions[-1] == 1 else {"anyOf": [alone, _nested(element, dimensions)]}


def _nested(element: Schema, dimensions: tuple[int, ...]) -> Schema:
    schema = element
    for length in reversed(dimensions):
        schema = {"type": "array", "items": schema}
        if length >= 0:
            schema |= {"minItems": length, "maxItems": length}
    return schema


def _tensor(specs: tuple[TensorSpec, ...]) -> Schema:
    return {
        "type": "object",
        "properties": {
            "name": tensor_name(specs),
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string", "enum": list(DATATYPES)},
            "parameters": {"type": "object"},
        },
    }


def _kinds(specs: tuple[TensorSpec, ...]) -> list[str]:
    kinds = dict.fromkeys(_kind(spec.datatype) for spec in specs)
    if "number" in kinds:
        kinds.pop("integer", None)
    if any(spec.nullable for spec in specs):
        kinds["null"] = None
    return list(kinds or dict.fromkeys(("number", "string", "boolean", "null")))


def _kind(datatype: Datatype) -> str:
    if datatype == "BYTES":
        return "string"
    if datatype == "BOOL":
        return "boolean"
    return "number" if datatype.startswith("FP") else "integer"
