"""Bit-equality of SklearnRuntime with the model called directly, and what its signature says."""

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from boxship.errors import InputError, ModelError, PredictionError
from boxship.runtimes.sklearn.runtime import SklearnRuntime
from boxship.signature import TensorSpec

CANCER = load_breast_cancer()
IRIS = load_iris()
DIABETES = load_diabetes()
SPECIES = IRIS.target_names[IRIS.target]
HOLES = np.where(np.random.default_rng(0).random(CANCER.data.shape) < 0.1, np.nan, CANCER.data)

BINARY = [
    LogisticRegression(max_iter=5000),
    make_pipeline(StandardScaler(), LogisticRegression()),
    RandomForestClassifier(5, random_state=0, n_jobs=-1),
    ExtraTreesClassifier(5, random_state=0),
    DecisionTreeClassifier(max_depth=3, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
    BaggingClassifier(DecisionTreeClassifier(max_depth=2), 3, random_state=0),
    KNeighborsClassifier(4),
    VotingClassifier(
        [("tree", DecisionTreeClassifier(random_state=0)), ("knn", KNeighborsClassifier())],
        voting="soft",
    ),
    GridSearchCV(make_pipeline(StandardScaler(), KNeighborsClassifier()), {}, cv=2),
]


def names_of(models: list[Any]) -> list[str]:
    return [type(model).__name__ for model in models]


def equal(given: Any, expected: Any) -> bool:
    """Bit for bit, NaN equal to NaN."""
    expected = np.asarray(expected)
    if expected.dtype.kind in "UO":
        return np.array_equal(np.asarray(given, dtype=object), expected.astype(object))
    return given.shape == expected.shape and np.array_equal(given, expected, equal_nan=True)


def columns_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The batch a caller makes of a frame: strings with None, numbers with NaN, ``[rows, 1]``."""
    batch = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind in "fib":
            batch[name] = values.to_numpy().reshape(-1, 1)
        else:
            batch[name] = np.empty((len(values), 1), dtype=object)
            batch[name][:, 0] = [None if pd.isna(value) else value for value in values]
    return batch


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("model", BINARY, ids=names_of(BINARY))
def test_binary_classifiers_answer_score_and_label_bit_for_bit(model: Any, rows: int) -> None:
    model = copy.deepcopy(model).fit(CANCER.data, CANCER.target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    batch = CANCER.data[:rows]
    answer = runtime.run({"input": batch})
    assert list(answer) == ["score", "label"]
    assert equal(answer["score"], model.predict_proba(batch)[:, 1])
    assert equal(answer["label"], model.predict(batch))
    assert answer["label"].dtype == np.int64


@pytest.mark.parametrize("rows", [1, 150])
@pytest.mark.parametrize("labels", [IRIS.target, SPECIES], ids=["int", "str"])
@pytest.mark.parametrize("model", BINARY, ids=names_of(BINARY))
def test_multiclass_classifiers_answer_label_and_scores(model: Any, labels: Any, rows: int) -> None:
    model = copy.deepcopy(model).fit(IRIS.data, labels)
    runtime = SklearnRuntime(copy.deepcopy(model))
    batch = IRIS.data[:rows]
    answer = runtime.run({"input": batch})
    assert equal(answer["scores"], model.predict_proba(batch))
    assert equal(answer["label"], model.predict(batch))
    by_name = {answer.name: answer for answer in runtime.signature.answers}
    assert by_name["scores"].classes == tuple(str(label) for label in model.classes_)
    datatype = {spec.name: spec.datatype for spec in runtime.signature.outputs}
    assert datatype == {"label": "BYTES" if labels is SPECIES else "INT64", "scores": "FP64"}


def test_signature_of_a_model_fitted_on_a_plain_array() -> None:
    """One V2 tensor ``input``; the columns are numbered and carry the scaler's means."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS.data, IRIS.target > 0)
    runtime = SklearnRuntime(model)
    signature = runtime.signature
    assert runtime.batchable
    assert runtime.name.startswith("scikit-learn 1.")
    assert signature.inputs == (TensorSpec(name="input", datatype="FP64", shape=(-1, 4)),)
    assert signature.matrix == signature.inputs[0]
    assert signature.columns is not None
    assert [column.name for column in signature.columns] == [f"feature_{n}" for n in (1, 2, 3, 4)]
    assert [column.example for column in signature.columns] == [5.843, 3.057, 3.758, 1.199]
    assert [(spec.name, spec.datatype, spec.shape) for spec in signature.outputs] == [
        ("score", "FP64", (-1,)),
        ("label", "BOOL", (-1,)),
    ]
    sample = runtime.sample(3)
    assert sample["input"].shape == (3, 4)
    assert runtime.run(sample)["label"].shape == (3,)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=5000),
        make_pipeline(StandardScaler(), LogisticRegression()),
        VotingClassifier([("tree", DecisionTreeClassifier(random_state=0))], voting="soft"),
    ],
    ids=["plain", "pipeline", "voting"],
)
def test_a_model_fitted_on_names_takes_the_matrix_without_a_warning(model: Any) -> None:
    names = [str(name) for name in CANCER.feature_names]
    frame = pd.DataFrame(dict(zip(names, CANCER.data.T, strict=True)))
    model = model.fit(frame, CANCER.target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    signature = runtime.signature
    assert [spec.name for spec in signature.inputs] == names
    assert {spec.shape for spec in signature.inputs} == {(-1, 1)}
    assert signature.matrix == TensorSpec(name="input", datatype="FP64", shape=(-1, 30))
    answer = runtime.run({"input": CANCER.data[:9]})
    assert equal(answer["score"], model.predict_proba(frame[:9])[:, 1])
    assert equal(answer["label"], model.predict(frame[:9]))


def test_hist_gradient_boosting_takes_missing_numbers() -> None:
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(HOLES, CANCER.target)
    runtime = SklearnRuntime(model)
    assert runtime.signature.columns is not None
    assert all(column.nullable for column in runtime.signature.columns)
    assert equal(runtime.run({"input": HOLES[:50]})["score"], model.predict_proba(HOLES[:50])[:, 1])


def test_logistic_regression_refuses_missing_numbers_and_says_so() -> None:
    runtime = SklearnRuntime(LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target))
    assert runtime.signature.columns is not None
    assert not any(column.nullable for column in runtime.signature.columns)
    with pytest.raises(InputError, match="Input X contains NaN"):
        runtime.run({"input": np.full((1, 4), np.nan)})


def passengers(rows: int = 60) -> tuple[pd.DataFrame, np.ndarray]:
    """A small table as people have it: numbers with holes, strings with holes, flags."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.2, np.nan, random.normal(40, 9, rows)),
            "fare": random.normal(30, 5, rows),
            "city": random.choice(["Oslo", "Bergen", "Tromsø"], rows),
            "class": random.choice(["a", "b"], rows),
            "member": random.random(rows) < 0.5,
        }
    )
    frame.loc[::7, "city"] = np.nan
    return frame, random.integers(0, 2, rows)


def mixed_pipeline() -> Pipeline:
    return make_pipeline(
        ColumnTransformer(
            [
                ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
                ("f", StandardScaler(), ["fare"]),
                (
                    "c",
                    make_pipeline(
                        SimpleImputer(strategy="most_frequent"),
                        OneHotEncoder(handle_unknown="error"),
                    ),
                    ["city"],
                ),
                ("k", OneHotEncoder(), ["class", "member"]),
            ]
        ),
        LogisticRegression(),
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [1, 60])
@pytest.mark.parametrize("flat", [False, True], ids=["[rows, 1]", "[rows]"])
def test_strings_and_missing_values_through_a_column_transformer(*, rows: int, flat: bool) -> None:
    frame, target = passengers()
    model = mixed_pipeline().fit(frame, target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    batch = columns_of(frame[:rows])
    if flat:
        batch = {name: values.reshape(-1) for name, values in batch.items()}
    before = {name: values.copy() for name, values in batch.items()}
    answer = runtime.run(batch)
    assert equal(answer["score"], model.predict_proba(frame[:rows])[:, 1])
    assert equal(answer["label"], model.predict(frame[:rows]))
    assert all((batch[name] == before[name]).all() for name in ("city", "class"))


def test_signature_of_a_column_transformer() -> None:
    """Datatypes come from the encoders, nullability from asking the model per column."""
    frame, target = passengers()
    runtime = SklearnRuntime(mixed_pipeline().fit(frame, target))
    signature = runtime.signature
    assert signature.columns is not None
    assert signature.inputs == signature.columns
    assert signature.matrix is None
    said = {column.name: (column.datatype, column.nullable) for column in signature.columns}
    assert said == {
        "age": ("FP64", True),
        "fare": ("FP64", False),
        "city": ("BYTES", True),
        "class": ("BYTES", False),
        "member": ("BOOL", False),
    }
    examples = {column.name: column.example for column in signature.columns}
    assert examples["city"] == "Bergen"
    assert examples["class"] == "a"
    assert examples["member"] is False
    assert 30 < examples["age"] < 50
    assert len(runtime.run(runtime.sample(4))["score"]) == 4


def test_an_unknown_category_is_the_clients_error_in_the_models_words() -> None:
    frame, target = passengers()
    runtime = SklearnRuntime(mixed_pipeline().fit(frame, target))
    batch = dict(runtime.sample(1))
    batch["class"] = np.array(["zebra"], dtype=object)
    with pytest.raises(InputError, match=r"Found unknown categories \['zebra'\]"):
        runtime.run(batch)


def test_a_category_of_none_is_asked_for_with_none() -> None:
    """An encoder fitted on None gets None; NaN would be an unknown category."""
    frame = pd.DataFrame({"a": pd.Series(["x", None, "y", "x"], dtype=object), "b": [1.0, 2, 3, 4]})
    model = make_pipeline(
        ColumnTransformer([("a", OneHotEncoder(), ["a"])], remainder="passthrough"),
        LogisticRegression(),
    ).fit(frame, [0, 1, 0, 1])
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert runtime.signature.columns is not None
    assert [column.nullable for column in runtime.signature.columns] == [True, False]
    batch = {"a": np.array([None, "x"], dtype=object), "b": np.array([1.0, 2.0])}
    given = pd.DataFrame({"a": pd.Series([None, "x"], dtype=object), "b": [1.0, 2.0]})
    assert equal(runtime.run(batch)["score"], model.predict_proba(given)[:, 1])


def test_an_all_numeric_column_transformer_keeps_the_matrix_and_gets_a_frame() -> None:
    frame = pd.DataFrame(dict(zip("abcd", IRIS.data.T, strict=True)))
    model = make_pipeline(
        ColumnTransformer([("s", StandardScaler(), ["d", "a"])], remainder="passthrough"),
        RandomForestClassifier(3, random_state=0),
    ).fit(frame, SPECIES)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert runtime.signature.matrix is not None
    answer = runtime.run({"input": IRIS.data})
    assert equal(answer["scores"], model.predict_proba(frame))
    assert equal(answer["label"], model.predict(frame))


def test_an_object_array_without_names_is_columns_of_strings_and_numbers() -> None:
    data = np.array([["a", 1.0], ["b", 2.0], ["a", 3.0], ["b", 4.0]], dtype=object)
    model = make_pipeline(
        ColumnTransformer([("c", OneHotEncoder(), [0]), ("n", StandardScaler(), slice(1, 2))]),
        LogisticRegression(),
    ).fit(data, [0, 1, 1, 0])
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [(c.name, c.datatype) for c in runtime.signature.inputs] == [
        ("feature_1", "BYTES"),
        ("feature_2", "FP64"),
    ]
    batch = {"feature_1": data[:, 0], "feature_2": data[:, 1].astype(float)}
    assert equal(runtime.run(batch)["score"], model.predict_proba(data)[:, 1])


@pytest.mark.parametrize("selection", [slice("a", "b"), [True, True, False], [0, -2], "ab"])
def test_every_way_of_selecting_columns_is_understood(selection: Any) -> None:
    """Names, slices of names (their end included), masks and positions."""
    frame = pd.DataFrame({"a": ["x", "y"] * 3, "b": ["u", "v"] * 3, "c": [1.0, 2, 3, 4, 5, 6]})
    columns = list(selection) if isinstance(selection, str) else selection
    model = make_pipeline(
        ColumnTransformer([("o", OrdinalEncoder(), columns), ("d", "drop", [])], remainder="drop"),
        DecisionTreeClassifier(random_state=0),
    ).fit(frame, [0, 1] * 3)
    datatypes = [column.datatype for column in SklearnRuntime(model).signature.inputs]
    assert datatypes == ["BYTES", "BYTES", "FP64"]


def test_categories_behind_a_function_a_union_and_a_search_are_found() -> None:
    frame = pd.DataFrame({"a": ["X", "y"] * 10, "n": [1, 2] * 10})
    lower = FunctionTransformer(lambda values: values.apply(lambda column: column.str.lower()))
    model = GridSearchCV(
        make_pipeline(
            ColumnTransformer(
                [
                    ("a", make_pipeline(lower, FeatureUnion([("o", OneHotEncoder())])), ["a"]),
                    ("n", OneHotEncoder(), ["n"]),
                ]
            ),
            LogisticRegression(),
        ),
        {},
        cv=2,
    ).fit(frame, [0, 1] * 10)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [column.datatype for column in runtime.signature.inputs] == ["BYTES", "FP64"]
    batch = {"a": np.array(["x", "Y"], dtype=object), "n": np.array([2.0, 1.0])}
    given = pd.DataFrame({"a": ["x", "Y"], "n": [2.0, 1.0]})
    assert equal(runtime.run(batch)["score"], model.predict_proba(given)[:, 1])


def test_pandas_categories_inside_hist_gradient_boosting_are_strings() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["r", "g", "b"] * 20), "x": np.arange(60.0)})
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, random_state=0)
    model.fit(frame, ([0, 1, 1] * 20))
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [column.datatype for column in runtime.signature.inputs] == ["BYTES", "FP64"]
    batch = {"c": np.array(["r", "g", None], dtype=object), "x": np.array([1.0, 2.0, np.nan])}
    dtype = frame["c"].dtype
    given = pd.DataFrame({"c": pd.Series(["r", "g", None], dtype=dtype), "x": [1.0, 2.0, np.nan]})
    assert equal(runtime.run(batch)["score"], model.predict_proba(given)[:, 1])


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        CountVectorizer(),
        HashingVectorizer(n_features=64),
        FeatureUnion([("w", TfidfVectorizer()), ("c", CountVectorizer(analyzer="char"))]),
    ],
    ids=["tfidf", "count", "hashing", "union"],
)
def test_a_text_pipeline_is_one_column_of_documents(vectorizer: Any) -> None:
    documents = ["good ship", "bad ship", "good box", "bad box"] * 3
    model = make_pipeline(vectorizer, LogisticRegression()).fit(documents, ["pos", "neg"] * 6)
    runtime = SklearnRuntime(copy.deepcopy(model))
    (column,) = runtime.signature.inputs
    assert (column.name, column.datatype, column.shape) == ("feature_1", "BYTES", (-1, 1))
    assert isinstance(column.example, str)
    batch = {"feature_1": np.array(documents, dtype=object).reshape(-1, 1)}
    answer = runtime.run(batch)
    assert equal(answer["score"], model.predict_proba(documents)[:, 1])
    assert equal(answer["label"], model.predict(documents))
    assert runtime.run({"feature_1": batch["feature_1"][:1, 0]})["label"].tolist() == ["pos"]


REGRESSORS = [
    LinearRegression(),
    RandomForestRegressor(4, random_state=0),
    make_pipeline(StandardScaler(), Ridge()),
    TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
]


@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize("model", REGRESSORS, ids=names_of(REGRESSORS))
def test_regressors_answer_value(model: Any, rows: int) -> None:
    model = copy.deepcopy(model).fit(DIABETES.data, DIABETES.target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    batch = DIABETES.data[:rows]
    answer = runtime.run({"input": batch})
    assert list(answer) == ["value"]
    assert equal(answer["value"], model.predict(batch))
    assert runtime.signature.outputs[0].shape == (-1,)


@pytest.mark.parametrize(("width", "shape"), [(1, (-1,)), (3, (-1, 3))])
def test_regressors_of_several_targets_answer_a_list(width: int, shape: tuple[int, ...]) -> None:
    """One target fitted as a matrix is still one value."""
    target = np.stack([DIABETES.target * n for n in range(1, width + 1)], axis=1)
    model = LinearRegression().fit(DIABETES.data, target)
    runtime = SklearnRuntime(model)
    assert runtime.signature.outputs[0].shape == shape
    given = runtime.run({"input": DIABETES.data[:5]})["value"]
    assert equal(given, model.predict(DIABETES.data[:5]).reshape(given.shape))


@pytest.mark.filterwarnings("ignore:The `probability` parameter")
def test_svc_labels_are_its_own_even_where_its_probabilities_disagree() -> None:
    random = np.random.default_rng(3)
    data, target = random.normal(size=(40, 2)), random.integers(0, 3, 40)
    model = SVC(probability=True, random_state=0).fit(data, target)
    probe = random.normal(size=(200, 2))
    labels = model.predict(probe)
    assert (labels != model.classes_[model.predict_proba(probe).argmax(axis=1)]).any()
    answer = SklearnRuntime(copy.deepcopy(model)).run({"input": probe})
    assert equal(answer["label"], labels)
    assert equal(answer["scores"], model.predict_proba(probe))


@pytest.mark.parametrize(
    ("model", "data", "target", "shape"),
    [
        (LinearSVC(), CANCER.data[:80], CANCER.target[:80], (-1,)),
        (SVC(), IRIS.data, SPECIES, (-1, 3)),
        (IsolationForest(n_estimators=4, random_state=0), IRIS.data, None, (-1,)),
    ],
    ids=["binary", "multiclass", "outliers"],
)
def test_without_probabilities_the_decision_is_answered(
    model: Any, data: Any, target: Any, shape: tuple[int, ...]
) -> None:
    model = model.fit(data, target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [(spec.name, spec.shape) for spec in runtime.signature.outputs] == [
        ("decision", shape),
        ("label", (-1,)),
    ]
    answer = runtime.run({"input": data[:20]})
    assert equal(answer["decision"], model.decision_function(data[:20]))
    assert equal(answer["label"], model.predict(data[:20]))


def test_clusterers_answer_the_label_alone() -> None:
    model = KMeans(3, n_init=1, random_state=0).fit(IRIS.data)
    runtime = SklearnRuntime(copy.deepcopy(model))
    (label,) = runtime.signature.outputs
    assert (label.name, label.datatype) == ("label", "INT64")
    given = runtime.run({"input": IRIS.data})["label"]
    assert given.dtype == np.int64
    assert equal(given, model.predict(IRIS.data))


def test_mixtures_have_scores_by_the_number_of_the_component() -> None:
    model = GaussianMixture(2, random_state=0).fit(IRIS.data)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert runtime.signature.answers[1].classes == ("0", "1")
    assert equal(runtime.run({"input": IRIS.data})["scores"], model.predict_proba(IRIS.data))


def test_several_outputs_with_the_same_classes_share_one_tensor() -> None:
    target = np.stack([IRIS.target > 0, IRIS.target > 1], axis=1).astype(int)
    model = RandomForestClassifier(3, random_state=0).fit(IRIS.data, target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [spec.shape for spec in runtime.signature.outputs] == [(-1, 2), (-1, 2, 2)]
    answer = runtime.run({"input": IRIS.data})
    assert equal(answer["label"], model.predict(IRIS.data).astype(float))
    assert equal(answer["scores"], np.stack(model.predict_proba(IRIS.data), axis=1))


def test_several_outputs_with_different_classes_have_a_tensor_each() -> None:
    target = np.stack([SPECIES, np.where(IRIS.target > 1, "late", "early")], axis=1)
    model = MultiOutputClassifier(LogisticRegression(max_iter=1000)).fit(IRIS.data, target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [(answer.name, answer.classes) for answer in runtime.signature.answers] == [
        ("label", ()),
        ("scores_1", ("setosa", "versicolor", "virginica")),
        ("scores_2", ("early", "late")),
    ]
    answer = runtime.run({"input": IRIS.data})
    first, second = model.predict_proba(IRIS.data)
    assert equal(answer["scores_1"], first)
    assert equal(answer["scores_2"], second)
    assert equal(answer["label"], model.predict(IRIS.data))


def test_multilabel_answers_a_probability_per_label() -> None:
    target = np.stack([IRIS.target > 0, IRIS.target > 1], axis=1).astype(int)
    model = OneVsRestClassifier(LogisticRegression(max_iter=1000)).fit(IRIS.data, target)
    runtime = SklearnRuntime(copy.deepcopy(model))
    assert [spec.shape for spec in runtime.signature.outputs] == [(-1, 2), (-1, 2)]
    answer = runtime.run({"input": IRIS.data})
    assert equal(answer["scores"], model.predict_proba(IRIS.data))
    assert equal(answer["label"], model.predict(IRIS.data))


def test_n_jobs_is_one_everywhere_inside() -> None:
    forest = RandomForestClassifier(3, n_jobs=-1, random_state=0)
    model = make_pipeline(
        CalibratedClassifierCV(
            VotingClassifier([("f", forest), ("k", KNeighborsClassifier(n_jobs=2))], voting="soft"),
            cv=2,
            n_jobs=4,
        )
    ).fit(IRIS.data, IRIS.target)
    SklearnRuntime(model)
    parameters = model.get_params(deep=True)
    assert {parameters[name] for name in parameters if name.endswith("n_jobs")} <= {1, None}
    inner = model.steps[-1][1].calibrated_classifiers_[0].estimator.estimators_
    assert [part.n_jobs for part in inner] == [1, 1]


def test_declared_names_are_used_where_the_model_has_none() -> None:
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    inputs = [TensorSpec(name=name, datatype="FP64", description=name.title()) for name in names]
    runtime = SklearnRuntime(
        LogisticRegression(max_iter=1000).fit(IRIS.data, SPECIES), inputs=inputs
    )
    assert runtime.signature.columns is not None
    assert [column.name for column in runtime.signature.columns] == names
    assert runtime.signature.columns[0].description == "Sepal Length"
    assert [spec.name for spec in runtime.signature.inputs] == ["input"]


def test_declared_columns_complete_the_models_own() -> None:
    """Datatype, example and ``nullable`` of a named column; the others stay."""
    frame = pd.DataFrame(IRIS.data, columns=list("abcd"))
    declared = [TensorSpec(name="c", datatype="INT64", example=4, nullable=True)]
    runtime = SklearnRuntime(LogisticRegression(max_iter=1000).fit(frame, SPECIES), inputs=declared)
    assert runtime.signature.columns is not None
    column = runtime.signature.columns[2]
    assert (column.datatype, column.example, column.nullable) == ("INT64", 4, True)
    assert runtime.signature.columns[0].datatype == "FP64"


class Threshold:
    """An estimator of the user's own that says nothing about itself."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def predict(self, data: Any) -> Any:
        if self.error is not None and np.asarray(data)[0, 0] > 100:
            raise self.error
        return np.asarray(data)[:, 0] > 0


def test_a_foreign_estimator_needs_declared_columns() -> None:
    with pytest.raises(ModelError, match="Threshold does not say how many columns") as caught:
        SklearnRuntime(Threshold())
    assert "inputs" in caught.value.tip
    runtime = SklearnRuntime(Threshold(), inputs=[TensorSpec(name="x", datatype="FP64")])
    assert runtime.run({"input": np.array([[1.0], [-1.0]])})["label"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("too big\nsee the manual"), InputError("too big")),
        (TypeError("no number"), InputError("no number")),
        (RuntimeError("out of luck"), PredictionError("RuntimeError: out of luck")),
        (ValueError(), InputError("ValueError")),
    ],
)
def test_the_models_own_complaint_reaches_the_client(error: Exception, expected: Exception) -> None:
    runtime = SklearnRuntime(Threshold(error), inputs=[TensorSpec(name="x", datatype="FP64")])
    with pytest.raises(type(expected)) as caught:
        runtime.run({"input": np.array([[101.0]])})
    assert str(caught.value) == str(expected)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ({"weights": 1}, "found a dict"),
        (LogisticRegression, "found the class LogisticRegression"),
        (StandardScaler(), "found a sklearn.preprocessing._data.StandardScaler"),
    ],
)
def test_what_cannot_predict_is_named(model: Any, found: str) -> None:
    with pytest.raises(ModelError, match=found):
        SklearnRuntime(model)


def test_an_unfitted_model_is_a_model_error_with_a_next_step() -> None:
    inputs = [TensorSpec(name="x", datatype="FP64")]
    with pytest.raises(ModelError, match="not fitted yet") as caught:
        SklearnRuntime(LogisticRegression(), inputs=inputs)
    assert "Is it fitted?" in caught.value.tip


@pytest.mark.parametrize(
    ("frame", "names", "message"),
    [
        (False, ["a"], "takes 4 columns, 1 are declared"),
        (True, ["a", "z"], "no columns of the model: z"),
    ],
)
def test_a_declaration_that_contradicts_the_model_is_refused(
    *, frame: bool, names: list[str], message: str
) -> None:
    data = pd.DataFrame(IRIS.data, columns=list("abcd")) if frame else IRIS.data
    model = LogisticRegression(max_iter=1000).fit(data, IRIS.target)
    with pytest.raises(ModelError, match=message):
        SklearnRuntime(model, inputs=[TensorSpec(name=name, datatype="FP64") for name in names])


def test_columns_that_share_a_name_are_refused() -> None:
    """Since 1.9 scikit-learn refuses them itself; older models have them."""
    model = LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target)
    model.feature_names_in_ = np.array(["a", "b", "a", "c"], dtype=object)
    with pytest.raises(ModelError, match="share a name: a"):
        SklearnRuntime(model)


def test_a_model_that_takes_no_zeros_is_asked_with_ones() -> None:
    model = make_pipeline(PowerTransformer("box-cox"), LogisticRegression())
    runtime = SklearnRuntime(model.fit(CANCER.data[:, :3], CANCER.target))
    assert runtime.sample(1)["input"].tolist() == [[1.0, 1.0, 1.0]]


def test_missing_pandas_is_a_model_error_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, target = passengers()
    model = mixed_pipeline().fit(frame, target)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ModelError, match="pandas is not installed") as caught:
        SklearnRuntime(model)
    assert "pip install pandas" in caught.value.tip


def test_metadata_routing_leaves_the_pipeline_to_itself() -> None:
    from sklearn import config_context

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS.data, SPECIES)
    with config_context(enable_metadata_routing=True):
        answer = SklearnRuntime(copy.deepcopy(model)).run({"input": IRIS.data})
    assert equal(answer["scores"], model.predict_proba(IRIS.data))


def test_no_warning_is_raised_on_the_way() -> None:
    frame, target = passengers()
    model = mixed_pipeline().fit(frame, target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runtime = SklearnRuntime(model)
        runtime.run(runtime.sample(2))


@pytest.mark.parametrize(
    "grid",
    [{"criterion": ["gini", "entropy"]}, {"max_features": [None, "log2"]}, {"max_depth": [1, 2]}],
    ids=["texts", "None", "numbers"],
)
def test_a_search_is_served_whatever_it_searched(grid: dict[str, Any]) -> None:
    """Its results are masked arrays of objects, which numpy itself stumbles over."""
    x, y = load_iris(return_X_y=True)
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=2).fit(x, y)
    answers = SklearnRuntime(copy.deepcopy(search)).run({"input": x})
    assert np.array_equal(answers["label"], search.predict(x))
