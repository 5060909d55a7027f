"""Patience with a registry's bad minutes: how long to wait before asking it once more."""

import threading
import time
from email.utils import mktime_tz, parsedate_tz

from boxship.errors import ImageError

BUSY = (408, 429, 500, 502, 503, 504)
TRIES = 5
"""After as many in vain, the error is the answer."""
_PAUSE_S = 0.5
_MOST_S = 60.0
"""A registry may ask for hours: then a try that fails after minutes says more than silence."""


class Patience:
    """Waits, until somebody gives up. Safe for several threads."""

    def __init__(self) -> None:
        self._given_up = threading.Event()

    def pause(self, attempt: int, retry_after: str = "") -> None:
        """Wait before the next of several tries: each time longer, and as long as was asked for.

        Raises ``ImageError`` where waiting has lost its sense.
        """
        seconds = min(max(_PAUSE_S * 2**attempt, asked_for(retry_after)), _MOST_S)
        if self._given_up.wait(seconds):
            raise ImageError("Given up while waiting for a registry.")

    def give_up(self) -> None:
        """End all waiting, now and later."""
        self._given_up.set()


def asked_for(retry_after: str) -> float:
    """The seconds that a ``Retry-After`` asks for, in either form; 0 where it asks for none.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    try:
        if retry_after.isdecimal():
            return float(retry_after)
        date = parsedate_tz(retry_after)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0
    except (ValueError, OverflowError, IndexError):
        return 0.0
