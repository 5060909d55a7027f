"""The OpenAPI 3.1 document of a served model, generated from its signature.

A plain dict: no web framework is imported for it.
"""

import inspect
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from boxship import contract
from boxship.serve.documents import examples, parts, protocol, schemas
from boxship.serve.documents.schemas import Schema
from boxship.signature import Signature

OPENAPI: Final = "3.1.0"

MAX_COMMAND: Final = 2000
"""Characters of a curl command that the overview still prints; the page makes longer ones."""


@dataclass(frozen=True, kw_only=True)
class ApiDescription:
    """What the document says about one served model.

    ``version`` is the model's. ``signature`` describes the V2 tensors and, where it has
    columns, the rows and answers of ``/predict``. A service gives ``row_schema`` and
    ``answer_schema`` instead, with the ``components`` (name → schema) that they refer to
    as ``#/components/schemas/{name}``. ``example_rows`` are rows that the model accepts.
    ``predict_description`` is Markdown.
    """

    name: str
    version: str
    signature: Signature
    runtime: str
    max_rows: int
    max_body_bytes: int
    row_schema: Schema | None = None
    answer_schema: Schema | None = None
    components: Mapping[str, Schema] = field(default_factory=dict)
    example_rows: Sequence[dict[str, Any]] = ()
    predict_description: str = ""


def document(description: ApiDescription) -> dict[str, Any]:
    """The OpenAPI document, ready to be written as JSON."""
    signature = description.signature
    rows = _example_rows(description)
    infer_example = examples.infer_request(signature, rows)
    info: dict[str, Any] = {"title": description.name, "version": description.version}
    info["description"] = _overview(description, rows, infer_example)
    return {
        "openapi": OPENAPI,
        "info": info,
        # Relative to where the document was read, so that it holds behind a path prefix.
        "servers": [{"url": ".", "description": "this server"}],
        "tags": [
            {"name": "Predict", "description": "Rows in, answers out."},
            {"name": "Lifecycle", "description": "For probes, load balancers and Prometheus."},
            {
                "name": "Open Inference Protocol",
                "description": "Tensors in, tensors out: the KServe V2 protocol over REST.",
            },
        ],
        "paths": {
            contract.PREDICT: {"post": _predict(description, rows)},
            contract.HEALTH: {"get": _health()},
            contract.READY: {"get": _ready()},
            contract.METRICS: {"get": _metrics()},
            **protocol.paths(description.name, description.version, signature, infer_example),
        },
        "components": {
            "schemas": {
                **_row_and_answer(description),
                **parts.SCHEMAS,
                **protocol.components(signature),
                **description.components,
            },
            "headers": parts.HEADERS,
            "responses": parts.RESPONSES,
        },
    }


def _takes_rows(description: ApiDescription) -> bool:
    return description.row_schema is not None or description.signature.columns is not None


def _example_rows(description: ApiDescription) -> list[dict[str, Any]]:
    columns = description.signature.columns
    if description.example_rows:
        return list(description.example_rows)
    if description.row_schema is None and columns is not None:
        return [examples.row(columns)]
    return []


def _row_and_answer(description: ApiDescription) -> dict[str, Schema]:
    signature = description.signature
    if description.row_schema is not None:
        row, answer = description.row_schema, description.answer_schema or {}
    elif signature.columns is not None:
        row, answer = schemas.row(signature.columns), schemas.answer(signature)
    else:
        return {}
    return {"Predict.Row": row, "Predict.Answer": answer}


def _predict(description: ApiDescription, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {"tags": ["Predict"], "operationId": "predict"}
    if not _takes_rows(description):
        return operation | {
            "summary": "Not for this model: it takes tensors",
            "description": "This model takes true tensors, which have no rows of fields. "
            f"Every well-formed request gets 422. Send the tensors to `POST {_infer_path(description)}`.",
            "requestBody": _body({"type": ["object", "array"]}, {}),
            "responses": parts.failures("Predict", parts.PREDICT_CODES),
        }
    return operation | {
        "summary": "Predict for one row or many",
        "description": parts.paragraphs(
            description.predict_description,
            "One JSON object gets one answer; a list of up to "
            f"{description.max_rows} objects gets a list of answers in the same order.",
        ),
        "requestBody": _body(
            _one_or_many("Predict.Row", description.max_rows), rows[0] if rows else None
        ),
        "responses": {
            "200": parts.success(
                "The answer, or one answer for each row.",
                _one_or_many("Predict.Answer", description.max_rows),
            ),
            **parts.failures("Predict", parts.PREDICT_CODES),
        },
    }


def _one_or_many(component: str, most: int) -> Schema:
    one = parts.reference(component)
    # anyOf, because a service's row of any type may be a list itself.
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": most}]}


def _body(schema: Schema, example: dict[str, Any] | None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {"application/json": content}}


def _health() -> dict[str, Any]:
    schema = parts.record({"status": {"const": "ok"}})
    return {
        "tags": ["Lifecycle"],
        "operationId": "health",
        "summary": "Liveness: the process lives",
        "description": "200 from two seconds after start, while the model loads too.",
        "responses": {"200": parts.success("Live.", schema, {"status": "ok"})},
    }


def _ready() -> dict[str, Any]:
    failure = parts.record({"status": {"const": "failed"}, "detail": {"type": "string"}})
    schema = parts.record(
        {
            "status": {"const": "ready"},
            "reload": {"description": "Why the newest model is not the one that answers."}
            | failure,
        },
        optional=("reload",),
    )
    return {
        "tags": ["Lifecycle"],
        "operationId": "ready",
        "summary": "Readiness: the model answers",
        "description": "200 once the model is loaded and warm and has answered its golden "
        "request, if it has one; 503 before that, and again from the moment the server drains.",
        "responses": {
            "200": parts.success("Ready.", schema, {"status": "ready"}),
            "503": parts.unready("Lifecycle.NotReady"),
        },
    }


def _metrics() -> dict[str, Any]:
    return {
        "tags": ["Lifecycle"],
        "operationId": "metrics",
        "summary": "Metrics for Prometheus, merged over the workers",
        "responses": {
            "200": {
                "description": "The Prometheus text format.",
                "headers": parts.header_references(),
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    }


def _overview(
    description: ApiDescription,
    rows: Sequence[dict[str, Any]],
    infer_example: dict[str, Any] | None,
) -> str:
    facts = (
        f"Model `{description.name}`, version `{description.version}`, "
        f"executed by {description.runtime}.\n\n"
        f"A request body may have {description.max_body_bytes} bytes, a list {description.max_rows}"
        " rows. Each answer names the model version that gave it. Send `X-Request-ID` or"
        " `traceparent` to find a request again in the logs."
    )
    snippets = [_curl(contract.PREDICT, row) for row in rows[:1]]
    if infer_example is not None and description.signature.inputs:
        snippets.append(_curl(_infer_path(description), infer_example))
    commands = "\n".join(each for each in snippets if len(each) <= MAX_COMMAND)
    return parts.paragraphs(
        inspect.cleandoc(description.signature.description),
        facts,
        f"```sh\n{commands}\n```" if commands else "",
    )


def _infer_path(description: ApiDescription) -> str:
    return f"{contract.V2}/models/{quote(description.name, safe='')}/infer"


def _curl(path: str, body: dict[str, Any]) -> str:
    url = shlex.quote(f"http://localhost:{contract.PORT}{path}")
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"curl {url} -H 'Content-Type: application/json' -d {data}"
