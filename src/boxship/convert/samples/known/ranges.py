"""Where the training data lay, as far as fitted attributes tell."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from boxship.convert.samples.codes import Floats
from boxship.convert.samples.known.knowledge import Inputs, Knowledge, Linear

_ROWS: Final = (
    "support_vectors_",
    "_fit_X",
    "X_train_",
    "X_fit_",
    "cluster_centers_",
    "centroids_",
    "means_",
    "theta_",
    "location_",
    "subcluster_centers_",
    "quantiles_",
    "X_thresholds_",
    "data_min_",
    "data_max_",
    "mean_",
    "center_",
    "statistics_",
    "_x_mean",
)
"""Attributes that hold rows, or one row, in the unit of the estimator's own columns."""
_SPREADS: Final = (
    ("mean_", "var_"),
    ("theta_", "var_"),
    ("center_", "scale_"),
    ("_x_mean", "_x_std"),
)
"""Pairs of a middle and how far the data lies around it; ``var_`` is a square."""
_DEVIATIONS: Final = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
_MOST_ROWS: Final = 300


def note_ranges(
    estimator: Any, inputs: Inputs, found: Knowledge, *, count: int, rng: np.random.Generator
) -> None:
    """Note the rows and ranges that ``estimator`` knows; ``count`` is the model's columns."""
    for rows in _rows(estimator, len(inputs), rng):
        before = np.full((len(rows), count), np.nan)
        for position, link in enumerate(inputs):
            if link is not None:
                values = link.origin(rows[:, position])
                before[:, link.column] = values
                found.add_range(link.column, values)
        if len(rows) > 1:
            found.rows.append(before)
    maximum = _floats(getattr(estimator, "max_abs_", None), len(inputs), rng)
    if maximum is not None:
        for position, link in enumerate(inputs):
            if link is not None:
                most = maximum[0, position]
                found.add_range(link.column, link.origin(np.array([-most, 0.0, most])))


def note_linear(estimator: Any, inputs: Inputs, found: Knowledge) -> None:
    """Note the linear decisions of a classifier, and for any the scale that its weights tell."""
    weights = getattr(estimator, "coef_", None)
    if not isinstance(weights, np.ndarray) or weights.dtype.kind != "f":
        return
    weights = np.atleast_2d(weights).astype(np.float64)
    if weights.shape[-1] != len(inputs):
        return
    largest = np.abs(weights).max(axis=0)
    for link, weight in zip(inputs, largest, strict=True):
        if link is not None:
            scale = float(np.clip(1 / max(weight, 1e-6), 1e-3, 1e4))
            steps = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
            found.add_range(link.column, link.origin(np.concatenate([steps, steps * scale])))
    classes = getattr(estimator, "classes_", None)
    if classes is None or any(link is None for link in inputs):
        return
    intercepts = np.broadcast_to(
        np.asarray(getattr(estimator, "intercept_", 0.0), dtype=np.float64), (len(weights),)
    )
    for one, intercept in _decisions(weights, intercepts):
        if np.linalg.norm(one) > 0:
            found.linear.append(Linear(inputs, one, intercept))


def _decisions(weights: Floats, intercepts: Floats) -> Iterator[tuple[Floats, float]]:
    """Where one class meets the next, and where each meets zero."""
    for position, (one, intercept) in enumerate(zip(weights, intercepts, strict=True)):
        yield one, float(intercept)
        if position:
            yield one - weights[position - 1], float(intercept - intercepts[position - 1])


def _rows(estimator: Any, width: int, rng: np.random.Generator) -> Iterator[Floats]:
    for name in _ROWS:
        values = _floats(getattr(estimator, name, None), width, rng)
        if values is not None:
            yield values
    for middle_name, spread_name in _SPREADS:
        middle = _floats(getattr(estimator, middle_name, None), width, rng)
        spread = _floats(getattr(estimator, spread_name, None), width, rng)
        if middle is not None and spread is not None and middle.shape == spread.shape:
            around = np.sqrt(spread) if spread_name == "var_" else spread
            for deviation in _DEVIATIONS:
                yield middle + deviation * around


def _floats(value: Any, width: int, rng: np.random.Generator) -> Floats | None:
    """``value`` as rows of ``width`` numbers, a seeded choice of them; None where it is not."""
    if not hasattr(value, "dtype") or value.dtype.kind not in "fiu" or value.ndim not in (1, 2):
        return None
    value = _as_rows(value, width)
    count = value.shape[0]
    if not count or value.shape[1] != width:
        return None
    if count > _MOST_ROWS:
        value = value[np.sort(rng.choice(count, _MOST_ROWS, replace=False))]
    dense = value.toarray() if hasattr(value, "toarray") else value
    return np.asarray(dense, dtype=np.float64)


def _as_rows(value: Any, width: int) -> Any:
    if value.ndim == 2:
        return value
    # One number per row where there is one column, else one row.
    return value.reshape(-1, 1) if width == 1 else value.reshape(1, -1)
