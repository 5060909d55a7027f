from collections.abc import Callable
from pathlib import Path

import pytest
import wrk
from conftest import Need
from payload import Payload

Asking = Callable[..., Payload]


@pytest.fixture(autouse=True)
def _needs_wrk(need: Need) -> None:
    need.program("wrk")


def test_every_answer_is_counted_by_its_text(answering: int, asking: Asking) -> None:
    load = wrk.run(
        answering,
        asking({"row": 1}, {"row": 2}, {"row": 3, "lie": True}),
        connections=4,
        seconds=1,
        check=True,
    )
    assert sorted(load.answers) == [b'{"score": 1}', b'{"score": 2}', b'{"score": 4}']
    # What was under way at the end is counted by wrk or by the hook alone.
    assert abs(sum(load.answers.values()) - load.requests) <= 4
    assert max(load.answers.values()) - min(load.answers.values()) <= 4
    assert load.rate == load.requests / load.seconds


def test_refusals_are_no_throughput(answering: int, asking: Asking) -> None:
    load = wrk.run(
        answering, asking({"row": 1}, {"row": 1, "refuse": True}), connections=2, seconds=1
    )
    assert load.bad_status == pytest.approx(load.requests / 2, abs=4)
    assert load.rate == pytest.approx(load.requests / 2 / load.seconds, rel=0.05)
    assert load.answers == {}
    assert 0 < load.p50_ms <= load.p99_ms


def test_nul_bytes_in_an_answer_survive(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.write_text("1000000 7 0 1 0 2 3\n1500 9000\n1 5\n")
    (report.parent / "report.1").write_bytes(b"a\0b\n")
    load = wrk.parse(report)
    assert load.answers == {b"a\0b\n": 5}
    assert (load.requests, load.bad_status, load.broken, load.rate) == (7, 2, 4, 5.0)
    assert (load.p50_ms, load.p99_ms) == (1.5, 9.0)
