"""Log lines: JSON that parses, text that nobody else can forge, requests worth a line."""

import json
import logging
import os
import pty
import re
import sys
import warnings
from collections.abc import Iterator

import pytest

from boxship.errors import UsageError
from boxship.serve import logs
from boxship.serve.logs import AccessLog, configure, log

logger = logging.getLogger("boxship.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is one global thing; each test gets it back as it was."""
    root = logging.getLogger()
    handlers, level, form = root.handlers[:], root.level, warnings.formatwarning
    uvicorn = [logging.getLogger(name) for name in ("uvicorn.error", "uvicorn.access")]
    before = [(each.handlers[:], each.level, each.propagate) for each in uvicorn]
    yield
    logging.captureWarnings(False)
    warnings.formatwarning = form
    root.handlers[:] = handlers
    root.setLevel(level)
    for each, (old, old_level, propagate) in zip(uvicorn, before, strict=True):
        each.handlers[:], each.propagate = old, propagate
        each.setLevel(old_level)


Stderr = pytest.CaptureFixture[str]


@pytest.fixture
def stderr(capsys: Stderr) -> Stderr:
    return capsys


def lines(stderr: Stderr) -> list[dict[str, object]]:
    return [json.loads(line) for line in stderr.readouterr().err.splitlines()]


def test_json_has_the_standard_keys_and_the_fields(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=1)
    log(logger, logging.INFO, "model loaded", model="churn", seconds=0.25)
    (line,) = lines(stderr)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("time")))
    assert line == {
        "level": "info",
        "logger": "boxship.test",
        "message": "model loaded",
        "worker": 1,
        "model": "churn",
        "seconds": 0.25,
    }


def test_fields_may_come_through_extra_and_the_supervisor_has_no_number(
    stderr: Stderr,
) -> None:
    configure(form="json", level="info", worker=None)
    logger.info("listening on %s", 8080, extra={"fields": {"port": 8080}})
    logger.info("odd", extra={"fields": "no mapping"})
    first, second = lines(stderr)
    assert first["message"] == "listening on 8080"
    assert (first["worker"], first["port"]) == (None, 8080)
    assert second["fields"] == "no mapping"


def test_a_field_does_not_replace_a_standard_key(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=None)
    log(logger, logging.INFO, "real", level="fatal", message="forged")
    (line,) = lines(stderr)
    assert (line["level"], line["message"]) == ("info", "real")
    assert (line["fields.level"], line["fields.message"]) == ("fatal", "forged")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\udcff", "\\udcff"),
        ({(1, 2): "pair"}, {"(1, 2)": "pair"}),
        (1 << 80, 1 << 80),
        (float("nan"), None),
        (object, "<class 'object'>"),
    ],
)
def test_an_odd_value_does_not_cost_the_line(
    stderr: Stderr, value: object, expected: object
) -> None:
    configure(form="json", level="info", worker=0)
    log(logger, logging.INFO, "odd", value=value, seconds=0.5)
    (line,) = lines(stderr)
    assert (line["message"], line["worker"], line["value"]) == ("odd", 0, expected)
    assert line["seconds"] == 0.5


def test_an_exception_is_one_string_in_json_and_indented_in_text(stderr: Stderr) -> None:
    def fail() -> None:
        error = ValueError("broken\n12:00:00 INFO  forged")
        log(logger, logging.ERROR, "failed", exc_info=error)

    configure(form="json", level="info", worker=None)
    fail()
    (line,) = lines(stderr)
    assert line["exception"] == "ValueError: broken\n12:00:00 INFO  forged"
    configure(form="text", level="info", worker=None)
    fail()
    first, *rest = stderr.readouterr().err.splitlines()
    assert first.endswith("ERROR failed")
    assert rest == ["    ValueError: broken", "    12:00:00 INFO  forged"]


def test_text_is_a_line_for_people(stderr: Stderr) -> None:
    configure(form="text", level="info", worker=2)
    log(logger, logging.INFO, "model loaded", model="churn", note="a b", path='x="y"', empty="")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO  model loaded  "
        r'worker=2 model=churn note="a b" path="x=\\"y\\"" empty=""\n',
        stderr.readouterr().err,
    )


def test_text_without_fields_ends_with_the_message(stderr: Stderr) -> None:
    configure(form="text", level="info", worker=None)
    logger.warning("draining")
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING draining\n", stderr.readouterr().err)


@pytest.mark.parametrize(
    "sent", ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\x00b", "a\u2028b", "a\x85b", "a\u202eb", "a\udc80b"]
)
def test_what_was_sent_cannot_forge_a_line_or_move_the_cursor(stderr: Stderr, sent: str) -> None:
    configure(form="text", level="info", worker=None)
    logger.info(sent, extra={"fields": {"path": sent, sent: "key"}})
    text = stderr.readouterr().err
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert text.count(sent.encode("unicode_escape").decode()) == 3


def test_the_exception_being_handled_is_logged_with_its_traceback(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=None)
    try:
        int("twelve")
    except ValueError:
        log(logger, logging.ERROR, "failed", exc_info=True)
    (line,) = lines(stderr)
    assert str(line["exception"]).startswith("Traceback (most recent call last):\n")
    assert str(line["exception"]).endswith("invalid literal for int() with base 10: 'twelve'")


def test_auto_is_json_off_a_terminal(stderr: Stderr) -> None:
    configure(form="auto", level="info", worker=None)
    logger.info("hello")
    assert lines(stderr)[0]["message"] == "hello"


def test_auto_is_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        configure(form="auto", level="info", worker=None)
        logger.info("hello")
        shown = os.read(controller, 1000).decode()
    os.close(controller)
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO  hello\r\n", shown)


def test_the_level_holds_and_a_second_call_replaces_the_first(stderr: Stderr) -> None:
    configure(form="json", level="debug", worker=None)
    configure(form="json", level="warning", worker=None)
    log(logger, logging.INFO, "unseen")
    log(logger, logging.WARNING, "seen")
    assert [line["message"] for line in lines(stderr)] == ["seen"]


def test_an_unknown_level_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"debug, info, warning, error, critical, found 'loud'"):
        configure(form="json", level="loud", worker=None)


def test_warnings_are_log_lines_without_their_source(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old model", UserWarning, stacklevel=1)
    (line,) = lines(stderr)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert str(line["message"]).endswith(": UserWarning: old model")


def test_uvicorn_is_quiet_but_for_its_warnings(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=None)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.access").critical("GET /")
    assert [line["message"] for line in lines(stderr)] == ["Invalid HTTP request received."]


@pytest.mark.parametrize(
    ("route", "status", "seconds", "every", "level"),
    [
        ("/predict", 200, 0.01, False, None),
        ("/predict", 200, 0.01, True, "info"),
        ("/predict", 200, 1.0, False, "info"),
        ("/predict", 422, 0.01, False, "info"),
        ("/predict", 500, 0.01, False, "error"),
        ("/predict", 503, 0.01, False, "warning"),
        ("/ready", 503, 0.01, False, "debug"),
        ("/health", 503, 0.01, True, "debug"),
        ("/v2/health/ready", 503, 2.0, False, "debug"),
        ("/ready", 500, 0.01, False, "error"),
    ],
)
def test_requests_that_somebody_may_ask_about_are_logged(
    stderr: Stderr,
    route: str,
    status: int,
    *,
    seconds: float,
    every: bool,
    level: str | None,
) -> None:
    configure(form="json", level="debug", worker=0)
    access = AccessLog(every=every)
    if access.admit(status, seconds):
        access.record(method="POST", route=route, path=route, status=status, seconds=seconds)
    assert [line["level"] for line in lines(stderr)] == ([level] if level else [])


def test_a_probes_503_is_unseen_at_info(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=0)
    AccessLog().record(method="GET", route="/ready", path="/ready", status=503, seconds=0.0)
    assert stderr.readouterr().err == ""


def test_an_access_line_has_what_is_known_and_no_more(stderr: Stderr) -> None:
    configure(form="json", level="info", worker=0)
    AccessLog(slow_s=0.1).record(
        method="POST",
        route="/predict",
        path="/predict" + "x" * 5000,
        status=200,
        seconds=0.1234567,
        request_id="r1",
        trace_id="t1",
        model="churn",
        version="3",
        rows=4,
    )
    (line,) = lines(stderr)
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "boxship.access",
        "message": "request",
        "worker": 0,
        "method": "POST",
        "route": "/predict",
        "path": ("/predict" + "x" * 5000)[: logs.MAX_PATH] + "…",
        "status": 200,
        "seconds": 0.123457,
        "request_id": "r1",
        "trace_id": "t1",
        "model": "churn",
        "version": "3",
        "rows": 4,
    }


def test_an_overload_leaves_lines_out_and_says_how_many(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless every request is to be logged."""
    now = 10.0
    monkeypatch.setattr(logs, "monotonic", lambda: now)
    configure(form="json", level="info", worker=0)
    access = AccessLog()
    admitted = [access.admit(503, 0.0) for _ in range(logs.MAX_LINES_PER_S + 50)]
    assert admitted.count(True) == logs.MAX_LINES_PER_S
    assert AccessLog(every=True).admit(200, 0.0)
    now += 1
    assert access.admit(503, 0.0)
    (line,) = lines(stderr)
    assert (line["level"], line["left_out"]) == ("warning", 50)
