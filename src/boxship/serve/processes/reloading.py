"""A newer model in the place of the old one, while the server serves."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from boxship import contract
from boxship.errors import BoxshipError, FetchError
from boxship.serve import logs
from boxship.serve.processes import channel
from boxship.serve.processes.bringing import Bringing, Brought
from boxship.serve.processes.child import Child
from boxship.settings import ServeSettings

logger = logging.getLogger("boxship.serve")


_ROUNDS = 3
"""So often is a reload begun that finds its model replaced again on the way."""


class _HalfwayError(Exception):
    """One worker has the new model, and the next one could not get it."""


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

    def retired(self) -> None:
        """A worker is about to go: it no longer counts."""

    async def forget(self, old: Child) -> None:
        """A worker has gone for good, once nothing follows it."""

    def reloaded(self, failure: str) -> None:
        """Count what came of a reload, and say it to whoever asks: "" where nothing failed."""

    def tell_failure(self, failure: str) -> None:
        """Have ``/ready`` say why the newest model is not served; "" where it is."""


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

        One that was no good is not tried again; one that could not be fetched is.
        """
        self._identity = seen = identity
        if not identity:
            logger.warning("no watch: the model's store says of no object when it was changed")
            return
        while True:
            await asyncio.sleep(every_s)
            try:
                now = await self._bringing.identity()
            except BoxshipError as error:
                logger.warning("the model's store does not answer: %s", error.paragraph())
                continue
            if now == self._identity:
                if seen != now:
                    self._fleet.tell_failure("")
                seen = now
            elif now != seen and await self.reload(unless=now):
                seen = now

    async def reload(self, *, unless: str = "") -> bool:
        """Have a newer model take over; one that fails on its way to ready leaves the old serving.

        Nothing is done where ``unless`` is the identity of what is served by now. False where
        the model could not even be fetched: it may be next time.
        """
        async with self._alone:
            if self._fleet.draining or (unless and unless == self._identity):
                return True
            try:
                for left in reversed(range(_ROUNDS)):
                    try:
                        await self._round()
                        break
                    except _HalfwayError as error:
                        if not left:
                            self._failed(str(error), "some workers have the new model")
                            return False
                        logger.warning("the reload begins anew: %s", error)
            except FetchError as error:
                self._failed(error.paragraph())
                return False
            except BoxshipError as error:
                self._failed(error.paragraph())
            except Exception as error:
                logger.exception("a reload failed")
                self._failed(f"{type(error).__name__}: {error}")
            return True

    async def _round(self) -> None:
        """Bring the model that there is now to every worker."""
        brought = await self._bringing.bring()
        if await self._switch(self._fleet.order(brought)):
            self._identity = brought.identity
            start = self._fleet.in_use()
            self._bringing.keep_only(start.digest)
            self._fleet.reloaded("")
            logs.log(logger, logging.INFO, "reloaded", digest=start.digest, version=start.version)

    async def _switch(self, start: channel.Start) -> bool:
        """A new worker is ready before an old one goes; False where the server drains."""
        before = self._fleet.in_use()
        self._fleet.use(start)
        for number, old in enumerate(self._fleet.workers):
            try:
                new = await self._fleet.add(trial=number == 0)
            except BaseException as error:
                if number == 0:
                    self._fleet.use(before)
                elif isinstance(error, BoxshipError):
                    # Two models must not answer side by side for longer than a switch takes.
                    raise _HalfwayError(error.paragraph()) from error
                raise
            if new is None:
                return False
            await self._retire(old)
        return True

    async def _retire(self, old: Child) -> None:
        """By the rules of a drain, except that the server stays ready."""
        serves = old.ready
        old.retired = True
        self._fleet.retired()
        if not serves:
            old.kill()
        else:
            old.tell(channel.Retire())
            await asyncio.sleep(self._settings.drain_delay_s)
            old.tell(channel.Close())
        limit = self._settings.request_timeout_s + contract.TERMINATION_MARGIN_S / 2
        try:
            async with asyncio.timeout(limit):
                await old.ended()
        except TimeoutError:
            old.kill()
        await self._fleet.forget(old)

    def _failed(self, reason: str, left: str = "the old model goes on") -> None:
        if not self._fleet.draining:
            logger.error("the reload failed, %s: %s", left, reason)
            self._fleet.reloaded(reason)
