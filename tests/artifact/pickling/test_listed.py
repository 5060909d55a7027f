import importlib.util
import json
from pathlib import Path

import pytest
from sklearn.utils import all_estimators

from boxship.artifact.pickling import listed as pickle_globals
from boxship.artifact.pickling.listed import BUILTINS, forbidden, is_listed, listed_globals


def test_every_public_estimator_is_listed() -> None:
    missing = [
        f"{cls.__module__}.{name}"
        for name, cls in all_estimators()
        if not is_listed(cls.__module__, cls.__name__)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *(("builtins", name) for name in ("eval", "exec", "getattr", "open", "compile", "type")),
        ("builtins", "__import__"),
        ("os", "system"),
        ("functools", "reduce"),
        ("operator", "attrgetter"),
        ("numpy", "load"),
        ("numpy", "vectorize"),
        ("numpy._core", "_ufunc_reconstruct"),
        ("numpy.core", "_ufunc_reconstruct"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("scipy.stats._distn_infrastructure", "rv_continuous"),
        ("joblib.numpy_pickle_compat", "NDArrayWrapper"),
        ("sklearn.datasets._base", "load_files"),
        ("sklearn.linear_model", "LogisticRegression.fit"),
    ],
)
def test_names_that_run_code_are_neither_listed_nor_can_be(module: str, name: str) -> None:
    assert forbidden(module, name)
    assert not is_listed(module, name)


def test_data_with_such_a_name_is_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    data = {"globals": {"builtins": ["dict", "eval"], "os": ["system"]}}
    (tmp_path / "data/pickle_globals.json").write_text(json.dumps(data))
    monkeypatch.setattr(pickle_globals, "files", lambda _: tmp_path)
    listed_globals.cache_clear()
    with pytest.raises(ValueError, match=r"run code: builtins\.eval, os\.system"):
        listed_globals()


@pytest.fixture(autouse=True)
def fresh_list() -> object:
    listed_globals.cache_clear()
    yield
    listed_globals.cache_clear()


def test_only_exact_names_are_listed() -> None:
    assert is_listed("sklearn.linear_model._logistic", "LogisticRegression")
    assert not is_listed("sklearn.linear_model._logistic", "np")
    assert not is_listed("sklearn.linear_model", "linear_model")
    assert not is_listed("", "")


def test_both_spellings_of_numpy_and_old_spellings_of_scikit_learn_are_listed() -> None:
    assert is_listed("numpy.core.multiarray", "_reconstruct")
    assert is_listed("numpy._core.multiarray", "_reconstruct")
    assert is_listed("sklearn.ensemble._gb_losses", "BinomialDeviance")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_function_on_the_list_that_is_here_has_a_reason() -> None:
    """The refresh tool carries the reasons; a name without one cannot have come from it."""
    root = Path(__file__).resolve().parents[3]
    spec = importlib.util.spec_from_file_location("tool", root / "tools/refresh_pickle_globals.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    unexplained = []
    for module, names in listed_globals().items():
        for name in names:
            try:
                found = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError):
                continue  # of another version
            if not isinstance(found, type) and tool.reason(f"{module}.{name}") is None:
                unexplained.append(f"{module}.{name}")
    assert unexplained == []
    assert listed_globals()["builtins"] == BUILTINS
