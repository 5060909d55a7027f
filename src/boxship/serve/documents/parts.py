"""What several operations of the OpenAPI document share: errors, headers, small shapes.

Component names have a dot, which no class name has, so that they never meet the names
that a service brings.
"""

import inspect
from collections.abc import Iterable
from typing import Any, Final

from boxship.serve.documents.schemas import Schema
from boxship.serve.lifecycle import Phase, State

PREDICT_CODES: Final = (400, 408, 413, 415, 422, 500, 503, 504)
V2_CODES: Final = (400, 404, 408, 413, 415, 500, 503, 504)

_MEANINGS: Final = {
    400: "The body is not what its content type says, or its lengths disagree.",
    404: "No model of that name or version is served here.",
    408: "The request did not arrive in time.",
    413: "The body is larger than the server takes.",
    415: "The content type is not one that this operation reads.",
    422: "The JSON is well formed but does not fit the model: each place, what was expected "
    "and what was found.",
    500: "The model failed on input that fits its signature.",
    503: "The model is loading, the queue is full, or the server drains.",
    504: "The answer did not come within the request timeout.",
}
_V2_MEANINGS: Final = _MEANINGS | {
    400: "The request is malformed, or does not fit the model: the message names the tensor, "
    "what was expected and what was found."
}


def reference(component: str) -> Schema:
    """A reference to a schema of the components."""
    return {"$ref": f"#/components/schemas/{component}"}


def record(properties: dict[str, Schema], optional: Iterable[str] = ()) -> Schema:
    """An object whose properties are all required, but for the optional ones."""
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required}


def paragraphs(*texts: str) -> str:
    """Markdown paragraphs; empty texts are left out."""
    return "\n\n".join(cleaned for text in texts if (cleaned := inspect.cleandoc(text)))


def header_references(*more: str) -> dict[str, Any]:
    """The headers of every response, and ``more``."""
    names = ("X-Request-ID", "X-Model-Version", "X-Model-Digest", *more)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def success(text: str, schema: Schema, example: Any = None) -> dict[str, Any]:
    """A response of JSON."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {
        "description": text,
        "headers": header_references(),
        "content": {"application/json": content},
    }


def failures(family: str, codes: Iterable[int]) -> dict[str, Any]:
    """The error responses of an operation, each a reference to the shared one."""
    return {str(code): {"$ref": f"#/components/responses/{family}.{code}"} for code in codes}


def unready(*components: str) -> dict[str, Any]:
    """The 503 of a probe, whose body is one of ``components``."""
    choices = [reference(component) for component in components]
    schema = choices[0] if len(choices) == 1 else {"anyOf": choices}
    return _failure("The model is loading, or the server drains.", schema, 503)


def _failure(text: str, schema: Schema, code: int) -> dict[str, Any]:
    return {
        "description": text,
        "headers": header_references("Retry-After") if code == 503 else header_references(),
        "content": {"application/json": {"schema": schema}},
    }


HEADERS: Final[dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's own id, as it was sent or as the server made it.",
        "schema": {"type": "string"},
    },
    "X-Model-Version": {
        "description": "The version of the model that answered.",
        "schema": {"type": "string"},
    },
    "X-Model-Digest": {
        "description": "The digest of the model's files.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Predict.Problem": record(
        {
            "loc": {
                "description": "The path to the place, outermost first.",
                "type": "array",
                "items": {"type": ["string", "integer"]},
            },
            "msg": {"description": "What was expected and what was found.", "type": "string"},
            "type": {"type": "string"},
        }
    ),
    "Predict.Problems": record(
        {
            "detail": {
                "anyOf": [
                    {"type": "array", "items": reference("Predict.Problem"), "minItems": 1},
                    {"type": "string"},
                ]
            }
        }
    ),
    "Predict.Error": record({"detail": {"type": "string"}}),
    "Lifecycle.NotReady": record(
        {
            "status": {"const": "not_ready"},
            "detail": {"type": "string", "examples": ["model loading"]},
            "phase": {"enum": [phase.value for phase in Phase if not State(phase).ready]},
            "percent": {"type": "integer", "minimum": 0, "maximum": 100},
        },
        optional=("percent",),
    ),
    "V2.Error": record({"error": {"type": "string"}}),
    "V2.NotReady": record({"ready": {"const": False}}),
    "V2.ModelNotReady": record({"name": {"type": "string"}, "ready": {"const": False}}),
}

RESPONSES: Final[dict[str, Any]] = {
    f"{family}.{code}": _failure(meanings[code], reference(component), code)
    for family, meanings, component in (
        ("Predict", _MEANINGS, "Predict.Error"),
        ("V2", _V2_MEANINGS, "V2.Error"),
    )
    for code in meanings
    if code != 422
} | {"Predict.422": _failure(_MEANINGS[422], reference("Predict.Problems"), 422)}
