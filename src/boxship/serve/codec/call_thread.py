"""The thread in which a model is called."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

REST_S = 0.02
"""The longest that the event loop leaves the interpreter to a model while requests are refused."""

Batch = TypeVar("Batch")
Answers = TypeVar("Answers")


class CallThread:
    """Runs one call at a time, away from the event loop."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(
        self, call: Callable[[Batch], Answers], batch: Batch, *, rest_s: float = 0.0
    ) -> Answers:
        """What ``call`` makes of ``batch``. The event loop first rests for ``rest_s`` at most.

        A call that lets go of the interpreter's lock often, as scikit-learn's forests do for
        each tree, must win it back each time. Beside an event loop that never rests it
        takes ten times as long, and its end is seen two passes of that loop later.
        """
        running = self._pool.submit(call, batch)
        if rest_s and wait((running,), rest_s).done:
            return running.result()
        return await asyncio.wrap_future(running)
