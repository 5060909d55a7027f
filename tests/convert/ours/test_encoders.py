"""Encoders and imputers of our own, on categories of every kind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from support.converting import answers, assert_alike, converted

from boxship.convert.errors import ConversionError
from boxship.errors import InputError
from boxship.runtimes.onnx.runtime import OnnxRuntime

pytestmark = pytest.mark.filterwarnings("ignore:Found unknown categories")

RANDOM = np.random.default_rng(6)
SIZES = np.array([0.5, 1.0, 2.0, 3.5])[RANDOM.integers(0, 4, (120, 2))]
VALUE = SIZES @ [1.0, 10.0] + RANDOM.normal(size=120) / 10
HOLES = np.where(RANDOM.random(SIZES.shape) < 0.2, np.nan, SIZES)
ROWS = [[0.5, 3.5], [2.0, 2.0], [1.0, 0.5], [3.5, 1.0]]
UNKNOWN = [[0.6, 3.5], [2.0, -1.0], [7.0, 7.0], [0.0, 0.0]]
MISSING = [[None, 3.5], [2.0, None], [None, None]]


def prove(folder: Path, model: Any, rows: Any) -> Path:
    report = converted(folder, model)
    assert report.agrees
    assert report.output is not None
    assert_alike(report.source, report.output, rows)
    return report.output


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", drop="first"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2, drop="if_binary"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=9, dtype=np.int64),
    ],
    ids=["plain", "dropped", "rare", "rare and dropped", "codes", "whole codes"],
)
def test_numbers_as_categories(tmp_path: Path, encoder: Any) -> None:
    """0.6 is no 0, though their converter would have cut it to one."""
    model = make_pipeline(encoder, LinearRegression()).fit(SIZES, VALUE)
    prove(tmp_path, model, ROWS + UNKNOWN)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=["one-hot", "codes"])
def test_unknown_numbers_are_refused(tmp_path: Path, encoder: Any) -> None:
    model = make_pipeline(encoder, LinearRegression()).fit(SIZES, VALUE)
    runtime = OnnxRuntime(prove(tmp_path, model, ROWS))
    for row in UNKNOWN:
        with pytest.raises(InputError):
            answers(runtime, [row])


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(),
        OrdinalEncoder(encoded_missing_value=-5),
        OrdinalEncoder(),
    ],
    ids=["one-hot", "one-hot, strict", "codes", "codes that stay missing"],
)
def test_a_missing_number_is_a_category_of_its_own(tmp_path: Path, encoder: Any) -> None:
    model = make_pipeline(encoder, HistGradientBoostingRegressor(max_iter=5)).fit
    if isinstance(encoder, OneHotEncoder):
        model = make_pipeline(encoder, LinearRegression()).fit
    prove(tmp_path, model(HOLES, VALUE), ROWS + MISSING)


def test_another_number_that_means_missing(tmp_path: Path) -> None:
    imputer = SimpleImputer(missing_values=0.5, strategy="median")
    prove(tmp_path, make_pipeline(imputer, LinearRegression()).fit(SIZES, VALUE), ROWS)


def test_an_imputer_in_front_of_trees_of_float64(tmp_path: Path) -> None:
    model = make_pipeline(SimpleImputer(), HistGradientBoostingRegressor(max_iter=5))
    prove(tmp_path, model.fit(HOLES, VALUE), ROWS + MISSING)


def test_an_indicator_of_missing_values_is_not_converted(tmp_path: Path) -> None:
    model = make_pipeline(SimpleImputer(add_indicator=True), LinearRegression()).fit(HOLES, VALUE)
    with pytest.raises(ConversionError, match="has no converter for MissingIndicator"):
        converted(tmp_path, model)
