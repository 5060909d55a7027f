"""From a project to a loaded, warmed and proven application, phase by phase.

What only some kinds of model need is imported where it is needed: a start is mostly imports.
"""

import logging
import os
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from boxship import contract
from boxship.artifact import formats, model_file
from boxship.errors import RequestError
from boxship.project import Project
from boxship.runtimes.base import Runtime
from boxship.serve import golden, logs, metrics, warmup
from boxship.serve.api.app import App
from boxship.serve.api.observer import Identity
from boxship.serve.arrived import DirectHandler
from boxship.serve.codec.models import ServedModel, TensorModel
from boxship.serve.lifecycle import Phase
from boxship.serve.messages import Receive, Scope, Send
from boxship.serve.processes.channel import Start
from boxship.serve.warmup import WarmUp

if TYPE_CHECKING:
    from boxship.runtimes.service.runtime import ServiceRuntime

logger = logging.getLogger("boxship.serve")


class Application(Protocol):
    """An ASGI application that can be told what becomes of its server."""

    def drain(self) -> None:
        """Say unready, and close each connection with its next answer."""

    def retire(self) -> None:
        """Only close each connection with its next answer."""

    def reload_failed(self, detail: str) -> None:
        """Say that a newer model was to take this one's place, and why it has not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True)
class Served:
    """What a worker serves once it is ready.

    ``direct`` answers requests that need no ASGI. ``notes`` are worth a log line at the
    server's start. ``lifespan`` says whether
    the application has a start-up of its own, ``after_start`` what follows it with the
    state that it left.
    """

    app: Application
    runtime: str
    direct: DirectHandler | None = None
    notes: tuple[str, ...] = ()
    lifespan: bool = False
    after_start: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None


class Loading:
    """One worker's way from a start message to an application."""

    def __init__(
        self, start: Start, counters: metrics.ServerMetrics, enter: Callable[[Phase], None]
    ) -> None:
        self._start = start
        self._project: Project = start.project
        self._counters = counters
        self._enter = enter
        self._notes: list[str] = []

    async def run(self) -> Served:
        """Load what the project names; raises ``BoxshipError`` where that cannot be served.

        The model's files are looked at before any of it runs, and again once it is loaded: until
        its last byte was read, they may have been replaced.
        """
        self._check_files()
        served = await self._load()
        self._check_files()
        return served

    def _check_files(self) -> None:
        if self._start.stamp and self._project.model_path is not None:
            model_file.check_stamp(Path(self._project.model_path), self._start.stamp)

    async def _load(self) -> Served:
        self._enter(Phase.LOAD)
        target = self._project.app or self._project.service
        if target is not None:
            from boxship.runtimes.service import importing

            if self._project.model_path is not None:
                # Code that asks for it as containers do is told the file, never an address.
                os.environ[contract.MODEL_PATH_VARIABLE] = self._project.model_path
            found = importing.import_target(target, self._project.search_path)
            if importing.kind_of(found) == "asgi":
                return self._hosted(found)
            return await self._service(found)
        return await self._artifact(Path(str(self._project.model_path)))

    def _hosted(self, app: Any) -> Served:
        from boxship.serve.api.hosted import HostedApp

        hosted = HostedApp(app, self._identity, self._project.serve, counters=self._counters)
        name = f"{type(app).__module__.partition('.')[0]} application"
        return Served(hosted, name, lifespan=True, after_start=hosted.find_routes)

    async def _service(self, found: Any) -> Served:
        from boxship.runtimes.service.runtime import ServiceRuntime
        from boxship.serve.codec.services import of_service

        runtime = ServiceRuntime(found, inputs=self._project.inputs)
        await runtime.load(self._project.model_path)
        self._enter(Phase.WARM_UP)
        await runtime.warmup()
        await self._first_answer(runtime)
        model = of_service(runtime, max_rows=self._project.serve.max_rows)
        return await self._proven(model, _described_by(runtime), WarmUp())

    async def _first_answer(self, runtime: "ServiceRuntime") -> None:
        """Ask once before anybody does; a service with no possible sample starts cold."""
        sample = runtime.sample(1)
        if sample is None:
            return
        try:
            if runtime.is_async:
                await runtime.run_async(sample)
            else:
                runtime.run(sample)
        except RequestError as error:
            _warn_of_sample(error)

    async def _artifact(self, path: Path) -> Served:
        runtime = self._runtime(path)
        model = TensorModel(runtime, max_rows=self._project.serve.max_rows)
        self._enter(Phase.WARM_UP)
        warm_up = WarmUp()
        try:
            warm_up = await warmup.measure(model, max_batch_size=self._project.serve.max_batch_size)
        except RequestError as error:
            # A made-up row may not suit the model: worth knowing, not worth dying for.
            _warn_of_sample(error)
        else:
            self._notes.append(warm_up.sentence())
            self._counters.warmed_up(
                self._project.name,
                warm_up.call_s,
                warm_up.hop_s,
                inline_rows=warm_up.inline_rows,
                shared_rows=warm_up.shared_rows,
            )
        return await self._proven(model, {}, warm_up)

    def _runtime(self, path: Path) -> Runtime:
        """The runtime for what the file holds; its library is imported only now."""
        if formats.detect(path) is formats.Format.ONNX:
            from boxship.runtimes.onnx.runtime import OnnxRuntime

            runtime = OnnxRuntime(path, threads=self._start.threads, inputs=self._project.inputs)
            self._notes += runtime.notes
            return runtime
        from boxship.artifact import pickles

        loaded = pickles.load(
            path,
            trusted_modules=self._project.trust,
            trust_all=self._project.trust_all,
            allow_skew=self._project.serve.allow_version_skew,
        )
        self._notes.append(
            pickles.notice(
                loaded.report,
                trusted_modules=self._project.trust,
                trust_all=self._project.trust_all,
            )
        )
        self._notes += loaded.warnings
        from boxship.runtimes.sklearn.runtime import SklearnRuntime

        return SklearnRuntime(loaded.model, inputs=self._project.inputs)

    async def _proven(
        self, model: ServedModel, described: dict[str, Any], warm_up: WarmUp
    ) -> Served:
        """The application, once the golden request has its answer."""
        if self._project.golden is not None:
            self._enter(Phase.GOLDEN)
            max_rows = self._project.serve.max_rows
            await golden.ask(self._project.golden, model, max_rows=max_rows)
            self._notes.append("the golden request was answered as expected")
        app = App(
            model,
            self._identity,
            self._project.serve,
            warm_up=warm_up,
            openapi=lambda: self._openapi(model, described),
            counters=self._counters,
        )
        return Served(app, model.runtime, app.direct, tuple(self._notes))

    @property
    def _identity(self) -> Identity:
        return Identity(self._project.name, self._start.version, self._start.digest)

    def _openapi(self, model: ServedModel, described: dict[str, Any]) -> bytes:
        from boxship.serve.documents import openapi

        description = openapi.ApiDescription(
            name=self._project.name,
            version=self._start.version,
            signature=model.signature,
            runtime=f"{model.runtime}, Python {platform.python_version()}",
            max_rows=self._project.serve.max_rows,
            max_body_bytes=self._project.serve.max_body_size,
            **described,
        )
        return msgspec.json.encode(openapi.document(description))


def _warn_of_sample(error: RequestError) -> None:
    logs.log(logger, logging.WARNING, "the warm-up row was not answered", reason=str(error))


def _described_by(runtime: "ServiceRuntime") -> dict[str, Any]:
    """What a service says of its own rows."""
    described: dict[str, Any] = {"predict_description": runtime.predict_description}
    if runtime.row_type is not None:
        row, components = runtime.row_schema()
        answer, more = runtime.answer_schema()
        described |= {
            "row_schema": row,
            "answer_schema": answer,
            "components": {**components, **more},
            "example_rows": runtime.example_rows(),
        }
    return described
