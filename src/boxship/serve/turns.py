"""Long work on the event loop, done in turns: other callers have theirs between.

Numbers that travel as text take the interpreter's lock while they are read, so a
thread would not help. Work is a generator that yields where it may pause.
"""

import asyncio
from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Turns = Generator[None, None, Result]

LARGE_BYTES = 64 * 1024
"""Text of more bytes is read in turns of about so many, each well below a millisecond."""
LARGE_ROWS = 256
"""More rows are written in turns of so many."""


def at_once(work: Turns[Result]) -> Result:
    """The result, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return result


async def in_turns(work: Turns[Result]) -> Result:
    """The result; whatever else is due runs at each pause."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        await asyncio.sleep(0)
