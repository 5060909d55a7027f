"""Rows moved to where a linear decision is nearly zero."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import LinearSVC

from boxship.convert.samples.known.walk import find_knowledge
from boxship.convert.samples.linear import linear_rows

DATA, TARGET = load_iris(return_X_y=True)
PARTS = (1e-4, -1e-4, 0.01, -0.01, -1.0)


def rows_for(model: Any) -> Any:
    return linear_rows(find_knowledge(model, 4, np.random.default_rng(0)), DATA)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=1000),
        LinearSVC(),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
    ],
    ids=["logistic", "support vectors", "scaled"],
)
def test_of_two_classes_a_small_part_of_the_decision_is_left(model: Any) -> None:
    model.fit(DATA, TARGET == 1)
    before, after = model.decision_function(DATA), model.decision_function(rows_for(model))
    assert np.allclose(after / before, np.resize(PARTS, len(DATA)), rtol=1e-6)


def test_of_several_classes_two_meet_or_one_meets_zero() -> None:
    model = LogisticRegression(max_iter=1000).fit(DATA, TARGET)
    scores = model.decision_function(rows_for(model))
    meeting = np.abs(np.column_stack([scores, np.diff(scores, axis=1)])).min(axis=1)
    near = np.abs(np.resize(PARTS, len(DATA))) <= 1e-4
    assert (meeting[near] < 0.01).all()


@pytest.mark.parametrize(
    "model", [Ridge(), make_pipeline(PCA(2), LogisticRegression())], ids=["regressor", "mixed"]
)
def test_without_a_decision_that_can_be_undone_there_are_no_such_rows(model: Any) -> None:
    assert rows_for(model.fit(DATA, TARGET)).shape == (0, 4)
