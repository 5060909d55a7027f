"""JSON Schema of rows and answers (2020-12, as in OpenAPI 3.1), and an example that fits it."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np

from boxship.runtimes.records import Record, is_pydantic, record_of, records_in
from boxship.runtimes.row_types import AnswerHint, array_hint, scalar_datatype

REF_TEMPLATE = "#/components/schemas/{name}"
Schema = dict[str, Any]
_FORMATS: Mapping[str, str] = {
    "date-time": "2024-01-31T12:00:00Z",
    "date": "2024-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "decimal": "1.5",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "dGV4dA==",
}
_JSON_TYPES: Mapping[str, str] = {
    "BOOL": "boolean",
    "BYTES": "string",
    "FP16": "number",
    "FP32": "number",
    "FP64": "number",
}
_DEEPEST = 8


def row_schema(record: Record, ref_template: str = REF_TEMPLATE) -> tuple[Schema, Schema]:
    """The schema of one row, and the components that it refers to."""
    schema, components = _schema(record.type, ref_template, "validation")
    for inner in records_in(record.type):
        properties = components.get(inner.name)
        if inner.closed and properties is not None:
            properties.setdefault("additionalProperties", False)
    for field in components.get(record.name, schema).get("properties", {}).values():
        _bound_integers(field)
    return schema, components


def answer_schema(hint: AnswerHint, ref_template: str = REF_TEMPLATE) -> tuple[Schema, Schema]:
    """The schema of one answer, and the components that it refers to."""
    if hint.form == "record":
        return _schema(hint.hint, ref_template, "serialization")
    if hint.form == "open":
        return {"type": "object"}, {}
    if hint.form == "array" or array_hint(hint.hint) is not None:
        value, components = _array_value(hint), {}
    else:
        value, components = _schema(hint.hint, ref_template, "serialization")
    return {"type": "object", "properties": {"value": value}, "required": ["value"]}, components


def example(schema: Schema, components: Schema, depth: int = 0) -> Any:
    """A JSON value that fits ``schema``, as far as its keywords can tell.

    The author's own examples and defaults come first, then the smallest value that
    obeys the bounds. Patterns are not solved, so the caller validates the result.
    """
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    own = _own_example(schema)
    if own is not None:
        return own
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        useful = [choice for choice in choices if choice.get("type") != "null"]
        return example(useful[0], components, depth + 1) if depth < _DEEPEST and useful else None
    match schema.get("type"):
        case "object":
            return _object_example(schema, components, depth)
        case "array":
            return _array_example(schema, components, depth)
        case "string":
            return _string_example(schema)
        case "number" | "integer" as kind:
            return _number_example(schema, kind)
        case "boolean":
            return True
    return None


def _schema(
    hint: Any, ref_template: str, mode: Literal["validation", "serialization"]
) -> tuple[Schema, Schema]:
    record = record_of(hint)
    schema: Schema
    components: Schema
    if any(is_pydantic(inner.type) for inner in records_in(hint)):
        from pydantic import TypeAdapter

        template = ref_template.replace("{name}", "{model}")
        written: Schema = TypeAdapter(hint).json_schema(ref_template=template, mode=mode)
        components = written.pop("$defs", {})
        schema = written
        if record is not None and "$ref" not in schema:
            components = {record.name: schema, **components}
            schema = {"$ref": ref_template.format(name=record.name)}
    else:
        try:
            (schema,), components = msgspec.json.schema_components(
                [_python_hint(hint)], ref_template=ref_template
            )
        except TypeError:
            return ({"type": "object"} if record else {}), {}
    _drop_non_finite([schema, components])
    return schema, components


def _python_hint(hint: Any) -> Any:
    """numpy's scalars as the Python types that JSON writes them as."""
    kinds: Mapping[str, type] = {"BYTES": str, "BOOL": bool, "FP16": float, "FP32": float}
    if isinstance(hint, type) and issubclass(hint, np.generic):
        datatype = scalar_datatype(hint) or "FP64"
        return kinds.get(datatype, float if datatype == "FP64" else int)
    return hint


def _array_value(hint: AnswerHint) -> Schema:
    """The ``value`` of one row: its element, its list, or either while the rank is unknown."""
    column = hint.columns[0]
    element: Schema = {"type": _JSON_TYPES.get(column.spec.datatype, "integer")}
    nested: Schema = {"type": "array", "items": element}
    if hint.array is None:
        return nested
    free: Schema = {} if hint.array.datatype is None else element
    match hint.array.rank:
        case 1:
            return free
        case None:
            return {"anyOf": [element, {"type": "array"}]} if free else {}
        case rank:
            for _ in range(rank - 1):
                free = {"type": "array", "items": free}
            return free


def _bound_integers(schema: Any) -> None:
    """Say that INT64 is meant: an integer beyond it is refused."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer" and "enum" not in schema:
            schema.setdefault("format", "int64")
            if "exclusiveMinimum" not in schema:
                schema.setdefault("minimum", -(2**63))
            if "exclusiveMaximum" not in schema:
                schema.setdefault("maximum", 2**63 - 1)
        for key in ("anyOf", "items"):
            _bound_integers(schema.get(key))
    elif isinstance(schema, list):
        for choice in schema:
            _bound_integers(choice)


def _drop_non_finite(value: Any) -> None:
    """A default of NaN is sound in Python, and no JSON."""
    if isinstance(value, dict):
        default = value.get("default")
        if isinstance(default, float) and not math.isfinite(default):
            del value["default"]
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            _drop_non_finite(inner)


def _own_example(schema: Schema) -> Any:
    for examples in (schema.get("examples"), schema.get("enum")):
        if examples:
            return examples[0]
    for key in ("example", "const", "default"):
        if schema.get(key) not in (None, [], {}, ""):
            return schema[key]
    return None


def _object_example(schema: Schema, components: Schema, depth: int) -> Any:
    required = schema.get("required", ())
    row = {}
    for name, field in schema.get("properties", {}).items():
        if name not in required and depth >= _DEEPEST:
            continue
        value = example(field, components, depth + 1) if depth < 2 * _DEEPEST else None
        if value is not None or name in required:
            row[name] = value
    return row


def _array_example(schema: Schema, components: Schema, depth: int) -> list[Any]:
    fixed = [example(item, components, depth + 1) for item in schema.get("prefixItems", ())]
    items = schema.get("items")
    if fixed or not isinstance(items, dict) or depth >= _DEEPEST:
        return fixed
    return [example(items, components, depth + 1)] * max(1, schema.get("minItems", 1))


def _string_example(schema: Schema) -> str:
    text = _FORMATS.get(schema.get("format", ""), "text")
    if schema.get("contentEncoding") == "base64":
        text = _FORMATS["byte"]
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def _number_example(schema: Schema, kind: str) -> float:
    step = schema.get("multipleOf") or (1 if kind == "integer" else 0.5)
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    low = max(low, schema.get("exclusiveMinimum", -math.inf) + step)
    high = min(high, schema.get("exclusiveMaximum", math.inf) - step)
    value = min(max(1, low), high)
    if "multipleOf" in schema:
        value = math.ceil(value / step) * step
    if "exclusiveMaximum" in schema and "exclusiveMinimum" in schema and low > high:
        value = (schema["exclusiveMinimum"] + schema["exclusiveMaximum"]) / 2
    return int(value) if kind == "integer" else float(value)
