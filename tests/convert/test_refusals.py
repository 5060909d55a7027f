"""What is not converted, and what is said about it. No file is left behind by any of them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support.converting import converted

from boxship.convert.errors import ConversionError
from boxship.convert.needs import check_packages
from boxship.errors import EXIT_FAILURE, ModelError
from boxship.signature import TensorSpec

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(120, 4)).round(3)
TWO = (X.sum(axis=1) > 0).astype(int)
THREE = np.digitize(X.sum(axis=1), [-1, 1])
NAMED = np.array(["low", "middle", "high"])[THREE]


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A transformer of the user's own."""

    def fit(self, rows: Any, _: Any = None) -> "Doubled":
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, rows: Any) -> Any:
        return np.asarray(rows) * 2


UNCONVERTIBLE = {
    "no converter": (NearestCentroid(), TWO, "has no converter for NearestCentroid."),
    "no converter, regressor": (KernelRidge(), TWO, "has no converter for KernelRidge."),
    "no converter, in a pipeline": (
        make_pipeline(StandardScaler(), DummyClassifier()),
        TWO,
        "has no converter for DummyClassifier.",
    ),
    "a class of the user's own": (
        make_pipeline(Doubled(), LogisticRegression()),
        TWO,
        f"has no converter for {Doubled.__module__}.Doubled.",
    ),
    "a function of the user's own": (
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
        TWO,
        "cannot convert this Pipeline: FunctionTransformer is not supported",
    ),
    "an operator that nobody has": (
        GaussianProcessClassifier(),
        TWO,
        "cannot run what the converter made: Fatal error: com.microsoft:Solve",
    ),
    "a graph of other types than it says": (
        OneVsOneClassifier(LogisticRegression()),
        NAMED,
        "cannot run what the converter made: Type Error",
    ),
    "rows without neighbours": (
        RadiusNeighborsRegressor(3.0),
        TWO,
        "cannot run what the converter made: Non-zero status code",
    ),
}


@pytest.mark.parametrize(("model", "target", "message"), UNCONVERTIBLE.values(), ids=UNCONVERTIBLE)
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, model: Any, target: Any, message: str
) -> None:
    model.fit(X if "Function" not in message else np.abs(X), target)
    with pytest.raises(ConversionError) as caught:
        converted(tmp_path, model)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert "Serve the file itself with `boxship serve`" in caught.value.tip
    assert caught.value.exit_code == EXIT_FAILURE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pkl"]


DIFFERENT = {
    "weighted neighbours": (KNeighborsClassifier(weights="distance"), TWO),
    "a tree of two labels": (
        DecisionTreeClassifier(max_depth=4, random_state=0),
        np.c_[TWO, (X[:, 0] > 0).astype(int)],
    ),
    "xgboost, two values": (
        xgboost.XGBRegressor(n_estimators=5),
        np.c_[X.sum(axis=1), X[:, 0]],
    ),
    "histogram trees that split by category": (
        HistGradientBoostingClassifier(max_iter=5, categorical_features=[0]),
        None,
    ),
    "xgboost, a forest of three classes": (xgboost.XGBRFClassifier(n_estimators=10), THREE),
}


@pytest.mark.parametrize(("model", "target"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_answers_otherwise_is_not_written(tmp_path: Path, model: Any, target: Any) -> None:
    """Both are tried, and the rows are told with both answers."""
    rows = X.copy()
    if target is None:
        rows[:, 0] = RANDOM.integers(0, 6, len(X))
        target = np.isin(rows[:, 0], [0, 3, 5]).astype(int)
    report = converted(tmp_path, model.fit(rows, target))
    assert not report.agrees
    assert report.output is None
    assert report.proof is None
    assert [attempt.datatype for attempt in report.attempts] == ["FP32", "FP64"]
    found = report.attempts[0].comparison
    assert found is not None
    assert found.faulty > len(found.faults) == 5
    for fault in found.faults:
        assert list(fault.values) == ["feature_1", "feature_2", "feature_3", "feature_4"]
        assert fault.original != fault.converted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pkl"]


def test_a_bare_booster_is_named(tmp_path: Path) -> None:
    """Its scikit-learn class knows its columns and its converter; the booster knows neither."""
    booster = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(X, X.sum(axis=1)).booster_
    with pytest.raises(ModelError, match="does not say how many columns it takes"):
        converted(tmp_path, booster)
    inputs = tuple(TensorSpec(name=name, datatype="FP64") for name in "abcd")
    with pytest.raises(ConversionError, match=r"has no converter for Booster\."):
        converted(tmp_path, booster, inputs=inputs)


def test_missing_packages_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is imported to find out."""
    for module in ("skl2onnx", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConversionError) as caught:
        check_packages()
    assert caught.value.message.endswith("not installed: onnx, skl2onnx.")
    assert caught.value.tip == "Install the converters: pip install 'boxship[convert]'."


def test_a_missing_converter_of_another_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "onnxmltools.convert.xgboost.operator_converters.XGBoost"
    monkeypatch.setitem(sys.modules, name, None)
    model = xgboost.XGBRegressor(n_estimators=2).fit(X, TWO)
    with pytest.raises(ConversionError, match="a model of xgboost needs onnxmltools") as caught:
        converted(tmp_path, model)
    assert "pip install 'boxship[convert]'" in caught.value.tip
