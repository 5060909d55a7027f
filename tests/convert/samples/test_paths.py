"""Rows that reach a split on either side of its threshold, however deep it lies."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.tree import DecisionTreeClassifier

from boxship.convert.samples.known.walk import find_knowledge
from boxship.convert.samples.paths import path_rows

DATA, TARGET = load_breast_cancer(return_X_y=True)


def rows_for(model: Any, base: Any) -> Any:
    random = np.random.default_rng(0)
    return path_rows(find_knowledge(model, DATA.shape[1], random), base, random)


@pytest.mark.parametrize(
    ("steps", "part"), [((), 1.0), ((MinMaxScaler(),), 0.95)], ids=["bare", "scaled"]
)
def test_every_split_of_a_tree_is_reached_from_both_sides(
    steps: tuple[Any, ...], part: float
) -> None:
    """Two rows that differ in the split's column alone, by two float32, end in two leaves."""
    tree = DecisionTreeClassifier(random_state=0, splitter="random")
    model = make_pipeline(*steps, tree).fit(DATA, TARGET)
    nodes = int((tree.tree_.feature >= 0).sum())
    rows = rows_for(model, DATA[: 3 * nodes])
    assert len(rows) == 3 * nodes
    below, above = rows[::3], rows[2::3]
    assert ((below != above).sum(axis=1) == 1).all()
    scaled = [model[:-1].transform(side) if steps else side for side in (below, above)]
    paths = [tree.decision_path(side).toarray().astype(bool) for side in scaled]
    ends = [tree.apply(side) for side in scaled]
    assert (ends[0] != ends[1]).mean() >= part
    # The last node that both go through is the split; each split has its turn.
    common = paths[0] & paths[1]
    depth = common.sum(axis=1)
    assert depth.max() == tree.get_depth()
    assert common.any(axis=0).sum() >= part * nodes


def test_of_more_splits_than_rows_every_column_gets_some() -> None:
    model = RandomForestClassifier(50, random_state=0).fit(DATA, TARGET)
    rows = rows_for(model, DATA[:300])
    assert len(rows) == 300
    varied = (rows[::3] != rows[2::3]).argmax(axis=1)
    assert (np.bincount(varied, minlength=30) >= 3).all()


def test_a_model_without_trees_has_no_such_rows() -> None:
    model = Ridge().fit(DATA, TARGET)
    assert rows_for(model, DATA).shape == (0, 30)
