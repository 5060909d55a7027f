"""What no honest pickle does with names that are each harmless.

A model calls what lies in its attributes, and a few of scikit-learn's classes look up a method by
a name that is an attribute too. So a file that chooses attributes freely would choose what runs:
``getattr(estimator, name)(X)`` is one step from ``eval``. Each rule here is one that all
estimators of scikit-learn keep, however they are constructed.
"""

from collections.abc import Sequence
from typing import Any, Final

from boxship.artifact.pickling.listed import PACKAGES
from boxship.artifact.pickling.values import OPAQUE, Findings, Global, Object, Table, Texts

LISTS: Final = frozenset({("builtins", "list"), ("collections", "deque")})
SETS: Final = frozenset({("builtins", "set")})
MAPPINGS: Final = frozenset(
    {("builtins", "dict")}
    | {("collections", name) for name in ("Counter", "OrderedDict", "defaultdict")}
    | {("sklearn.utils._bunch", "Bunch"), ("sklearn.utils", "Bunch"), ("sklearn.datasets.base", "Bunch")}
)  # fmt: skip
"""What something may be added to. A ``Bunch`` answers for its keys as for attributes, so nothing is
appended to it."""

_METHOD_KEYS: Final = frozenset(
    {"response_method", "_response_method", "stack_method", "stack_method_"}
)
"""Attributes that scikit-learn takes for the name of a method, and calls it."""

_METHODS: Final = frozenset(
    {"auto", "decision_function", "predict", "predict_log_proba", "predict_proba",
     "score_samples", "transform"}
)  # fmt: skip

_ARRAY_CLASSES: Final = frozenset({"MaskedArray", "matrix", "memmap", "ndarray"})
_EMPTY_ARRAYS: Final = {"_reconstruct": 1, "_mareconstruct": 2}
"""Functions that make an array, which its state fills → where their shape stands; before it come
classes."""
_MOST_POSITION: Final = 624
"""Of MT19937 among its numbers, which numpy does not check."""

_PARTIAL: Final = ("functools", "partial")
_DEFAULTDICT: Final = ("collections", "defaultdict")
RECONSTRUCTOR: Final = ("copyreg", "_reconstructor")
MAKERS: Final = frozenset({"_reconstructor", "__newobj__", "newObj"})
"""Functions that make an instance of their first argument: copyreg's, and scikit-learn's."""

_ARRAYS: Final = frozenset(
    {"_frombuffer", "_mareconstruct", "_reconstruct", "matrix", "ndarray", "scalar"}
)
_GENERATORS: Final = "numpy.random._pickle"


def looks_up(key: tuple[str, str]) -> bool:
    """Whether a class looks methods up by a name that it is constructed with."""
    module, name = key
    return name == "_CurveScorer" or (
        module.endswith("metrics._scorer") and name.endswith("Scorer")
    )


def ours(key: tuple[str, str] | None) -> bool:
    """Whether a name is one that Boxship's list could vouch for, not a project's own."""
    return key is not None and key[0].partition(".")[0] in PACKAGES


def check_addition(
    findings: Findings, target: Object, kinds: frozenset[tuple[str, str]], offset: int
) -> None:
    """Something is added to ``target`` as to one of ``kinds``: by its ``append``, for example."""
    if ours(target.maker) and target.maker not in kinds:
        findings.trick(f"adds to {_name(target)}, which is no container", offset)


def check_call(findings: Findings, function: Global, args: tuple[Any, ...], offset: int) -> None:
    """``function`` is called with ``args``."""
    if looks_up(function.key):
        findings.trick(f"calls {'.'.join(function.key)}", offset)
    if function.key == _PARTIAL and args:
        _check_waiting(findings, args[0], offset)
    if function.key == _DEFAULTDICT and args and not _is_builtin(args[0]):
        findings.trick("calls an object that it made itself, later", offset)
    if function.key[0] == _GENERATORS:
        _check_generator(findings, args, offset)
    if function.key[1] in _EMPTY_ARRAYS:
        _check_empty_array(findings, args, _EMPTY_ARRAYS[function.key[1]], offset)
    if function.key[1] not in MAKERS:
        check_items(findings, args, offset)


def check_made(findings: Findings, cls: Global, args: Any, offset: int) -> None:
    """An instance of ``cls`` is made of ``args``, and its ``__init__`` is not called."""
    if cls.key in (_PARTIAL, _DEFAULTDICT):
        findings.trick(f"makes a {cls.key[1]} without calling it", offset)
    if isinstance(args, tuple):
        check_call(findings, cls, args, offset)


def check_items(findings: Findings, items: Sequence[Any], offset: int) -> None:
    """``items`` become part of a tuple, a list or a dict, or are what a call is given."""
    for one in items:
        if isinstance(one, Global) and looks_up(one.key):
            findings.trick(f"passes on {'.'.join(one.key)}", offset)


def note_method_names(findings: Findings, table: Table, offset: int) -> None:
    """What a dict has under the names of such attributes, be it for an object or for a call."""
    for key in _METHOD_KEYS & table.keys():
        if table[key] is not None:
            findings.method_names.append((table[key], key, offset))


def _check_empty_array(findings: Findings, args: tuple[Any, ...], shape: int, offset: int) -> None:
    """Memory that nobody has filled would be what somebody else has left there."""
    classes = [one.key if isinstance(one, Global) else ("", "") for one in args[:shape]]
    if not all(
        module.partition(".")[0] == "numpy" and name in _ARRAY_CLASSES for module, name in classes
    ):
        findings.trick("makes an array of a class that is none", offset)
    if args[shape : shape + 1] != ((0,),):
        findings.trick("makes an array that is not filled", offset)


def _check_generator(findings: Findings, args: tuple[Any, ...], offset: int) -> None:
    """Numpy makes generators of a class, and by a function, that it is given."""
    for one in args:
        key = one.key if isinstance(one, Global) else one.maker if isinstance(one, Object) else None
        if isinstance(one, Global | Object) and not (key and key[0].startswith("numpy.random.")):
            findings.trick("has a generator made by something else than numpy", offset)


def _is_numpys(value: Any) -> bool:
    """An array, a number or the seed of a generator: none holds attributes."""
    maker = value.maker if isinstance(value, Object) else None
    if maker is None or maker[0].partition(".")[0] != "numpy":
        return False
    return maker[1] in _ARRAYS or maker[0].startswith("numpy.random.")


def _is_builtin(value: Any) -> bool:
    return value is None or (isinstance(value, Global) and value.key[0] == "builtins")


def check_state(findings: Findings, target: Object, state: Any, offset: int) -> None:
    """``target`` is given its attributes."""
    if not ours(target.maker):
        return
    if target.maker == _PARTIAL and isinstance(state, tuple) and state:
        _check_waiting(findings, state[0], offset)
        for part in state:
            check_items(findings, part if isinstance(part, tuple) else (), offset)
    module, name = target.maker or ("", "")
    if name in _EMPTY_ARRAYS and (target.shared or target.built):
        findings.trick("fills an array that is in use", offset)
    if module.startswith("numpy.random."):
        _check_position(findings, state, offset)
    parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    for part in parts:
        if isinstance(part, Table):
            part.taken = True
            _check_attributes(findings, target, part, offset)
        elif isinstance(part, Global | Object) and part is not OPAQUE and not _is_numpys(part):
            findings.trick(f"takes the attributes of {_name(target)} from an object", offset)


def _check_position(findings: Findings, state: Any, offset: int) -> None:
    """A generator's place among its numbers is one of them."""
    match state:
        case tuple([str(), _, position, *_]):
            places = [position]
        case tuple():
            for part in state:
                _check_position(findings, part, offset)
            return
        case Table():
            state.taken = True
            places = [state["pos"]] if "pos" in state else []
            inner = state.get("state", OPAQUE)
            if isinstance(inner, Table):
                _check_position(findings, inner, offset)
            elif isinstance(inner, Object) and inner is not OPAQUE:
                places.append(inner)
        case _:
            return
    if not all(isinstance(one, int) and 0 <= one <= _MOST_POSITION for one in places):
        findings.trick("has a generator go on outside its numbers", offset)


def _check_waiting(findings: Findings, function: Any, offset: int) -> None:
    if not isinstance(function, Global) or looks_up(function.key):
        findings.trick("calls an object that it made itself, later", offset)


def _check_attributes(findings: Findings, target: Object, table: Table, offset: int) -> None:
    if table.odd:
        findings.trick(f"names an attribute of {_name(target)} by an object", offset)
    for key, value in table.items():
        if key.startswith("__") and key.endswith("__"):
            findings.trick(f"sets {key} of {_name(target)}", offset)
        if isinstance(value, Global | Object) and value is not OPAQUE and target.maker is not None:
            findings.attributes.setdefault((target.maker, key), offset)


def check_method_names(findings: Findings) -> None:
    """At the end, since a list may grow after it has become an attribute."""
    for value, where, offset in findings.method_names:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, Texts):
            texts = [*texts.found, *([object()] if texts.others else [])]
        if not isinstance(texts, list | tuple) or not all(
            isinstance(one, str) and one in _METHODS for one in texts if one is not None
        ):
            findings.trick(f"names no method of a prediction in {where}", offset)


def _name(target: Object) -> str:
    return ".".join(target.maker or ("an object",))
