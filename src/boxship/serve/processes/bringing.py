"""A project's model, brought here and verified before any worker loads it."""

import asyncio
import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeVar

from msgspec import structs

from boxship.artifact import model_file
from boxship.artifact.cache import Cache, default_folder, default_limit
from boxship.artifact.fetch import Fetch, Fetched, Progress
from boxship.artifact.model_file import ModelFile
from boxship.errors import BoxshipError
from boxship.location import Location
from boxship.project import Project
from boxship.serve import logs
from boxship.serve.lifecycle import Phase, State
from boxship.serve.processes.channel import Start

logger = logging.getLogger("boxship.serve")

Found = TypeVar("Found")


@dataclass(frozen=True)
class Brought:
    """A project whose model is on this machine, and what its bytes are.

    ``fetched`` is what its store had to do with it.
    """

    project: Project
    model: ModelFile
    fetched: Fetched | None = None

    @property
    def identity(self) -> str:
        """What the store or the disk calls this very object; "" where it has no word for it."""
        return self.fetched.identity if self.fetched else self.model.stamp


class Bringing:
    """Brings a project's model, as often as it is asked to; ``told`` hears how far it is.

    ``counted`` hears of each model that was fetched, or found in the cache.
    """

    def __init__(
        self,
        project: Project,
        told: Callable[[State], None],
        counted: Callable[[Fetched], None],
    ) -> None:
        self._project = project
        self._told = told
        self._counted = counted
        self._tenths = 0
        self._held: dict[str, IO[bytes] | None] = {}

    async def bring(self) -> Brought:
        """Fetch and verify; raises ``BoxshipError``."""
        project, fetched = self._project, None
        if project.source is not None:
            fetched = await self._fetch(project.source)
            model = fetched.model
            project = replace(
                project, model_path=str(model.path), model_digest=model.digest, source=None
            )
        self._told(State(Phase.VERIFY))
        if project.model_path is None:
            return Brought(project, ModelFile(), fetched)
        return Brought(project, await self.verified(project, project.model_digest), fetched)

    def keep_only(self, digest: str) -> None:
        """What is served: any other model that was brought may be pruned by now."""
        for other in [one for one in self._held if one != digest]:
            held = self._held.pop(other)
            if held is not None:
                held.close()

    async def verified(self, project: Project, expected: str) -> ModelFile:
        """What the model's file is, all of its bytes read; raises ``BoxshipError``."""
        where = Path(str(project.model_path))
        return await in_background(
            lambda: model_file.examine(where, self._verifying, expected=expected)
        )

    async def verified_again(self, start: Start) -> Start | None:
        """What workers are to load if it has still the same bytes; if not, None, and says so.

        What has gone from the cache is fetched again, if the store still has it.
        """
        where, source = start.project.model_path, self._project.source
        if where is None:
            return start
        try:
            if source is not None and not await asyncio.to_thread(os.path.exists, where):
                await self._fetch(replace(source, digest=start.digest))
            model = await self.verified(start.project, start.digest)
        except BoxshipError as error:
            logs.log(logger, logging.ERROR, f"no worker is started: {error.paragraph()}")
            return None
        return structs.replace(start, stamp=model.stamp)

    async def identity(self) -> str:
        """What the object is called that is there by now; raises ``BoxshipError``."""
        source, path = self._project.source, self._project.model_path
        if source is None:
            return await in_background(lambda: model_file.stamp_of(Path(str(path))))
        fetcher = self._fetcher(Cache(default_folder()))
        return await in_background(lambda: fetcher.identity(source))

    async def _fetch(self, source: Location) -> Fetched:
        self._told(State(Phase.FETCH))
        self._tenths = 0
        cache = Cache(default_folder())
        fetched = await in_background(lambda: self._fetcher(cache)(source))
        # One hold for each digest, however often it is brought.
        if fetched.model.digest not in self._held:
            self._held[fetched.model.digest] = cache.hold(fetched.model.digest)
        self._counted(fetched)
        logs.log(
            logger,
            logging.INFO,
            "model fetched" if fetched.read_bytes else "model found in the cache",
            source=str(source),
            digest=fetched.model.digest,
            bytes=fetched.model.size,
            seconds=round(fetched.seconds, 3),
        )
        return fetched

    def _fetcher(self, cache: Cache) -> Fetch:
        project = self._project
        return Fetch(
            cache=cache,
            most_bytes=default_limit(),
            single=project.service is None and project.app is None,
            allow_http=project.serve.allow_http,
            told=self._fetching,
        )

    def _fetching(self, progress: Progress) -> None:
        self._told(State(Phase.FETCH, percent=progress.percent))
        if progress.percent // 10 > self._tenths:
            self._tenths = progress.percent // 10
            logger.info("fetched %s %% of %s bytes", 10 * self._tenths, progress.size)

    def _verifying(self, percent: int) -> None:
        self._told(State(Phase.VERIFY, percent=percent))


async def in_background(work: Callable[[], Found]) -> Found:
    """Like ``asyncio.to_thread``, but the end of the server does not wait for ``work``."""
    future: concurrent.futures.Future[Found] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 (raised again where it is awaited)
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
