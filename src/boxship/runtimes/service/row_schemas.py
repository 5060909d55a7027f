"""JSON Schema of rows and answers (2020-12, as in OpenAPI 3.1)."""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np

from boxship.runtimes.service.records import Record, arms, bare, is_pydantic, record_of, records_in
from boxship.runtimes.service.row_columns import array_hint, scalar_datatype
from boxship.runtimes.service.row_examples import Schema
from boxship.runtimes.service.row_types import AnswerHint

_REF_TEMPLATE = "#/components/schemas/{name}"
_TIMES: Mapping[Any, str] = {dt.datetime: "date-time", dt.time: "time"}
_JSON_TYPES: Mapping[str, str] = {
    "BOOL": "boolean",
    "BYTES": "string",
    "FP16": "number",
    "FP32": "number",
    "FP64": "number",
}


def row_schema(record: Record) -> tuple[Schema, Schema]:
    """The schema of one row, and the components that it refers to."""
    schema, components = _schema(record.type, "validation")
    for inner in records_in(record.type):
        component = components.get(inner.name, {})
        if inner.closed and component:
            component.setdefault("additionalProperties", False)
        for field in inner.fields:
            _name_times(component.get("properties", {}).get(field.name), field.hint)
    for written in components[record.name].get("properties", {}).values():
        _bound_integers(written)
    return schema, components


def answer_schema(hint: AnswerHint) -> tuple[Schema, Schema]:
    """The schema of one answer, and the components that it refers to."""
    if hint.form == "record":
        return _schema(hint.hint, "serialization")
    if hint.form == "open":
        return {"type": "object"}, {}
    if hint.form == "array" or array_hint(hint.hint) is not None:
        value, components = _array_value(hint), Schema()
    else:
        value, components = _schema(hint.hint, "serialization")
    return {"type": "object", "properties": {"value": value}, "required": ["value"]}, components


def _schema(hint: Any, mode: Literal["validation", "serialization"]) -> tuple[Schema, Schema]:
    record = record_of(hint)
    schema: Schema
    components: Schema
    if any(is_pydantic(inner.type) for inner in records_in(hint)):
        from pydantic import TypeAdapter

        template = _REF_TEMPLATE.replace("{name}", "{model}")
        written: Schema = TypeAdapter(hint).json_schema(ref_template=template, mode=mode)
        components = written.pop("$defs", {})
        schema = written
        if record is not None and "$ref" not in schema:
            components = {record.name: schema, **components}
            schema = {"$ref": _REF_TEMPLATE.format(name=record.name)}
    else:
        try:
            (schema,), components = msgspec.json.schema_components(
                [_python_hint(hint)], ref_template=_REF_TEMPLATE
            )
        except TypeError:
            return ({"type": "object"} if record else {}), {}
    _drop_non_finite([schema, components])
    return schema, components


def _python_hint(hint: Any) -> Any:
    """The scalars of numpy as the Python types that JSON writes them as."""
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


def _name_times(written: Schema | None, hint: Any) -> None:
    """Msgspec leaves out the format of a time that may or may not have a zone."""
    kinds, _ = arms(hint)
    form = _TIMES.get(bare(kinds[0])) if len(kinds) == 1 else None
    if form is not None and written is not None:
        for part in written.get("anyOf", [written]):
            if part.get("type") == "string":
                part.setdefault("format", form)


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
