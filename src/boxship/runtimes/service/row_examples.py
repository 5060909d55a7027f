"""An example value for a JSON Schema."""

import math
from collections.abc import Mapping
from typing import Any

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
_DEEPEST = 8
"""Types that contain themselves end somewhere."""


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
    kind = schema.get("type")
    if kind == "object":
        return _object_example(schema, components, depth)
    if kind == "array":
        return _array_example(schema, components, depth)
    return _scalar_example(schema, kind)


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


def _scalar_example(schema: Schema, kind: Any) -> Any:
    if kind == "string":
        return _string_example(schema)
    if kind in ("number", "integer"):
        return _number_example(schema, kind)
    return True if kind == "boolean" else None


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
