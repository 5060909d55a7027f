"""The way back from a value inside a model to the value that it is given."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from boxship.convert.samples.known.links import Link, after_function, after_scaler

DATA = load_iris().data


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        MinMaxScaler((-1, 2)),
        MaxAbsScaler(),
        RobustScaler(),
        PowerTransformer(),
        PowerTransformer("box-cox"),
        # As many references as there are columns.
        QuantileTransformer(n_quantiles=4),
        QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    ],
    ids=repr,
)
def test_a_scaler_is_undone_column_by_column(scaler: Any) -> None:
    scaled = scaler.set_output(transform="pandas").fit_transform(DATA).to_numpy()
    back = np.asarray(scaler.inverse_transform(scaled))
    links = after_scaler(scaler, [Link(3), None, Link(1), Link(0)])
    assert links is not None
    assert links[1] is None
    for position, column in ((0, 3), (2, 1), (3, 0)):
        link = links[position]
        assert link is not None
        assert link.column == column
        assert np.allclose(link.ahead(DATA[:, position]), scaled[:, position], rtol=1e-12)
        assert np.allclose(link.origin(scaled[:, position]), back[:, position], rtol=1e-12)


def test_links_go_back_through_one_step_after_another() -> None:
    logarithm = after_function(FunctionTransformer(np.log1p), [Link(0)])
    assert logarithm is not None
    scaler = StandardScaler().fit(np.log1p(DATA[:, [0]]))
    links = after_scaler(scaler, logarithm)
    assert links is not None
    assert links[0] is not None
    assert np.allclose(links[0].origin(np.zeros(1)), np.expm1(scaler.mean_))
    assert np.allclose(links[0].ahead(np.expm1(scaler.mean_)), 0)


def test_a_function_that_nobody_can_undo_is_taken_to_change_nothing() -> None:
    links = after_function(FunctionTransformer(np.sin), [Link(0), None])
    assert links is not None
    assert links[0] is not None
    assert links[0].origin(np.array([0.5])) == 0.5
    assert links[1] is None


def test_what_no_step_can_hold_has_no_origin() -> None:
    links = after_scaler(MinMaxScaler().fit(DATA), [Link(0)] * 4)
    assert links is not None
    assert links[0] is not None
    assert np.isnan(links[0].origin(np.array([np.inf]))).all()
    assert links[0].origin(np.empty(0)).size == 0
