"""What every Boxship container promises.

The server obeys these numbers and names, the image declares them, the manifests
derive from them. Whatever two of the three need is written here and nowhere else.
"""

import math
from typing import Final

PORT: Final = 8080
PORT_VARIABLE: Final = "PORT"
MODEL_PATH_VARIABLE: Final = "MODEL_PATH"
CPU_REQUEST_VARIABLE: Final = "BOXSHIP_CPU_REQUEST"
"""The container's CPU request in cores, from the Downward API; read where there is no CPU limit."""

CACHE_VARIABLE: Final = "BOXSHIP_CACHE"
"""The folder of fetched models."""
CACHE_SIZE_VARIABLE: Final = "BOXSHIP_CACHE_SIZE"
"""How large that folder may be; models that were not used for long go first."""

HEALTH: Final = "/health"
READY: Final = "/ready"
PREDICT: Final = "/predict"
METRICS: Final = "/metrics"
DOCS: Final = "/docs"
OPENAPI: Final = "/openapi.json"
V2: Final = "/v2"

UID: Final = 65532
GID: Final = 65532

LIVE_WITHIN_S: Final = 2.0
"""From the start of the process until ``/health`` answers."""

KEEP_ALIVE_S: Final = 75
"""Idle connections live longer than a load balancer's usual 60 s, so it never reuses a closed one."""

HEADER_TIMEOUT_S: Final = 10.0
BODY_TIMEOUT_S: Final = 30.0
REQUEST_TIMEOUT_S: Final = 30.0
DRAIN_DELAY_S: Final = 5.0
TERMINATION_MARGIN_S: Final = 5.0

MAX_WORKERS: Final = 1024
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_ROWS: Final = 10_000
MAX_BATCH_SIZE: Final = 64
MAX_QUEUE_DELAY_MS: Final = 2.0
MAX_QUEUE_SIZE: Final = 1_000

REQUEST_ID_HEADER: Final = "x-request-id"
TRACEPARENT_HEADER: Final = "traceparent"
REQUEST_TIMEOUT_HEADER: Final = "x-request-timeout-ms"
"""A client's own deadline, in milliseconds from the request's arrival."""

MODEL_VERSION_HEADER: Final = "x-model-version"
MODEL_DIGEST_HEADER: Final = "x-model-digest"

TERMINATION_LOG: Final = "/dev/termination-log"
"""Where Kubernetes reads a container's last words (``terminationMessagePath``'s default)."""


def termination_grace_s(drain_delay_s: float, request_timeout_s: float) -> int:
    """Seconds between SIGTERM and SIGKILL that a clean drain needs."""
    return math.ceil(drain_delay_s + request_timeout_s + TERMINATION_MARGIN_S)
