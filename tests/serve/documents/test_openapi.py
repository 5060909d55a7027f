"""The OpenAPI document says what the server does, and its examples can be sent."""

import json
import shlex
from typing import Any

import numpy as np
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from boxship import contract
from boxship.serve.codec.rows import RowsCodec
from boxship.serve.documents import examples as openapi_examples, openapi
from boxship.serve.lifecycle import Phase, State
from boxship.signature import Answer, Signature, TensorSpec

OUTPUTS = (
    TensorSpec(name="score", datatype="FP64", shape=(-1,)),
    TensorSpec(name="label", datatype="INT64", shape=(-1,)),
)
ANSWERS = (Answer(name="score", output="score"), Answer(name="label", output="label"))
AGE = TensorSpec(name="age", datatype="FP64", example=41.5, description="years")
INCOME = TensorSpec(name="income's", datatype="FP64", nullable=True, example=1200.0)
CITY = TensorSpec(name="city", datatype="BYTES", example="Zürich")
MEMBER = TensorSpec(name="member", datatype="BOOL")
VISITS = TensorSpec(name="visits", datatype="INT32")
NICKNAME = TensorSpec(name="nickname", datatype="BYTES", nullable=True)

MIXED = Signature(
    inputs=(AGE, INCOME, CITY, MEMBER, VISITS, NICKNAME),
    outputs=OUTPUTS,
    columns=(AGE, INCOME, CITY, MEMBER, VISITS, NICKNAME),
    answers=ANSWERS,
    description="""Who leaves.

        Indented, as docstrings are.
        """,
)
MATRIX_SPEC = TensorSpec(name="input", datatype="FP32", shape=(-1, 2))
MATRIX = Signature(
    inputs=(MATRIX_SPEC,),
    outputs=(
        TensorSpec(name="label", datatype="BYTES", shape=(-1,)),
        TensorSpec(name="scores", datatype="FP32", shape=(-1, 3)),
    ),
    columns=(
        TensorSpec(name="feature_1", datatype="FP32", example=1.5),
        TensorSpec(name="feature_2", datatype="FP32", example=2.5),
    ),
    answers=(
        Answer(name="label", output="label", description="the likeliest class"),
        Answer(name="scores", output="scores", classes=("red", "green", "blue")),
    ),
    matrix=MATRIX_SPEC,
)
ONNX = Signature(
    inputs=(MATRIX_SPEC,),
    outputs=(
        TensorSpec(name="probabilities", datatype="FP32", shape=(-1, 2)),
        TensorSpec(name="variable", datatype="FP32", shape=(-1, 1)),
        TensorSpec(name="values", datatype="FP64", shape=(-1, 4)),
        TensorSpec(name="any", datatype="FP64", shape=(-1, -1)),
    ),
    columns=MATRIX.columns,
    answers=(
        Answer(name="score", output="probabilities", index=1),
        Answer(name="value", output="variable"),
        Answer(name="values", output="values"),
        Answer(name="any", output="any"),
    ),
    matrix=MATRIX_SPEC,
)
IMAGES = Signature(
    inputs=(TensorSpec(name="pixels", datatype="UINT8", shape=(-1, 8, 8, 3)),),
    outputs=(TensorSpec(name="scores", datatype="FP32", shape=(-1, 10)),),
)
PHOTOS = Signature(
    inputs=(TensorSpec(name="pixels", datatype="UINT8", shape=(-1, 224, 224, 3)),),
    outputs=(TensorSpec(name="scores", datatype="FP32", shape=(-1, 10)),),
)
SERVICE_COMPONENTS = {
    "Customer": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "home": {"$ref": "#/components/schemas/Row"}},
        "required": ["name"],
    },
    "Row": {"type": "object", "properties": {"street": {"type": "string"}}},
    "Error": {"type": "object", "properties": {"risk": {"type": "number"}}},
}


def describe(signature: Signature, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "runtime": "scikit-learn 1.7.2",
        "max_rows": 3,
        "max_body_bytes": 1_000_000,
    }
    return openapi.document(
        openapi.ApiDescription(name="churn", version="7", signature=signature, **(settings | more))
    )


def service(**more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "runtime": "service Churn",
        "row_schema": {"$ref": "#/components/schemas/Customer"},
        "answer_schema": {"$ref": "#/components/schemas/Error"},
        "components": SERVICE_COMPONENTS,
        "example_rows": [{"name": "Ada", "home": {"street": "Main"}}],
        "predict_description": "Predict who leaves.",
    }
    signature = Signature(inputs=(), outputs=(), description="A service.")
    return describe(signature, **settings | more)


DOCUMENTS = {
    "mixed": describe(MIXED),
    "matrix": describe(MATRIX),
    "onnx": describe(ONNX),
    "images": describe(IMAGES),
    "photos": describe(PHOTOS),
    "service": service(),
    "service without types": service(
        row_schema={}, answer_schema=None, components={}, example_rows=()
    ),
}
ALL = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }


def json_body(part: dict[str, Any]) -> dict[str, Any]:
    media: dict[str, Any] = part["content"]["application/json"]
    return media


def errors(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    found = OAS31Validator(whole).iter_errors(value)
    return [error.message for error in found]


def component(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


@ALL
def test_the_document_is_valid_openapi_3_1_and_plain_json(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["info"]["title"], document["info"]["version"]) == ("churn", "7")


@ALL
def test_the_paths_are_those_of_the_contract(document: dict[str, Any]) -> None:
    model = "/v2/models/{model_name}"
    version = f"{model}/versions/{{model_version}}"
    methods = {
        path: {method for method in item if method != "parameters"}
        for path, item in document["paths"].items()
    }
    assert methods == {
        contract.PREDICT: {"post"},
        contract.HEALTH: {"get"},
        contract.READY: {"get"},
        contract.METRICS: {"get"},
        "/v2": {"get"},
        "/v2/health/live": {"get"},
        "/v2/health/ready": {"get"},
        model: {"get"},
        f"{model}/ready": {"get"},
        f"{model}/infer": {"post"},
        version: {"get"},
        f"{version}/ready": {"get"},
        f"{version}/infer": {"post"},
    }


@ALL
def test_path_parameters_name_the_one_model_and_version(document: dict[str, Any]) -> None:
    item = document["paths"]["/v2/models/{model_name}/versions/{model_version}/infer"]
    given = {parameter["name"]: parameter["schema"]["enum"] for parameter in item["parameters"]}
    assert given == {"model_name": ["churn"], "model_version": ["7"]}


@ALL
def test_operation_ids_and_tags_are_named(document: dict[str, Any]) -> None:
    found = operations(document)
    assert len(found) == 13
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in found.values() for tag in operation["tags"]} == tags


@ALL
def test_every_request_example_fits_its_own_schema(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        if "requestBody" in operation:
            body = json_body(operation["requestBody"])
            if "example" in body:
                assert errors(document, body["schema"], body["example"]) == []


@ALL
def test_every_response_example_fits_its_own_schema(document: dict[str, Any]) -> None:
    checked = 0
    for operation in operations(document).values():
        for response in operation["responses"].values():
            media = response.get("content", {}).get("application/json", {})
            if "example" in media:
                assert errors(document, media["schema"], media["example"]) == []
                checked += 1
    assert checked == 2


@pytest.mark.parametrize("name", ["mixed", "matrix", "onnx", "images"])
def test_models_of_tensors_have_an_example_for_both_ways_in(name: str) -> None:
    found = operations(DOCUMENTS[name])
    for operation in ("predict", "v2_model_infer", "v2_model_version_infer"):
        assert "example" in json_body(found[operation]["requestBody"])


def test_the_row_example_is_what_the_codec_takes() -> None:
    body = json_body(operations(DOCUMENTS["mixed"])["predict"]["requestBody"])
    _, rows, single = RowsCodec(MIXED, max_rows=3).decode(json.dumps(body["example"]).encode())
    assert (rows, single) == (1, True)
    assert body["example"] == {
        "age": 41.5,
        "income's": 1200.0,
        "city": "Zürich",
        "member": True,
        "visits": 0,
        "nickname": "text",
    }


def test_the_infer_example_of_columns_has_a_tensor_for_each() -> None:
    body = json_body(operations(DOCUMENTS["mixed"])["v2_model_infer"]["requestBody"])
    assert body["example"]["inputs"][:3] == [
        {"name": "age", "shape": [1, 1], "datatype": "FP64", "data": [41.5]},
        {"name": "income's", "shape": [1, 1], "datatype": "FP64", "data": [1200.0]},
        {"name": "city", "shape": [1, 1], "datatype": "BYTES", "data": ["Zürich"]},
    ]


def test_the_infer_example_of_a_matrix_is_the_columns_side_by_side() -> None:
    body = json_body(operations(DOCUMENTS["matrix"])["v2_model_infer"]["requestBody"])
    assert body["example"] == {
        "inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}]
    }


def test_given_rows_come_before_the_columns_own_examples() -> None:
    document = describe(MATRIX, example_rows=[{"feature_1": 7.0, "feature_2": 8.0}])
    found = operations(document)
    assert json_body(found["predict"]["requestBody"])["example"]["feature_1"] == 7.0
    tensors = json_body(found["v2_model_infer"]["requestBody"])["example"]["inputs"]
    assert tensors[0]["data"] == [7.0, 8.0]


def test_an_inputs_own_example_is_flattened() -> None:
    spec = TensorSpec(name="grid", datatype="INT8", shape=(-1, 2, -1), example=[[[5], [6]]])
    request = openapi_examples.infer_request(Signature(inputs=(spec,), outputs=()), [])
    assert request == {
        "inputs": [{"name": "grid", "shape": [1, 2, 1], "datatype": "INT8", "data": [5, 6]}]
    }


def test_a_missing_value_in_an_example_row_is_no_tensor_element() -> None:
    row = {"age": 1.0, "income's": None, "city": "x", "member": False, "nickname": None}
    request = openapi_examples.infer_request(MIXED, [row])
    assert request is not None
    assert request["inputs"][1]["data"] == [1200.0]
    assert request["inputs"][5]["data"] == ["text"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("images", "The first dimension is the batch"), ("photos", "too large for an example")],
)
def test_tensors_too_large_to_print_have_no_example(name: str, text: str) -> None:
    operation = operations(DOCUMENTS[name])["v2_model_infer"]
    assert ("example" in json_body(operation["requestBody"])) == (name == "images")
    assert text in operation["description"]


GOOD_ROW = {
    "age": 1,
    "income's": None,
    "city": "",
    "member": False,
    "visits": -(2**31),
    "nickname": None,
}


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (GOOD_ROW, True),
        ([GOOD_ROW], True),
        ([GOOD_ROW] * 3, True),
        ([GOOD_ROW] * 4, False),
        ([], False),
        ([[]], False),
        ("row", False),
        (None, False),
        ({}, False),
        (GOOD_ROW | {"extra": 1}, False),
        (GOOD_ROW | {"age": None}, False),
        (GOOD_ROW | {"age": "41"}, False),
        (GOOD_ROW | {"age": True}, False),
        (GOOD_ROW | {"city": 8000}, False),
        (GOOD_ROW | {"member": 1}, False),
        (GOOD_ROW | {"visits": 1.5}, False),
        (GOOD_ROW | {"visits": 2**31 - 1}, True),
        (GOOD_ROW | {"visits": 2**31}, False),
    ],
)
def test_the_schema_and_the_codec_agree_on_a_body(body: Any, *, fits: bool) -> None:
    document = DOCUMENTS["mixed"]
    schema = json_body(operations(document)["predict"]["requestBody"])["schema"]
    assert (errors(document, schema, body) == []) == fits
    try:
        RowsCodec(MIXED, max_rows=3).decode(json.dumps(body).encode())
    except Exception:  # noqa: BLE001 (any refusal will do: the codec's own tests say which)
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("datatype", "largest"), [("FP32", 3.4028235e38), ("FP16", 65504.0), ("UINT64", 2**64 - 1)]
)
def test_the_bounds_of_narrow_numbers_are_what_the_type_holds(
    datatype: Any, largest: float, sign: int
) -> None:
    column = TensorSpec(name="x", datatype=datatype)
    signature = Signature(inputs=(column,), outputs=(), columns=(column,))
    document = describe(signature)
    row = component(document, "Predict.Row")
    assert (errors(document, row, {"x": sign * largest}) == []) == (
        sign == 1 or datatype != "UINT64"
    )
    assert errors(document, row, {"x": sign * largest * 2}) != []
    if datatype.startswith("FP"):
        kind = np.float32 if datatype == "FP32" else np.float16
        assert np.isfinite(kind(largest))


def test_a_column_that_may_be_left_out_is_not_required() -> None:
    column = TensorSpec(name="x", datatype="FP64", required=False)
    document = describe(Signature(inputs=(column,), outputs=(), columns=(column,)))
    assert errors(document, component(document, "Predict.Row"), {}) == []


@pytest.mark.parametrize(
    ("name", "signature", "outputs"),
    [
        ("mixed", MIXED, {"score": np.array([0.25]), "label": np.array([1])}),
        ("mixed", MIXED, {"score": np.array([np.nan]), "label": np.array([1])}),
        (
            "matrix",
            MATRIX,
            {
                "label": np.array(["red"], dtype=object),
                "scores": np.array([[0.5, 0.25, 0.25]], dtype=np.float32),
            },
        ),
        *(
            (
                "onnx",
                ONNX,
                {
                    "probabilities": np.array([[0.25, 0.75]], dtype=np.float32),
                    "variable": np.array([[3.0]], dtype=np.float32),
                    "values": np.zeros((1, 4)),
                    "any": np.zeros((1, width)),
                },
            )
            for width in (1, 2)
        ),
    ],
)
def test_what_the_codec_answers_fits_the_answer_schema(
    name: str, signature: Signature, outputs: dict[str, Any]
) -> None:
    document = DOCUMENTS[name]
    schema = json_body(operations(document)["predict"]["responses"]["200"])["schema"]
    codec = RowsCodec(signature, max_rows=3)
    for single in (True, False):
        answer = json.loads(codec.encode(outputs, single=single))
        assert errors(document, schema, answer) == []


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mixed", {"score": 0.5}),
        ("mixed", {"score": "high", "label": 1}),
        ("mixed", {"score": 0.5, "label": 1.5}),
        ("matrix", {"label": "red", "scores": {"red": 1.0}}),
        ("matrix", {"label": "red", "scores": [1.0, 0.0, 0.0]}),
        ("onnx", {"score": [0.5], "value": 1.0, "values": [0.0] * 4, "any": 0.0}),
        ("onnx", {"score": 0.5, "value": 1.0, "values": [0.0] * 3, "any": 0.0}),
    ],
)
def test_another_answer_does_not_fit_the_answer_schema(name: str, answer: Any) -> None:
    document = DOCUMENTS[name]
    assert errors(document, component(document, "Predict.Answer"), answer) != []


def test_nested_class_scores_are_lists_of_objects() -> None:
    signature = Signature(
        inputs=(MATRIX_SPEC,),
        outputs=(TensorSpec(name="p", datatype="FP64", shape=(-1, 2, 2)),),
        columns=MATRIX.columns,
        answers=(Answer(name="scores", output="p", classes=("a", "b")),),
        matrix=MATRIX_SPEC,
    )
    document = describe(signature)
    answer = json.loads(
        RowsCodec(signature, max_rows=3).encode({"p": np.ones((1, 2, 2))}, single=True)
    )
    assert errors(document, component(document, "Predict.Answer"), answer) == []
    assert answer == {"scores": [{"a": 1.0, "b": 1.0}] * 2}


def test_a_model_of_true_tensors_says_that_predict_is_not_for_it() -> None:
    operation = operations(DOCUMENTS["images"])["predict"]
    assert "200" not in operation["responses"]
    assert "422" in operation["responses"]
    assert "/v2/models/churn/infer" in operation["description"]


@pytest.mark.parametrize("name", ["mixed", "service", "images"])
def test_each_code_that_predict_gives_is_documented(name: str) -> None:
    codes = set(operations(DOCUMENTS[name])["predict"]["responses"]) - {"200"}
    assert codes == {"400", "408", "413", "415", "422", "500", "503", "504"}


def test_each_code_that_v2_gives_is_documented() -> None:
    found = {name: set(each["responses"]) for name, each in operations(DOCUMENTS["mixed"]).items()}
    infer = {"200", "400", "404", "408", "413", "415", "500", "503", "504"}
    assert found["v2_model_infer"] == found["v2_model_version_infer"] == infer
    for name in ("metadata", "ready"):
        assert found[f"v2_model_{name}"] == {"200", "404", "503"}
        assert found[f"v2_model_version_{name}"] == {"200", "404", "503"}
    assert found["v2_server_metadata"] == found["v2_server_ready"] == {"200", "503"}
    assert found["v2_server_live"] == found["health"] == found["metrics"] == {"200"}


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("Predict.Error", {"detail": "no"}, True),
        ("Predict.Error", {"error": "no"}, False),
        ("Predict.Problems", {"detail": "no"}, True),
        ("Predict.Problems", {"detail": [{"loc": ["body", 3], "msg": "m", "type": "t"}]}, True),
        ("Predict.Problems", {"detail": [{"loc": ["body", 3], "msg": "m"}]}, False),
        ("Predict.Problems", {"detail": []}, False),
        ("V2.Error", {"error": "no"}, True),
        ("V2.Error", {"detail": "no"}, False),
        ("V2.Live", {"live": True}, True),
        ("V2.Ready", {"ready": False}, False),
        ("V2.ModelReady", {"name": "churn", "ready": True}, True),
        ("V2.Server", {"name": "boxship", "version": "1", "extensions": []}, True),
        ("V2.RequestInput", {"name": "age", "shape": [1], "datatype": "FP64", "data": [1]}, True),
        ("V2.RequestInput", {"name": "agE", "shape": [1], "datatype": "FP64", "data": [1]}, False),
        ("V2.RequestInput", {"name": "age", "shape": [1], "datatype": "FP64"}, False),
        ("V2.RequestInput", {"name": "age", "shape": [-1], "datatype": "F", "data": []}, False),
        ("V2.ResponseOutput", {"name": "score", "shape": [1], "datatype": "FP64"}, True),
        ("V2.ResponseOutput", {"name": "x", "shape": [1], "datatype": "FP64"}, False),
    ],
)
def test_the_small_bodies_are_what_the_protocol_says(name: str, value: Any, *, fits: bool) -> None:
    document = DOCUMENTS["mixed"]
    assert (errors(document, component(document, name), value) == []) == fits


@pytest.mark.parametrize("phase", [phase for phase in Phase if not State(phase).ready])
@pytest.mark.parametrize("percent", [None, 0, 100])
def test_what_ready_says_before_it_is_ready_fits(phase: Phase, percent: int | None) -> None:
    document = DOCUMENTS["mixed"]
    body = State(phase=phase, percent=percent).body()
    assert errors(document, component(document, "Lifecycle.NotReady"), body) == []


@pytest.mark.parametrize(
    ("operation", "body", "fits"),
    [
        ("v2_server_ready", {"ready": False}, True),
        ("v2_server_ready", {"ready": True}, False),
        ("v2_model_ready", {"name": "churn", "ready": False}, True),
        ("v2_model_version_ready", {"error": "model loading"}, True),
        ("v2_model_ready", {"detail": "model loading"}, False),
        ("ready", {"status": "not_ready", "detail": "draining", "phase": "draining"}, True),
        ("ready", {"status": "not_ready", "detail": "ready", "phase": "retired"}, False),
        ("ready", {"status": "ready"}, False),
    ],
)
def test_the_probes_say_that_they_are_not_ready(operation: str, body: Any, *, fits: bool) -> None:
    document = DOCUMENTS["mixed"]
    schema = json_body(operations(document)[operation]["responses"]["503"])["schema"]
    assert (errors(document, schema, body) == []) == fits


def test_a_v2_request_may_carry_parameters_that_nobody_knows() -> None:
    document = DOCUMENTS["matrix"]
    tensor = {"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2]]}
    request = {"id": "a", "parameters": {"x": [1]}, "inputs": [tensor], "outputs": []}
    schema = component(document, "V2.InferRequest")
    assert errors(document, schema, request) == []
    assert errors(document, schema, request | {"inputs": []}) != []
    assert errors(document, schema, request | {"id": 1}) != []
    assert errors(document, schema, request | {"parameters": {"binary_data_output": 1}}) != []


def test_headers_bear_the_contracts_names() -> None:
    headers = {name.lower() for name in DOCUMENTS["mixed"]["components"]["headers"]}
    assert headers == {
        contract.REQUEST_ID_HEADER,
        contract.MODEL_VERSION_HEADER,
        contract.MODEL_DIGEST_HEADER,
        "retry-after",
    }


def test_every_503_says_when_to_come_back() -> None:
    document = DOCUMENTS["mixed"]
    shared = document["components"]["responses"]
    seen = 0
    for operation in operations(document).values():
        for code, response in operation["responses"].items():
            whole = shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
            assert ("Retry-After" in whole["headers"]) == (code == "503")
            seen += code == "503"
    assert seen == 10


def test_a_services_own_names_stay_its_own() -> None:
    document = DOCUMENTS["service"]
    schemas = document["components"]["schemas"]
    for name, schema in SERVICE_COMPONENTS.items():
        assert schemas[name] == schema
    row = json_body(operations(document)["predict"]["requestBody"])
    assert row["example"] == {"name": "Ada", "home": {"street": "Main"}}
    assert errors(document, row["schema"], {"home": {}}) != []


def test_the_overview_has_the_docstring_the_runtime_and_the_limits() -> None:
    info = DOCUMENTS["mixed"]["info"]
    assert info["description"].startswith("Who leaves.\n\nIndented, as docstrings are.\n")
    assert "scikit-learn 1.7.2" in info["description"]
    assert "1000000 bytes" in info["description"]
    assert DOCUMENTS["service"]["info"]["description"].startswith("A service.")
    assert operations(DOCUMENTS["service"])["predict"]["description"].startswith("Predict who")


@pytest.mark.parametrize("name", ["mixed", "matrix", "onnx"])
def test_the_curl_commands_survive_the_shell_and_carry_the_examples(name: str) -> None:
    document = DOCUMENTS[name]
    block = document["info"]["description"].split("```sh\n")[1].split("\n```")[0]
    found = operations(document)
    sent = {}
    for line in block.splitlines():
        program, url, *_, body = shlex.split(line)
        assert program == "curl"
        sent[url] = json.loads(body)
    origin = f"http://localhost:{contract.PORT}"
    assert sent == {
        f"{origin}/predict": json_body(found["predict"]["requestBody"])["example"],
        f"{origin}/v2/models/churn/infer": json_body(found["v2_model_infer"]["requestBody"])[
            "example"
        ],
    }


def test_a_name_is_quoted_in_the_path_of_a_command() -> None:
    document = openapi.document(
        openapi.ApiDescription(
            name="churn model/2",
            version="7",
            signature=MATRIX,
            runtime="onnxruntime 1.18",
            max_rows=3,
            max_body_bytes=10,
        )
    )
    assert "/v2/models/churn%20model%2F2/infer" in document["info"]["description"]


def test_there_is_no_curl_command_where_nothing_is_known_to_send() -> None:
    assert "curl" not in DOCUMENTS["service without types"]["info"]["description"]


def test_a_curl_command_of_a_wide_model_is_left_to_the_page() -> None:
    columns = tuple(TensorSpec(name=f"column_{i}", datatype="FP64") for i in range(200))
    document = describe(
        Signature(inputs=columns, outputs=OUTPUTS, columns=columns, answers=ANSWERS)
    )
    assert "curl" not in document["info"]["description"]
    assert len(json_body(operations(document)["predict"]["requestBody"])["example"]) == 200


def test_a_pipe_in_a_tensor_name_does_not_break_the_table() -> None:
    signature = Signature(inputs=(TensorSpec(name="a|b", datatype="FP64"),), outputs=())
    text = operations(describe(signature))["v2_model_infer"]["description"]
    assert "| `a\\|b` | FP64 | [-1, 1] |" in text
