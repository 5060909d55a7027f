"""Columns of text, of truth values and with holes, through everything to the answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from support.converting import answers, assert_alike, converted

from boxship.errors import InputError
from boxship.runtimes.onnx.runtime import OnnxRuntime

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

# With `drop`, scikit-learn warns of what `handle_unknown="ignore"` has asked for.
pytestmark = pytest.mark.filterwarnings("ignore:Found unknown categories")

RANDOM = np.random.default_rng(1)
COUNT = 200
CITIES = np.array(["Oslo", "Paris", "Rome", "Zürich"], dtype=object)
FRAME = pd.DataFrame(
    {
        "city": CITIES[RANDOM.integers(0, 4, COUNT)],
        "age": RANDOM.normal(40, 10, COUNT).round(1),
        "income": RANDOM.normal(3, 1, COUNT),
        "vip": RANDOM.integers(0, 2, COUNT).astype(bool),
        "kids": RANDOM.integers(0, 4, COUNT),
    }
)
LABEL = np.array(["no", "yes"])[(FRAME.age + 9 * (FRAME.city == "Oslo") > 43).astype(int)]
NUMBERS = make_pipeline(SimpleImputer(), StandardScaler())
KNOWN = OneHotEncoder(handle_unknown="ignore")
CODES = OrdinalEncoder(
    handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
)


def transformer(*parts: Any, **options: Any) -> ColumnTransformer:
    steps = [(str(at), step, columns) for at, (step, columns) in enumerate(parts)]
    return ColumnTransformer(steps, **options)


def fresh(columns: list[str], *, unseen: bool = True, missing: object = "none") -> list[list[Any]]:
    """Rows of other values than those in training; with None where ``missing`` names columns."""
    random = np.random.default_rng(2)
    cities = [*CITIES, "Atlantis", ""] if unseen else list(CITIES)
    pools: dict[str, Callable[[], Any]] = {
        "city": lambda: cities[random.integers(0, len(cities))],
        "age": lambda: float(random.normal(40, 10)),
        "income": lambda: float(random.normal(3, 1)),
        "vip": lambda: bool(random.integers(0, 2)),
        "kids": lambda: float(random.integers(0, 5)),
    }
    rows = [[pools[name]() for name in columns] for _ in range(80)]
    for row in rows[::4]:
        for at, name in enumerate(columns):
            if name in str(missing):
                row[at] = None
    return rows


def holes(value: object) -> pd.DataFrame:
    frame = FRAME[["city", "age", "income"]].copy()
    frame.loc[::5, "income"] = np.nan
    frame.loc[::7, "city"] = value
    return frame


PIPELINES = {
    "one-hot": (transformer((KNOWN, ["city"]), (NUMBERS, ["age", "income"])), LogisticRegression()),
    "selected by type": (
        transformer(
            (KNOWN, make_column_selector(dtype_include=object)),
            (StandardScaler(), make_column_selector(dtype_include=np.number)),
        ),
        LogisticRegression(),
    ),
    "selected by a slice of names": (
        transformer((KNOWN, slice("city", "city")), (StandardScaler(), slice("age", "income"))),
        LogisticRegression(),
    ),
    "the rest passed through": (
        transformer((KNOWN, ["city"]), remainder="passthrough"),
        RandomForestClassifier(10, random_state=0),
    ),
    "rare categories": (
        transformer(
            (OneHotEncoder(min_frequency=55, handle_unknown="infrequent_if_exist"), ["city"]),
            remainder="passthrough",
        ),
        LogisticRegression(),
    ),
    "first category dropped": (
        transformer((OneHotEncoder(drop="first", handle_unknown="ignore"), ["city"])),
        LogisticRegression(),
    ),
    "codes into histogram trees": (
        transformer((CODES, ["city"]), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=10),
    ),
    "lightgbm": (
        transformer((KNOWN, ["city"]), (NUMBERS, ["age", "income"])),
        lightgbm.LGBMClassifier(n_estimators=10, verbose=-1),
    ),
    "target encoder": (
        transformer((TargetEncoder(), ["city"]), remainder="passthrough"),
        LogisticRegression(),
    ),
}


@pytest.mark.parametrize(("columns", "final"), PIPELINES.values(), ids=PIPELINES)
def test_text_beside_numbers(tmp_path: Path, columns: Any, final: Any) -> None:
    names = ["city", "age", "income"]
    model = make_pipeline(columns, final).fit(FRAME[names], LABEL)
    report = converted(tmp_path, model)
    assert report.agrees
    assert report.output is not None
    assert_alike(report.source, report.output, fresh(names))
    inputs = OnnxRuntime(report.output).signature.inputs
    assert [spec.name for spec in inputs] == names
    assert [spec.shape for spec in inputs] == [(-1, 1)] * 3


@pytest.mark.parametrize("value", [None, np.nan], ids=["None", "NaN"])
@pytest.mark.parametrize(
    "text",
    [
        KNOWN,
        make_pipeline(SimpleImputer(strategy="most_frequent"), KNOWN),
        make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), KNOWN),
        CODES,
    ],
    ids=["as a category", "most frequent", "constant", "code"],
)
def test_missing_text_and_numbers(tmp_path: Path, text: Any, value: object) -> None:
    """Where the model knows a missing text, ``null`` has the same answer from both."""
    frame = holes(value)
    imputer = text.steps[0][1] if hasattr(text, "steps") else None
    if imputer is not None:
        imputer.set_params(missing_values=value)
    model = make_pipeline(
        transformer((text, ["city"]), (NUMBERS, ["age", "income"])), LogisticRegression()
    )
    report = converted(tmp_path, model.fit(frame, LABEL))
    assert report.agrees
    assert report.output is not None
    runtime = OnnxRuntime(report.output)
    nullable = {spec.name: spec.nullable for spec in runtime.signature.columns or ()}
    asked = [name for name, takes in nullable.items() if takes]
    assert "income" in asked
    rows = fresh(["city", "age", "income"], missing=asked)
    assert_alike(report.source, report.output, rows)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=["one-hot", "codes"])
def test_an_unknown_category_is_refused_by_both(tmp_path: Path, encoder: Any) -> None:
    """The proof asks both about such rows; a converter that answers them would be refused."""
    names = ["city", "age"]
    model = make_pipeline(
        transformer((encoder, ["city"]), remainder="passthrough"),
        RandomForestClassifier(5, random_state=0),
    )
    report = converted(tmp_path, model.fit(FRAME[names], LABEL))
    assert report.agrees
    assert report.output is not None
    assert report.proof is not None
    assert report.proof.refused > 0
    assert_alike(report.source, report.output, fresh(names, unseen=False))
    with pytest.raises(InputError):
        answers(OnnxRuntime(report.output), [["Atlantis", 40.0]])


def test_truth_values_keep_their_datatype(tmp_path: Path) -> None:
    names = ["city", "vip", "kids", "age"]
    model = make_pipeline(
        transformer((KNOWN, ["city", "vip", "kids"]), remainder="passthrough"), LogisticRegression()
    )
    report = converted(tmp_path, model.fit(FRAME[names], LABEL))
    assert report.output is not None
    assert_alike(report.source, report.output, fresh(names))
    inputs = OnnxRuntime(report.output).signature.inputs
    assert {spec.name: spec.datatype for spec in inputs}["vip"] == "BOOL"


def test_columns_that_bear_the_names_of_answers(tmp_path: Path) -> None:
    """An output gives way to them in the graph, and not in the answer."""
    frame = FRAME.rename(columns={"city": "label", "age": "score"})[["label", "score"]]
    model = make_pipeline(
        transformer((KNOWN, ["label"]), remainder="passthrough"), LogisticRegression()
    )
    report = converted(tmp_path, model.fit(frame, LABEL))
    assert report.agrees
    assert report.output is not None
    runtime = OnnxRuntime(report.output)
    assert [spec.name for spec in runtime.signature.inputs] == ["label", "score"]
    assert {one.name: one.output for one in runtime.signature.answers} == {
        "score": "score_2",
        "label": "label_2",
    }


def test_numbers_by_name_are_one_matrix(tmp_path: Path) -> None:
    names = ["age", "income"]
    columns = transformer((StandardScaler(), ["income"]), (NUMBERS, ["age"]))
    model = make_pipeline(columns, Ridge()).fit(FRAME[names], FRAME.kids)
    report = converted(tmp_path, model)
    assert report.output is not None
    assert_alike(report.source, report.output, fresh(names))
    signature = OnnxRuntime(report.output).signature
    assert signature.matrix is not None
    assert (signature.matrix.name, signature.matrix.shape) == ("input", (-1, 2))
    assert [spec.name for spec in signature.columns or ()] == names


def test_an_array_of_objects(tmp_path: Path) -> None:
    table = FRAME[["city", "age", "income"]].to_numpy(dtype=object)
    model = make_pipeline(transformer((KNOWN, [0]), (NUMBERS, [1, 2])), LogisticRegression())
    report = converted(tmp_path, model.fit(table, LABEL))
    assert report.agrees
    assert report.output is not None
    assert_alike(report.source, report.output, fresh(["city", "age", "income"]))


@pytest.mark.parametrize(
    "vectorizer", [TfidfVectorizer(), CountVectorizer()], ids=["tfidf", "count"]
)
def test_documents(tmp_path: Path, vectorizer: Any) -> None:
    texts = ["good film", "bad film", "the worst thing", "Great good FUN", "awful and bad"] * 8
    model = make_pipeline(vectorizer, LogisticRegression()).fit(texts, [1, 0, 0, 1, 0] * 8)
    report = converted(tmp_path, model)
    assert report.agrees
    assert report.output is not None
    assert_alike(report.source, report.output, [["good thing"], ["awful"], ["new words"], [""]])
