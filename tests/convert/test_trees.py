"""Trees decide as their libraries do, at every threshold and to the last digit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.converting import answers, converted

from boxship.runtimes.onnx.runtime import OnnxRuntime
from boxship.runtimes.sklearn.runtime import SklearnRuntime

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

RANDOM = np.random.default_rng(4)
X = RANDOM.integers(-5, 6, size=(200, 2)) / 10
TWO = (X.sum(axis=1) + RANDOM.normal(size=200) / 5 > 0).astype(int)

MODELS = {
    "forest": RandomForestClassifier(10, random_state=0),
    "hist gradient boosting": HistGradientBoostingClassifier(max_iter=10),
    "xgboost": xgboost.XGBClassifier(n_estimators=10),
    "xgboost by histograms": xgboost.XGBClassifier(n_estimators=10, tree_method="hist", max_bin=8),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, min_child_samples=5),
    "scaled forest": make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
}


def around(values: Any) -> list[float]:
    """Each value, and its neighbours in float64 and in float32."""
    near = {float(value) for value in values}
    for value in list(near):
        near |= {float(np.nextafter(value, side)) for side in (-np.inf, np.inf)}
        single = np.float32(value)
        near |= {float(np.nextafter(single, np.float32(side))) for side in (-np.inf, np.inf)}
    return sorted(near)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_values_at_the_borders_between_training_values(tmp_path: Path, model: Any) -> None:
    """Trees split at training values or halfway between two of them."""
    report = converted(tmp_path, clone(model).fit(X, TWO))
    assert report.output is not None
    grid = np.arange(-12, 13) / 20
    rows = [[first, second] for first in around(grid) for second in (-0.3, 0.0, 0.25)]
    original = SklearnRuntime(clone(model).fit(X, TWO))
    expected, found = answers(original, rows), answers(OnnxRuntime(report.output), rows)
    assert found["label"].tolist() == expected["label"].tolist()
    assert np.abs(found["score"] - expected["score"]).max() < 1e-6


def test_what_lightgbm_takes_for_zero(tmp_path: Path) -> None:
    """It rounds tiny numbers to zero before it compares, and splits beside zero."""
    holes = np.where(np.abs(X) < 0.25, 0.0, X)
    model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, min_child_samples=5)
    report = converted(tmp_path, model.fit(holes, TWO))
    assert report.output is not None
    tiny = around([0.0, 1e-35, -1e-35, np.float32(1e-35), -np.float32(1e-35), 1e-30, -1e-30])
    rows = [[value, 0.1] for value in tiny]
    expected = answers(SklearnRuntime(model), rows)
    found = answers(OnnxRuntime(report.output), rows)
    assert np.abs(found["score"] - expected["score"]).max() < 1e-6


def test_an_isolation_forest_with_missing_numbers(tmp_path: Path) -> None:
    model = IsolationForest(n_estimators=5, random_state=0).fit(X)
    report = converted(tmp_path, model)
    assert report.output is not None
    rows = [[None, 0.1], [0.2, None], [None, None], [5.0, -5.0]]
    expected = answers(SklearnRuntime(model), rows)
    found = answers(OnnxRuntime(report.output), rows)
    assert found["label"].tolist() == expected["label"].tolist()
    assert np.abs(found["decision"] - expected["decision"]).max() < 1e-5


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_histogram_trees_that_answer_an_exponential(tmp_path: Path, loss: str) -> None:
    model = HistGradientBoostingRegressor(loss=loss, max_iter=5).fit(X, np.exp(X.sum(axis=1)))
    report = converted(tmp_path, model)
    assert report.output is not None
    rows = X[:20].tolist()
    expected = answers(SklearnRuntime(model), rows)["value"]
    assert np.allclose(answers(OnnxRuntime(report.output), rows)["value"], expected, rtol=1e-6)


def test_the_converters_of_others_are_as_before(tmp_path: Path) -> None:
    """Ours stand in their places only while Boxship converts."""
    from skl2onnx.common import _registration as registration

    before = dict(registration._converter_pool)
    shapes = dict(registration._shape_calculator_pool)
    assert converted(tmp_path, clone(MODELS["forest"]).fit(X, TWO)).agrees
    assert dict(registration._converter_pool) == before
    assert dict(registration._shape_calculator_pool) == shapes
