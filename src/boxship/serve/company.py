"""Who is expected to join the requests that wait."""

_MOST_SKIPPED = 63
"""Calls that wait for nobody after waits in vain; then one tries again."""


class Company:
    """The callers that were just answered, and probably come again.

    ``requests`` and ``rows`` are what may wait once they have. ``awaited`` is set while a call
    waits for them. After a wait in vain some calls wait for nobody, and ever more each time:
    callers that come once, or take their time, must not slow the others down.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.awaited = False
        self._since = float("-inf")
        self._in_vain = 0
        self._skipped = 0

    def expect(self, requests: int, rows: int, now: float) -> None:
        """A call has ended; with those left waiting, its callers bring so much."""
        self.requests, self.rows, self._since = requests, rows, now
        if self._skipped:
            self._skipped -= 1
            self.requests = 0

    def until(self, oldest: float, max_delay_s: float, saved_s: float) -> float:
        """When the wait of a request that has come at ``oldest`` should end.

        Nobody is expected ``max_delay_s`` after the answers. Before the answers no slot was
        free, so that nobody waited for company. A wait for all that it saves would gain
        nothing: half of ``saved_s`` is staked.
        """
        started = max(oldest, self._since)
        return min(self._since + max_delay_s, started + min(max_delay_s, saved_s / 2))

    def complete(self) -> None:
        """Enough wait to start."""
        if self.awaited:
            self.awaited = False
            self._in_vain = 0

    def stayed_away(self) -> None:
        """The wait was in vain."""
        self.awaited = False
        self.requests = 0
        self._in_vain = min(2 * self._in_vain + 1, _MOST_SKIPPED)
        self._skipped = self._in_vain
