"""``/predict`` without ASGI, for requests about which there is nothing to say.

An ASGI call costs a task, an event, two dictionaries and a handful of awaits: more
than a small model's answer. A request that came whole and in plain JSON needs none of
it. One that is wrong goes the application's way, where the words for it are.
"""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Any

from boxship import contract
from boxship.errors import RequestError
from boxship.serve import statuses
from boxship.serve.api import failures
from boxship.serve.api.observer import CLIENT_GONE, Asked, Identity, Observer
from boxship.serve.arrived import Answer, Arrived
from boxship.serve.batcher import Batcher
from boxship.serve.codec.models import ServedModel
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


@dataclass(slots=True)
class _Exchange:
    """A request that waits for the model, and what its answer needs of it."""

    arrived: Arrived
    headers: Mapping[bytes, bytes]
    since: float
    until: float
    rows: int
    single: bool


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
        self._inline = observer.inline(contract.PREDICT)
        self._inline_rows = inline_rows
        self._date = Date()
        fixed = f"{contract.MODEL_VERSION_HEADER}: {identity.version}\r\n"
        if identity.digest:
            fixed += f"{contract.MODEL_DIGEST_HEADER}: {identity.digest}\r\n"
        self._fixed = fixed.encode()

    def __call__(self, arrived: Arrived) -> Answer | Coroutine[Any, Any, Answer] | None:
        """The answer, what will give it, or None where the application is to."""
        if self.draining or arrived.url != _PATH or len(arrived.body) > self._max_bytes:
            return None
        headers = dict(arrived.headers)
        if headers.get(b"content-type", JSON) != JSON or b"content-encoding" in headers:
            return None
        since = monotonic()
        try:
            until = since + deadline_s(headers, self._timeout_s)
            if not self._inline_rows and (refusal := self._batcher.refusal(1, until)):
                # Before it is read: when there is too much, a refusal must cost next to nothing.
                return self._refused(arrived, headers, since, refusal)
            batch, rows, single = self._model.decode_rows(arrived.body)
            if rows > self._inline_rows:
                exchange = _Exchange(arrived, headers, since, until, rows, single)
                return self._through_batcher(exchange, batch)
            started = monotonic()
            outputs = self._model.run(batch)
            computed = monotonic()
            body = self._model.encode_answers(outputs, single=single)
        except RequestError:
            return None
        identifier = request_id(headers)
        data = self._written(200, JSON, body, headers, identifier)
        seconds = monotonic() - since
        self._inline(rows, computed - started, seconds)
        if self._observer.wants(200, seconds):
            self._observer.log(self._asked(arrived, headers, identifier, rows), 200, seconds)
        return Answer(data)

    def _refused(
        self, arrived: Arrived, headers: Mapping[bytes, bytes], since: float, error: RequestError
    ) -> Answer:
        response = statuses.error_response(error, contract.PREDICT)
        identifier = request_id(headers)
        data = self._written(
            response.status,
            response.content_type,
            response.body,
            headers,
            identifier,
            *response.headers,
        )
        asked = self._asked(arrived, headers, identifier, 0)
        self._observer.answered(asked, response.status, monotonic() - since)
        return Answer(data)

    async def _through_batcher(self, exchange: _Exchange, batch: Any) -> Answer:
        self._observer.began()
        headers, identifier = exchange.headers, request_id(exchange.headers)
        status: int | None = None
        try:
            outputs = await self._batcher.submit(
                batch,
                exchange.rows,
                self._model.kind(batch),
                deadline=exchange.until,
                gone=exchange.arrived.gone,
            )
            response = Response(200, self._model.encode_answers(outputs, single=exchange.single))
        except CallerGoneError as error:
            # Unless it has closed its sending half only, and still reads.
            response = statuses.error_response(error, contract.PREDICT)
            status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer)
            response = failures.response_to(error, contract.PREDICT, identifier)
        seconds = monotonic() - exchange.since
        asked = self._asked(exchange.arrived, headers, identifier, exchange.rows)
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
