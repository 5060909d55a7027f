"""Pickle and joblib files: looked through first, then loaded under the same rules."""

import importlib.metadata
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from boxship.artifact.compression import HEAD_BYTES, compression, open_decompressed
from boxship.artifact.pickling.listed import PACKAGES
from boxship.artifact.pickling.scan import GlobalUse, PickleReport, scan
from boxship.artifact.pickling.unpickler import Approved, resolve, unpickle
from boxship.artifact.pickling.values import Trick
from boxship.errors import ModelError, UntrustedModelError

__all__ = ["GlobalUse", "LoadedPickle", "PickleReport", "Trick", "load", "notice", "scan"]

_NOTICE: Final = "A pickle is a program: whoever wrote the file chose what runs when it is loaded. "
_LIBRARIES: Final = PACKAGES | sys.stdlib_module_names


@dataclass(frozen=True)
class LoadedPickle:
    """A model, what its file said about itself, and what was worth a warning."""

    model: Any
    report: PickleReport
    warnings: tuple[str, ...]


def notice(
    report: PickleReport, *, trusted_modules: Sequence[str] = (), trust_all: bool = False
) -> str:
    """One paragraph to print before the pickle is loaded: what that means for this file."""
    count = len(report.globals)
    names = f"{report.path.name} names {count} global{'' if count == 1 else 's'}"
    unlisted = report.untrusted()
    vouched = len(unlisted) - len(report.untrusted(trusted_modules))
    if trust_all:
        return (
            f"{_NOTICE}{names}, {len(unlisted)} of them not on Boxship's list, "
            f"and --trust loads them all."
        )
    if report.untrusted(trusted_modules):
        return f"{_NOTICE}{names}, not all of them trusted: it will not be loaded."
    if vouched:
        return (
            f"{_NOTICE}{names}: {count - vouched} on Boxship's list of exact names, {vouched} in "
            f"modules that the project trusts. Nothing else can be imported while it loads."
        )
    return (
        f"{_NOTICE}{names}, all on Boxship's list of exact names. Nothing else can be imported "
        f"while it loads."
    )


def load(
    path: Path,
    *,
    trusted_modules: Sequence[str] = (),
    trust_all: bool = False,
    allow_skew: bool = False,
) -> LoadedPickle:
    """Load a pickle or joblib file whose every name is vouched for.

    A name is vouched for by Boxship's list of exact names, by ``trusted_modules``
    (a module or a parent of it) that defines it, or by ``trust_all``, which loads
    everything. A model of another scikit-learn, by its first two numbers, is refused unless
    ``allow_skew``: it would load, and answer wrongly. Arrays of uncompressed joblib files are memory-mapped, copy-on-write.

    Raises ``UntrustedModelError`` with every other name, before anything runs, and
    ``ModelError`` where the file is broken or what it needs is not installed.
    """
    report = scan(path)
    if not trust_all:
        _refuse(report, report.untrusted(trusted_modules))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        approved = resolve(report, trusted_modules, trust_all=trust_all)
        if not allow_skew:
            _refuse_skew(report)
        model = _load(report, None if trust_all else approved)
    return LoadedPickle(model, report, _texts(caught))


def _refuse(report: PickleReport, untrusted: Sequence[GlobalUse | Trick]) -> None:
    if not untrusted:
        return
    lines = "".join(f"\n  {one}" for one in untrusted)
    named = {one.module for one in untrusted if isinstance(one, GlobalUse)}
    # A library is nobody's own: to trust one whole is to trust what runs code in it.
    modules = sorted(one for one in named if one.partition(".")[0] not in _LIBRARIES)
    trust = f", or add the modules that are your own to boxship.toml: trust = {modules}" * bool(
        modules
    )
    raise UntrustedModelError(
        f"{report.path} is a pickle, and a pickle is a program. Nothing of it was run, because "
        f"nobody vouches for:{lines}\n",
        tip=f"If you made this file yourself, pass --trust{trust}.".replace("'", '"'),
    )


def _refuse_skew(report: PickleReport) -> None:
    made = report.sklearn_version
    if not made:
        return
    try:
        here = importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError:
        return  # what is missing is named where it is needed
    if made.split(".")[:2] != here.split(".")[:2]:
        raise ModelError(
            f"{report.path} was made with scikit-learn {made}, and {here} is installed: "
            "its answers may differ, without any error.",
            tip=f"Install the version it was made with (pip install scikit-learn=={made}), train "
            "it again, or go on with --allow-version-skew.",
        )


def _load(report: PickleReport, approved: Approved | None) -> object:
    try:
        with _open(report.path) as stream:
            return unpickle(report, stream, approved)
    except UntrustedModelError:
        raise
    except Exception as error:
        made = report.sklearn_version
        raise ModelError(
            f"{report.path} could not be loaded: {type(error).__name__}: {error}.",
            tip=f"It was made with scikit-learn {made}: install that version (pip install "
            f"scikit-learn=={made}), or train it again with the one that is here."
            if made
            else "Load it where it was made, with the same package versions, and save it again.",
        ) from error


def _open(path: Path) -> IO[bytes]:
    file = path.open("rb")
    kind = compression(file.read(HEAD_BYTES))
    if kind is None:
        file.seek(0)
        return file
    file.close()
    return open_decompressed(path, kind)


def _texts(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """One line for each thing warned of. scikit-learn warns once for every estimator in the file."""
    # A library's deprecations are for those who write code against it, not for who serves.
    told = (one for one in caught if not issubclass(one.category, DeprecationWarning))
    return tuple(dict.fromkeys(_text(warning.message) for warning in told))


def _text(message: Warning | str) -> str:
    made = getattr(message, "original_sklearn_version", None)
    here = getattr(message, "current_sklearn_version", None)
    if made and here:
        return (
            f"The model was made with scikit-learn {made} and is loaded with {here}: its answers "
            f"may differ. Install scikit-learn=={made}, or train it again."
        )
    return str(message)
