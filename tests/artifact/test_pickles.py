import gzip
import importlib
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from boxship.artifact import pickles
from boxship.artifact.mishaps import COPY_AGAIN, READABLE
from boxship.errors import ModelError, UntrustedModelError

ROWS = np.random.default_rng(0).normal(size=(80, 5))
LABELS = np.array(["no", "yes"])[(ROWS[:, 0] > 0).astype(int)]
MODELS = {
    "logistic regression": LogisticRegression(),
    "random forest": RandomForestClassifier(5, random_state=np.random.RandomState(0)),
    "gradient boosting": GradientBoostingClassifier(n_estimators=5),
    "support vectors, which keep empty arrays": SVC(),
    "pipeline with a ufunc": make_pipeline(
        FunctionTransformer(np.sign), StandardScaler(), LogisticRegression()
    ),
    "columns": make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0]), remainder="drop"),
        LogisticRegression(),
    ),
}
WAYS: dict[str, dict[str, object]] = {
    "joblib": {},
    "joblib protocol 0": {"protocol": 0},
    "joblib protocol 2": {"protocol": 2},
    **{f"joblib {kind}": {"compress": (kind, 3)} for kind in ("zlib", "gzip", "bz2", "xz", "lzma")},
}


def save(model: object, path: Path, way: str) -> Path:
    if way in WAYS:
        joblib.dump(model, path, **WAYS[way])
    else:
        path.write_bytes(pickle.dumps(model, int(way[-1])))
    return path


@pytest.mark.parametrize("way", ["pickle 0", "pickle 1", "pickle 2", "pickle 4", "pickle 5", *WAYS])
@pytest.mark.parametrize("kind", MODELS)
def test_real_models_load_without_being_vouched_for(kind: str, way: str, tmp_path: Path) -> None:
    model = MODELS[kind].fit(ROWS, LABELS)
    loaded = pickles.load(save(model, tmp_path / "model", way))
    assert np.array_equal(loaded.model.predict(ROWS), model.predict(ROWS))
    assert loaded.warnings == ()
    assert loaded.report.untrusted() == ()
    assert loaded.report.sklearn_version is not None
    assert loaded.report.joblib == way.startswith("joblib")


def test_a_gzipped_plain_pickle_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps({"a": 1})))
    loaded = pickles.load(path)
    assert loaded.model == {"a": 1}
    assert loaded.report.size == len(pickle.dumps({"a": 1}))


def test_the_report_says_what_the_file_is(tmp_path: Path) -> None:
    import sklearn

    model = LogisticRegression().fit(ROWS, LABELS)
    report = pickles.scan(save(model, tmp_path / "model", "joblib protocol 2"))
    assert report.protocol == 2
    assert report.size == (tmp_path / "model").stat().st_size
    assert report.sklearn_version == sklearn.__version__
    first = report.globals[0]
    assert str(first).startswith("sklearn.linear_model._logistic.LogisticRegression (at byte ")
    assert report.mappable


def test_arrays_of_uncompressed_joblib_files_are_mapped_and_can_be_written(tmp_path: Path) -> None:
    """Workers share the pages of a map; a model that writes into its arrays gets its own page."""
    arrays = {
        "c": ROWS,
        "fortran": np.asfortranarray(ROWS),
        "empty": np.empty((0, 3)),
        "scalar": np.array(1.5),
        "records": np.zeros(3, dtype=[("a", "<i4"), ("b", "<f8")]),
        "text": np.array(["x", "longer"]),
        "dates": np.array(["2026-01-01"], dtype="M8[D]"),
        "objects": np.array(["x", None], dtype=object),
        "big endian": ROWS.astype(">f8"),
    }
    path = save(arrays, tmp_path / "arrays", "joblib")
    before = path.read_bytes()
    loaded = pickles.load(path).model
    for name, array in arrays.items():
        assert np.array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
        assert loaded[name].flags.f_contiguous == array.flags.f_contiguous
        loaded[name][...] = loaded[name]
    assert "file=" not in repr(loaded["c"].base)
    base = loaded["c"].base
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    assert type(base).__name__ == "mmap"
    loaded["c"][0, 0] = 99
    assert path.read_bytes() == before


def test_arrays_that_joblib_did_not_align_are_copied_into_place(tmp_path: Path) -> None:
    """Joblib < 1.2 wrote no padding; BLAS wants its numbers aligned."""
    wrapper = joblib.numpy_pickle.NumpyArrayWrapper
    path = tmp_path / "old"
    with path.open("wb") as file:
        pickler = joblib.numpy_pickle.NumpyPickler(file, 2)
        pickler._create_array_wrapper = lambda array: wrapper(
            np.ndarray,
            array.shape,
            "C",
            array.dtype,
            allow_mmap=True,
            numpy_array_alignment_bytes=None,
        )
        pickler.dump(["pad", ROWS, "odd", ROWS])
    for loaded in pickles.load(path).model[1::2]:
        assert loaded.flags.aligned
        assert np.array_equal(loaded, ROWS)


def test_a_model_that_was_saved_while_mapped_loads_again(tmp_path: Path) -> None:
    """Its file names numpy.memmap, which opens files; an ordinary array takes its place."""
    first = tmp_path / "first"
    joblib.dump(LogisticRegression().fit(ROWS, LABELS), first)
    mapped = joblib.load(first, mmap_mode="r")
    for way in ("joblib", "pickle 4"):
        path = save(mapped, tmp_path / "second", way)
        model = pickles.load(path).model
        assert type(model.coef_) is np.ndarray
        assert np.array_equal(model.predict(ROWS), mapped.predict(ROWS))


def test_memmap_is_never_the_class_that_opens_files(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"\x80\x02cnumpy\nmemmap\n.")
    assert pickles.load(path).model is np.ndarray


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The user's own module, which also imports other people's functions."""
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn/__init__.py").touch()
    (tmp_path / "churn/features.py").write_text(
        "import os\nfrom os import system\n"
        "class Ratio:\n    class Inner:\n        pass\n    def __init__(self): self.made = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("churn.features")
    for name in ("churn", "churn.features"):
        sys.modules.pop(name)


@pytest.mark.parametrize("trusted", ["churn.features", "churn"])
@pytest.mark.parametrize("way", ["pickle 2", "pickle 5", "joblib"])
def test_the_projects_own_modules_can_be_trusted(
    module: ModuleType, trusted: str, way: str, tmp_path: Path
) -> None:
    # Before protocol 4 a class in a class is found with getattr, which nobody may name.
    inner = module.Ratio() if way == "pickle 2" else module.Ratio.Inner()
    path = save([module.Ratio(), inner, ROWS], tmp_path / "model", way)
    with pytest.raises(UntrustedModelError, match=r"churn\.features\.Ratio \(at byte"):
        pickles.load(path)
    with pytest.raises(UntrustedModelError):
        pickles.load(path, trusted_modules=["churn.feat", "churn.features.more"])
    assert pickles.load(path, trusted_modules=[trusted]).model[0].made == 1
    assert pickles.load(path, trust_all=True).model[0].made == 1


@pytest.mark.parametrize("name", ["system", "os.system", "os"])
def test_a_trusted_module_does_not_lend_what_it_imports(
    module: ModuleType, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    path.write_bytes(
        b"\x80\x04\x8c\x0echurn.features\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    )
    with pytest.raises(UntrustedModelError, match="through a trusted module"):
        pickles.load(path, trusted_modules=["churn"])


def raw(tmp_path: Path, module: str, name: str, state: bytes = b"") -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02" + state + f"c{module}\n{name}\n".encode() + b".")
    return path


STATE = b"csklearn.linear_model._logistic\nLogisticRegression\n)\x81}X\x10\x00\x00\x00_sklearn_versionX\x05\x00\x00\x000.9.8sb0"


@pytest.mark.parametrize(
    ("module_name", "name", "state", "message"),
    [
        (
            "xgboozt.sklearn",
            "X",
            b"",
            r"the module xgboozt is not installed \(pip install xgboozt\)",
        ),
        ("sklearn.gone", "X", b"", r"sklearn\.gone\.X, which scikit-learn \d.* does not have"),
        (
            "sklearn.tree",
            "X",
            STATE,
            r"made with scikit-learn 0\.9\.8 .*pip install scikit-learn==0\.9\.8",
        ),
        ("__main__", "f", b"", "defined in the script that made the file"),
        ("email", "Gone", b"", "the module email that is here does not have"),
    ],
)
def test_what_is_not_there_is_named_with_what_to_install(
    module_name: str, name: str, state: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        pickles.load(raw(tmp_path, module_name, name, state), trust_all=True)
    assert not isinstance(caught.value, UntrustedModelError)


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"cone_gone\nA\n0ctwo_gone\nB\n.")
    with pytest.raises(ModelError, match=r"one_gone.*two_gone"):
        pickles.load(path, trust_all=True)


def test_a_model_that_fails_while_it_loads_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"\x80\x02" + STATE + b"cdatetime\ndate\nU\x02no\x85R.")
    with pytest.raises(ModelError, match="could not be loaded: TypeError") as caught:
        pickles.load(path, allow_skew=True)
    assert "scikit-learn==0.9.8" in caught.value.tip
    path.write_bytes(b"\x80\x02cdatetime\ndate\nU\x02no\x85R.")
    with pytest.raises(ModelError) as caught:
        pickles.load(path)
    assert "same package versions" in caught.value.tip


def made_with(version: str, path: Path) -> Path:
    """A forest whose file says it was made with ``version``, as long as the one that is here."""
    import sklearn

    data = pickle.dumps(RandomForestClassifier(5).fit(ROWS, LABELS), 4)
    assert len(version) == len(sklearn.__version__)
    path.write_bytes(data.replace(sklearn.__version__.encode(), version.encode()))
    return path


def test_another_minor_version_of_scikit_learn_is_refused(tmp_path: Path) -> None:
    import sklearn

    other = "9" * len(sklearn.__version__)
    with pytest.raises(ModelError, match=f"was made with scikit-learn {other}, and ") as caught:
        pickles.load(made_with(other, tmp_path / "model"), trust_all=True)
    assert f"pip install scikit-learn=={other}" in caught.value.tip
    assert "--allow-version-skew" in caught.value.tip


def test_another_patch_of_the_same_version_is_a_warning(tmp_path: Path) -> None:
    import sklearn

    here = sklearn.__version__
    other = here[:-1] + ("0" if here[-1] != "0" else "1")
    (warning,) = pickles.load(made_with(other, tmp_path / "model")).warnings
    assert warning.startswith(f"The model was made with scikit-learn {other} and is loaded with")


def test_another_scikit_learn_version_is_one_warning(tmp_path: Path) -> None:
    """scikit-learn warns for each of the forest's trees; the report says it once."""
    import sklearn

    here = sklearn.__version__
    path = made_with("9" * len(here), tmp_path / "model")
    loaded = pickles.load(path, allow_skew=True)
    assert loaded.warnings == (
        (
            f"The model was made with scikit-learn {'9' * len(here)} and is loaded with "
            f"{sklearn.__version__}: its answers may differ. "
            f"Install scikit-learn=={'9' * len(here)}, or train it again."
        ),
    )


def test_other_warnings_are_handed_on_as_text(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"\x80\x02cwarnings\nwarn\nU\x05badly\x85R.")
    assert pickles.load(path, trust_all=True).warnings == ("badly",)


def test_a_file_of_numpy_1_loads_without_a_word(tmp_path: Path) -> None:
    """Numpy 2 deprecates the module that every array of numpy 1 names."""
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(ROWS, 2).replace(b"numpy._core.", b"numpy.core."))
    loaded = pickles.load(path)
    assert np.array_equal(loaded.model, ROWS)
    assert loaded.warnings == ()


def test_a_file_that_changes_between_scan_and_load_is_refused(tmp_path: Path) -> None:
    from boxship.artifact.pickling.unpickler import unpickle

    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(1))
    report = pickles.scan(path)
    path.write_bytes(b"cos\nsystem\n.")
    with path.open("rb") as file, pytest.raises(UntrustedModelError) as caught:
        unpickle(report, file, {})
    assert "changed meanwhile" in caught.value.tip


@pytest.mark.parametrize(
    ("prepare", "message", "tip"),
    [
        (lambda path: None, "cannot be read: No such file", READABLE),
        (lambda path: path.touch(), "is empty", COPY_AGAIN),
        (lambda path: path.mkdir(), "cannot be read: Is a directory", READABLE),
        (lambda path: path.write_bytes(b"\x80\x05K"), "is not a whole pickle", COPY_AGAIN),
    ],
)
def test_files_that_cannot_be_read(
    prepare: Callable[[Path], object], message: str, tip: str, tmp_path: Path
) -> None:
    prepare(tmp_path / "model")
    with pytest.raises(ModelError, match=message) as caught:
        pickles.scan(tmp_path / "model")
    assert caught.value.tip == tip


def test_the_notice_says_what_loading_means(tmp_path: Path) -> None:
    path = save(LogisticRegression().fit(ROWS, LABELS), tmp_path / "model.pkl", "pickle 4")
    own = pickles.scan(path)
    count = len(own.globals)
    assert pickles.notice(own) == (
        "A pickle is a program: whoever wrote the file chose what runs when it is loaded. "
        f"model.pkl names {count} globals, all on Boxship's list of exact names. "
        "Nothing else can be imported while it loads."
    )
    other = pickles.scan(raw(tmp_path, "churn.features", "Ratio"))
    assert "0 on Boxship's list of exact names, 1 in modules that the project trusts" in (
        pickles.notice(other, trusted_modules=["churn"])
    )
    assert "names 1 global, not all of them trusted: it will not be loaded" in pickles.notice(other)
    assert "1 of them not on Boxship's list, and --trust loads them all" in pickles.notice(
        other, trust_all=True
    )


def test_a_forest_of_a_hundred_trees_loads_well_under_a_second(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 10))
    model = RandomForestClassifier(100, n_jobs=1).fit(rows, rows[:, 0] + rows[:, 1] ** 2 > 1)
    path = save(model, tmp_path / "model", "joblib")
    pickles.load(path)
    started = time.perf_counter()
    pickles.load(path)
    assert time.perf_counter() - started < 1
    assert path.stat().st_size > 1_000_000


def test_a_regressor_of_many_small_arrays_needs_no_file_descriptor_for_each(tmp_path: Path) -> None:
    model = HistGradientBoostingRegressor(max_iter=50).fit(ROWS, ROWS[:, 0])
    path = save(model, tmp_path / "model", "joblib")
    before = len(list(Path("/proc/self/fd").iterdir()))
    loaded = pickles.load(path)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert np.array_equal(loaded.model.predict(ROWS), model.predict(ROWS))


@pytest.mark.parametrize("trust_all", [False, True])
def test_the_loss_that_older_versions_name_without_its_package_is_found(
    *, trust_all: bool, tmp_path: Path
) -> None:
    """Elsewhere this is "No module named '_loss'"."""
    path = tmp_path / "model"
    data = pickle.dumps([GradientBoostingClassifier(n_estimators=2).fit(ROWS, LABELS)], 2)
    assert b"csklearn._loss._loss\n" in data
    path.write_bytes(data.replace(b"csklearn._loss._loss\n", b"c_loss\n"))
    assert len(pickles.load(path, trust_all=trust_all).model[0].predict(ROWS)) == 80


@pytest.mark.parametrize(
    "made",
    [
        lambda: HistGradientBoostingClassifier(categorical_features=["c"], max_iter=2),
        lambda: make_pipeline(
            make_column_transformer(
                (StandardScaler(), make_column_selector(dtype_include=np.number))
            ),
            LogisticRegression(),
        ),
    ],
    ids=["categories", "a column selector"],
)
def test_what_people_build_needs_no_trust(tmp_path: Path, made: Callable[[], Any]) -> None:
    frame = pd.DataFrame({"c": [0, 1, 2, 3] * 10, "x": np.arange(40.0)})
    model = made().fit(frame, [0, 1] * 20)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    assert np.array_equal(pickles.load(path).model.predict(frame), model.predict(frame))
