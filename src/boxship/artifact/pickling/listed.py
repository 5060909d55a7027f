"""The list of names that a pickle may import without anybody vouching for it.

The names are exact: a whole package is no name, since packages hold functions that
run code (``numpy.testing._private.utils.runstring``). The list is a data file that
``tools/refresh_pickle_globals.py`` writes from what real estimators need.

Harmless names can be put together to do harm: what ``conduct`` refuses. What both promise is that
no code is chosen by the file. They do not promise that the numbers in the file are sane.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

PACKAGES: Final = frozenset(
    {"_codecs", "builtins", "collections", "copyreg", "datetime", "functools", "joblib",
     "numpy", "scipy", "sklearn"}
)  # fmt: skip
"""Where a listed name may come from at all."""

BUILTINS: Final = frozenset(
    {"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list",
     "object", "range", "set", "slice", "str", "tuple"}
)  # fmt: skip

FUNCTOOLS: Final = frozenset({"partial"})
"""A call that waits: of a listed name, as ``conduct`` sees to. A pickle may call those at once."""

FORBIDDEN_PARTS: Final = frozenset(
    {"conftest", "ctypeslib", "datasets", "distutils", "externals", "f2py", "frompyfunc", "io",
     "load", "memmap", "NDArrayWrapper", "npyio", "stats", "testing", "tests",
     "_ufunc_reconstruct", "_testing", "vectorize", "ZNDArrayWrapper"}
)  # fmt: skip
"""Parts of dotted names that run code, import by name, or touch files.

``scipy.stats`` is among them because its distributions run source text that they
take from their own state. ``memmap`` opens and truncates files.
"""

SUBSTITUTES: Final = {("numpy", "memmap"): ("numpy", "ndarray")}
"""What is loaded in place of a name. A model saved while it was memory-mapped names
``numpy.memmap``, as a type only; calling it would open files."""


_SINGLED_OUT: Final = {"builtins": BUILTINS, "functools": FUNCTOOLS}


@cache
def listed_globals() -> Mapping[str, frozenset[str]]:
    """Module → names, as the data file has them.

    Raises ``ValueError`` where the data holds a name that must never be there.
    """
    listed = _data("globals")
    wrong = [
        f"{module}.{name}"
        for module, names in listed.items()
        for name in names
        if forbidden(module, name)
    ]
    if wrong:
        raise ValueError(f"pickle_globals.json lists names that run code: {', '.join(wrong)}")
    return listed


def is_listed(module: str, name: str) -> bool:
    """Whether a pickle may import exactly this name."""
    return (module, name) in SUBSTITUTES or name in listed_globals().get(module, ())


@cache
def called_globals() -> Mapping[str, frozenset[str]]:
    """Module → those of its listed names that models call while they are loaded.

    All others they only refer to. A class that is made empty is not called.
    """
    return _data("calls")


def is_called(module: str, name: str) -> bool:
    """Whether a pickle may call exactly this name."""
    return name in called_globals().get(module, ())


def _data(key: str) -> dict[str, frozenset[str]]:
    text = files("boxship.artifact").joinpath("data/pickle_globals.json").read_text("utf-8")
    return {module: frozenset(names) for module, names in json.loads(text)[key].items()}


def forbidden(module: str, name: str) -> bool:
    """Whether no list may ever hold this name."""
    package = module.partition(".")[0]
    if package not in PACKAGES or "." in name:
        return True
    if package in _SINGLED_OUT:
        return name not in _SINGLED_OUT[package]
    return not FORBIDDEN_PARTS.isdisjoint([*module.split("."), name])
