"""The routes of one loaded model, as a plain ASGI application."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import boxship
from boxship import contract, json_input
from boxship.errors import (
    UnknownModelError,
)
from boxship.serve import metrics, statuses
from boxship.serve.api import failures, probes
from boxship.serve.api.direct import Direct
from boxship.serve.api.observer import CLIENT_GONE, Asked, Identity, Observer
from boxship.serve.arrived import DirectHandler
from boxship.serve.batcher import Batcher, Timing, Work
from boxship.serve.codec import slices, v2
from boxship.serve.codec.models import ServedModel
from boxship.serve.documents import page
from boxship.serve.lane import CallerGoneError
from boxship.serve.lifecycle import Phase, State
from boxship.serve.messages import (
    BodyLimits,
    DisconnectedError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
    respond,
    tracing_headers,
)
from boxship.serve.turns import in_turns
from boxship.serve.warmup import WarmUp
from boxship.settings import ServeSettings

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """One path: its label in metrics and logs, and a handler for its method."""

    label: str
    method: str
    handle: Handler


class App:
    """Answers for one model."""

    def __init__(
        self,
        model: ServedModel,
        identity: Identity,
        settings: ServeSettings,
        *,
        warm_up: WarmUp,
        openapi: Callable[[], bytes],
        counters: metrics.ServerMetrics,
    ) -> None:
        self._state = State(Phase.READY)
        self._model = model
        self._identity = identity
        self._openapi = openapi
        self._timeout_s = settings.request_timeout_s
        self._limits = BodyLimits(settings.max_body_size, settings.body_timeout_s)
        self._observer = Observer(identity, settings, counters)
        self._max_rows = settings.max_rows
        self._signature = model.signature
        self._tensors = self._tensors_codec()
        self._batcher = Batcher(
            Work(
                execute=model.execute,
                execute_large=model.execute_large,
                execute_crowded=model.execute_crowded,
                merge=model.merge,
                split=model.split,
            ),
            max_batch_size=settings.max_batch_size,
            max_queue_size=settings.max_queue_size,
            max_queue_delay_s=settings.max_queue_delay_ms / 1000,
            slots=model.slots,
            large_slots=model.large_slots,
            costs=warm_up.costs(),
            observe=self._observer.batch,
        )
        self._routes = self._table()
        self._inline_rows = warm_up.inline_rows
        self._direct = Direct(
            model,
            self._batcher,
            identity,
            settings,
            self._observer,
            warm_up=warm_up,
        )
        self._model_headers = [
            (contract.MODEL_VERSION_HEADER.encode(), identity.version.encode()),
        ]
        if identity.digest:
            self._model_headers.append(
                (contract.MODEL_DIGEST_HEADER.encode(), identity.digest.encode())
            )

    def _table(self) -> Mapping[str, Route]:
        async def live(_: Request) -> Response:
            return probes.live()

        async def health(_: Request) -> Response:
            return probes.health()

        routes = {
            contract.HEALTH: Route(contract.HEALTH, "GET", health),
            contract.READY: Route(contract.READY, "GET", self._ready),
            contract.PREDICT: Route(contract.PREDICT, "POST", self._predict),
            contract.METRICS: Route(contract.METRICS, "GET", self._metrics_page),
            contract.OPENAPI: Route(contract.OPENAPI, "GET", self._openapi_page),
            contract.DOCS: Route(contract.DOCS, "GET", self._docs_page),
            contract.V2: Route(contract.V2, "GET", self._server_metadata),
            f"{contract.V2}/health/live": Route(f"{contract.V2}/health/live", "GET", live),
            f"{contract.V2}/health/ready": Route(
                f"{contract.V2}/health/ready", "GET", self._v2_ready
            ),
        }
        for name in page.ASSETS:
            routes[f"{contract.DOCS}/{name}"] = Route(
                f"{contract.DOCS}/{{asset}}", "GET", self._docs_asset
            )
        base, label = (
            f"{contract.V2}/models/{self._identity.name}",
            f"{contract.V2}/models/{{name}}",
        )
        version = f"/versions/{self._identity.version}"
        for path, shown in ((base, label), (base + version, label + "/versions/{version}")):
            routes[path] = Route(shown, "GET", self._model_metadata)
            routes[path + "/ready"] = Route(shown + "/ready", "GET", self._model_ready)
            routes[path + "/infer"] = Route(shown + "/infer", "POST", self._infer)
        return routes

    @property
    def direct(self) -> DirectHandler:
        """Answers requests that need no ASGI."""
        return self._direct

    def drain(self) -> None:
        """Say unready, and close each connection with its next answer."""
        self._end_connections(Phase.DRAINING)

    def retire(self) -> None:
        """Close each connection with its next answer: another worker has taken this one's place."""
        self._end_connections(Phase.RETIRED)

    def _end_connections(self, phase: Phase) -> None:
        self._state = State(phase)
        self._direct.drain()
        self._batcher.drain()

    def reload_failed(self, detail: str) -> None:
        """Say so to whoever asks whether the server is ready, which it is."""
        self._state = replace(self._state, reload_failure=detail)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its first byte to the last of its answer."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        self._observer.began()
        request = Request(scope, receive, self._limits)
        route = self._routes.get(request.path)
        status = CLIENT_GONE
        request_id = request.request_id()
        headers = tracing_headers(request, request_id) + self._model_headers
        try:
            response = await self._answer(request, route, request_id)
            status = response.status
            close = self._state.closing or status in (408, 413)
            await respond(send, request, response, headers, close=close)
        except DisconnectedError:
            pass  # nobody is left to answer
        except CallerGoneError as error:
            # Unless it has closed its sending half only, and still reads.
            response = statuses.error_response(error, request.path)
            await respond(send, request, response, headers, close=True)
        finally:
            asked = Asked(
                request.method,
                route.label if route else "other",
                request.path,
                request_id,
                request.trace_id(),
                request.model,
                request.rows,
                request.scope.get("client"),
            )
            self._observer.ended(asked, status, monotonic() - request.since)

    async def _answer(self, request: Request, route: Route | None, request_id: str) -> Response:
        try:
            if route is None:
                return self._not_found(request.path)
            if request.method != route.method and not (
                request.method == "HEAD" and route.method == "GET"
            ):
                allowed = "GET, HEAD" if route.method == "GET" else route.method
                return statuses.text_response(
                    405,
                    f"expected {allowed} for {request.path}, found {request.method}",
                    request.path,
                    ((b"allow", allowed.encode()),),
                )
            return await route.handle(request)
        except (DisconnectedError, CallerGoneError):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer)
            return failures.response_to(error, request.path, request_id)

    def _not_found(self, path: str) -> Response:
        if path.startswith(f"{contract.V2}/models/"):
            found = json_input.shown(path.removeprefix(f"{contract.V2}/models/"))
            served = f"{self._identity.name} (version {self._identity.version})"
            raise UnknownModelError(f"expected the model {served}, found {found}")
        known = f"{contract.PREDICT}, {contract.V2}, {contract.DOCS}"
        return statuses.text_response(
            404, f"no such path {json_input.short(path)}; try {known}", path
        )

    async def _ready(self, _: Request) -> Response:
        return probes.ready(self._state)

    async def _v2_ready(self, _: Request) -> Response:
        return probes.server_ready(self._state)

    async def _model_ready(self, _: Request) -> Response:
        return probes.model_ready(self._state, self._identity.name)

    async def _server_metadata(self, _: Request) -> Response:
        body = {
            "name": "boxship",
            "version": boxship.__version__,
            "extensions": ["binary_tensor_data"],
        }
        return json_response(200, body)

    async def _model_metadata(self, _: Request) -> Response:
        signature = self._model.signature
        tensors = {
            kind: [
                {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
                for spec in specs
            ]
            for kind, specs in (("inputs", signature.inputs), ("outputs", signature.outputs))
        }
        body: dict[str, Any] = {
            "name": self._identity.name,
            "versions": [self._identity.version],
            "platform": self._model.runtime.replace(" ", "_"),
            **tensors,
        }
        return json_response(200, body)

    async def _metrics_page(self, _: Request) -> Response:
        self._observer.flush()
        return probes.metrics_page()

    async def _openapi_page(self, _: Request) -> Response:
        return Response(200, self._openapi())

    async def _docs_page(self, _: Request) -> Response:
        return page.page_response(self._identity.name)

    async def _docs_asset(self, request: Request) -> Response:
        return page.asset_response(request)

    def _tensors_codec(self) -> v2.TensorsCodec:
        """The codec of the model's signature, which a service's first answer may settle."""
        signature = self._model.signature
        return v2.TensorsCodec(signature.inputs, signature.outputs, self._max_rows)

    async def _predict(self, request: Request) -> Response:
        request.model = self._identity.name
        request.expect_json()
        deadline = request.deadline(self._timeout_s)
        body = await request.body()
        batch, request.rows, single = await in_turns(
            slices.decode_rows(self._model, body, self._max_rows)
        )
        outputs = await self._run(request, batch, deadline)
        answers = slices.encode_answers(self._model, outputs, request.rows, single=single)
        return Response(200, await in_turns(answers))

    async def _infer(self, request: Request) -> Response:
        request.model = self._identity.name
        header_length = request.header(b"inference-header-content-length")
        if header_length is None:
            request.expect_json()
        deadline = request.deadline(self._timeout_s)
        body = await request.body()
        infer = await in_turns(v2.parse(body, header_length, self._tensors))
        batch, request.rows = self._model.from_tensors(infer.tensors)
        outputs = self._model.to_tensors(await self._run(request, batch, deadline))
        if self._model.signature is not self._signature:
            self._signature, self._tensors = self._model.signature, self._tensors_codec()
        answer = await in_turns(
            self._tensors.response(
                infer, outputs, model=self._identity.name, version=self._identity.version
            )
        )
        if answer.header_length is None:
            return Response(200, answer.body)
        length = str(answer.header_length).encode()
        headers = ((b"inference-header-content-length", length),)
        return Response(200, answer.body, b"application/octet-stream", headers)

    async def _run(self, request: Request, batch: Any, deadline: float) -> Any:
        if request.rows > self._inline_rows:
            return await self._batcher.submit(
                batch,
                request.rows,
                self._model.kind(batch),
                deadline=deadline,
                gone=request.gone,
            )
        started = monotonic()
        outputs = self._model.run(batch)
        self._observer.batch(Timing(request.rows, (0.0,), monotonic() - started))
        return outputs
