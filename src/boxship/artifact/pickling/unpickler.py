"""Unpicklers that import nothing but what was approved before they began."""

import importlib
import importlib.metadata
import mmap
import pickle
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from boxship.artifact.pickling.listed import SUBSTITUTES, is_listed
from boxship.artifact.pickling.scan import PickleReport, in_modules
from boxship.artifact.pickling.values import ARRAY_WRAPPER, true_name
from boxship.errors import ModelError, UntrustedModelError

Approved = Mapping[tuple[str, str], Any]
"""Python 3's ``(module, name)`` → what it names."""

DISTRIBUTIONS: Final = {"sklearn": "scikit-learn", "cv2": "opencv-python", "PIL": "pillow"}
"""The package to install, where its name is not the module's."""


def resolve(report: PickleReport, trusted_modules: Sequence[str], *, trust_all: bool) -> Approved:
    """Import everything that the pickle names; nothing of the pickle itself runs.

    Raises ``ModelError`` with every name that is not there, and
    ``UntrustedModelError`` where a trusted module only passes on somebody else's
    code (``churn.features.system`` after ``from os import system``).
    """
    approved: dict[tuple[str, str], Any] = {}
    missing: list[str] = []
    borrowed: list[str] = []
    for use in report.globals:
        key = use.module, use.name
        if key == ARRAY_WRAPPER or key in SUBSTITUTES:
            continue
        try:
            approved[key] = _import(*key)
        except (ImportError, AttributeError) as error:
            missing.append(_why_missing(use.module, use.name, report, error))
            continue
        if not trust_all and not is_listed(*key) and not _own(approved[key], trusted_modules):
            borrowed.append(str(use))
    if borrowed:
        raise UntrustedModelError(
            f"{report.path} names code through a trusted module that does not define it: "
            f"{', '.join(borrowed)}.",
            tip="Name the module that defines it under `trust` in boxship.toml, "
            "if you made this file yourself.",
        )
    if missing:
        raise ModelError(f"{report.path} cannot be loaded: {'; '.join(missing)}.")
    if not trust_all:
        _refuse_replaced_methods(report, approved)
    return approved


def _refuse_replaced_methods(report: PickleReport, approved: Approved) -> None:
    """An instance's own attribute would be called in place of its class's method."""
    replaced = [
        str(one)
        for one in report.attributes
        if callable(getattr(approved.get((one.module, one.cls)), one.name, None))
    ]
    if replaced:
        raise UntrustedModelError(
            f"{report.path} puts objects of its own in the place of methods: "
            f"{', '.join(replaced)}.",
            tip="No model is saved like this: do not load this file.",
        )


def _import(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _own(found: Any, modules: Sequence[str]) -> bool:
    owner = getattr(found, "__module__", None) or type(found).__module__
    return isinstance(owner, str) and in_modules(owner, modules)


def _why_missing(module: str, name: str, report: PickleReport, error: Exception) -> str:
    package = module.partition(".")[0]
    distribution = DISTRIBUTIONS.get(package, package)
    if module == "__main__":
        return (
            f"{name} was defined in the script that made the file (`__main__`), which is not "
            f"here; move it into a module of its own and make the file again from there"
        )
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return (
            f"it needs {module}.{name}, and the module {package} is not installed "
            f"(pip install {distribution}), or is the project's own and not in `code` "
            f"of boxship.toml"
        )
    try:
        here = f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        here = f"the module {package} that is here"
    if package == "sklearn" and report.sklearn_version:
        made = report.sklearn_version
        return (
            f"it was made with scikit-learn {made} and needs {module}.{name}, which {here} does "
            f"not have (pip install scikit-learn=={made}, or train it again)"
        )
    return f"it needs {module}.{name}, which {here} does not have ({error})"


def unpickle(report: PickleReport, stream: IO[bytes], approved: Approved | None) -> object:
    """The object in ``stream``. ``approved`` is ``None`` where everything is.

    Raises ``UntrustedModelError`` where the pickle names anything else, and whatever
    the model's own code raises.
    """
    if report.joblib:
        # Imported late: joblib imports numpy, which a plain pickle may not need.
        from boxship.artifact.pickling.joblib_arrays import ArrayUnpickler

        view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) if report.mappable else None
        return ArrayUnpickler(report, stream, approved, view).load()
    return Unpickler(report, stream, approved).load()


def find_class(report: PickleReport, approved: Approved, module: str, name: str) -> Any:
    """What ``module.name`` is, if it was approved."""
    key = true_name(module, name)
    if key in SUBSTITUTES:
        return _import(*SUBSTITUTES[key])
    if key not in approved:
        raise UntrustedModelError(
            f"{report.path} names {module}.{name} while it is loaded, which was not in the file "
            f"when it was looked through.",
            tip="Do not load this file: it was changed meanwhile, or was made to deceive.",
        )
    return approved[key]


class Unpickler(pickle.Unpickler):
    """The C unpickler, with its imports taken away."""

    def __init__(self, report: PickleReport, stream: IO[bytes], approved: Approved | None) -> None:
        super().__init__(stream)
        self._report = report
        self._approved = approved

    def find_class(self, module: str, name: str, /) -> Any:
        if self._approved is None:
            return super().find_class(*true_name(module, name))
        return find_class(self._report, self._approved, module, name)
