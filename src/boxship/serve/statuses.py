"""Which HTTP status each request error deserves, and the shape its body has."""

from typing import Any

from boxship import contract
from boxship.errors import (
    MISSING,
    InputError,
    MalformedError,
    OverloadedError,
    PredictionError,
    Problem,
    RequestError,
    TimeoutExpiredError,
    UnknownModelError,
)
from boxship.serve.lane import CallerGoneError
from boxship.serve.messages import (
    Header,
    MediaTypeError,
    Response,
    TooLargeError,
    TooSlowError,
    json_response,
)

_STATUSES: dict[type, int] = {
    MalformedError: 400,
    InputError: 422,
    UnknownModelError: 404,
    TooSlowError: 408,
    TooLargeError: 413,
    MediaTypeError: 415,
    PredictionError: 500,
    OverloadedError: 503,
    CallerGoneError: 503,
    TimeoutExpiredError: 504,
}


def is_v2(path: str) -> bool:
    """Whether a path belongs to the Open Inference Protocol."""
    return path == contract.V2 or path.startswith(contract.V2 + "/")


def error_response(error: RequestError, path: str) -> Response:
    """The answer to a request that failed: FastAPI's shape, or the protocol's under /v2."""
    # A service may raise a class of its own that derives from one of these.
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
    headers: tuple[Header, ...] = ()
    if isinstance(error, OverloadedError):
        headers = ((b"retry-after", str(error.retry_after_s).encode()),)
    if is_v2(path):
        # The protocol has one status for whatever is wrong with a request's content.
        return json_response(400 if status == 422 else status, {"error": str(error)}, headers)
    if isinstance(error, InputError):
        return json_response(status, {"detail": [_detail(problem) for problem in error.problems]})
    return json_response(status, {"detail": str(error)}, headers)


def text_response(status: int, text: str, path: str, headers: tuple[Header, ...] = ()) -> Response:
    """An error that is one sentence."""
    return json_response(status, {"error" if is_v2(path) else "detail": text}, headers)


def _detail(problem: Problem | str) -> dict[str, Any]:
    """One entry as FastAPI writes it: ``loc``, ``msg``, ``type``."""
    if isinstance(problem, str):
        return {"loc": ["body"], "msg": problem, "type": "value_error"}
    kind = "missing" if problem.found == MISSING else "value_error"
    return {"loc": ["body", *problem.loc], "msg": str(problem), "type": kind}
