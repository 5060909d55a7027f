"""Write ``src/boxship/artifact/data/pickle_globals.json`` again.

Fits every estimator of scikit-learn that can be fitted on small data, saves each as
people do (by pickle's protocols, and by joblib), and
collects the names that the files really import, and those of them that they call. Does
so in one throw-away environment per line of ``MATRIX``, since the names differ between versions.

    python tools/refresh_pickle_globals.py            # needs uv and the network
    python tools/refresh_pickle_globals.py collect    # this environment's names, as JSON

Classes are listed as they come, where ``forbidden`` does not object. A function is
listed only where ``FUNCTIONS`` gives the reason why calling it is harmless; the
others are printed and left out. Only what a file has called may be called at once; by far most
functions a model only refers to.
"""

import datetime as dt
import importlib
import inspect
import itertools
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

from boxship.artifact.pickling.listed import BUILTINS, forbidden  # noqa: E402
from boxship.artifact.pickling.scan import scan  # noqa: E402

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
CYTHON = "Cython's own constructor for one class, guarded by a checksum"
RANDOM = "makes a random generator; its kind is looked up in a table of numpy's own"
INSTANCE = "makes an empty instance of a class that is on the list itself"
FUNCTIONS = {
    r"functools\.partial": "a call that waits; what it calls is on the list itself",
    r"_codecs\.encode": "text to bytes; protocols 0 to 2 write bytes so",
    r"copyreg\.(_reconstructor|__newobj__)": INSTANCE,
    r"numpy\._?core\.(multiarray|numeric)\.(_reconstruct|scalar|_frombuffer)": ARRAYS,
    r"numpy\.ma\.core\._mareconstruct": ARRAYS,
    r"numpy\.random\._pickle\.__(randomstate|bit_generator|generator)_ctor": RANDOM,
    r"numpy(\._?core\._multiarray_umath)?\.[a-z0-9_]+": MATHS,
    r"scipy\._lib\.array_api_compat\.numpy\._aliases\.asarray": ARRAYS,
    r"sklearn\.utils\.validation\.check_array": ARRAYS,
    r"(sklearn|numpy\.random)\.[\w.]*__pyx_unpickle_\w+": CYTHON,
    r"sklearn\.cluster\._kmeans\._kmeans_single_\w+": MATHS,
    r"sklearn\.metrics\._scorer\._passthrough_scorer": "calls the score of a model in the same file",
    r"sklearn\.(metrics|neighbors)\._(ball_tree|kd_tree|dist_metrics)\.newObj": INSTANCE,
    r"sklearn\.(metrics|feature_selection|preprocessing|gaussian_process)\.[\w.]+\.[a-z]\w*": MATHS,
}
"""Patterns of names → why calling what they name is harmless."""

UFUNCS = [
    "abs",
    "absolute",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "divide",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "fmax",
    "fmin",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log10",
    "log1p",
    "log2",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "power",
    "rad2deg",
    "radians",
    "reciprocal",
    "rint",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
    "mean",
    "median",
    "max",
    "min",
    "amax",
    "amin",
    "sum",
    "std",
    "var",
    "ravel",
    "nan_to_num",
    "clip",
    "round",
    "asarray",
    "reshape",
    "squeeze",
]
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
    *(("numpy", name) for name in ("bool_", "floating", "generic", "integer", "object_")),
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

CALLED = (
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("collections", "deque"),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("functools", "partial"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core")
      for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("builtins", name) for name in ("bytearray", "bytes", "complex", "frozenset", "range",
                                      "set", "slice")),
)  # fmt: skip
"""What values of Python's and numpy's own are pickled as, whether or not an estimator has one."""


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
    yield matrix[:, :2], classes
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
    from sklearn.experimental import (
        enable_halving_search_cv,  # noqa: F401 (listed from then on)
        enable_iterative_imputer,  # noqa: F401
    )
    from sklearn.linear_model import Ridge
    from sklearn.tree import DecisionTreeRegressor
    from sklearn.utils import all_estimators

    sub_estimators = parts()
    for _, cls in all_estimators():
        parameters = inspect.signature(cls).parameters
        wanted = {
            name: sub_estimators[name]
            for name, parameter in parameters.items()
            if parameter.default is inspect.Parameter.empty and name in sub_estimators
        }
        try:
            yield cls(**wanted)
        except TypeError:
            continue
        if "estimator" in wanted:
            yield cls(**{**wanted, "estimator": Ridge()})
        if "estimators" in wanted:
            yield cls(**{**wanted, "estimators": [("a", Ridge()), ("b", DecisionTreeRegressor())]})
        if "random_state" in parameters and not wanted:
            yield cls(random_state=np.random.RandomState(0))
    for cls, grid in itertools.chain(variants(), options()):
        for values in itertools.product(*grid.values()):
            yield cls(**dict(zip(grid, values, strict=True)))


def parts() -> dict[str, Any]:
    """What estimators that are made of others ask for, by the name of the parameter."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.preprocessing import StandardScaler

    logistic = LogisticRegression()
    return {
        "base_estimator": logistic,
        "base_estimators": [logistic],
        "components": np.eye(4),
        "dictionary": np.eye(4),
        "estimator": logistic,
        "estimators": [("a", logistic), ("b", GaussianNB())],
        "param_distributions": {"C": [1.0, 2.0]},
        "param_grid": {"C": [1.0]},
        "regressor": Ridge(),
        "steps": [("a", StandardScaler()), ("b", logistic)],
        "transformer_list": [("a", StandardScaler())],
        "transformers": [("a", StandardScaler(), [0])],
    }


def variants() -> Iterator[tuple[Any, dict[str, list[Any]]]]:
    """Classes made of others, and the options whose every combination is to be saved."""
    import numpy as np
    from sklearn import (
        calibration,
        compose,
        ensemble,
        feature_extraction,
        linear_model,
        metrics,
        model_selection,
        multiclass,
        multioutput,
        naive_bayes,
        neighbors,
        pipeline,
        preprocessing,
        svm,
        tree,
    )  # fmt: skip

    logistic, ridge, scaler = (
        linear_model.LogisticRegression(), linear_model.Ridge(), preprocessing.StandardScaler()
    )  # fmt: skip
    forest, small_tree = ensemble.RandomForestClassifier(3), tree.DecisionTreeClassifier()
    boosted = ensemble.GradientBoostingClassifier(n_estimators=2)
    scaled = pipeline.make_pipeline(scaler, logistic)
    text = feature_extraction.text
    one_hot = preprocessing.OneHotEncoder(handle_unknown="ignore")
    strings = compose.make_column_selector(dtype_include=object, dtype_exclude=np.number)
    yield pipeline.Pipeline, {"steps": [
        scaled.steps,
        [("a", text.TfidfVectorizer(stop_words="english")), ("b", logistic)],
        [("a", text.HashingVectorizer(n_features=16)), ("b", linear_model.SGDClassifier())],
        [("a", preprocessing.SplineTransformer()), ("b", ridge)],
        [("a", compose.ColumnTransformer([("a", one_hot, strings)])), ("b", logistic)],
    ]}  # fmt: skip
    yield (
        pipeline.FeatureUnion,
        {"transformer_list": [[("a", scaler), ("b", preprocessing.MinMaxScaler())]]},
    )
    yield (
        compose.ColumnTransformer,
        {
            "transformers": [[("a", scaler, ["a", "b"])], [("a", one_hot, strings)]],
            "remainder": ["passthrough", "drop", scaler],
        },
    )
    yield compose.TransformedTargetRegressor, {
        "regressor": [ridge], "func": [np.log1p], "inverse_func": [np.expm1]
    }  # fmt: skip
    yield (
        preprocessing.FunctionTransformer,
        {"func": [getattr(np, name) for name in UFUNCS if hasattr(np, name)]},
    )
    scorers = getattr(metrics, "get_scorer_names", lambda: ["accuracy", "r2"])()
    grid = {"cv": [2], "error_score": [0], "scoring": list(scorers)}
    yield model_selection.GridSearchCV, {
        "estimator": [logistic], "param_grid": [{"C": [1.0]}], **grid
    }  # fmt: skip
    yield model_selection.GridSearchCV, {
        "estimator": [ridge], "param_grid": [{"alpha": [1.0]}], **grid
    }  # fmt: skip
    measures = [getattr(metrics, name) for name in metrics.__all__
                if name.endswith(("_score", "_error", "_loss", "_deviance", "_coefficient"))]  # fmt: skip
    yield model_selection.GridSearchCV, {
        "estimator": [logistic], "param_grid": [{"C": [1.0]}],
        "scoring": [metrics.make_scorer(measure) for measure in measures],
    }  # fmt: skip
    splits = [
        model_selection.StratifiedKFold(2), model_selection.KFold(2), model_selection.GroupKFold(2),
        model_selection.ShuffleSplit(2), model_selection.TimeSeriesSplit(2),
        model_selection.RepeatedKFold(), model_selection.RepeatedStratifiedKFold(),
        model_selection.StratifiedShuffleSplit(2), model_selection.LeaveOneOut(),
    ]  # fmt: skip
    yield model_selection.GridSearchCV, {
        "estimator": [logistic], "param_grid": [{"C": [1.0]}], "cv": splits
    }  # fmt: skip
    yield linear_model.LogisticRegressionCV, {"cv": splits}
    name = "estimator"
    if name not in inspect.signature(calibration.CalibratedClassifierCV).parameters:
        name = "base_estimator"
    yield (
        calibration.CalibratedClassifierCV,
        {
            name: [forest, svm.LinearSVC(), small_tree, svm.SVC(), boosted],
            "method": ["sigmoid", "isotonic", "temperature"],
            "cv": [2],
        },
    )
    inner = [forest, tree.DecisionTreeRegressor(), neighbors.KNeighborsClassifier(),
             naive_bayes.GaussianNB(), svm.SVR(), scaled]  # fmt: skip
    for cls in (multioutput.MultiOutputClassifier, multioutput.MultiOutputRegressor,
                multiclass.OneVsRestClassifier):  # fmt: skip
        yield cls, {"estimator": inner}
    for cls in (ensemble.BaggingClassifier, ensemble.BaggingRegressor):
        yield cls, {name: inner, "n_estimators": [2]}


def options() -> Iterator[tuple[Any, dict[str, list[Any]]]]:
    """Classes whose options choose among losses, metrics, kernels and the like."""
    import numpy as np
    from sklearn import (
        ensemble,
        feature_extraction,
        feature_selection,
        gaussian_process,
        linear_model,
        neighbors,
        neural_network,
        preprocessing,
        tree,
    )  # fmt: skip
    from sklearn.gaussian_process import kernels

    text = feature_extraction.text
    first = [None, "zero", tree.DecisionTreeClassifier(), linear_model.LinearRegression()]
    yield ensemble.GradientBoostingClassifier, {
        "loss": ["log_loss", "exponential", "deviance"], "init": first, "n_estimators": [2]
    }  # fmt: skip
    yield (
        ensemble.GradientBoostingRegressor,
        {
            "loss": ["squared_error", "absolute_error", "huber", "quantile"],
            "init": first,
            "n_estimators": [2],
        },
    )
    yield ensemble.HistGradientBoostingRegressor, {
        "loss": ["squared_error", "absolute_error", "poisson", "gamma"], "max_iter": [2]
    }  # fmt: skip
    yield ensemble.HistGradientBoostingClassifier, {
        "categorical_features": [[0]], "max_iter": [2]
    }  # fmt: skip
    yield ensemble.HistGradientBoostingRegressor, {
        "loss": ["quantile"], "quantile": [0.5], "max_iter": [2]
    }  # fmt: skip
    losses = ["hinge", "log_loss", "log", "modified_huber", "squared_hinge", "perceptron",
              "squared_error", "huber", "epsilon_insensitive",
              "squared_epsilon_insensitive"]  # fmt: skip
    yield linear_model.SGDClassifier, {"loss": losses}
    yield linear_model.SGDRegressor, {"loss": losses}
    criteria = ["gini", "entropy", "log_loss", "squared_error", "absolute_error", "friedman_mse",
                "poisson"]  # fmt: skip
    yield tree.DecisionTreeClassifier, {"criterion": criteria}
    yield ensemble.RandomForestRegressor, {"criterion": criteria, "n_estimators": [3]}
    distances = {
        "algorithm": ["ball_tree", "kd_tree", "brute"],
        "metric": ["minkowski", "euclidean", "manhattan", "chebyshev", "hamming", "canberra",
                   "braycurtis", "haversine", "seuclidean", "mahalanobis", "jaccard", "dice",
                   "cosine", "rogerstanimoto", "russellrao", "sokalsneath", "sokalmichener", "l1",
                   "l2", "cityblock", "infinity", "p"],
    }  # fmt: skip
    yield neighbors.KNeighborsClassifier, distances
    yield neighbors.KNeighborsClassifier, {"p": [3]}
    for metric, parameters in (("mahalanobis", {"VI": np.eye(4)}), ("seuclidean", {"V": np.ones(4)}),
                               ("minkowski", {"p": 3, "w": np.ones(4)})):  # fmt: skip
        yield neighbors.KNeighborsClassifier, {
            "metric": [metric], "metric_params": [parameters],
            "algorithm": ["ball_tree", "kd_tree", "auto"],
        }  # fmt: skip
    yield neighbors.NearestNeighbors, distances
    yield neighbors.KernelDensity, {**distances, "algorithm": ["ball_tree", "kd_tree"]}
    scores = [getattr(feature_selection, score) for score in (
        "f_classif", "chi2", "f_regression", "mutual_info_classif", "mutual_info_regression",
        "r_regression", "f_oneway")]  # fmt: skip
    yield feature_selection.SelectKBest, {"score_func": scores, "k": [2]}
    yield feature_selection.SelectPercentile, {"score_func": scores}
    kernel = [
        kernels.RBF(), kernels.Matern(), kernels.RationalQuadratic(), kernels.ExpSineSquared(),
        kernels.DotProduct(), kernels.RBF() ** 2, kernels.PairwiseKernel(),
        kernels.ConstantKernel() * kernels.RBF() + kernels.WhiteKernel(),
        kernels.CompoundKernel([kernels.RBF()]),
    ]  # fmt: skip
    yield gaussian_process.GaussianProcessRegressor, {"kernel": kernel}
    yield gaussian_process.GaussianProcessClassifier, {"kernel": kernel}
    for cls in (neural_network.MLPClassifier, neural_network.MLPRegressor):
        yield cls, {"solver": ["adam", "sgd", "lbfgs"], "max_iter": [3]}
    for cls in (preprocessing.OneHotEncoder, preprocessing.OrdinalEncoder, text.TfidfVectorizer,
                text.CountVectorizer):  # fmt: skip
        yield cls, {"dtype": [np.float32, np.float64, np.int64, np.uint8, float, int]}


def fitted(estimator: Any) -> Iterator[Any]:
    """The estimator fitted on every data it takes, then as it is."""
    from sklearn.base import clone

    for data, target in targets():
        try:
            copy = clone(estimator)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                copy.fit(data, target)
        except Exception:  # noqa: BLE001 - most pairs of estimator and data do not fit
            continue
        yield copy
    yield estimator


def saved(model: Any) -> Iterator[bytes]:
    """The model's files, as people write them."""
    import joblib

    # 1 names what 0 does, and 3 what 4 does.
    for protocol in (0, 2, 4, 5):
        yield pickle.dumps(model, protocol=protocol)
    for options in ({}, {"protocol": 2}):
        with tempfile.NamedTemporaryFile() as file:
            joblib.dump(model, file.name, **options)
            yield Path(file.name).read_bytes()


def collect() -> dict[str, Any]:
    """The names that this environment's estimators need, and those of its public classes."""
    from sklearn.utils import all_estimators

    names = {(cls.__module__, cls.__name__) for _, cls in all_estimators()}
    calls: set[tuple[str, str]] = set()
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
                    report = scan(path)
                    names |= {(use.module, use.name) for use in report.globals}
                    calls |= {(use.module, use.name) for use in report.calls}
                    count += 1
    found: dict[str, list[str]] = {"class": [], "function": []}
    for module, name in sorted(names):
        kind = (
            "class"
            if isinstance(getattr(importlib.import_module(module), name), type)
            else "function"
        )
        found[kind].append(f"{module} {name}")
    called = [f"{module} {name}" for module, name in sorted(calls)]
    return {"versions": versions(), "files": count, "calls": called, **found}


def collect_in(requirements: tuple[str, ...]) -> dict[str, Any]:
    """``collect`` in a throw-away environment that has exactly ``requirements``."""
    packages = [argument for name in requirements for argument in ("--with", name)]
    command = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--python", PYTHON,
               *packages, "python", __file__, "collect"]  # fmt: skip
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(result.stdout))


def reason(name: str) -> str | None:
    """Why calling the function ``name`` is harmless, ``None`` where nobody has said so."""
    return next((why for pattern, why in FUNCTIONS.items() if re.fullmatch(pattern, name)), None)


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
    called: dict[str, list[str]] = defaultdict(list)
    calls = {tuple(entry.split(" ")) for part in parts for entry in part["calls"]} | set(CALLED)
    for module, name in sorted(names):
        if forbidden(module, name):
            print(f"left out, forbidden: {module}.{name}", file=sys.stderr)
            continue
        listed[module].append(name)
        if (module, name) in calls:
            called[module].append(name)
    return {
        "generated": dt.datetime.now(dt.UTC).date().isoformat(),
        "from": {
            package: sorted(found, key=lambda text: [int(n) for n in re.findall(r"\d+", text)])
            for package, found in sources.items()
        },
        "globals": listed,
        "calls": called,
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
