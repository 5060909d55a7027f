"""Which status each error deserves, and the body that says why."""

import json
from typing import Any

import pytest

from boxship.errors import (
    InputError,
    MalformedError,
    OverloadedError,
    PredictionError,
    Problem,
    RequestError,
    TimeoutExpiredError,
    UnknownModelError,
)
from boxship.serve.messages import MediaTypeError, TooLargeError, TooSlowError
from boxship.serve.statuses import error_response, is_v2, text_response

PREDICT = "/predict"
INFER = "/v2/models/churn/infer"


class AgeError(InputError):
    """One that a service made for itself."""


@pytest.mark.parametrize(
    ("error", "status", "v2_status"),
    [
        (MalformedError("x"), 400, 400),
        (InputError("x"), 422, 400),
        (AgeError("x"), 422, 400),
        (UnknownModelError("x"), 404, 404),
        (TooSlowError("x"), 408, 408),
        (TooLargeError("x"), 413, 413),
        (MediaTypeError("x"), 415, 415),
        (PredictionError("x"), 500, 500),
        (OverloadedError("x"), 503, 503),
        (TimeoutExpiredError("x"), 504, 504),
        (RequestError("x"), 500, 500),
    ],
)
def test_each_error_has_its_status(error: RequestError, status: int, v2_status: int) -> None:
    """The protocol has one status for whatever is wrong with a request."""
    plain, v2 = error_response(error, PREDICT), error_response(error, INFER)
    assert (plain.status, v2.status) == (status, v2_status)
    assert plain.content_type == v2.content_type == b"application/json"
    assert json.loads(v2.body) == {"error": "x"}


def detail(error: RequestError) -> Any:
    return json.loads(error_response(error, PREDICT).body)["detail"]


def test_input_errors_are_listed_as_fastapi_lists_them() -> None:
    error = InputError(
        Problem((0, "age"), "a number", "null"),
        Problem(("city",), "a string", "nothing: it is missing"),
        "income must not be negative",
    )
    assert detail(error) == [
        {
            "loc": ["body", 0, "age"],
            "msg": "[0].age: expected a number, found null",
            "type": "value_error",
        },
        {
            "loc": ["body", "city"],
            "msg": "city: expected a string, found nothing: it is missing",
            "type": "missing",
        },
        {"loc": ["body"], "msg": "income must not be negative", "type": "value_error"},
    ]


def test_the_protocol_has_one_sentence() -> None:
    error = InputError(Problem(("age", "data", 0), "a number", "null"), "and more")
    body = json.loads(error_response(error, INFER).body)
    assert body == {"error": "age.data[0]: expected a number, found null; and more"}


def test_other_errors_are_one_sentence() -> None:
    assert detail(MalformedError("expected JSON")) == "expected JSON"


@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_overload_says_when_to_come_back(path: str) -> None:
    assert error_response(OverloadedError("full", retry_after_s=7), path).headers == (
        (b"retry-after", b"7"),
    )
    assert error_response(PredictionError("x"), path).headers == ()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v2", True),
        ("/v2/models/churn", True),
        ("/v22", False),
        ("/predict", False),
        ("/", False),
    ],
)
def test_is_v2(path: str, answer: bool) -> None:  # noqa: FBT001
    assert is_v2(path) is answer


def test_a_sentence_in_the_shape_of_its_path() -> None:
    headers = ((b"allow", b"POST"),)
    assert json.loads(text_response(405, "x", PREDICT).body) == {"detail": "x"}
    found = text_response(405, "x", INFER, headers)
    assert (found.status, json.loads(found.body), found.headers) == (405, {"error": "x"}, headers)
