"""Write ``src/boxship/artifact/data/pickle_globals.json`` again.

Fits every estimator of scikit-learn that can be fitted on small data, saves each as
people do (pickle protocols 0 to 5, joblib with and without compression), and
collects the names that the files really import. Does so in one throw-away
environment per line of ``MATRIX``, since the names differ between versions.

    python tools/refresh_pickle_globals.py            # needs uv and the network
    python tools/refresh_pickle_globals.py collect    # this environment's names, as JSON

Classes are listed as they come, where ``forbidden`` does not object. A function is
listed only where ``FUNCTIONS`` gives the reason why calling it is harmless; the
others are printed and left out.
"""

import datetime
import importlib
import inspect
import io
import json
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from boxship.artifact.pickle_globals import BUILTINS, forbidden  # noqa: E402
from boxship.artifact.pickle_scan import scan  # noqa: E402

DATA = ROOT / "src/boxship/artifact/data/pickle_globals.json"

MATRIX = (
    ("scikit-learn==1.1.3", "numpy==1.23.5", "scipy==1.9.3", "pandas==1.5.3", "joblib==1.2.0"),
    ("scikit-learn==1.2.2", "numpy==1.24.4", "scipy==1.10.1", "pandas==1.5.3", "joblib==1.2.0"),
    ("scikit-learn==1.3.2", "numpy==1.25.2", "scipy==1.11.4", "pandas==2.0.3", "joblib==1.3.2"),
    ("scikit-learn==1.4.2", "numpy==1.26.4", "scipy==1.12.0", "pandas==2.1.4", "joblib==1.3.2"),
    ("scikit-learn==1.5.2", "numpy==1.26.4", "scipy==1.13.1", "pandas==2.2.3", "joblib==1.4.2"),
    ("scikit-learn==1.5.2", "numpy==2.0.2", "scipy==1.14.1", "pandas==2.2.3", "joblib==1.4.2"),
    ("scikit-learn==1.6.1", "numpy==2.1.3", "scipy==1.14.1", "pandas==2.2.3", "joblib==1.4.2"),
    ("scikit-learn==1.7.2", "numpy==2.2.6", "scipy==1.15.3", "pandas==2.3.3", "joblib==1.5.2"),
    ("scikit-learn==1.8.0", "numpy==2.3.5", "scipy==1.16.3", "pandas==2.3.3", "joblib==1.5.2"),
    ("scikit-learn==1.9.1", "numpy==2.4.6", "scipy==1.17.1", "pandas==3.0.0", "joblib==1.6.0"),
)  # fmt: skip
PYTHON = "3.11"

ARRAYS = "makes an array, a dtype or a number from bytes and sizes"
MATHS = "arithmetic on arrays; takes no code except names that are on the list themselves"
INSTANCE = "makes an empty instance of a class that is on the list itself"
FUNCTIONS = (
    (r"_codecs\.encode", "text to bytes; protocols 0 to 2 write bytes so"),
    (r"copyreg\.(_reconstructor|__newobj__)", INSTANCE),
    (r"numpy\._?core\.(multiarray|numeric)\.(_reconstruct|scalar|_frombuffer)", ARRAYS),
    (r"numpy\.ma\.core\._mareconstruct", ARRAYS),
    (r"numpy\.random\._pickle\.__(randomstate|bit_generator|generator)_ctor",
     "makes a random generator; its kind is looked up in a table of numpy's own"),
    (r"numpy\.[a-z0-9_]+", MATHS),
    (r"scipy\._lib\.array_api_compat\.numpy\._aliases\.asarray", ARRAYS),
    (r"sklearn\.cluster\._kmeans\._kmeans_single_\w+", MATHS),
    (r"(sklearn|numpy\.random)\.[\w.]*__pyx_unpickle_\w+",
     "Cython's own constructor for one class, guarded by a checksum"),
    (r"sklearn\.(neighbors\._(ball_tree|kd_tree)|metrics\._dist_metrics|"
     r"neighbors\._dist_metrics)\.newObj\w*", INSTANCE),
    (r"sklearn\.(metrics|feature_selection|preprocessing|gaussian_process|manifold|cluster)"
     r"\.[\w.]+\.[a-z]\w*", MATHS),
)  # fmt: skip

UFUNCS = (
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil cos cosh "
    "deg2rad degrees divide exp exp2 expm1 fabs floor fmax fmin hypot isfinite isinf isnan log "
    "log10 log1p log2 maximum minimum mod multiply negative power rad2deg radians reciprocal "
    "rint sign sin sinh sqrt square subtract tan tanh true_divide trunc "
    "mean median max min amax amin sum std var ravel nan_to_num clip round "
).split()
"""Functions of ``numpy`` that people hand to FunctionTransformer and FeatureAgglomeration."""

BY_HAND = (
    ("_codecs", "encode"),
    ("copyreg", "_reconstructor"),
    ("copyreg", "__newobj__"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("collections", "deque"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("numpy", "ndarray"),
    ("numpy", "matrix"),
    ("numpy", "dtype"),
    ("scipy.interpolate._bsplines", "BSpline"),
    ("scipy.interpolate._interpolate", "interp1d"),
    *((f"scipy.sparse.{spelling.format(kind)}", f"{kind}_{container}")
      for kind in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
      for container in ("array", "matrix")
      for spelling in ("_{}", "{}")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core")
      for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("builtins", name) for name in BUILTINS),
)  # fmt: skip


def versions() -> dict[str, str]:
    """The packages whose names are collected, and their versions here."""
    names = {"scikit-learn": "sklearn", "numpy": "numpy", "scipy": "scipy", "pandas": "pandas",
             "joblib": "joblib"}  # fmt: skip
    return {name: importlib.import_module(module).__version__ for name, module in names.items()}


def targets() -> Iterator[tuple[Any, Any]]:
    """Pairs ``X, y`` on which one estimator or another can be fitted."""
    import numpy as np
    import pandas as pd

    random = np.random.RandomState(0)
    matrix = np.abs(random.normal(size=(60, 4))) + 0.1
    classes = (matrix[:, 0] > np.median(matrix[:, 0])).astype(int)
    frame = pd.DataFrame(matrix, columns=list("abcd"))
    yield frame, classes
    yield matrix, np.array(["no", "yes", "maybe"], dtype=object)[np.arange(60) % 3]
    yield matrix, matrix[:, 0] * 2 + 1
    yield matrix, np.c_[classes, 1 - classes]
    yield matrix, np.c_[matrix[:, 0], matrix[:, 1]]
    yield matrix, None
    yield matrix[:, :1], matrix[:, 0]
    yield pd.DataFrame({"a": ["x", "y", None] * 20}).fillna("z"), classes
    yield ["one two", "two three", "three four"] * 20, classes
    yield [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}] * 30, classes
    yield [["x", "y"], ["z"], ["x"]] * 20, classes
    yield classes, None


def estimators() -> Iterator[Any]:
    """Every estimator that can be made, with variants whose parts other classes implement."""
    import numpy as np
    from sklearn import (calibration, cluster, compose, ensemble, feature_extraction,
                         feature_selection, gaussian_process, kernel_approximation, linear_model,
                         metrics, model_selection, multiclass, multioutput, naive_bayes,
                         neighbors, neural_network, pipeline, preprocessing, svm, tree)  # fmt: skip
    from sklearn.gaussian_process import kernels
    from sklearn.utils import all_estimators

    logistic, forest = linear_model.LogisticRegression(), ensemble.RandomForestClassifier(3)
    ridge, bayes = linear_model.Ridge(), naive_bayes.GaussianNB()
    sub_estimators: dict[str, Any] = {
        "estimator": logistic, "base_estimator": logistic, "regressor": ridge,
        "estimators": [("a", logistic), ("b", bayes)], "transformer_list": [("a", preprocessing.StandardScaler())],
        "transformers": [("a", preprocessing.StandardScaler(), [0])],
        "steps": [("a", preprocessing.StandardScaler()), ("b", logistic)],
        "param_grid": {"C": [1.0]}, "param_distributions": {"C": [1.0, 2.0]},
        "components": np.eye(4), "dictionary": np.eye(4), "n_nonzero_coefs": 1, "base_estimators": [logistic],
    }  # fmt: skip
    for _, cls in all_estimators():
        wanted = {
            name: sub_estimators[name]
            for name, parameter in inspect.signature(cls).parameters.items()
            if parameter.default is inspect.Parameter.empty and name in sub_estimators
        }
        try:
            yield cls(**wanted)
        except TypeError:
            continue
        if "estimator" in wanted:
            yield cls(**{**wanted, "estimator": ridge})
        if "estimators" in wanted:
            yield cls(
                **{**wanted, "estimators": [("a", ridge), ("b", tree.DecisionTreeRegressor())]}
            )
        if "random_state" in inspect.signature(cls).parameters and not wanted:
            yield cls(random_state=np.random.RandomState(0))

    scaled = pipeline.make_pipeline(preprocessing.StandardScaler(), logistic)
    yield scaled
    yield pipeline.make_union(preprocessing.StandardScaler(), preprocessing.MinMaxScaler())
    yield compose.ColumnTransformer(
        [("a", preprocessing.StandardScaler(), ["a", "b"])], remainder="passthrough"
    )
    yield compose.make_column_transformer(
        (
            preprocessing.OneHotEncoder(handle_unknown="ignore"),
            compose.make_column_selector(dtype_include=object),
        )
    )
    yield compose.TransformedTargetRegressor(ridge, func=np.log1p, inverse_func=np.expm1)
    for function in UFUNCS:
        yield preprocessing.FunctionTransformer(getattr(np, function, None))
    for scoring in getattr(metrics, "get_scorer_names", lambda: ["accuracy", "r2"])():
        yield model_selection.GridSearchCV(
            logistic, {"C": [1.0]}, scoring=scoring, cv=2, error_score=0
        )
        yield model_selection.GridSearchCV(
            ridge, {"alpha": [1.0]}, scoring=scoring, cv=2, error_score=0
        )
    for cv in (
        model_selection.StratifiedKFold(2),
        model_selection.KFold(2),
        model_selection.ShuffleSplit(2),
        model_selection.TimeSeriesSplit(2),
        model_selection.RepeatedKFold(),
        model_selection.StratifiedShuffleSplit(2),
        model_selection.RepeatedStratifiedKFold(),
        model_selection.LeaveOneOut(),
        model_selection.GroupKFold(2),
    ):
        yield model_selection.GridSearchCV(scaled, {"logisticregression__C": [1.0]}, cv=cv)
        yield linear_model.LogisticRegressionCV(cv=cv)
    for inner in (
        forest,
        svm.LinearSVC(),
        tree.DecisionTreeClassifier(),
        svm.SVC(),
        ensemble.GradientBoostingClassifier(n_estimators=2),
    ):
        for method in ("sigmoid", "isotonic", "temperature"):
            yield calibration.CalibratedClassifierCV(inner, method=method, cv=2)
    for inner in (
        forest,
        tree.DecisionTreeRegressor(),
        neighbors.KNeighborsClassifier(),
        bayes,
        svm.SVR(),
        scaled,
    ):
        yield multioutput.MultiOutputClassifier(inner)
        yield multioutput.MultiOutputRegressor(inner)
        yield ensemble.BaggingClassifier(inner, n_estimators=2)
        yield ensemble.BaggingRegressor(inner, n_estimators=2)
        yield multiclass.OneVsRestClassifier(inner)
    for loss in ("log_loss", "exponential", "deviance"):
        yield ensemble.GradientBoostingClassifier(loss=loss, n_estimators=2)
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        yield ensemble.GradientBoostingRegressor(loss=loss, n_estimators=2)
    for loss in ("squared_error", "absolute_error", "poisson", "quantile", "gamma"):
        yield ensemble.HistGradientBoostingRegressor(
            loss=loss, max_iter=2, **({"quantile": 0.5} if loss == "quantile" else {})
        )
    for loss in (
        "hinge",
        "log_loss",
        "log",
        "modified_huber",
        "squared_hinge",
        "perceptron",
        "squared_error",
        "huber",
        "epsilon_insensitive",
        "squared_epsilon_insensitive",
    ):
        yield linear_model.SGDClassifier(loss=loss)
        yield linear_model.SGDRegressor(loss=loss)
    for criterion in (
        "gini",
        "entropy",
        "log_loss",
        "squared_error",
        "absolute_error",
        "friedman_mse",
        "poisson",
    ):
        yield tree.DecisionTreeClassifier(criterion=criterion)
        yield ensemble.RandomForestRegressor(3, criterion=criterion)
    for algorithm in ("ball_tree", "kd_tree", "brute"):
        for metric in (
            "minkowski",
            "euclidean",
            "manhattan",
            "chebyshev",
            "hamming",
            "canberra",
            "braycurtis",
            "haversine",
            "seuclidean",
            "mahalanobis",
            "jaccard",
            "dice",
            "cosine",
            "rogerstanimoto",
            "russellrao",
            "sokalsneath",
            "sokalmichener",
            "l1",
            "l2",
            "cityblock",
            "infinity",
            "p",
        ):
            yield neighbors.KNeighborsClassifier(algorithm=algorithm, metric=metric)
            yield neighbors.NearestNeighbors(algorithm=algorithm, metric=metric)
            if algorithm != "brute":
                yield neighbors.KernelDensity(algorithm=algorithm, metric=metric)
    for score in (
        "f_classif",
        "chi2",
        "f_regression",
        "mutual_info_classif",
        "mutual_info_regression",
        "r_regression",
        "f_oneway",
    ):
        for selector in (
            feature_selection.SelectKBest,
            feature_selection.SelectPercentile,
            feature_selection.SelectFpr,
        ):
            yield selector(
                getattr(feature_selection, score),
                **({"k": 2} if selector is feature_selection.SelectKBest else {}),
            )
    for kernel in (
        kernels.RBF(),
        kernels.Matern(),
        kernels.RationalQuadratic(),
        kernels.ExpSineSquared(),
        kernels.DotProduct(),
        kernels.ConstantKernel() * kernels.RBF() + kernels.WhiteKernel(),
        kernels.RBF() ** 2,
        kernels.PairwiseKernel(),
        kernels.CompoundKernel([kernels.RBF()]),
    ):
        yield gaussian_process.GaussianProcessRegressor(kernel)
        yield gaussian_process.GaussianProcessClassifier(kernel)
    for solver in ("adam", "sgd", "lbfgs"):
        yield neural_network.MLPClassifier(solver=solver, max_iter=3)
        yield neural_network.MLPRegressor(solver=solver, max_iter=3)
    for initial in (tree.DecisionTreeClassifier(), linear_model.LinearRegression(), "zero"):
        yield ensemble.GradientBoostingRegressor(init=initial, n_estimators=2)
        yield ensemble.GradientBoostingClassifier(init=initial, n_estimators=2)
    for dtype in (np.float32, np.float64, np.int64, np.uint8, float, int):
        yield preprocessing.OneHotEncoder(dtype=dtype)
        yield preprocessing.OrdinalEncoder(dtype=dtype)
        yield feature_extraction.text.TfidfVectorizer(dtype=dtype)
        yield feature_extraction.text.CountVectorizer(dtype=dtype)
    yield pipeline.make_pipeline(
        feature_extraction.text.TfidfVectorizer(stop_words="english"), logistic
    )
    yield pipeline.make_pipeline(
        feature_extraction.text.HashingVectorizer(n_features=16), linear_model.SGDClassifier()
    )
    yield pipeline.make_pipeline(preprocessing.SplineTransformer(), ridge)
    yield cluster.FeatureAgglomeration()
    yield kernel_approximation.Nystroem()
    yield naive_bayes.ComplementNB()


def fitted(estimator: Any) -> Iterator[Any]:
    """The estimator fitted on every data it takes, then as it is."""
    from sklearn.base import clone

    for data, target in targets():
        try:
            copy = clone(estimator)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                copy.fit(data, target)
        except Exception:  # noqa: BLE001, S112 - most pairs of estimator and data do not fit
            continue
        yield copy
    yield estimator


def saved(model: Any) -> Iterator[bytes]:
    """The model's files, as people write them."""
    import joblib

    for protocol in range(6):
        yield pickle.dumps(model, protocol=protocol)
    for options in ({}, {"compress": 3}, {"protocol": 2}):
        with tempfile.NamedTemporaryFile() as file:
            joblib.dump(model, file.name, **options)
            yield Path(file.name).read_bytes()


def collect() -> dict[str, Any]:
    """The names that this environment's estimators need, and those of its public classes."""
    from sklearn.utils import all_estimators

    names = {(cls.__module__, cls.__name__) for _, cls in all_estimators()}
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        for estimator in estimators():
            for model in fitted(estimator):
                try:
                    files = list(saved(model))
                except (pickle.PicklingError, TypeError, AttributeError):
                    continue
                for data in files:
                    path.write_bytes(data)
                    names |= {(use.module, use.name) for use in scan(path).globals}
                    count += 1
    found: dict[str, list[str]] = {"class": [], "function": []}
    for module, name in sorted(names):
        kind = (
            "class"
            if isinstance(getattr(importlib.import_module(module), name), type)
            else "function"
        )
        found[kind].append(f"{module} {name}")
    return {"versions": versions(), "files": count, **found}


def collect_in(requirements: tuple[str, ...]) -> dict[str, Any]:
    """``collect`` in a throw-away environment that has exactly ``requirements``."""
    packages = [argument for name in requirements for argument in ("--with", name)]
    command = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--python", PYTHON,
               *packages, "python", __file__, "collect"]  # fmt: skip
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.load(io.BytesIO(result.stdout)))


def reason(name: str) -> str | None:
    """Why calling the function ``name`` is harmless, ``None`` where nobody has said so."""
    return next((why for pattern, why in FUNCTIONS if re.fullmatch(pattern, name)), None)


def merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the data file. Prints what is left out."""
    sources: dict[str, set[str]] = defaultdict(set)
    names = set(BY_HAND)
    names |= {("numpy", name) for name in UFUNCS}
    for part in parts:
        for package, version in part["versions"].items():
            sources[package].add(version)
        names |= {tuple(entry.split(" ")) for entry in part["class"]}
        for entry in part["function"]:
            module, name = entry.split(" ")
            if reason(f"{module}.{name}") is None:
                print(f"left out, no reason given: {module}.{name}", file=sys.stderr)
            else:
                names.add((module, name))
    listed: dict[str, list[str]] = defaultdict(list)
    for module, name in sorted(names):
        if forbidden(module, name):
            print(f"left out, forbidden: {module}.{name}", file=sys.stderr)
        else:
            listed[module].append(name)
    return {
        "generated": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "from": {
            package: sorted(found, key=lambda text: [int(n) for n in re.findall(r"\d+", text)])
            for package, found in sources.items()
        },
        "globals": listed,
    }


def main() -> None:
    if sys.argv[1:] == ["collect"]:
        json.dump(collect(), sys.stdout)
        return
    parts = []
    for requirements in MATRIX:
        part = collect_in(requirements)
        print(f"{requirements[0]}, {requirements[1]}: {part['files']} files", file=sys.stderr)
        parts.append(part)
    DATA.write_text(json.dumps(merge(parts), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
