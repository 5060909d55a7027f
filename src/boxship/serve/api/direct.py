"""``/predict`` without ASGI, for requests about which there is nothing to say.

An ASGI call costs a task, an event, two dictionaries and a handful of awaits: more
than a small model's answer. A request that came whole and in plain JSON needs none of
it. One that is wrong goes the application's way, where the words for it are.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any

from boxship import contract
from boxship.errors import OverloadedError, RequestError
from boxship.serve import statuses
from boxship.serve.api import failures
from boxship.serve.api.observer import CLIENT_GONE, Asked, Identity, Observer
from boxship.serve.arrived import Answer, Arrived, Later
from boxship.serve.batcher import Batcher, Timing
from boxship.serve.codec.models import ServedModel
from boxship.serve.inline import InlineCalls
from boxship.serve.lane import CallerGoneError
from boxship.serve.messages import (
    JSON,
    Date,
    Response,
    deadline_s,
    request_id,
    trace_id,
)
from boxship.serve.turns import LARGE_BYTES
from boxship.serve.warmup import WarmUp
from boxship.settings import ServeSettings

_PATH = contract.PREDICT.encode()
_TRACEPARENT = contract.TRACEPARENT_HEADER.encode()
_CLOSE = b"connection: close\r\n"
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


class _Exchange(Later):
    """One request, and what its answer needs of it. It may wait for the end of a pass."""

    __slots__ = ("_identifier", "arrived", "headers", "since", "until")

    def __init__(self, arrived: Arrived, headers: Mapping[bytes, bytes], since: float) -> None:
        self._identifier = ""
        self.until = since
        self.arrived = arrived
        self.headers = headers
        self.since = since

    @property
    def identifier(self) -> str:
        """The request's id, the same in its answer, its body and the log."""
        if not self._identifier:
            self._identifier = request_id(self.headers)
        return self._identifier


class _Batched(Later):
    """A request that waits for the batcher, which tells it as it would a future."""

    __slots__ = ("_direct", "_done", "_exchange", "_rows", "_single")

    def __init__(self, direct: "Direct", exchange: _Exchange, rows: int, *, single: bool) -> None:
        self._direct = direct
        self._exchange = exchange
        self._rows = rows
        self._single = single
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, outputs: Any) -> None:
        self._done = True
        self.deliver(
            *self._direct.batched_answer(self._exchange, outputs, self._rows, single=self._single)
        )

    def set_exception(self, error: Exception) -> None:
        self._done = True
        self.deliver(*self._direct.batched_failure(self._exchange, error, self._rows))


class Direct:
    """Answers small requests: within one turn of the event loop, or through the batcher."""

    def __init__(
        self,
        model: ServedModel,
        batcher: Batcher[Any, Any],
        identity: Identity,
        settings: ServeSettings,
        observer: Observer,
        *,
        warm_up: WarmUp,
    ) -> None:
        self._draining = False
        self._model = model
        self._batcher = batcher
        self._name = identity.name
        self._timeout_s = settings.request_timeout_s
        self._max_bytes = min(settings.max_body_size, LARGE_BYTES)
        self._observer = observer
        self._count_successes = observer.success_counter(contract.PREDICT)
        self._refusal: tuple[RequestError | None, Response] = None, Response(503, b"")
        self._inline_rows = warm_up.inline_rows
        self._singles = model.single_rows if warm_up.shared_rows else None
        if self._singles is not None:
            self._inline = InlineCalls[bytes, _Exchange, bytes](
                self._singles.answer, self, max_rows=warm_up.shared_rows
            )
        self._date = Date()
        fixed = f"{contract.MODEL_VERSION_HEADER}: {identity.version}\r\n"
        if identity.digest:
            fixed += f"{contract.MODEL_DIGEST_HEADER}: {identity.digest}\r\n"
        self._fixed = fixed.encode()

    def drain(self) -> None:
        """Take no more, and close each connection with its next answer."""
        self._draining = True

    def __call__(self, arrived: Arrived) -> Answer | Later | None:
        """The answer, what will give it, or None where the application is to."""
        if self._draining or arrived.url != _PATH or len(arrived.body) > self._max_bytes:
            return None
        headers = dict(arrived.headers)
        if headers.get(b"content-type", JSON) != JSON or b"content-encoding" in headers:
            return None
        exchange = _Exchange(arrived, headers, monotonic())
        try:
            exchange.until = exchange.since + deadline_s(headers, self._timeout_s)
            return self._answer_or_promise(exchange)
        except OverloadedError as error:
            return self._refused(exchange, error)
        except Exception:  # noqa: BLE001 (the application meets it again, and has the words for it)
            return None

    def _answer_or_promise(self, exchange: _Exchange) -> Answer | Later:
        body = exchange.arrived.body
        if self._singles is not None and (row := self._singles.pack(body)):
            self._inline.add(row, exchange)
            return exchange
        if not self._inline_rows and body[:1] == b"{":
            # Before it is read: when there is too much, a refusal must cost next to nothing.
            refusal = self._batcher.refusal(1, exchange.until)
            if refusal:
                return self._refused(exchange, refusal)
        batch, rows, single = self._model.decode_rows(body)
        if rows > self._inline_rows:
            return self._batched(exchange, batch, rows, single=single)
        started = monotonic()
        outputs = self._model.run(batch)
        computed = monotonic()
        response = Response(200, self._model.encode_answers(outputs, single=single))
        self._observer.batch(Timing(rows, (started - exchange.since,), computed - started))
        return self._answer_at_once(exchange, response, rows)

    def _batched(self, exchange: _Exchange, batch: Any, rows: int, *, single: bool) -> Later:
        batched = _Batched(self, exchange, rows, single=single)
        self._batcher.enqueue(
            batch,
            rows,
            self._model.kind(batch),
            batched,
            deadline=exchange.until,
            gone=exchange.arrived.gone,
        )
        self._observer.began()
        return batched

    def batched_answer(
        self, exchange: _Exchange, outputs: Any, rows: int, *, single: bool
    ) -> Answer:
        """The response to a request whose batch the model has answered."""
        try:
            response = Response(200, self._model.encode_answers(outputs, single=single))
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer)
            return self.batched_failure(exchange, error, rows)
        return self._answer_later(exchange, response, rows, response.status, close=self._draining)

    def batched_failure(self, exchange: _Exchange, error: Exception, rows: int) -> Answer:
        """The response to one whose batch has no answer."""
        response = failures.response_to(error, contract.PREDICT, exchange.identifier)
        # Its client may have closed its sending half only, and still read.
        gone = isinstance(error, CallerGoneError)
        status = CLIENT_GONE if gone else response.status
        return self._answer_later(exchange, response, rows, status, close=gone or self._draining)

    def _answer_later(
        self, exchange: _Exchange, response: Response, rows: int, status: int, *, close: bool
    ) -> Answer:
        """Write, count and log the response to a request that was in flight."""
        asked = self._asked(exchange, rows)
        self._observer.ended(asked, status, monotonic() - exchange.since)
        return Answer(self._written(exchange, response, close=close), close)

    def _refused(self, exchange: _Exchange, error: RequestError) -> Answer:
        """Say that it is too much. One error stands for all of a pass, and so does its response."""
        if error is not self._refusal[0]:
            self._refusal = error, statuses.error_response(error, contract.PREDICT)
        return self._answer_at_once(exchange, self._refusal[1], 0)

    def answered(
        self,
        callers: Sequence[_Exchange],
        answers: Sequence[bytes],
        started: float,
        compute_s: float,
    ) -> None:
        """Respond to those who shared a call; what their responses have in common is made once."""
        close = self._draining
        head = self._head(HTTPStatus.OK, JSON, close=close)
        for exchange, body in zip(callers, answers, strict=True):
            exchange.deliver(self._response(head, exchange, body), close)
        now = monotonic()
        seconds = [now - exchange.since for exchange in callers]
        self._count_successes(seconds)
        self._observer.batch(
            Timing(len(callers), [started - exchange.since for exchange in callers], compute_s)
        )
        if self._observer.concerns(HTTPStatus.OK, max(seconds)):
            for exchange, took_s in zip(callers, seconds, strict=True):
                if self._observer.admit(HTTPStatus.OK, took_s):
                    self._observer.log(self._asked(exchange, 1), HTTPStatus.OK, took_s)

    def failed(self, caller: _Exchange, error: Exception) -> None:
        """Respond to one whose row has no answer."""
        response = failures.response_to(error, contract.PREDICT, caller.identifier)
        caller.deliver(*self._answer_at_once(caller, response, 1))

    def _answer_at_once(self, exchange: _Exchange, response: Response, rows: int) -> Answer:
        """Write, count and log the response to a request that never was in flight."""
        data = self._written(exchange, response, close=self._draining)
        status, seconds = response.status, monotonic() - exchange.since
        self._observer.count(contract.PREDICT, status, seconds)
        if self._observer.admit(status, seconds):
            asked = self._asked(exchange, rows)
            self._observer.log(asked, status, seconds)
        return Answer(data, self._draining)

    def _asked(self, exchange: _Exchange, rows: int) -> Asked:
        return Asked(
            "POST",
            contract.PREDICT,
            contract.PREDICT,
            exchange.identifier,
            trace_id(exchange.headers),
            self._name,
            rows,
            exchange.arrived.client,
        )

    def _written(self, exchange: _Exchange, response: Response, *, close: bool) -> bytes:
        head = self._head(response.status, response.content_type, close=close)
        for header in response.headers:
            head += b"%b: %b\r\n" % header
        return self._response(head, exchange, response.body)

    def _head(self, status: int, content_type: bytes, *, close: bool) -> bytes:
        """What a response begins with, whichever request it answers."""
        return b"%b\r\ndate: %b\r\ncontent-type: %b\r\n%b%b" % (
            _STATUS_LINES[status],
            self._date.now(),
            content_type,
            self._fixed,
            _CLOSE if close else b"",
        )

    @staticmethod
    def _response(head: bytes, exchange: _Exchange, body: bytes) -> bytes:
        """A response, with those headers of its request that come back."""
        headers = exchange.headers
        if trace_id(headers):
            head += b"%b: %b\r\n" % (_TRACEPARENT, headers[_TRACEPARENT])
        return b"%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b" % (
            head,
            len(body),
            exchange.identifier.encode(),
            body,
        )
