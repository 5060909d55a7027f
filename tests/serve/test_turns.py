"""Long work on the event loop leaves turns to others."""

import asyncio

from boxship.serve.turns import Turns, at_once, in_turns


def count(turns: int, log: list[str]) -> Turns[int]:
    for turn in range(turns):
        log.append(f"work {turn}")
        yield
    return turns


def test_at_once_gives_the_result() -> None:
    log: list[str] = []
    assert at_once(count(3, log)) == 3
    assert log == ["work 0", "work 1", "work 2"]


def test_work_without_a_pause_has_a_result_too() -> None:
    assert at_once(count(0, [])) == 0


def test_others_have_their_turns_between() -> None:
    log: list[str] = []

    async def other() -> None:
        for turn in range(3):
            log.append(f"other {turn}")
            await asyncio.sleep(0)

    async def both() -> int:
        task = asyncio.create_task(other())
        result = await in_turns(count(3, log))
        await task
        return result

    assert asyncio.run(both()) == 3
    assert log == ["work 0", "other 0", "work 1", "other 1", "work 2", "other 2"]
