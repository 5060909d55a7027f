"""Rows on which the original itself is undecided, so that they prove nothing.

The generated rows look for the places where a label changes, to the last digit. There
the original's answer hangs on the order in which its numbers are added, and another
processor may give another one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxship.errors import RequestError
from boxship.runtimes.base import Tensors

Values = npt.NDArray[Any]
Answers = Mapping[str, Values]
Mask = npt.NDArray[np.bool_]

_TRIES: Final = 32
_MOST_ROWS: Final = 50
_EVEN: Final = 0.5


def scale(values: Values) -> float:
    """What an answer's numbers are measured by: 1, or the largest of them where that is less."""
    finite = values[np.isfinite(values)]
    return min(1.0, float(np.abs(finite).max(initial=0.0)))


def tied(original: Answers, differs: Values, tolerance: float) -> Mask:
    """The rows whose labels lie within ``tolerance`` of each other by the original's numbers.

    ``differs`` says, for each label of each row, whether it does. A score of one half is a
    tie, a decision of zero, and two classes that share the first place.
    """
    labels = differs.reshape(len(differs), -1)
    near = np.ones_like(labels, dtype=bool)
    numbers = {name: values for name, values in original.items() if name != "label"}
    if not numbers:
        return np.zeros(len(labels), dtype=bool)
    if all(name.startswith("scores_") for name in numbers):
        gaps = np.stack([_gap(values) for values in numbers.values()], axis=1)
        near = gaps <= tolerance
    else:
        ((name, values),) = numbers.items()
        margins = _margins(name, values, several=differs.ndim > 1)
        near = margins.reshape(len(labels), -1) <= tolerance * scale(values)
    found: Mask = np.asarray((near | ~labels).all(axis=1) & labels.any(axis=1))
    return found


def _margins(name: str, values: Values, *, several: bool) -> Values:
    """How far each label is from another: ``[rows]``, or ``[rows, labels]`` where several."""
    if values.ndim == (2 if several else 1):
        return np.abs(values if name == "decision" else values - _EVEN)
    return _gap(values)


def _gap(values: Values) -> Values:
    """Between the first and the second on the last axis."""
    ordered = np.sort(values, axis=-1)
    return np.asarray(ordered[..., -1] - ordered[..., -2])


def at_a_border(
    ask: Callable[[Tensors], Answers],
    batch: Tensors,
    rows: npt.NDArray[np.intp],
    same: Callable[[Answers, int], Mask],
    blur: float,
) -> list[int]:
    """Those of ``rows`` beside which the original gives the other model's answer.

    ``ask`` is the original; ``same`` says which of its answers are the other's to the
    given row. Every number of a row is moved by up to ``blur`` of itself. Many rows are
    no accident, so then none is at a border.
    """
    if len(rows) > _MOST_ROWS:
        return []
    rng = np.random.default_rng(0)
    found = []
    for row in rows.tolist():
        near: dict[str, Values] = {
            name: np.repeat(values[row : row + 1], _TRIES, axis=0) for name, values in batch.items()
        }
        for name, values in near.items():
            if values.dtype.kind == "f":
                near[name] = values * (1 + rng.uniform(-blur, blur, size=values.shape))
        try:
            answers = ask(near)
        except RequestError:
            continue
        if same(answers, row).any():
            found.append(row)
    return found
