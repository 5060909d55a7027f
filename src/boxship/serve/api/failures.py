"""What a client is told when its request fails, and what the log keeps of it."""

import logging

from boxship.errors import PredictionError, RequestError
from boxship.serve import logs, statuses
from boxship.serve.messages import Response

logger = logging.getLogger("boxship.serve")


def response_to(error: Exception, path: str, request_id: str) -> Response:
    """The answer to a request that ended in ``error``."""
    if isinstance(error, PredictionError):
        logs.log(logger, logging.ERROR, "the model failed", exc_info=error, request_id=request_id)
    if isinstance(error, RequestError):
        return statuses.error_response(error, path)
    logs.log(logger, logging.ERROR, "a request failed", exc_info=error, request_id=request_id)
    text = f"internal error; the server's log has it under request id {request_id}"
    return statuses.text_response(500, text, path)
