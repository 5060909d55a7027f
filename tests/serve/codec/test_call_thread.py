"""Calls in a thread of their own, and an event loop that makes room for them."""

import asyncio
import threading
import time

import pytest

from boxship.serve.codec.call_thread import CallThread


@pytest.mark.parametrize("rest_s", [0.0, 5.0])
def test_a_call_runs_in_another_thread(rest_s: float) -> None:
    def call(batch: int) -> tuple[int, str]:
        return 2 * batch, threading.current_thread().name

    answer = asyncio.run(CallThread("model").run(call, 21, rest_s=rest_s))
    assert answer == (42, "model_0")


@pytest.mark.parametrize("rest_s", [0.0, 5.0])
def test_what_a_call_raises_reaches_the_caller(rest_s: float) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(CallThread("model").run(lambda batch: 1 // batch, 0, rest_s=rest_s))


@pytest.mark.parametrize(("rest_s", "turns"), [(0.0, True), (5.0, False), (0.001, True)])
def test_the_event_loop_rests_until_the_call_ends_and_no_longer(
    rest_s: float, *, turns: bool
) -> None:
    turned: list[str] = []

    async def run() -> None:
        asyncio.get_running_loop().call_soon(turned.append, "turn")
        await CallThread("model").run(time.sleep, 0.05, rest_s=rest_s)
        assert bool(turned) is turns

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 4
