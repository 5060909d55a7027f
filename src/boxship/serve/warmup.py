"""Times a model before anybody asks it, and decides what runs without a thread.

Handing a call to another thread and back costs more than a small model's whole
answer. A call that is predicted to take less than such a hop runs on the event loop,
with no queue. So does one for the single rows of a pass, if a full one costs each of them
less than a hop and is brief: in a thread, a model that is mostly Python would fight the
event loop for the interpreter's lock. Any other runs in the model's thread, where it holds nobody up.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import takewhile
from statistics import median
from time import perf_counter

from boxship.errors import RequestError
from boxship.serve.codec.models import TensorModel
from boxship.serve.costs import Costs

_REPEATS = 5
_HOPS = 20
_SURE_S = 0.05
"""Calls that took so long together need no further repetition to be known well enough."""
_BRIEF_S = 0.002
"""What may hold up all others on the event loop: about the reading of a full batch's requests."""
_BUDGET_S = 1.0
"""A model that has taken so long is slow enough to know: larger batches are not tried."""


@dataclass(frozen=True)
class WarmUp:
    """What was measured, in seconds: a call by its rows, and a hop to a thread and back.

    ``inline_rows`` is how many rows a request may hold whose call runs on the event loop,
    ``shared_rows`` how many requests of one row may share such a call; 0 for none.
    """

    call_s: Mapping[int, float] = field(default_factory=dict)
    hop_s: float = 0.0
    inline_rows: int = 0
    shared_rows: int = 0

    def costs(self) -> Costs:
        """What the batcher is to know from the start."""
        costs = Costs()
        for rows, seconds in self.call_s.items():
            costs.observe(rows, seconds)
        return costs

    def sentence(self) -> str:
        """The choice and its numbers."""
        sizes = sorted(self.call_s)
        shown = " and ".join(
            f"{_time(self.call_s[rows])} for {rows} {'row' if rows == 1 else 'rows'}"
            for rows in dict.fromkeys((sizes[0], sizes[-1]))
        )
        parts = []
        if self.inline_rows:
            parts.append(f"requests of up to {self.inline_rows} rows are answered without a thread")
        if self.shared_rows > self.inline_rows:
            parts.append(
                f"up to {self.shared_rows} requests of one row share a call without a thread"
            )
        where = ", and ".join(parts) or "every call runs in a thread"
        return f"{where}: a call takes {shown}, a thread hop {_time(self.hop_s)}"


async def measure(model: TensorModel, *, max_batch_size: int) -> WarmUp:
    """Call ``model`` with growing batches of its own sample.

    Raises ``RequestError`` where it refuses the sample of one row.
    """
    began = perf_counter()
    model.run(model.sample(1))
    call_s: dict[int, float] = {}
    rows = 1
    while rows <= max_batch_size and perf_counter() - began < _BUDGET_S:
        try:
            call_s[rows] = _call_s(model, rows)
        except RequestError:
            if rows == 1:
                raise
            # It may not bear that many of one row; what it bore is known.
            break
        if not model.batchable:
            break
        rows = min(2 * rows, max_batch_size) if rows < max_batch_size else rows + 1
    hop_s = await _hop_s()
    if not model.reentrant:
        return WarmUp(call_s, hop_s)
    inline = takewhile(lambda rows: call_s[rows] <= hop_s, call_s)
    shared = [
        rows
        for rows, seconds in call_s.items()
        if model.single_rows is not None and seconds <= min(rows * hop_s, _BRIEF_S)
    ]
    return WarmUp(call_s, hop_s, max(inline, default=0), max(shared, default=0))


def _call_s(model: TensorModel, rows: int) -> float:
    batch = model.sample(rows)
    times = []
    for _ in range(_REPEATS):
        started = perf_counter()
        model.run(batch)
        times.append(perf_counter() - started)
        if sum(times) > _SURE_S:
            break
    return median(times)


async def _hop_s() -> float:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread:
        times = []
        for _ in range(_HOPS):
            started = perf_counter()
            await loop.run_in_executor(thread, _nothing)
            times.append(perf_counter() - started)
    return median(times)


def _nothing() -> None:
    """What a thread is asked to do, to see what asking costs."""


def _time(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
