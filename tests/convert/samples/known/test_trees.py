"""The trees of every library in one form: its splits are those that the library itself tells."""

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier

from boxship.convert.samples.known.trees import Tree, grown

DATA, TARGET = load_breast_cancer(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(DATA.shape) < 0.1, np.nan, DATA)


def leaf(tree: Tree, row: Any, *, or_equal: bool) -> int:
    node = 0
    while tree.left[node] >= 0:
        value, threshold = row[tree.feature[node]], tree.threshold[node]
        left = value <= threshold if or_equal else value < threshold
        node = int(tree.left[node] if left else tree.right[node])
    return node


def leaves(tree: Tree, rows: Any, *, or_equal: bool) -> list[int]:
    return [leaf(tree, row, or_equal=or_equal) for row in rows]


def test_a_tree_of_scikit_learn() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(DATA, TARGET)
    (tree,) = grown(model).trees
    assert leaves(tree, DATA.astype(np.float32), or_equal=True) == model.apply(DATA).tolist()


def test_trees_of_histogram_boosting() -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(DATA, TARGET)
    trees = grown(model).trees
    assert len(trees) == 3
    raw = np.full(len(DATA), float(model._baseline_prediction.item()))
    for tree, (predictor,) in zip(trees, model._predictors, strict=True):
        raw += predictor.nodes["value"][leaves(tree, DATA, or_equal=True)]
    assert np.allclose(raw, model.decision_function(DATA), rtol=1e-12, atol=0)


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_trees_of_xgboost(booster: str) -> None:
    model = xgboost.XGBClassifier(n_jobs=1, n_estimators=3, booster=booster).fit(DATA, TARGET)
    trees = grown(model).trees
    rows = DATA.astype(np.float32)
    given = [leaves(tree, rows, or_equal=False) for tree in trees]
    assert np.array(given).T.tolist() == model.apply(DATA).tolist()


def test_trees_of_lightgbm() -> None:
    """Its leaves are numbered by themselves, so two rows share one in both or in neither."""
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(DATA, TARGET)
    theirs: Any = model.predict(DATA, pred_leaf=True)
    for position, tree in enumerate(grown(model).trees):
        pairs = set(zip(leaves(tree, DATA, or_equal=True), theirs[:, position], strict=True))
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def test_lightgbm_tells_the_range_of_each_column() -> None:
    model = lightgbm.LGBMClassifier(n_estimators=1, verbose=-1, n_jobs=1)
    model.fit(np.column_stack([DATA, np.ones(len(DATA))]), TARGET)
    ranges = dict(grown(model).ranges)
    assert sorted(ranges) == list(range(31))
    for column in range(30):
        edges = [DATA[:, column].min(), DATA[:, column].max()]
        assert np.allclose(ranges[column], edges, rtol=1e-12)


@pytest.mark.parametrize("by", ["xgboost", "lightgbm"])
def test_categories_are_told_apart_from_thresholds(by: str) -> None:
    random = np.random.default_rng(0)
    data = np.column_stack([random.integers(0, 6, 400), random.random(400)]).astype(np.float64)
    target = np.isin(data[:, 0], [1, 3, 4]) ^ (data[:, 1] > 0.5)
    model: Any
    if by == "xgboost":
        model = xgboost.XGBClassifier(
            n_jobs=1,
            n_estimators=3,
            feature_types=["c", "q"],
            enable_categorical=True,
            max_cat_to_onehot=1,
        ).fit(data, target)
    else:
        model = lightgbm.LGBMClassifier(
            n_estimators=3, verbose=-1, n_jobs=1, min_child_samples=2
        ).fit(data, target, categorical_feature=[0])
    found = grown(model)
    assert {column for column, _ in found.categories} == {0}
    assert set(np.concatenate([values for _, values in found.categories])) == set(range(6))
    splits = np.concatenate([tree.feature for tree in found.trees])
    assert set(splits) == {-1, 1}


def test_parents_lead_back_to_the_root() -> None:
    (tree,) = grown(DecisionTreeClassifier(random_state=0).fit(DATA, TARGET)).trees
    parents = tree.parents()
    assert parents[0] == -1
    for node in range(1, len(parents)):
        assert node in (tree.left[parents[node]], tree.right[parents[node]])


@pytest.mark.parametrize(
    "model",
    [
        Ridge().fit(DATA, TARGET),
        xgboost.XGBClassifier(n_jobs=1, n_estimators=2, booster="gblinear").fit(DATA, TARGET),
    ],
)
def test_a_model_without_trees_has_none(model: Any) -> None:
    assert grown(model).trees == ()
