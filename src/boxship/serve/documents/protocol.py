"""The Open Inference Protocol's part of the OpenAPI document."""

from typing import Any

from boxship import contract
from boxship.serve.documents import parts, schemas
from boxship.serve.documents.schemas import Schema
from boxship.signature import Signature, TensorSpec

_TAG = "Open Inference Protocol"
_MODEL = f"{contract.V2}/models/{{model_name}}"
_VERSION = f"{_MODEL}/versions/{{model_version}}"


def paths(
    name: str, version: str, signature: Signature, infer_example: dict[str, Any] | None
) -> dict[str, Any]:
    """The paths under ``/v2`` for the one model and version served."""
    model = [_parameter("model_name", name)]
    both = [*model, _parameter("model_version", version)]
    infer = _infer(signature, infer_example)
    return {
        contract.V2: {
            "get": _get("v2_server_metadata", "The server's metadata", "V2.Server", (503,)),
        },
        f"{contract.V2}/health/live": {
            "get": _get("v2_server_live", "Liveness of the server", "V2.Live", ()),
        },
        f"{contract.V2}/health/ready": {
            "get": _probe("v2_server_ready", "Readiness of the server", "V2.Ready"),
        },
        _MODEL: {
            "parameters": model,
            "get": _get("v2_model_metadata", "The model's tensors", "V2.Model", (404, 503)),
        },
        f"{_MODEL}/ready": {
            "parameters": model,
            "get": _probe("v2_model_ready", "Readiness of the model", "V2.ModelReady"),
        },
        f"{_MODEL}/infer": {
            "parameters": model,
            "post": {"operationId": "v2_model_infer", "summary": "Infer"} | infer,
        },
        _VERSION: {
            "parameters": both,
            "get": _get(
                "v2_model_version_metadata", "The version's tensors", "V2.Model", (404, 503)
            ),
        },
        f"{_VERSION}/ready": {
            "parameters": both,
            "get": _probe("v2_model_version_ready", "Readiness of the version", "V2.ModelReady"),
        },
        f"{_VERSION}/infer": {
            "parameters": both,
            "post": {
                "operationId": "v2_model_version_infer",
                "summary": "Infer with the version named",
            }
            | infer,
        },
    }


def components(signature: Signature) -> dict[str, Schema]:
    """The bodies of the protocol, with this model's tensor names."""
    text: Schema = {"type": "string"}
    parameters: Schema = {"type": "object"}
    metadata: Schema = {"type": "array", "items": parts.reference("V2.TensorMetadata")}
    return {
        "V2.Server": parts.record(
            {"name": text, "version": text, "extensions": {"type": "array", "items": text}}
        ),
        "V2.Live": parts.record({"live": {"const": True}}),
        "V2.Ready": parts.record({"ready": {"const": True}}),
        "V2.ModelReady": parts.record({"name": text, "ready": {"const": True}}),
        "V2.Model": parts.record(
            {
                "name": text,
                "versions": {"type": "array", "items": text},
                "platform": text,
                "inputs": metadata,
                "outputs": metadata,
            }
        ),
        "V2.TensorMetadata": schemas.tensor_metadata(),
        "V2.InferRequest": parts.record(
            {
                "id": {"description": "Comes back in the response.", "type": "string"},
                "parameters": _switch("binary_data_output"),
                "inputs": _inputs(signature),
                "outputs": {
                    "description": "The outputs wanted; all of them where it is absent.",
                    "type": "array",
                    "items": parts.reference("V2.RequestedOutput"),
                },
            },
            optional=("id", "parameters", "outputs"),
        ),
        "V2.RequestInput": schemas.request_tensor(signature.inputs),
        "V2.RequestedOutput": parts.record(
            {
                "name": schemas.tensor_name(signature.outputs),
                "parameters": _switch("binary_data"),
            },
            optional=("parameters",),
        ),
        "V2.InferResponse": parts.record(
            {
                "model_name": text,
                "model_version": text,
                "id": text,
                "parameters": parameters,
                "outputs": {
                    "type": "array",
                    "items": parts.reference("V2.ResponseOutput"),
                },
            },
            optional=("id", "parameters"),
        ),
        "V2.ResponseOutput": schemas.response_tensor(signature.outputs),
    }


def _switch(name: str) -> Schema:
    """Parameters of which the server reads one, and leaves the others alone."""
    return {"type": "object", "properties": {name: {"type": "boolean", "default": False}}}


def _inputs(signature: Signature) -> Schema:
    schema: Schema = {"type": "array", "items": parts.reference("V2.RequestInput")}
    if signature.inputs:
        schema["minItems"] = max(1, sum(spec.required for spec in signature.inputs))
        schema["maxItems"] = len(signature.inputs)
    return schema


def _parameter(name: str, only: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": [only]},
        "example": only,
    }


def _get(operation_id: str, summary: str, component: str, codes: tuple[int, ...]) -> dict[str, Any]:
    return {
        "tags": [_TAG],
        "operationId": operation_id,
        "summary": summary,
        "responses": {
            "200": parts.success(summary + ".", parts.reference(component)),
            **parts.failures("V2", codes),
        },
    }


def _probe(operation_id: str, summary: str, component: str) -> dict[str, Any]:
    """Before the model is loaded, the server knows no model by name: it answers as to any path."""
    of_model = component == "V2.ModelReady"
    operation = _get(operation_id, summary, component, (404,) if of_model else ())
    bodies = ("V2.ModelNotReady", "V2.Error") if of_model else ("V2.NotReady",)
    operation["responses"]["503"] = parts.unready(*bodies)
    return operation


def _infer(signature: Signature, example: dict[str, Any] | None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": parts.reference("V2.InferRequest")}
    if example is not None:
        content["example"] = example
    success = parts.success("The outputs.", parts.reference("V2.InferResponse"))
    success["content"]["application/octet-stream"] = {
        "schema": {"description": "JSON, then the binary tensors. Only where they were asked for."}
    }
    return {
        "tags": [_TAG],
        "description": parts.paragraphs(
            _table("Input", signature.inputs),
            _table("Output", signature.outputs),
            "The first dimension is the batch, the same for all inputs."
            if example is not None
            else "The tensors are too large for an example here: `tritonclient` sends them as "
            "binary.",
            "The binary tensor extension works both ways: with the header "
            "`Inference-Header-Content-Length` the JSON is that long and the tensors that have "
            "`binary_data_size` follow it; outputs come back as binary with `binary_data` or "
            "`binary_data_output`.",
        ),
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": success,
            **parts.failures("V2", parts.V2_CODES),
        },
    }


def _table(heading: str, specs: tuple[TensorSpec, ...]) -> str:
    if not specs:
        return ""
    lines = [f"| {heading} | Datatype | Shape |", "|---|---|---|"]
    for spec in specs:
        name = spec.name.replace("|", "\\|")
        lines.append(f"| `{name}` | {spec.datatype} | {list(spec.shape)} |")
    return "\n".join(lines)
