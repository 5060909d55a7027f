"""``/predict`` without ASGI, for requests about which there is nothing to say.

An ASGI call costs a task, an event, two dictionaries and a handful of awaits: more
than a small model's answer. A request that came whole and in plain JSON needs none of
it. One that is wrong goes the application's way, where the words for it are.
"""

from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any

from boxship import contract
from boxship.errors import RequestError
from boxship.serve import statuses
from boxship.serve.api import failures
from boxship.serve.api.observer import CLIENT_GONE, Asked, Identity, Observer
from boxship.serve.arrived import Answer, Arrived, Soon
from boxship.serve.batcher import Batcher, Timing
from boxship.serve.codec.models import ServedModel
from boxship.serve.inline import InlineCalls
from boxship.serve.lane import CallerGoneError
from boxship.serve.messages import (
    JSON,
    Date,
    Header,
    Response,
    deadline_s,
    request_id,
    trace_id,
)
from boxship.serve.turns import LARGE_BYTES
from boxship.settings import ServeSettings

_PATH = contract.PREDICT.encode()
_TRACEPARENT = contract.TRACEPARENT_HEADER.encode()
_CLOSE = (b"connection", b"close")
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


class _Exchange(Soon):
    """One request, and what its answer needs of it. It may wait for the end of a pass."""

    __slots__ = ("_direct", "arrived", "headers", "since")

    def __init__(
        self, direct: "Direct", arrived: Arrived, headers: Mapping[bytes, bytes], since: float
    ) -> None:
        self._direct = direct
        self.arrived = arrived
        self.headers = headers
        self.since = since

    def answer(self, body: bytes) -> None:
        """Say what the model said of the one row."""
        self.deliver(self._direct.succeeded(self, body, 1))

    def fail(self, error: Exception) -> None:
        """Say what is wrong."""
        self.deliver(self._direct.failed(self, error, 1))


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
        inline_rows: int,
    ) -> None:
        self.draining = False
        self._model = model
        self._batcher = batcher
        self._name = identity.name
        self._timeout_s = settings.request_timeout_s
        self._max_bytes = min(settings.max_body_size, LARGE_BYTES)
        self._observer = observer
        self._count = observer.inline(contract.PREDICT)
        self._inline_rows = inline_rows
        self._singles = model.single_rows if inline_rows else None
        if self._singles is not None:
            self._inline = InlineCalls(
                self._singles.answer, max_rows=inline_rows, observe=observer.batch
            )
        self._date = Date()
        fixed = f"{contract.MODEL_VERSION_HEADER}: {identity.version}\r\n"
        if identity.digest:
            fixed += f"{contract.MODEL_DIGEST_HEADER}: {identity.digest}\r\n"
        self._fixed = fixed.encode()

    def __call__(self, arrived: Arrived) -> Answer | Soon | Coroutine[Any, Any, Answer] | None:
        """The answer, what will give it, or None where the application is to."""
        if self.draining or arrived.url != _PATH or len(arrived.body) > self._max_bytes:
            return None
        headers = dict(arrived.headers)
        if headers.get(b"content-type", JSON) != JSON or b"content-encoding" in headers:
            return None
        exchange = _Exchange(self, arrived, headers, monotonic())
        try:
            until = exchange.since + deadline_s(headers, self._timeout_s)
            if self._inline_rows:
                return self._inline_or_batched(exchange, until)
            # Before it is read: when there is too much, a refusal must cost next to nothing.
            refusal = self._batcher.refusal(1, until)
            return self.failed(exchange, refusal) if refusal else self._batched(exchange, until)
        except RequestError:
            return None

    def _inline_or_batched(
        self, exchange: _Exchange, until: float
    ) -> Answer | Soon | Coroutine[Any, Any, Answer]:
        body = exchange.arrived.body
        if self._singles is not None and (row := self._singles.pack(body)):
            self._inline.add(row, exchange)
            return exchange
        batch, rows, single = self._model.decode_rows(body)
        if rows > self._inline_rows:
            return self._through_batcher(exchange, batch, rows, until, single=single)
        started = monotonic()
        outputs = self._model.run(batch)
        computed = monotonic()
        answer = self.succeeded(exchange, self._model.encode_answers(outputs, single=single), rows)
        self._observer.batch(Timing(rows, (started - exchange.since,), computed - started))
        return answer

    def _batched(self, exchange: _Exchange, until: float) -> Coroutine[Any, Any, Answer]:
        batch, rows, single = self._model.decode_rows(exchange.arrived.body)
        return self._through_batcher(exchange, batch, rows, until, single=single)

    def succeeded(self, exchange: _Exchange, body: bytes, rows: int) -> Answer:
        """The response to a request whose model was called on the event loop."""
        headers, identifier = exchange.headers, request_id(exchange.headers)
        more = (_CLOSE,) if self.draining else ()
        data = self._written(200, JSON, body, headers, identifier, *more)
        seconds = monotonic() - exchange.since
        self._count(seconds)
        if self._observer.wants(200, seconds):
            asked = self._asked(exchange.arrived, headers, identifier, rows)
            self._observer.log(asked, 200, seconds)
        return Answer(data, self.draining)

    def failed(self, exchange: _Exchange, error: Exception, rows: int = 0) -> Answer:
        """The response to a request that has no answer."""
        headers, identifier = exchange.headers, request_id(exchange.headers)
        response = failures.response_to(error, contract.PREDICT, identifier)
        more = (*response.headers, _CLOSE) if self.draining else response.headers
        data = self._written(
            response.status, response.content_type, response.body, headers, identifier, *more
        )
        asked = self._asked(exchange.arrived, headers, identifier, rows)
        self._observer.answered(asked, response.status, monotonic() - exchange.since)
        return Answer(data, self.draining)

    async def _through_batcher(
        self, exchange: _Exchange, batch: Any, rows: int, until: float, *, single: bool
    ) -> Answer:
        self._observer.began()
        headers, identifier = exchange.headers, request_id(exchange.headers)
        status: int | None = None
        try:
            outputs = await self._batcher.submit(
                batch,
                rows,
                self._model.kind(batch),
                deadline=until,
                gone=exchange.arrived.gone,
            )
            response = Response(200, self._model.encode_answers(outputs, single=single))
        except CallerGoneError as error:
            # Unless it has closed its sending half only, and still reads.
            response = statuses.error_response(error, contract.PREDICT)
            status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer)
            response = failures.response_to(error, contract.PREDICT, identifier)
        seconds = monotonic() - exchange.since
        asked = self._asked(exchange.arrived, headers, identifier, rows)
        self._observer.ended(asked, status or response.status, seconds)
        close = self.draining or status == CLIENT_GONE
        more = (*response.headers, _CLOSE) if close else response.headers
        data = self._written(
            response.status, response.content_type, response.body, headers, identifier, *more
        )
        return Answer(data, close)

    def _asked(
        self, arrived: Arrived, headers: Mapping[bytes, bytes], identifier: str, rows: int
    ) -> Asked:
        return Asked(
            "POST",
            contract.PREDICT,
            contract.PREDICT,
            identifier,
            trace_id(headers),
            self._name,
            rows,
            arrived.client,
        )

    def _written(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Mapping[bytes, bytes],
        identifier: str,
        *more: Header,
    ) -> bytes:
        """The whole response, with those ``headers`` of the request that come back."""
        lines = b"".join([b"%b: %b\r\n" % header for header in more]) if more else b""
        if _TRACEPARENT in headers and trace_id(headers):
            lines += b"%b: %b\r\n" % (_TRACEPARENT, headers[_TRACEPARENT])
        return (
            b"%b\r\ndate: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
            b"x-request-id: %b\r\n%b%b\r\n%b"
        ) % (
            _STATUS_LINES[status],
            self._date.now(),
            content_type,
            len(body),
            identifier.encode(),
            self._fixed,
            lines,
            body,
        )
