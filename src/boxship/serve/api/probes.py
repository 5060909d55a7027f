"""What every application answers to those who ask how it is."""

from boxship.serve.lifecycle import State
from boxship.serve.messages import Header, Response, json_response

_RETRY_AFTER_S = 2

RETRY_LATER: tuple[Header, ...] = ((b"retry-after", str(_RETRY_AFTER_S).encode()),)
"""For whoever came before the model was ready, or while the server goes."""


def health() -> Response:
    """``/health``: the process lives."""
    return json_response(200, {"status": "ok"})


def ready(state: State) -> Response:
    """``/ready``."""
    return _when(state, state.body())


def live() -> Response:
    """``/v2/health/live``."""
    return json_response(200, {"live": True})


def server_ready(state: State) -> Response:
    """``/v2/health/ready``."""
    return _when(state, {"ready": state.ready})


def model_ready(state: State, name: str) -> Response:
    """``/v2/models/{name}/ready``."""
    return _when(state, {"name": name, "ready": state.ready})


def metrics_page() -> Response:
    """``/metrics``, merged over all processes."""
    # Imported with the first scrape: the supervisor's first probe need not wait for it.
    from boxship.serve import metrics

    body, content_type = metrics.render()
    return Response(200, body, content_type.encode())


def _when(state: State, body: object) -> Response:
    if state.ready:
        return json_response(200, body)
    return json_response(503, body, RETRY_LATER)
