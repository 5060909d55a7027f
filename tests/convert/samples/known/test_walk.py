"""Which column of the model's input a step inside is about."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.multioutput import ClassifierChain
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from boxship.convert.samples.known.knowledge import Knowledge
from boxship.convert.samples.known.walk import find_knowledge

IRIS = load_iris()
TREE = DecisionTreeClassifier(random_state=0, max_features=None)


def known(model: Any, columns: int = 4) -> Knowledge:
    return find_knowledge(model, columns, np.random.default_rng(0))


def thresholds(found: Knowledge) -> dict[int, set[float]]:
    """By column of the model, where its trees split it, in its own unit."""
    splits: dict[int, set[float]] = {}
    for inputs, tree in found.trees:
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            link = inputs[feature] if feature >= 0 else None
            if link is not None:
                value = float(link.origin(np.array([threshold]))[0])
                splits.setdefault(link.column, set()).add(round(value, 6))
    return splits


def expected(tree: Any, columns: list[int]) -> dict[int, set[float]]:
    splits: dict[int, set[float]] = {}
    for feature, threshold in zip(tree.tree_.feature, tree.tree_.threshold, strict=True):
        if feature >= 0:
            splits.setdefault(columns[feature], set()).add(round(float(threshold), 6))
    return splits


def test_a_tree_behind_a_choice_of_columns() -> None:
    model = make_pipeline(SelectKBest(k=2), TREE).fit(IRIS.data, IRIS.target)
    columns = model[0].get_support(indices=True).tolist()
    assert thresholds(known(model)) == expected(model[1], columns)


def test_a_tree_that_chose_its_columns_itself() -> None:
    model = RFE(TREE, n_features_to_select=2).fit(IRIS.data, IRIS.target)
    columns = model.get_support(indices=True).tolist()
    assert thresholds(known(model)) == expected(model.estimator_, columns)


def test_a_tree_behind_columns_that_went_different_ways() -> None:
    """Behind the words' columns, the numbers keep their places."""
    frame = pd.DataFrame(IRIS.data, columns=["a", "b", "c", "d"])
    frame.insert(1, "word", np.where(IRIS.target == 1, "yes", "no"))
    transformer = ColumnTransformer(
        [
            ("words", OneHotEncoder(), ["word"]),
            ("scaled", StandardScaler(), ["d", "a"]),
            ("kept", "passthrough", [3]),
            ("dropped", "drop", ["b"]),
        ]
    )
    model = make_pipeline(transformer, TREE).fit(frame, IRIS.target)
    found = known(model, 5)
    assert list(found.categories[1]) == ["no", "yes"]
    plain = DecisionTreeClassifier(random_state=0).fit(
        pd.get_dummies(frame[["word", "d", "a", "c"]]).to_numpy(dtype=float)[:, [3, 4, 0, 1, 2]],
        IRIS.target,
    )
    assert set(thresholds(found)) <= {0, 3, 4}
    assert set(thresholds(found)) == set(expected(plain, [1, 1, 4, 0, 3])) - {1}
    for column, values in thresholds(found).items():
        data = frame.iloc[:, column]
        assert all(data.min() < value < data.max() for value in values)


def test_a_tree_behind_an_imputer_that_drops_and_adds_columns() -> None:
    data = np.column_stack([np.full(150, np.nan), IRIS.data])
    data[::10, 2] = np.nan
    model = make_pipeline(SimpleImputer(add_indicator=True), TREE)
    with pytest.warns(UserWarning, match="Skipping features"):
        model.fit(data, IRIS.target)
    splits = expected(model[1], [1, 2, 3, 4, -1, -1])
    splits.pop(-1, None)
    assert thresholds(known(model, 5)) == splits


def test_trees_that_each_see_some_columns() -> None:
    model = BaggingClassifier(TREE, 3, max_features=2, random_state=0).fit(IRIS.data, IRIS.target)
    together: dict[int, set[float]] = {}
    for tree, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        for column, values in expected(tree, columns.tolist()).items():
            together.setdefault(column, set()).update(values)
    assert thresholds(known(model)) == together


def test_trees_of_a_chain_see_answers_behind_the_columns() -> None:
    targets = np.column_stack([IRIS.target > 0, IRIS.target > 1])
    model = ClassifierChain(TREE).fit(IRIS.data, targets)
    found = known(model)
    assert [len(inputs) for inputs, _ in found.trees] == [4, 5]
    assert set(thresholds(found)) <= {0, 1, 2, 3}


def test_a_tree_behind_a_union_and_a_product() -> None:
    union = FeatureUnion([("scaled", MinMaxScaler()), ("plain", "passthrough")])
    model = make_pipeline(union, TREE).fit(IRIS.data, IRIS.target)
    assert set(thresholds(known(model))) == set(expected(model[1], [0, 1, 2, 3, 0, 1, 2, 3]))
    model = make_pipeline(PolynomialFeatures(include_bias=False), TREE).fit(
        IRIS.data[:, :2], IRIS.target
    )
    splits = expected(model[1], [0, 1, -1, -1, -1])
    splits.pop(-1, None)
    assert thresholds(known(model, 2)) == splits


def test_a_frozen_tree_and_one_behind_what_nobody_can_see_through() -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(IRIS.data, IRIS.target)
    assert thresholds(known(FrozenEstimator(tree))) == expected(tree, [0, 1, 2, 3])
    mixed = make_pipeline(FeatureUnion([("bins", KBinsDiscretizer(3, strategy="uniform"))]))
    model = make_pipeline(mixed, DecisionTreeClassifier()).fit(IRIS.data, IRIS.target)
    assert known(model).trees == []
    assert thresholds(known(tree, 7)) == {}


@pytest.mark.parametrize(
    ("step", "edges"),
    [
        (Binarizer(threshold=1.25), [[1.25]] * 4),
        (BernoulliNB(binarize=0.75), [[0.75]] * 4),
        (
            KBinsDiscretizer(3, strategy="uniform", encode="ordinal"),
            [
                np.linspace(*column, 4)
                for column in zip(IRIS.data.min(0), IRIS.data.max(0), strict=True)
            ],
        ),
    ],
)
def test_borders_between_bins_are_known(step: Any, edges: list[Any]) -> None:
    found = known(make_pipeline(StandardScaler(), step.fit(IRIS.data, IRIS.target))[1:])
    assert [link.column for link, _ in found.edges] == [0, 1, 2, 3]
    for (_, values), given in zip(found.edges, edges, strict=True):
        assert np.allclose(values, given)


@pytest.mark.parametrize("scaler", [MaxAbsScaler(), MinMaxScaler(), StandardScaler()])
def test_a_scaler_tells_the_training_range(scaler: Any) -> None:
    found = known(scaler.fit(IRIS.data))
    for column in range(4):
        values = np.concatenate(found.ranges[column])
        data = IRIS.data[:, column]
        assert data.mean() - 4 * data.std() <= max(values.min(), data.min())
        assert data.max() * 0.9 <= values.max() <= data.mean() + 4 * data.std()


def test_sparse_support_vectors_are_rows_too() -> None:
    sparse = OneHotEncoder().fit_transform(IRIS.data.astype(int))
    model = SVC().fit(sparse, IRIS.target)
    rows = np.concatenate(known(model, sparse.shape[1]).rows)
    assert rows.tolist() == model.support_vectors_.toarray().tolist()


def test_words_keep_their_column_through_a_function_and_an_imputer() -> None:
    frame = pd.DataFrame({"number": [1.0, 2.0, 3.0], "word": ["A", "b", None]}, dtype=object)
    words = make_pipeline(
        FunctionTransformer(),
        SimpleImputer(strategy="constant", fill_value="none"),
        OrdinalEncoder(),
    )
    model = ColumnTransformer([("words", words, ["word"])]).fit(frame)
    assert set(known(model, 2).categories) == {1}
    assert set(known(model, 2).categories[1]) == {"A", "b", "none"}


def test_vectors_that_a_model_was_told_only_the_distances_of_are_no_rows() -> None:
    model = SVC(kernel="precomputed").fit(IRIS.data @ IRIS.data.T, IRIS.target)
    assert known(model, 150).rows == []
