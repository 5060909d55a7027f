"""Files whose every name is harmless, and which would still choose what runs; none is ever run.

scikit-learn looks methods up by names that are attributes, passes attributes on, and calls what
lies in some of them. A file that sets those freely reaches ``eval`` by names on any list.
"""

import copyreg
import functools
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random._pickle import __generator_ctor, __randomstate_ctor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.metrics._scorer import _Scorer
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from boxship.artifact import pickles
from boxship.errors import ModelError, UntrustedModelError

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0], [5.0, 0.0]])
Y = np.array([0, 1, 0, 1, 0, 1])


class Made:
    """Is pickled as the call of a function, and the state of what that returns."""

    def __init__(
        self, function: Any, *arguments: Any, state: Any = None, items: Any = None
    ) -> None:
        self.parts = (function, arguments, state, items)

    def __reduce__(self) -> Any:
        return self.parts


def new(cls: Any, state: Any) -> Made:
    """An instance on which nothing was called, with attributes."""
    return Made(copyreg._reconstructor, cls, object, None, state=state)  # type: ignore[attr-defined]


def scorer(method: Any) -> Any:
    made = make_scorer(accuracy_score)
    made._response_method = method
    return made


def with_attributes(model: Any, **attributes: Any) -> Any:
    model.__dict__.update(attributes)
    return model


def stacked(names: Any) -> Any:
    model = StackingClassifier([("a", LogisticRegression())], cv=2).fit(X, Y)
    model.stack_method_ = names
    return model


def list_that_grows_later() -> bytes:
    """The names of methods are set first, and appended to after that."""
    names = ["predict"]
    data = pickle.dumps((stacked(names), names), protocol=4)
    # The last thing before the tuple is made is that list, from the memo.
    assert data.endswith(b"\x86\x94.")
    return unframed(data[:-3] + b"\x8c\x06tofilea\x86\x94.")


def unframed(data: bytes) -> bytes:
    """Without the one frame around it, which is as long as it was."""
    assert data[2:3] == b"\x95"
    return data[:2] + data[11:]


def appended_to() -> bytes:
    data = pickle.dumps(with_attributes(LinearRegression(), append=np.log), protocol=2)
    return data[:-1] + b"K\x01a."


def list_by_index() -> bytes:
    data = pickle.dumps(stacked(["predict"]), protocol=4)
    # A list of one item, whose item is then another.
    was = b"\x8c\x07predict\x94a"
    assert was in data
    return unframed(data.replace(was, was + b"K\x00\x8c\x06tofiles"))


def bunch_that_appends() -> bytes:
    """A Bunch answers for its keys as for attributes, so ``append`` would be called."""
    return pickle.dumps(Bunch(append=np.log), protocol=2)[:-1] + b"K\x01a."


def array_filled_again() -> bytes:
    """What looked at its first content would look at memory that is free."""
    data = pickle.dumps(np.arange(3), protocol=2)
    # Before its state it is kept, by a number of one byte.
    state = data.rindex(b"(K\x01")
    return data[:-1] + b"h" + data[state - 1 : state] + data[state:-1] + b"0."


def estimator_for_an_array() -> Made:
    make = np.ma.core._mareconstruct  # type: ignore[attr-defined]
    state: Any = {"predict": functools.partial(dict)}
    return Made(make, LinearRegression, np.ndarray, (0,), b"b", state=state)


def random_state(pos: int) -> Any:
    state = np.random.RandomState(0)
    given = state.get_state(legacy=False)
    given["state"]["pos"] = pos
    return Made(__randomstate_ctor, "MT19937", state=given)


def half_and_number() -> dict[str, Any]:
    """Half a pointer, which is a whole one to numpy, and a number over its other half."""
    half = dtype("O4", None, None, None, -1, -1, 63)
    return {"a": (half, 0), "b": (np.dtype("i4"), 4)}


def array(dtype: Any, content: bytes = b"A" * 8) -> Made:
    """One item of ``dtype``, made of bytes."""
    return Made(
        np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
        np.ndarray, (0,), b"b",
        state=(1, (1,), dtype, False, content),
    )  # fmt: skip


def dtype(code: str, *state: Any) -> Made:
    return Made(np.dtype, code, False, True, state=(3, "|", *state))


def pointers_without_a_call() -> bytes:
    """``numpy.dtype`` is made by NEWOBJ where it is called otherwise."""
    data = pickle.dumps(array(dtype("O8", None, None, None, -1, -1, 0)), protocol=4)
    called = b"\x8c\x02O8\x94\x89\x88\x87\x94R"
    assert called in data
    return data.replace(called, called[:-1] + b"\x81")


OBJECT = np.dtype("O")

TRICKS: dict[str, tuple[Callable[[], Any], str]] = {
    "a scorer of any method": (lambda: scorer("tofile"), "names no method of a prediction"),
    "a scorer of one of several": (
        lambda: scorer(("predict", "__init__")),
        "names no method of a prediction",
    ),
    "a scorer that is called for": (
        lambda: Made(_Scorer, accuracy_score, 1, {}, "tofile"),
        "calls sklearn.metrics._scorer._Scorer",
    ),
    "a scorer's class as a function": (
        lambda: FunctionTransformer(_Scorer, kw_args={"response_method": "tofile"}),
        "passes on sklearn.metrics._scorer._Scorer",
    ),
    "stacked by any method": (lambda: stacked(["tofile"]), "names no method of a prediction"),
    "stacked by an object": (lambda: stacked([np.log]), "names no method of a prediction"),
    "a list of methods that grows": (list_that_grows_later, "names no method of a prediction"),
    "a call that waits for an object": (
        lambda: FunctionTransformer(functools.partial(scorer("predict"), FrozenEstimator(X))),
        "calls an object that it made itself, later",
    ),
    "a private name": (
        lambda: with_attributes(FrozenEstimator(LinearRegression()), __sklearn_tags__=np.log),
        "sets __sklearn_tags__",
    ),
    "an estimator that is appended to": (appended_to, "which is no container"),
    "attributes from a mapping": (
        lambda: new(LinearRegression, Bunch(append=np.log)),
        "takes the attributes of sklearn.linear_model._base.LinearRegression from an object",
    ),
    "attributes named by objects": (
        lambda: new(LinearRegression, {np.str_("append"): np.log}),
        "names an attribute of sklearn.linear_model._base.LinearRegression by an object",
    ),
    "a base that is an object": (
        lambda: Made(copyreg._reconstructor, DummyClassifier, LinearRegression(), None),  # type: ignore[attr-defined]
        "makes an instance by another class's rules",
    ),
    "a model that is called": (
        lambda: Made(LinearRegression),
        "calls sklearn.linear_model._base.LinearRegression, which no model does",
    ),
    "arithmetic that is called": (
        lambda: Made(np.sin, Bunch(sin=np.log)),
        "calls numpy.sin, which no model does",
    ),
    "attributes from a call": (
        lambda: Made(copyreg._reconstructor, LinearRegression, object, None, state=OrderedDict()),  # type: ignore[attr-defined]
        "takes the attributes of sklearn.linear_model._base.LinearRegression from an object",
    ),
    "a list of methods by index": (list_by_index, "changes a list by index"),
    "a dict that is appended to": (lambda: b"\x80\x04}K\x01a.", "appends to a dict"),
    "a mapping that is appended to": (bunch_that_appends, "adds to sklearn.utils._bunch.Bunch"),
    "a call that waits, uncalled": (
        lambda: b"\x80\x02cfunctools\npartial\ncnumpy\nlog\n\x85\x81.",
        "makes a partial without calling it",
    ),
    "a default that is an object": (
        lambda: Made(defaultdict, LinearRegression()),
        "calls an object that it made itself, later",
    ),
    "a generator by another function": (
        lambda: Made(__generator_ctor, "MT19937", functools.partial(np.log)),
        "has a generator made by something else than numpy",
    ),
    "a dict out of pairs, by another name": (
        lambda: new(LinearRegression, Made(copyreg._reconstructor, Bunch, dict, (("a", np.log),))),  # type: ignore[attr-defined]
        "makes an instance by another class's rules",
    ),
    "an estimator for an array": (estimator_for_an_array, "makes an array of a class that is none"),
    "an array that nobody has filled": (
        lambda: Made(np._core.multiarray._reconstruct, np.ndarray, (4096,), b"b"),  # type: ignore[attr-defined]
        "makes an array that is not filled",
    ),
    "an array that is filled again": (array_filled_again, "fills an array that is in use"),
    "a generator outside its numbers": (
        lambda: random_state(pos=2**31 - 10),
        "has a generator go on outside its numbers",
    ),
    "a generator before its numbers": (
        lambda: random_state(pos=-1),
        "has a generator go on outside its numbers",
    ),
    "a method's name for a call that waits": (
        lambda: FunctionTransformer(LinearRegression, kw_args={"response_method": "__setstate__"}),
        "names no method of a prediction in response_method",
    ),
    "a scorer's class for a call that waits": (
        lambda: FunctionTransformer(functools.partial(np.log, _Scorer)),
        "passes on sklearn.metrics._scorer._Scorer",
    ),
    "pointers of half a size": (
        lambda: array(
            dtype("V8", None, ("a", "b"), half_and_number(), 8, 1, 27),
        ),
        "hides objects",
    ),
    "pointers in a subarray": (
        lambda: array(dtype("V8", (OBJECT, (1,)), None, None, 8, 1, 0)),
        "hides objects",
    ),
    "pointers that are not counted": (
        lambda: array(dtype("O8", None, None, None, -1, -1, 0)),
        "hides objects",
    ),
    "pointers that are not pickled": (
        lambda: array(dtype("O8", None, None, None, -1, -1, 1)),
        "hides objects",
    ),
    "pointers by another way": (
        pointers_without_a_call,
        "hides objects",
    ),
    "pointers of a dtype that is not known": (
        lambda: array(dtype("object", None, None, None, -1, -1, 0)),
        "hides objects",
    ),
    "pointers under numbers": (
        lambda: array(
            dtype("V8", None, ("a", "b"), {"a": (OBJECT, 0), "b": (np.dtype("i8"), 0)}, 8, 1, 27)
        ),
        "hides objects",
    ),
    "pointers beyond the end": (
        lambda: array(dtype("V8", None, ("a",), {"a": (OBJECT, 64)}, 8, 1, 27)),
        "hides objects",
    ),
}


@pytest.fixture(params=TRICKS)
def trick(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    make, words = TRICKS[request.param]
    made = make()
    path = tmp_path / "model.pkl"
    path.write_bytes(made if isinstance(made, bytes) else pickle.dumps(made, protocol=4))
    return path, words


def test_it_is_refused(trick: tuple[Path, str]) -> None:
    path, words = trick
    with pytest.raises(UntrustedModelError, match="Nothing of it was run") as caught:
        pickles.load(path)
    assert words in caught.value.message


def test_every_name_in_it_is_listed(trick: tuple[Path, str]) -> None:
    """So it is the conduct that is refused, and nothing else."""
    untrusted = pickles.scan(trick[0]).untrusted()
    assert all(isinstance(one, pickles.Trick) for one in untrusted)


@pytest.mark.parametrize("method", ["predict", "fit", "set_params"])
def test_nothing_stands_in_for_a_method(tmp_path: Path, method: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(
        pickle.dumps(with_attributes(LinearRegression().fit(X, Y), **{method: np.log}))
    )
    with pytest.raises(UntrustedModelError, match="in the place of methods") as caught:
        pickles.load(path)
    assert f"{method} of sklearn.linear_model._base.LinearRegression" in caught.value.message


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="roc_auc", cv=2).fit(X, Y),
        stacked(["predict_proba"]),
        FunctionTransformer(functools.partial(np.clip, a_min=0, a_max=1)),
        np.array([("a", 1.0)], dtype=[("name", "O"), ("value", "f8")]),
        np.zeros(2, dtype=[("value", "f8", (2, 3)), ("count", "<i4")]),
        np.zeros(2, dtype=np.dtype("f8,i4", align=True)),
        Bunch(a=[1, "b"]),
        np.array(["2026-11-27"], dtype="M8[D]"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_honest_ones_load(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    assert type(pickles.load(path).model) is type(model)


def test_damaged_bytes_are_no_traceback(tmp_path: Path) -> None:
    whole = pickle.dumps(stacked(["predict_proba"]))
    path = tmp_path / "model.pkl"
    for end in range(1, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelError):
            pickles.load(path)
