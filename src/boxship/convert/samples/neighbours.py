"""The values around a threshold, at which one comparison or another changes its mind."""

import numpy as np

from boxship.convert.samples.codes import Floats, in_float32
from boxship.convert.samples.known.links import Link


def triple(thresholds: Floats) -> Floats:
    """Each threshold as a float32, with its neighbours below and above: ``[3, thresholds]``."""
    middle = in_float32(thresholds).astype(np.float32)
    infinity = np.float32(np.inf)
    return in_float32(
        np.stack([np.nextafter(middle, -infinity), middle, np.nextafter(middle, infinity)]).astype(
            np.float64
        )
    )


def around(thresholds: Floats) -> Floats:
    """All values that tell two comparisons with a threshold apart: ``[9, thresholds]``.

    The threshold itself, its float32 and float64 neighbours, and the two doubles half
    way between neighbouring float32, which a cast rounds to one side.
    """
    below, middle, above = triple(thresholds)
    return np.stack(
        [
            thresholds,
            middle,
            below,
            above,
            np.nextafter(thresholds, -np.inf),
            np.nextafter(thresholds, np.inf),
            np.nextafter(middle, np.inf),
            (below + middle) / 2,
            (middle + above) / 2,
        ]
    )


def at_input(link: Link, thresholds: Floats) -> Floats:
    """The values of the model's own column around ``thresholds`` that ``link`` leads to.

    ``[values, thresholds]``; 9 values, or 12 behind a step that changes them: there the
    neighbours both before and after the step matter.
    """
    if link.back is None:
        return around(thresholds)
    return np.concatenate([link.origin(around(thresholds)), triple(link.origin(thresholds))])
