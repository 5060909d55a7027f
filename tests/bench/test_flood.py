from collections.abc import Callable

import flood
import pytest
from conftest import Need
from payload import Payload

Asking = Callable[..., Payload]


@pytest.fixture(autouse=True)
def _needs_wrk(need: Need) -> None:
    need.program("wrk")


def test_what_is_offered_does_not_wait_for_answers_and_each_is_judged(
    answering: int, asking: Asking
) -> None:
    bodies = (
        {"row": 0, "stall_ms": 400},
        {"row": 1, "lie": True},
        {"row": 2, "refuse": True, "again": True},
        {"row": 3, "refuse": True},
    )
    load = flood.run(
        answering, asking(*bodies), rate=400, seconds=1, connections=300, headers={"x-more": "1"}
    )
    assert load.sent == pytest.approx(400, rel=0.2)
    assert load.neither == 0
    quarter = pytest.approx(load.sent / 4, abs=1)
    assert load.statuses[200] == pytest.approx(load.sent / 2, abs=2)
    assert load.wrong == quarter
    assert load.without_retry_after == quarter
    assert len(load.refused_ms) == load.statuses[503]
    # All that came during the stall waited, a closed loop would have sent one and waited.
    slow = [ms for ms in (*load.good_ms, *load.refused_ms) if ms > 100]
    assert len(slow) >= 60
    assert load.generator_cpu > 0
