"""Log lines on standard error: JSON for machines, text for a terminal."""

import json
import logging
import math
import sys
import traceback
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from types import TracebackType
from typing import Any, Literal

import msgspec

from boxship.contract import HEALTH, READY, V2
from boxship.errors import UsageError

Form = Literal["auto", "json", "text"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PROBES = frozenset(
    {
        *(HEALTH, READY, f"{V2}/health/live", f"{V2}/health/ready"),
        *(f"{V2}/models/{{name}}/ready", f"{V2}/models/{{name}}/versions/{{version}}/ready"),
    }
)
MAX_PATH = 512
MAX_LINES_PER_S = 100
"""Of the access log, unless every request is logged."""
_OFF = logging.CRITICAL + 1

_encoder = msgspec.json.Encoder(enc_hook=repr)
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(*, form: Form, level: str, worker: int | None) -> None:
    """Send every logger's lines, and warnings, to standard error in one form.

    ``auto`` is text where standard error is a terminal, else JSON. ``worker`` is
    the worker's slot, None in the supervisor. Handlers that the root logger had
    are replaced. Raises ``UsageError`` for an unknown level.
    """
    if level.upper() not in _LEVELS:
        raise UsageError(
            f"Expected a log level of {', '.join(_LEVELS).lower()}, found {level!r}.",
            tip="Change the log level.",
        )
    if form == "auto":
        form = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(worker) if form == "json" else _TextFormatter(worker))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    warnings.formatwarning = _warning
    logging.captureWarnings(True)
    for name, least in (("uvicorn.error", logging.WARNING), ("uvicorn.access", _OFF)):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(least)
        logger.propagate = True


def log(
    logger: logging.Logger,
    level: int,
    message: str,
    /,
    *,
    exc_info: BaseException | bool | None = None,
    **fields: object,
) -> None:
    """Log ``message`` with named values, which stay values in the JSON form."""
    if logger.isEnabledFor(level):
        logger.log(level, message, exc_info=exc_info, extra={"fields": fields}, stacklevel=2)


class AccessLog:
    """Logs the requests that somebody may ask about: errors, slow ones, or ``every`` one.

    A probe's 503 is what a probe is for, and is logged at debug only.
    """

    def __init__(self, *, every: bool = False, slow_s: float = 1.0) -> None:
        self._every = every
        self._slow_s = slow_s
        self._logger = logging.getLogger("boxship.access")
        self._second = 0.0
        self._lines = 0
        self._left_out = 0

    def concerns(self, status: int, seconds: float) -> bool:
        """Whether somebody may ask about a request that ended so."""
        return self._every or status >= HTTPStatus.BAD_REQUEST or seconds >= self._slow_s

    def admit(self, status: int, seconds: float) -> bool:
        """Whether a request that ended so is to be recorded; it then has one of this second's lines.

        In an overload, lines would cost the answers.
        """
        if not self.concerns(status, seconds):
            return False
        if self._every:
            return True
        now = monotonic()
        if now - self._second >= 1:
            if self._left_out:
                text = "more requests failed or were slow than are logged"
                log(self._logger, logging.WARNING, text, left_out=self._left_out)
            self._second, self._lines, self._left_out = now, 0, 0
        if self._lines < MAX_LINES_PER_S:
            self._lines += 1
            return True
        self._left_out += 1
        return False

    def record(
        self,
        *,
        method: str,
        route: str,
        path: str,
        status: int,
        seconds: float,
        request_id: str | None = None,
        trace_id: str | None = None,
        model: str | None = None,
        version: str | None = None,
        rows: int | None = None,
        remote: str | None = None,
    ) -> None:
        """Log one answered request that was admitted. ``path`` has no query string."""
        level = logging.INFO
        if status == 503 and route in _PROBES:
            level = logging.DEBUG
        elif status >= 500:
            level = logging.WARNING if status == 503 else logging.ERROR
        if not self._logger.isEnabledFor(level):
            return
        path = path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}…"
        fields = {
            "method": method,
            "route": route,
            "path": path,
            "status": status,
            "seconds": round(seconds, 6),
            "request_id": request_id,
            "trace_id": trace_id,
            "model": model,
            "version": version,
            "rows": rows,
            "remote": remote,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        self._logger.log(level, "request", extra={"fields": given})


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, worker, then the fields."""

    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "worker": self._worker,
        }
        if record.exc_info:
            line["exception"] = _exception(record.exc_info)
        for name, value in _fields(record).items():
            line[f"fields.{name}" if name in line else name] = value
        try:
            return _encoder.encode(line).decode()
        except (TypeError, ValueError, OverflowError, RecursionError):
            # One odd value (a lone surrogate, a key that is no string) must not cost the line.
            return json.dumps(
                {_printable(str(name)): _plain(value) for name, value in line.items()}
            )


class _TextFormatter(logging.Formatter):
    """``12:00:01 INFO  message  key=value``; what was sent to us cannot begin a new line."""

    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        if self._worker is not None:
            fields = {"worker": self._worker, **fields}
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        text = f"{clock} {record.levelname:<5} {_printable(record.getMessage())}"
        pairs = [f"{_printable(str(name))}={_quoted(value)}" for name, value in fields.items()]
        if pairs:
            text += "  " + " ".join(pairs)
        if record.exc_info:
            for line in _exception(record.exc_info).split("\n"):
                text += f"\n    {_printable(line)}"
        return text


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, Mapping) else {"fields": fields}


def _exception(exc_info: _ExcInfo) -> str:
    return "".join(traceback.format_exception(*exc_info)).rstrip("\n")


def _printable(text: str) -> str:
    """``text`` with control characters, line separators and lone surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _quoted(value: object) -> str:
    text = _printable(str(value))
    if text and not any(char in text for char in ' "='):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _plain(value: object) -> object:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _printable(str(value))


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,  # noqa: ARG001 (the signature is the standard library's)
) -> str:
    """A warning without the source line that the standard form adds below it."""
    return f"{filename}:{lineno}: {category.__name__}: {message}"
