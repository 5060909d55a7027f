"""A newer model in the place of the old one, while the server serves."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from boxship.errors import BoxshipError
from boxship.serve import logs
from boxship.serve.processes import channel
from boxship.serve.processes.bringing import Bringing, Brought
from boxship.serve.processes.child import Child
from boxship.settings import ServeSettings

logger = logging.getLogger("boxship.serve")


class Fleet(Protocol):
    """The server's workers, as whoever replaces them sees them."""

    @property
    def workers(self) -> Sequence[Child]:
        """Those that there are now."""

    @property
    def draining(self) -> bool:
        """Whether the server is about to end."""

    def order(self, brought: Brought) -> channel.Start:
        """What workers are to do with what was brought."""

    def in_use(self) -> channel.Start:
        """What workers are kept for."""

    def use(self, start: channel.Start) -> None:
        """Have workers that are kept from now on do this."""

    async def add(self, *, trial: bool) -> Child | None:
        """One more worker, once it is ready; None where the server drains meanwhile."""

    def forget(self, old: Child) -> None:
        """A worker has gone for good."""

    def reloaded(self, *, succeeded: bool) -> None:
        """Count what came of a reload."""


class Reloading:
    """Brings the model anew, and puts new workers in the place of the old, one at a time."""

    def __init__(self, fleet: Fleet, bringing: Bringing, settings: ServeSettings) -> None:
        self._fleet = fleet
        self._bringing = bringing
        self._settings = settings
        self._alone = asyncio.Lock()
        self._identity = ""

    async def watch(self, identity: str, every_s: float) -> None:
        """Reload whenever the store has another object than the one that is served.

        One that was no good is not tried again.
        """
        self._identity = seen = identity
        while True:
            await asyncio.sleep(every_s)
            try:
                before, seen = seen, await self._bringing.identity()
            except BoxshipError as error:
                logger.warning("the model's store does not answer: %s", error.paragraph())
                continue
            if seen not in (self._identity, before):
                await self.reload()

    async def reload(self) -> None:
        """One model after the other; one that fails on its way to ready leaves the old serving."""
        async with self._alone:
            if self._fleet.draining:
                return
            try:
                brought = await self._bringing.bring()
                switched = await self._switch(self._fleet.order(brought))
            except BoxshipError as error:
                if not self._fleet.draining:
                    self._failed(error)
                return
            if switched:
                self._identity = brought.identity
                start = self._fleet.in_use()
                self._fleet.reloaded(succeeded=True)
                logs.log(
                    logger,
                    logging.INFO,
                    "reloaded",
                    digest=start.digest,
                    version=start.version,
                )

    async def _switch(self, start: channel.Start) -> bool:
        """A new worker is ready before an old one goes; False where the server drains."""
        before = self._fleet.in_use()
        self._fleet.use(start)
        try:
            for number, old in enumerate(self._fleet.workers):
                # Once the first one serves, the new model is good.
                if await self._fleet.add(trial=number == 0) is None:
                    return False
                await self._retire(old)
        except BoxshipError:
            self._fleet.use(before)
            raise
        return True

    async def _retire(self, old: Child) -> None:
        """By the rules of a drain, except that the server stays ready."""
        old.retired = True
        old.tell(channel.Retire())
        await asyncio.sleep(self._settings.drain_delay_s)
        old.tell(channel.Close())
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await old.ended()
        except TimeoutError:
            old.kill()
            await old.ended()
        self._fleet.forget(old)

    def _failed(self, error: BoxshipError) -> None:
        logger.error("the reload failed, the old model goes on: %s", error.paragraph())
        self._fleet.reloaded(succeeded=False)
        for child in self._fleet.workers:
            child.tell(channel.ReloadFailed(error.message))
