"""A registry says when to come back: it is heeded, but not for hours."""

import threading
import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings, strategies as st
from support.registry import Registry, front, random_bytes, small_image

from boxship.errors import ImageError
from boxship.oci import patience
from boxship.oci.blobs import Blobs
from boxship.oci.patience import Patience, asked_for
from boxship.oci.push import push
from boxship.oci.reference import parse


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("7", 7),
        ("-7", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 99 Oct 99999 07:28:00 GMT", 0),
    ],
)
def test_what_is_asked_for(text: str, seconds: float) -> None:
    assert asked_for(text) == seconds


def test_a_date_is_as_good_as_seconds() -> None:
    assert 25 < asked_for(formatdate(time.time() + 30, usegmt=True)) <= 30


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} -?\d+ \d+:\d+:\d+ .*", fullmatch=True))
@settings(deadline=None)
def test_nonsense_is_no_error(text: str) -> None:
    assert asked_for(text) >= 0


class Counting(threading.Event):
    """Is not set, and remembers how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited.append(timeout)
        return False


def test_each_pause_is_longer_and_none_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_S", 0.5)
    patient, counting = Patience(), Counting()
    patient._given_up = counting
    for attempt, wanted in ((1, ""), (2, ""), (2, "1"), (2, "9"), (1, "86400"), (99, "")):
        patient.pause(attempt, wanted)
    assert counting.waited == [1, 2, 2, 9, 60, 60]


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_a_registry_is_asked_again_when_it_says(
    running: Registry, blobs: Blobs, method: str, form: str
) -> None:
    made = small_image(blobs, {"a": random_bytes(1000)})
    # A date has no parts of a second.
    earliest = time.time() + 1 if form == "seconds" else int(time.time()) + 2
    wanted = "1" if form == "seconds" else formatdate(earliest, usegmt=True)
    with front(running.port, busy={method: 1}, retry_after=wanted) as before:
        pushed = push(parse(f"{before.host}/churn:7"), made.manifest, [made], blobs)
    assert time.time() >= earliest
    assert (pushed.sent, running.tags("churn")) == (pushed.size, ["7"])


def test_who_gives_up_waits_no_more() -> None:
    patient = Patience()
    threading.Timer(0.1, patient.give_up).start()
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(ImageError, match="Given up"):
            patient.pause(1, "60")
    assert time.monotonic() - began < 30
