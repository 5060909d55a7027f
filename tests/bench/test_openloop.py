from collections.abc import Callable

import openloop
import pytest
from payload import Payload

Asking = Callable[..., Payload]


def test_requests_leave_on_time_while_the_server_stalls(answering: int, asking: Asking) -> None:
    load = openloop.run(
        answering, asking({"row": 0, "stall_ms": 300}), rate=400, seconds=1, connections=4
    )
    assert load.outcome.sent == pytest.approx(400, rel=0.2)
    assert load.outcome.unanswered == 0
    # 16 connections at most: the rest of the 120 that came during the stall waited to be sent,
    # and that wait is counted.
    assert len([ms for ms in load.good_ms() if ms > 75]) >= 50


def test_an_answer_to_another_row_is_wrong(answering: int, asking: Asking) -> None:
    load = openloop.run(
        answering,
        asking({"row": 1}, {"row": 2, "lie": True}, {"row": 3, "refuse": True}),
        rate=300,
        seconds=0.5,
    )
    assert load.wrong == pytest.approx(load.outcome.sent / 3, abs=1)
    assert len(load.good_ms()) == pytest.approx(load.outcome.sent * 2 / 3, abs=2)


def test_a_percentile_is_one_of_the_values() -> None:
    assert openloop.percentile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert openloop.percentile([1.0, 2.0, 3.0], 0.99) == 3.0
