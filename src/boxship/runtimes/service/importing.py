"""``module:attr`` → the object it names, and what that object is."""

import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from boxship.errors import ModelError, UsageError
from boxship.runtimes.service.user_code import failure, raised_at
from boxship.service import Service

_TARGET = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<attr>[^\W\d]\w*(\.[^\W\d]\w*)*)")
_EXPECTED = "a subclass of boxship.Service, or an ASGI application (such as FastAPI())"


def import_target(target: str, search: Sequence[Path]) -> object:
    """The object that ``target`` (``module:attr``, dots allowed in both) names.

    The folders of ``search`` go to the front of ``sys.path``, in their order, and
    stay there, since the user's code may import more later. ``UsageError``: the
    target names nothing; ``ModelError``: the user's module fails while importing.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise UsageError(
            f"Expected module:attribute, such as service:Churn, found {target!r}.",
            tip=_spelling_tip(target),
        )
    _put_on_path(search)
    module = _import(match["module"], search)
    return _attribute(module, match["attr"])


def kind_of(obj: object) -> Literal["service", "asgi"]:
    """What ``obj`` is to the server. Anything but a service or an ASGI app is a ``UsageError``."""
    if isinstance(obj, Service) or (isinstance(obj, type) and issubclass(obj, Service)):
        return "service"
    if _is_asgi(obj):
        return "asgi"
    found, tip = _what_else(obj)
    raise UsageError(f"Expected {_EXPECTED}, found {found}.", tip=tip)


def _spelling_tip(target: str) -> str:
    file, _, attr = target.partition(":")
    if file.endswith(".py"):
        module = file.removesuffix(".py").removeprefix("./").replace("/", ".")
        return f"Write the module's name, not its file: {module}:{attr or 'Churn'}."
    return "Write the module's import name, a colon, and the name of the class or app in it."


def _put_on_path(search: Sequence[Path]) -> None:
    folders = list(dict.fromkeys(str(folder.resolve()) for folder in search))
    sys.path[:] = folders + [entry for entry in sys.path if entry not in folders]
    importlib.invalidate_caches()


def _import(name: str, search: Sequence[Path]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise _no_module(error.name, search) from error
        raise ModelError(
            f"Importing {name} failed: {raised_at(error)} imports {error.name!r}, "
            "and no such module is installed here.",
            tip="Install it where Boxship runs, and name it in the project's requirements.",
        ) from error
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"Importing {name} failed: {failure(error)}.",
            tip=f"Make `python -c 'import {name}'` work, then start again.",
        ) from error


def _no_module(missing: str, search: Sequence[Path]) -> UsageError:
    folders = list(dict.fromkeys(folder.resolve() for folder in search))
    parent, _, last = missing.rpartition(".")
    if parent and not hasattr(sys.modules.get(parent), "__path__"):
        return UsageError(f"There is no module {missing!r}: {parent!r} is no package.")
    found = {
        entry.stem
        for folder in folders
        for entry in _entries(folder / parent.replace(".", "/"))
        if entry.suffix == ".py" or (entry.is_dir() and next(entry.glob("*.py"), None))
    }
    guess = get_close_matches(last, sorted(found), n=1)
    prefix = f"{parent}." if parent else ""
    tip = f"Did you mean {prefix + guess[0]!r}?" if guess else "Is the module in another folder?"
    looked = ", ".join(map(str, folders)) or "the current Python path"
    return UsageError(f"There is no module {missing!r} in {looked}.", tip=tip)


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _attribute(module: ModuleType, dotted: str) -> object:
    obj: Any = module
    path = module.__name__
    for name in dotted.split("."):
        if not hasattr(obj, name):
            raise _no_attribute(obj, path, name)
        obj = getattr(obj, name)
        path += f".{name}"
    return obj


def _no_attribute(obj: object, path: str, name: str) -> UsageError:
    public = [known for known in vars(obj) if not known.startswith("_")] if _has_vars(obj) else []
    guess = get_close_matches(name, public, n=1) or get_close_matches(
        name.lower(), [known for known in public if known.lower() == name.lower()], n=1, cutoff=0
    )
    served = [known for known in public if _can_be_served(getattr(obj, known, None))]
    tip = ""
    if guess:
        tip = f"Did you mean {guess[0]!r}?"
    elif served:
        tip = f"It can serve: {', '.join(served)}."
    else:
        tip = f"Define {_EXPECTED} there."
    return UsageError(f"{path} has no {name!r}.", tip=tip)


def _has_vars(obj: object) -> bool:
    return hasattr(obj, "__dict__")


def _can_be_served(obj: object) -> bool:
    if isinstance(obj, type):
        return issubclass(obj, Service) and obj is not Service
    return isinstance(obj, Service) or _is_asgi(obj)


def _is_asgi(obj: object) -> bool:
    if isinstance(obj, type):
        return False
    call = obj if inspect.isroutine(obj) else getattr(obj, "__call__", None)  # noqa: B004
    asynchronous = inspect.iscoroutinefunction(obj) or inspect.iscoroutinefunction(call)
    return asynchronous and _takes(obj, 3)


def _takes(obj: Any, count: int) -> bool:
    """Whether ``obj`` can be called with ``count`` positional arguments."""
    try:
        inspect.signature(obj).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _what_else(obj: object) -> tuple[str, str]:
    """What an object is that cannot be served, and the next step."""
    kind = type(obj)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(obj, type):
        return f"the class {obj.__name__}", (
            "Make it a subclass of boxship.Service, or name an instance of it if it is an app."
        )
    if isinstance(obj, ModuleType):
        return f"the module {obj.__name__}", "Name the class or the app inside it."
    if hasattr(obj, "predict"):
        return f"a model object ({name})", (
            "Serve its file (boxship serve model.joblib), or call it from a Service's predict."
        )
    if hasattr(obj, "wsgi_app") or (callable(obj) and _takes(obj, 2) and not _takes(obj, 3)):
        return f"a WSGI application ({name})", (
            "Wrap it for ASGI: app = a2wsgi.WSGIMiddleware(app), from the package a2wsgi."
        )
    if inspect.isroutine(obj):
        tip = "An ASGI application is `async def app(scope, receive, send)`."
        if _takes(obj, 0):
            tip = f"If it makes the app, name its result: app = {getattr(obj, '__name__', '')}()."
        return f"the function {getattr(obj, '__name__', name)}", tip
    return f"an object of type {name}", "Name the class or the app, not another value."
