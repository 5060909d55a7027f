"""Rows made from what a model knows: all of it occurs, and the model answers most of them."""

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from boxship.convert.samples import Samples, generate
from boxship.errors import InputError, ModelError, PredictionError
from boxship.runtimes.sklearn.runtime import SklearnRuntime
from boxship.signature import NUMPY_DTYPES, Datatype, Signature, TensorSpec

CANCER = load_breast_cancer()
IRIS = load_iris()
DIABETES = load_diabetes()
RANDOM = np.random.default_rng(0)


def people(rows: int = 200) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "age": RANDOM.integers(18, 90, rows).astype(float),
            "city": RANDOM.choice(["Rome", "Ösel", "Bonn"], rows).astype(object),
            "pay": RANDOM.lognormal(8, 1, rows),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[::11, "city"] = np.nan
    return frame


PEOPLE = people()
RICH = (PEOPLE["pay"] > 3000).astype(int)
TEXTS = ["good movie great fun", "bad film awful", "great good acting", "awful boring bad"] * 5


def of_people(final: Any, *, unknown: str = "ignore") -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    cities = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown=unknown)
    )
    columns = ColumnTransformer([("n", numbers, ["age", "pay"]), ("c", cities, ["city"])])
    return make_pipeline(columns, final)


IRISES = (IRIS.data, IRIS.target)
TUMOURS = (CANCER.data, CANCER.target)
PATIENTS = (DIABETES.data, DIABETES.target)
COUNTS = (IRIS.data.astype(int), IRIS.target)
TWO = (IRIS.data, np.column_stack([IRIS.target == 1, IRIS.target > 0]))
PERSONS = (PEOPLE, RICH)

MODELS: Mapping[str, tuple[Any, tuple[Any, Any]]] = {
    "linear": (LinearRegression(), PATIENTS),
    "logistic": (LogisticRegression(max_iter=5000), IRISES),
    "scaled logistic": (make_pipeline(StandardScaler(), LogisticRegression()), TUMOURS),
    "tree": (DecisionTreeClassifier(random_state=0), IRISES),
    "forest": (RandomForestClassifier(10, random_state=0), TUMOURS),
    "isolation forest": (IsolationForest(n_estimators=5, random_state=0), IRISES),
    "boosting": (GradientBoostingClassifier(n_estimators=5, random_state=0), IRISES),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=5), TUMOURS),
    "ada": (AdaBoostClassifier(n_estimators=5, random_state=0), IRISES),
    "bagging": (BaggingClassifier(max_features=0.5, random_state=0), IRISES),
    "support vectors": (SVC(), IRISES),
    "mixed support vectors": (make_pipeline(StandardScaler(), PCA(2), SVC()), TUMOURS),
    "neighbours": (KNeighborsClassifier(), IRISES),
    "gaussian bayes": (GaussianNB(), IRISES),
    "bernoulli bayes": (BernoulliNB(binarize=1.5), IRISES),
    "categorical bayes": (CategoricalNB(), COUNTS),
    "gaussian process": (GaussianProcessRegressor(), (IRIS.data[::3], IRIS.target[::3])),
    "perceptron": (
        MLPRegressor(hidden_layer_sizes=4, solver="lbfgs", random_state=0, tol=1.0),
        PATIENTS,
    ),
    "means": (KMeans(3, n_init=1, random_state=0), IRISES),
    "search": (GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {}, cv=2), PATIENTS),
    "calibrated": (CalibratedClassifierCV(GaussianNB(), cv=2), IRISES),
    "stack": (StackingClassifier([("tree", DecisionTreeClassifier())], cv=2), IRISES),
    "several outputs": (MultiOutputClassifier(DecisionTreeClassifier()), TWO),
    "chain": (ClassifierChain(DecisionTreeClassifier()), TWO),
    "changed target": (TransformedTargetRegressor(Ridge()), PATIENTS),
    "bins": (
        make_pipeline(
            KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
            GaussianNB(),
        ),
        IRISES,
    ),
    "quantiles": (
        make_pipeline(QuantileTransformer(n_quantiles=20), DecisionTreeClassifier()),
        IRISES,
    ),
    "powers": (make_pipeline(PowerTransformer(), DecisionTreeClassifier()), IRISES),
    "selected": (make_pipeline(SelectKBest(k=2), DecisionTreeClassifier()), IRISES),
    "splines": (make_pipeline(SplineTransformer(), Ridge()), PATIENTS),
    "powers of columns": (make_pipeline(PolynomialFeatures(), Ridge()), PATIENTS),
    "union": (
        make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", Binarizer())]), GaussianNB()),
        IRISES,
    ),
    "logarithm": (make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), IRISES),
    "categories": (make_pipeline(OneHotEncoder(), LogisticRegression()), COUNTS),
    "columns": (of_people(RandomForestClassifier(5, random_state=0)), PERSONS),
    "strict columns": (of_people(LogisticRegression(), unknown="error"), PERSONS),
    "text": (make_pipeline(TfidfVectorizer(), LogisticRegression()), (TEXTS, [1, 0, 1, 0] * 5)),
    "xgboost": (xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1), TUMOURS),
    "linear xgboost": (
        xgboost.XGBRegressor(n_estimators=2, booster="gblinear", n_jobs=1),
        PATIENTS,
    ),
    "lightgbm": (lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1), TUMOURS),
}


@functools.cache
def fitted(kind: str) -> Any:
    model, (data, target) = MODELS[kind]
    return model.fit(data, target)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores take seconds for what takes none."""
    with threadpool_limits(1):
        yield


def made(model: Any, **options: Any) -> tuple[SklearnRuntime, Samples]:
    model = copy.deepcopy(model)
    runtime = SklearnRuntime(model)
    return runtime, generate(model, runtime.signature, run=runtime.run, **options)


def answered(runtime: SklearnRuntime, batch: Mapping[str, Any]) -> bool:
    try:
        runtime.run(batch)
    except (InputError, PredictionError):
        return False
    return True


def matrix(samples: Samples) -> Any:
    return samples.batch["input"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MODELS)
def test_most_rows_are_answered_and_all_are_what_the_signature_says(kind: str) -> None:
    """Far outside the training data a model may overflow and warn; that is its own affair."""
    runtime, samples = made(fitted(kind), rows=600)
    signature = runtime.signature
    assert 0.8 * 600 <= samples.rows <= 600
    if signature.matrix is not None:
        assert list(samples.batch) == ["input"]
        assert matrix(samples).dtype == np.float64
        assert matrix(samples).shape == (samples.rows, signature.matrix.shape[1])
    else:
        assert list(samples.batch) == [spec.name for spec in signature.inputs]
        for spec in signature.inputs:
            assert samples.batch[spec.name].shape == (samples.rows, 1)
            assert samples.batch[spec.name].dtype == NUMPY_DTYPES[spec.datatype]
    kept = samples.rows * 8 // 10
    assert answered(runtime, {name: array[:kept] for name, array in samples.batch.items()})


@pytest.mark.parametrize("kind", ["forest", "columns", "text", "lightgbm"])
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(kind: str) -> None:
    _, one = made(fitted(kind), rows=300, seed=3)
    _, same = made(fitted(kind), rows=300, seed=3)
    _, other = made(fitted(kind), rows=300, seed=4)
    for name, array in one.batch.items():
        assert pd.Series(array[:, 0]).equals(pd.Series(same.batch[name][:, 0]))
    assert any(
        not pd.Series(array[:, 0]).equals(pd.Series(other.batch[name][:, 0]))
        for name, array in one.batch.items()
    )


@pytest.mark.parametrize("kind", ["tree", "forest", "histogram boosting", "xgboost", "lightgbm"])
def test_the_rows_are_made_without_a_runtime_at_hand(kind: str) -> None:
    _, samples = made(fitted(kind), rows=200)
    model = copy.deepcopy(fitted(kind))
    alone = generate(model, SklearnRuntime(model).signature, rows=200)
    assert np.array_equal(matrix(alone), matrix(samples), equal_nan=True)


@pytest.mark.parametrize("rows", [1, 2, 17])
@pytest.mark.parametrize("kind", ["scaled logistic", "forest", "columns", "text"])
def test_few_rows_are_as_many_as_were_asked_for(kind: str, rows: int) -> None:
    _, samples = made(fitted(kind), rows=rows)
    assert samples.rows == rows
    assert all(len(array) == rows for array in samples.batch.values())


def test_every_threshold_of_a_tree_occurs_with_its_neighbours() -> None:
    model = fitted("tree")
    _, samples = made(model)
    for feature, threshold in zip(model.tree_.feature, model.tree_.threshold, strict=True):
        if feature >= 0:
            single = np.float32(threshold)
            wanted = [
                threshold,
                single,
                np.nextafter(single, np.float32(-np.inf)),
                np.nextafter(single, np.float32(np.inf)),
                np.nextafter(threshold, -np.inf),
                np.nextafter(threshold, np.inf),
            ]
            assert np.isin(np.array(wanted, dtype=np.float64), matrix(samples)[:, feature]).all()
    thresholds = len(
        {
            pair
            for pair in zip(model.tree_.feature, model.tree_.threshold, strict=True)
            if pair[0] >= 0
        }
    )
    assert samples.notes[0].startswith(f"{thresholds} of {thresholds} thresholds")


def test_of_too_many_thresholds_every_column_gets_its_part() -> None:
    targets = CANCER.data @ RANDOM.random(30)
    trees = xgboost.XGBRegressor(n_estimators=100, max_depth=6, n_jobs=1).fit(CANCER.data, targets)
    _, samples = made(trees, rows=500)
    tried, of = samples.notes[0].replace(",", "").split(" thresholds")[0].split(" of ")
    assert int(tried) < int(of)
    splits = trees.get_booster().trees_to_dataframe()
    for column in range(30):
        known = splits[splits["Feature"] == f"f{column}"]["Split"].to_numpy(dtype=np.float32)
        assert np.isin(known.astype(np.float64), matrix(samples)[:, column]).sum() >= 5


def test_thresholds_behind_a_scaler_are_met_from_both_sides() -> None:
    """For each split some rows lie just below it and some just above, in the scaler's terms."""
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(*TUMOURS)
    _, samples = made(model)
    scaled = model[0].transform(matrix(samples))
    tree = model[1].tree_
    for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
        if feature >= 0:
            distance = scaled[:, feature] - threshold
            near = np.abs(distance) <= 3e-7 * max(abs(threshold), 1)
            assert (distance[near] <= 0).any()
            assert (distance[near] > 0).any()


def test_values_lie_within_the_training_range_at_its_edges_and_outside() -> None:
    model = KNeighborsClassifier().fit(*IRISES)
    _, samples = made(model)
    for column in range(4):
        values, known = matrix(samples)[:, column], IRIS.data[:, column]
        inside = (values >= known.min()) & (values <= known.max())
        assert 0.6 < inside.mean() < 0.99
        assert np.isin([known.min(), known.max()], values).all()
    assert (matrix(samples)[:, None] == IRIS.data[None]).all(axis=2).any(axis=0).mean() > 0.9


def test_special_numbers_occur_in_every_column() -> None:
    _, samples = made(fitted("logistic"))
    wanted = [0.0, 1.0, -1.0, 1e-30, -1e-30, 1e6, -1e6]
    for values in matrix(samples).T:
        assert np.isin(wanted, values).all()
        assert np.signbit(values[values == 0]).any()
        assert np.isfinite(values.astype(np.float32)).all()


@pytest.mark.parametrize("kind", ["logistic", "scaled logistic", "mixed support vectors"])
def test_rows_lie_near_the_border_between_two_labels(kind: str) -> None:
    model = fitted(kind)
    _, samples = made(model)
    decision = model.decision_function(matrix(samples))
    if decision.ndim > 1:
        best = np.sort(decision, axis=1)
        decision = best[:, -1] - best[:, -2]
    typical = np.median(np.abs(decision))
    assert (np.abs(decision) < typical * 1e-3).sum() >= 30


def test_categories_seen_and_unseen_occur() -> None:
    runtime, samples = made(fitted("columns"))
    cities = set(samples.batch["city"][:, 0])
    assert {"Rome", "Ösel", "Bonn", "", "ROME", "unseen", None} <= cities
    known = np.isin(samples.batch["city"][:, 0].astype(str), ["Rome", "Ösel", "Bonn"])
    assert known.mean() > 0.6
    assert answered(runtime, samples.batch)


def test_unseen_categories_that_the_model_refuses_stand_alone_at_the_end() -> None:
    runtime, samples = made(fitted("strict columns"))
    cities = samples.batch["city"][:, 0]
    known = pd.isna(cities) | np.isin(cities.astype(str), ["Rome", "Ösel", "Bonn"])
    first = int(np.argmin(known))
    assert 0 < (~known).sum() <= samples.rows // 5
    assert not known[first:].any()
    assert answered(runtime, {name: array[:first] for name, array in samples.batch.items()})
    for row in range(first, first + 5):
        one = {name: array[row : row + 1] for name, array in samples.batch.items()}
        assert not answered(runtime, one)
    assert any("refuses some values of city" in note for note in samples.notes)


def test_numeric_categories_are_mostly_those_seen() -> None:
    _, samples = made(fitted("categories"))
    for column in range(4):
        seen = np.isin(matrix(samples)[:, column], np.unique(COUNTS[0][:, column]))
        assert 0.8 < seen.mean() < 1


def test_categories_of_boosted_trees_occur() -> None:
    """Whole numbers up to four are its categories, whatever else it is tried with."""
    data = np.column_stack([RANDOM.integers(0, 5, 300), RANDOM.random(300)]).astype(float)
    target = np.isin(data[:, 0], [1, 3]) ^ (data[:, 1] > 0.5)
    boosting = HistGradientBoostingClassifier(max_iter=3, categorical_features=[0])
    light = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, min_data_per_group=5, n_jobs=1)
    for model in (
        boosting.fit(data, target),
        light.fit(data, target, categorical_feature=[0]),
    ):
        _, samples = made(model)
        values = matrix(samples)[:, 0]
        assert np.isin(values, np.arange(5)).mean() > 0.6


def test_categories_that_are_whole_by_nature_stay_whole() -> None:
    """LightGBM cuts a category to a whole number, so a part of one says nothing."""
    data = np.column_stack([RANDOM.integers(0, 5, 300), RANDOM.random(300)]).astype(float)
    light = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, min_data_per_group=5, n_jobs=1)
    light.fit(data, np.isin(data[:, 0], [1, 3]), categorical_feature=[0])
    _, samples = made(light)
    values = matrix(samples)[:, 0]
    present = values[~np.isnan(values)]
    assert (present == np.rint(present)).all()
    assert {-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0} <= set(present)


def test_on_the_way_to_another_label_a_category_stays_what_it_is() -> None:
    """Half way between two categories is none, and this model would refuse it."""
    data = np.column_stack([IRIS.data.astype(int)[:, 0], IRIS.data[:, 1:]])
    model = make_pipeline(
        ColumnTransformer([("kind", OneHotEncoder(), [0])], remainder="passthrough"),
        LogisticRegression(max_iter=1000),
    ).fit(data, IRIS.target == 1)
    runtime, samples = made(model)
    answers = runtime.run({"input": matrix(samples)[: samples.rows * 9 // 10]})
    assert (np.abs(answers["score"].astype(float) - 0.5) < 1e-3).sum() >= 15


def as_numbers(texts: Any) -> Any:
    return np.asarray(texts).astype(float)


def test_a_column_of_text_that_the_model_makes_numbers_of_stays_text() -> None:
    model = make_pipeline(FunctionTransformer(as_numbers), KNeighborsClassifier())
    model.fit((IRIS.data * 100).astype(str).astype(object), IRIS.target)
    declared = [
        TensorSpec(name=f"x{number}", datatype="BYTES", example="1.5") for number in range(4)
    ]
    runtime = SklearnRuntime(model, inputs=declared)
    samples = generate(model, runtime.signature, run=runtime.run, rows=300)
    texts = np.concatenate([samples.batch[spec.name][:, 0] for spec in declared])
    assert {type(text) for text in texts if text is not None} == {str}
    assert "1.5" in texts


def test_missing_values_occur_alone_and_together_where_the_model_takes_them() -> None:
    runtime, samples = made(fitted("columns"))
    missing = np.column_stack([pd.isna(samples.batch[name][:, 0]) for name in samples.batch])
    nullable = [spec.nullable for spec in runtime.signature.inputs]
    assert nullable == [True, True, True]
    together = {tuple(row) for row in missing.tolist()}
    assert {(True, False, False), (False, True, False), (False, False, True)} <= together
    assert (True, True, True) in together
    assert missing.any(axis=1).mean() < 0.2


def test_some_row_misses_everything_that_may_be_missing() -> None:
    _, samples = made(fitted("histogram boosting"), rows=200)
    assert np.isnan(matrix(samples)).all(axis=1).any()


def test_nothing_is_missing_where_the_model_takes_no_missing_values() -> None:
    _, samples = made(fitted("logistic"))
    assert np.isfinite(matrix(samples)).all()


def test_texts_hold_the_words_that_the_vectorizer_knows_and_others() -> None:
    _, samples = made(fitted("text"))
    (texts,) = (array[:, 0] for array in samples.batch.values())
    words = {word for text in texts for word in text.split()}
    assert set(fitted("text")[0].vocabulary_) <= words
    assert "" in set(texts)
    assert any(text.isupper() for text in texts)
    assert any(not text.isascii() for text in texts)
    assert len({len(text.split()) for text in texts}) > 10


def test_columns_of_whole_numbers_and_booleans_stay_what_they_are() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(*IRISES)
    datatypes: tuple[Datatype, ...] = ("INT8", "UINT64", "BOOL", "FP32")
    declared = [
        TensorSpec(name=f"c{number}", datatype=datatype)
        for number, datatype in enumerate(datatypes)
    ]
    runtime = SklearnRuntime(model, inputs=declared)
    assert runtime.signature.columns is not None
    assert [spec.datatype for spec in runtime.signature.columns] == [
        spec.datatype for spec in declared
    ]
    samples = generate(model, runtime.signature, run=runtime.run)
    columns = [
        matrix(samples)[:, position] if "input" in samples.batch else samples.batch[spec.name][:, 0]
        for position, spec in enumerate(declared)
    ]
    small, large, flag, single = (np.asarray(column, dtype=np.float64) for column in columns)
    assert (small == np.rint(small)).all()
    assert -128 <= small.min() < 0 < small.max() <= 127
    assert (large == np.rint(large)).all()
    assert large.min() >= 0
    assert set(flag) == {0.0, 1.0}
    assert np.array_equal(single, single.astype(np.float32), equal_nan=True)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_model_that_answers_little_keeps_what_it_answers() -> None:
    """An inverse sine refuses all beyond one, which nothing about the model tells."""
    model = make_pipeline(FunctionTransformer(np.arcsin), Ridge()).fit(
        RANDOM.uniform(-1, 1, (50, 2)), np.arange(50.0)
    )
    runtime, samples = made(model, rows=300)
    kept = samples.rows * 8 // 10
    assert kept > 10
    assert answered(runtime, {"input": matrix(samples)[:kept]})


def test_ordinal_words_alone() -> None:
    frame = PEOPLE[["city"]].dropna()
    model = make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        DecisionTreeClassifier(random_state=0),
    ).fit(frame, RICH[frame.index])
    _, samples = made(model, rows=200)
    assert {"Rome", "Ösel", "Bonn", "unseen"} <= set(samples.batch["city"][:, 0])


def test_a_model_of_whole_tensors_is_refused_in_words() -> None:
    with pytest.raises(ModelError, match="whole tensors"):
        generate(fitted("tree"), Signature(inputs=(), outputs=()))
