"""Every estimator of scikit-learn that can be made and fitted is a model that loads."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances

from boxship.artifact import pickles

ESTIMATORS = dict(all_estimators())


def training_sets() -> Iterator[tuple[Any, ...]]:
    """What the estimators are tried with, one after the other, until one fits."""
    random = np.random.default_rng(0)
    matrix = random.random((40, 4))
    classes = np.arange(40) % 2
    yield matrix, classes
    yield matrix, matrix[:, 0]
    yield matrix, matrix[:, :2]
    yield matrix, np.c_[classes, 1 - classes]
    yield matrix[:, :1], matrix[:, 0]
    yield (classes,)
    yield (matrix @ matrix.T,)
    yield (matrix[:, :3],)
    yield ["one two", "two three"] * 20, classes
    yield [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}] * 20, classes
    yield ([["x", "y"], ["z"]] * 20,)


def made(cls: type[BaseEstimator]) -> Iterator[BaseEstimator]:
    """Each way in which scikit-learn's own tests make one."""
    if cls is FrozenEstimator:
        yield FrozenEstimator(LogisticRegression().fit(*next(training_sets())))
    else:
        yield from _construct_instances(cls)


def fitted(cls: type[BaseEstimator]) -> Iterator[BaseEstimator]:
    """The same, fitted to what each takes."""
    for estimator in made(cls):
        for data in training_sets():
            try:
                yield estimator.fit(*data)
            except (TypeError, ValueError, AttributeError, IndexError):
                continue
            break


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fitted_one_is_accepted(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    with warnings.catch_warnings(action="ignore"):
        models = list(fitted(ESTIMATORS[name]))
        assert models, "scikit-learn makes it and something fits it"
        for model in models:
            joblib.dump(model, path)
            assert type(pickles.load(path).model) is type(model)
