"""What a call to the model costs, learnt from the calls that were made."""

from bisect import bisect_left

_WEIGHT = 0.25
"""Of the newest call in its bucket's mean: a change shows after some four calls."""


class Costs:
    """Seconds that a call of so many rows takes.

    The calls fall into buckets by powers of two: 1, 2, 3-4, 5-8 rows and so on. Each
    keeps the exponentially weighted means of its calls' rows and seconds; a prediction
    goes along the line through these points.
    """

    def __init__(self) -> None:
        self._means: dict[int, tuple[float, float]] = {}
        self._line: list[tuple[float, float]] | None = None

    def observe(self, rows: int, seconds: float) -> None:
        """A call of ``rows`` rows has taken ``seconds``. Warm-up may be the first to tell."""
        bucket = (rows - 1).bit_length() if rows > 1 else 0
        known = self._means.get(bucket)
        if known is None:
            self._means[bucket] = (float(rows), seconds)
        else:
            mean_rows, mean_s = known
            self._means[bucket] = (
                mean_rows + _WEIGHT * (rows - mean_rows),
                mean_s + _WEIGHT * (seconds - mean_s),
            )
        self._line = None

    def predict(self, rows: float) -> float:
        """Seconds that a call of ``rows`` rows takes; 0.0 while nothing is known.

        It never falls as the rows grow. Fewer rows than were ever seen cost what the
        fewest did. More rows go on with the slope of the whole line, and cost what the
        most did while there is only one point: who cannot know does not refuse.
        """
        line = self._line
        if line is None:
            line = self._line = self._drawn()
        if not line:
            return 0.0
        place = bisect_left(line, (rows, 0.0))
        if place == 0:
            return line[0][1]
        x, y = line[place - 1]
        if place < len(line):
            next_x, next_y = line[place]
            return y + (next_y - y) * (rows - x) / (next_x - x)
        first_x, first_y = line[0]
        slope = (y - first_y) / (x - first_x) if place > 1 else 0.0
        return y + slope * (rows - x)

    def known(self) -> tuple[tuple[float, float], ...]:
        """Mean rows and mean seconds of each bucket that was seen, by rows, as measured."""
        return tuple(self._means[bucket] for bucket in sorted(self._means))

    def _drawn(self) -> list[tuple[float, float]]:
        # A call of fewer rows cannot cost more than one of more rows did. The small one was
        # slow once, when the model was cold, and is rarely made again under load.
        line: list[tuple[float, float]] = []
        most = float("inf")
        for rows, seconds in reversed(self.known()):
            most = min(most, seconds)
            line.append((rows, most))
        line.reverse()
        return line
