"""Every family of models, end to end: convert, prove, serve, and answer fresh rows alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import (
    SVC,
    SVR,
    LinearSVC,
    LinearSVR,
    NuSVC,
    OneClassSVM,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from support.converting import assert_alike, converted

from boxship.runtimes.onnx.runtime import OnnxRuntime

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*:FutureWarning"
)

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(120, 4)).round(3)
SUM = X.sum(axis=1)
NUMBER = X @ [1.0, 2.0, -1.0, 0.5] + RANDOM.normal(size=120) / 10
TWO = (SUM > 0).astype(int)
THREE = np.array(["low", "middle", "high"])[np.digitize(SUM, [-1, 1])]
PAIR = np.c_[TWO, (X[:, 0] > 0).astype(int)]
SCALED = make_pipeline(StandardScaler(), LogisticRegression())

CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "logistic cv": LogisticRegressionCV(cv=2, use_legacy_attributes=False, l1_ratios=(0,)),
    "sgd": SGDClassifier(loss="log_loss", random_state=0),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": RandomForestClassifier(10, random_state=0),
    "extra trees": ExtraTreesClassifier(10, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=10, random_state=0),
    "hist gradient boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "adaboost": AdaBoostClassifier(n_estimators=5, random_state=0),
    "bagging": BaggingClassifier(n_estimators=5, random_state=0),
    "svc": SVC(),
    "svc, one against one": SVC(decision_function_shape="ovo"),
    "svc, linear": SVC(kernel="linear"),
    "nusvc": NuSVC(),
    "linear svc": LinearSVC(random_state=0),
    "perceptron": Perceptron(random_state=0),
    "ridge": RidgeClassifier(),
    "neighbours": KNeighborsClassifier(),
    "gaussian naive bayes": GaussianNB(),
    "bernoulli naive bayes": BernoulliNB(),
    "mlp": MLPClassifier((8,), max_iter=50, random_state=0),
    "lda": LinearDiscriminantAnalysis(),
    "qda": QuadraticDiscriminantAnalysis(),
    "calibrated": CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    "calibrated, isotonic": CalibratedClassifierCV(
        DecisionTreeClassifier(max_depth=3, random_state=0), cv=2, method="isotonic"
    ),
    "voting": VotingClassifier(
        [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3, random_state=0))],
        voting="soft",
    ),
    "stacking": StackingClassifier(
        [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3, random_state=0))],
        cv=2,
    ),
    "one against rest": OneVsRestClassifier(LogisticRegression()),
    "pipeline": SCALED,
    "search": GridSearchCV(SCALED, {"logisticregression__C": [0.5, 1.0]}, cv=2),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=10, verbose=-1),
    "lightgbm in a pipeline": make_pipeline(
        PCA(3, random_state=0),
        lightgbm.LGBMClassifier(n_estimators=5, verbose=-1),
    ),
}

REGRESSORS = {
    "linear": LinearRegression(),
    "ridge": Ridge(),
    "lasso": Lasso(0.1),
    "elastic net": ElasticNet(0.1),
    "bayesian ridge": BayesianRidge(),
    "huber": HuberRegressor(),
    "sgd": SGDRegressor(random_state=0),
    "svr": SVR(),
    "linear svr": LinearSVR(random_state=0),
    "neighbours": KNeighborsRegressor(),
    "tree": DecisionTreeRegressor(random_state=0),
    "forest": RandomForestRegressor(10, random_state=0),
    "extra trees": ExtraTreesRegressor(10, random_state=0),
    "gradient boosting": GradientBoostingRegressor(n_estimators=10, random_state=0),
    "hist gradient boosting": HistGradientBoostingRegressor(max_iter=10, random_state=0),
    "adaboost": AdaBoostRegressor(n_estimators=5, random_state=0),
    "bagging": BaggingRegressor(n_estimators=5, random_state=0),
    "mlp": MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0),
    "gaussian process": GaussianProcessRegressor(),
    "partial least squares": PLSRegression(),
    "voting": VotingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(random_state=0))]),
    "stacking": StackingRegressor([("a", Ridge()), ("b", Lasso(0.1))], cv=2),
    "polynomial pipeline": make_pipeline(
        StandardScaler(), PolynomialFeatures(2), PCA(5, random_state=0), Ridge()
    ),
    "xgboost": xgboost.XGBRegressor(n_estimators=10),
    "xgboost forest": xgboost.XGBRFRegressor(n_estimators=10),
    "xgboost in a pipeline": make_pipeline(StandardScaler(), xgboost.XGBRegressor(n_estimators=10)),
    "lightgbm": lightgbm.LGBMRegressor(n_estimators=10, verbose=-1),
}

POSITIVE = {
    "poisson": PoissonRegressor(),
    "gamma": GammaRegressor(),
    "hist gradient boosting, poisson": HistGradientBoostingRegressor(loss="poisson", max_iter=10),
    "xgboost, gamma": xgboost.XGBRegressor(n_estimators=10, objective="reg:gamma"),
    "lightgbm, poisson": lightgbm.LGBMRegressor(n_estimators=10, objective="poisson", verbose=-1),
}

SEVERAL = {
    "linear, two values": (LinearRegression(), np.c_[NUMBER, X[:, 0]]),
    "forest, two values": (RandomForestRegressor(5, random_state=0), np.c_[NUMBER, X[:, 0]]),
    "a model for each value": (
        MultiOutputRegressor(GradientBoostingRegressor(n_estimators=5, random_state=0)),
        np.c_[NUMBER, X[:, 0]],
    ),
    "forest, two labels": (RandomForestClassifier(10, random_state=0), PAIR),
    "forest, labels of other classes": (
        RandomForestClassifier(10, random_state=0),
        np.c_[TWO, np.digitize(SUM, [-1, 1])],
    ),
    "a classifier for each label": (MultiOutputClassifier(LogisticRegression()), PAIR),
    "a classifier for each label, of other classes": (
        MultiOutputClassifier(LogisticRegression()),
        np.c_[TWO, np.digitize(SUM, [-1, 1])],
    ),
    "one against rest, two labels": (OneVsRestClassifier(LogisticRegression()), PAIR),
    "mlp, two labels": (MLPClassifier((8,), max_iter=50, random_state=0), PAIR),
}

UNSUPERVISED = {
    "k-means": KMeans(3, n_init=1, random_state=0),
    "mini-batch k-means": MiniBatchKMeans(3, n_init=1, random_state=0),
    "isolation forest": IsolationForest(n_estimators=5, random_state=0),
    "one-class svm": OneClassSVM(),
    "gaussian mixture": GaussianMixture(2, random_state=0),
}


def prove(folder: Path, model: Any, *, rows: Any = None) -> None:
    """Convert a fitted model, and ask both files about rows that the proof has not seen."""
    report = converted(folder, model)
    assert report.agrees
    assert report.output is not None
    assert OnnxRuntime(report.output).proof == report.proof
    if rows is None:
        rows = np.random.default_rng(99).normal(size=(200, 4))
    assert_alike(report.source, report.output, rows.tolist())


@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_of_two_classes(tmp_path: Path, model: Any) -> None:
    prove(tmp_path, clone(model).fit(X, TWO))


@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_of_three_named_classes(tmp_path: Path, model: Any) -> None:
    prove(tmp_path, clone(model).fit(X, THREE))


@pytest.mark.parametrize(
    "model",
    [
        xgboost.XGBClassifier(n_estimators=10),
        xgboost.XGBRFClassifier(n_estimators=10),
        make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=10)),
    ],
    ids=["boosted", "forest", "in a pipeline"],
)
@pytest.mark.parametrize("target", [TWO, np.digitize(SUM, [-1, 1])], ids=["two", "three"])
def test_an_xgboost_classifier(tmp_path: Path, model: Any, target: Any) -> None:
    """Its classes are numbers; a pipeline's scaler computes in float64 before its trees do not."""
    if target is not TWO and isinstance(model, xgboost.XGBRFClassifier):
        pytest.xfail("onnxmltools takes the forests of several classes for rounds")
    prove(tmp_path, clone(model).fit(X, target))


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_a_regressor(tmp_path: Path, model: Any) -> None:
    prove(tmp_path, clone(model).fit(X, NUMBER))


@pytest.mark.parametrize("model", POSITIVE.values(), ids=POSITIVE)
def test_a_regressor_of_a_positive_number(tmp_path: Path, model: Any) -> None:
    prove(tmp_path, clone(model).fit(X, np.exp(NUMBER / 3)))


@pytest.mark.parametrize(("model", "target"), SEVERAL.values(), ids=SEVERAL)
def test_several_outputs(tmp_path: Path, model: Any, target: Any) -> None:
    prove(tmp_path, clone(model).fit(X, target))


@pytest.mark.parametrize("model", UNSUPERVISED.values(), ids=UNSUPERVISED)
def test_without_a_target(tmp_path: Path, model: Any) -> None:
    prove(tmp_path, clone(model).fit(X))


@pytest.mark.parametrize(
    "model", [MultinomialNB(), ComplementNB()], ids=["multinomial", "complement"]
)
def test_naive_bayes_of_counts(tmp_path: Path, model: Any) -> None:
    counts = np.random.default_rng(5).poisson(2, size=(120, 4))
    fresh = np.random.default_rng(6).poisson(3, size=(100, 4))
    prove(tmp_path, clone(model).fit(counts, THREE), rows=fresh)


@pytest.mark.parametrize(
    "labels", [TWO.astype(bool), TWO + 0.0, np.array(["no", "yes"])[TWO], TWO * 2 - 1],
    ids=["bool", "float", "str", "negative"],
)  # fmt: skip
def test_labels_keep_their_type(tmp_path: Path, labels: Any) -> None:
    """``assert_alike`` compares the datatype."""
    prove(tmp_path, LogisticRegression().fit(X, labels))


MISSING = {
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": RandomForestClassifier(10, random_state=0),
    "hist gradient boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "bagging": BaggingClassifier(n_estimators=5, random_state=0),
    "xgboost": xgboost.XGBClassifier(n_estimators=10),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=10, verbose=-1),
}


@pytest.mark.parametrize("trained", [True, False], ids=["seen", "unseen"])
@pytest.mark.parametrize("model", MISSING.values(), ids=MISSING)
def test_missing_numbers(tmp_path: Path, model: Any, *, trained: bool) -> None:
    """They go where the original sends them, whether it has met any in training or not."""
    holes = np.where(np.random.default_rng(8).random(X.shape) < 0.2, np.nan, X)
    fresh = np.random.default_rng(9).normal(size=(100, 4))
    fresh[np.random.default_rng(10).random(fresh.shape) < 0.3] = np.nan
    prove(tmp_path, clone(model).fit(holes if trained else X, TWO), rows=fresh)
