"""``boxship.toml``, environment and flags, resolved into one frozen ``Project``.

A flag beats the environment, the environment beats the file, the file beats the
default. Every problem is reported, not the first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from boxship import (
    contract,
    environment,
    golden,
    location,
    lock,
    project_file,
    project_values,
    suggestions,
)
from boxship.errors import UsageError
from boxship.golden import GoldenRequest
from boxship.image_settings import ImageSettings
from boxship.location import Location
from boxship.lock import LockedModel
from boxship.project_file import FILE_NAME, ProjectFile
from boxship.settings import ServeSettings
from boxship.signature import TensorSpec

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.*", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# A version stands in a response header and in a path.
_VERSION = re.compile(r"[!-.0-~]+")


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is served and how.

    One of three things is served: ``app`` (an ASGI application), ``service`` (code
    around a model, which ``model_path`` is handed to) or the model at
    ``model_path`` by itself. ``source`` is where that model is brought from first, and
    ``model_path`` None until it is here; ``model_location`` is how the project names it, credentials left out, and
    ``model_digest`` what its bytes must have, where somebody said so. ``trust`` names modules that a pickle may name;
    ``trust_all`` loads any pickle. ``written`` are the files of its own
    that all this was read from.
    """

    folder: Path
    name: str
    version: str | None = None
    model_location: str = ""
    model_path: str | None = None
    model_digest: str = ""
    source: Location | None = None
    service: str | None = None
    app: str | None = None
    inputs: tuple[TensorSpec, ...] = ()
    code: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    trust_all: bool = False
    golden: GoldenRequest | None = None
    written: tuple[Path, ...] = ()
    serve: ServeSettings = field(default_factory=ServeSettings)
    image: ImageSettings = field(default_factory=ImageSettings)

    @property
    def search_path(self) -> tuple[Path, ...]:
        """Folders where the project's own modules are looked for."""
        parents = [(self.folder / entry).resolve().parent for entry in self.code]
        folders = [(self.folder / entry).resolve() for entry in self.code]
        return tuple(dict.fromkeys([self.folder, *parents, *folders]))


@dataclass(frozen=True)
class Resolved:
    """A project, and what is worth a warning about how it came to be."""

    project: Project
    warnings: tuple[str, ...] = ()


def resolve(
    target: str | None,
    *,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    cwd: Path,
    image_flags: Mapping[str, Any] = MappingProxyType({}),
    trust_all: bool = False,
    locked: bool = True,
) -> Resolved:
    """Decide what is served.

    ``flags`` holds ``[serve]`` keys and top-level keys that were given on the
    command line, ``image_flags`` those of ``[image]``; ``locked`` says whether ``boxship.lock`` holds. Raises ``UsageError`` with
    every problem found.
    """
    try:
        return _resolve(
            target, flags, image_flags, environ, cwd, trust_all=trust_all, locked=locked
        )
    except OSError as error:
        # A folder that may not be entered, a name that is too long.
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _resolve(
    target: str | None,
    flags: Mapping[str, Any],
    image_flags: Mapping[str, Any],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    trust_all: bool,
    locked: bool,
) -> Resolved:
    problems: list[str] = []
    file = _file(target, cwd)
    folder, table, source = file.folder, file.table, file.source
    raw: dict[str, Any] = {key: table[key] for key in table if key in project_values.KEYS}
    problems += suggestions.unknown(table, project_values.KEYS, source)
    sources = dict.fromkeys(raw, source)
    from_environment = environment.from_environment(environ)
    raw.update(from_environment)
    sources |= {key: environment.variable(key) for key in from_environment}
    served = _served(target, cwd)
    explicit = {key: value for key, value in flags.items() if key in project_values.KEYS}
    # A target replaces what the file says is served; MODEL_PATH is where the model
    # of a project or a service lies, so a model named on the command line beats it.
    if served:
        raw = {key: value for key, value in raw.items() if key not in ("service", "app")} | served
    raw.update(explicit)
    sources |= dict.fromkeys({**served, **explicit}, "command line")
    texts, lists = project_values.typed(raw, sources, problems)
    given: dict[str, Any] = {"environ": environ, "source": source, "problems": problems}
    serve = project_values.table_settings(
        ServeSettings, "serve", table.get("serve", {}), flags=flags, **given
    )
    image = project_values.table_settings(
        ImageSettings, "image", table.get("image", {}), flags=image_flags, **given
    )
    inputs = project_values.inputs(raw.get("inputs", []), source, problems)
    if not problems and not any(texts.get(key) for key in ("model", "service", "app")):
        problems.append(_nothing_to_serve(target, file, cwd))
    if texts.get("service") and texts.get("app"):
        where = ", ".join(dict.fromkeys((sources["service"], sources["app"])))
        problems.append(f"{where}: service and app exclude each other; keep one of them")
    model = None
    if texts.get("model"):
        model = _location(texts["model"], sources["model"], problems)
    model_path = str((folder / model.path).resolve()) if model and model.path else None
    beside = Path(model_path).parent if model_path else folder
    known = golden.read(raw.get("golden"), beside, folder, problems)
    # What lies beside a model goes where the model goes.
    own = not model_path or isinstance(raw.get("golden"), str)
    request = golden.file(raw.get("golden"), beside, folder) if own else None
    name = texts.get("name") or _default_name(texts, model, folder)
    if not _NAME.fullmatch(name):
        where = sources.get("name", "default name")
        problems.append(f"{where}: name: expected letters, digits, '.', '_' or '-', found {name!r}")
    if not _VERSION.fullmatch(texts.get("version", "1")):
        problems.append(
            f"{sources['version']}: version: expected printable ASCII without spaces and '/', "
            f"found {texts['version']!r}"
        )
    pinned = None
    if model is not None and locked:
        pinned = _pinned(model, folder, source, sources["model"], problems)
    if serve.watch_s and model is not None and (model.digest or pinned):
        problems.append(
            "watch: expected a model whose digest is open, found a pinned one: "
            "no other bytes could ever be served"
        )
    if problems:
        raise UsageError("\n".join(problems))
    project = Project(
        folder=folder,
        name=name,
        version=texts.get("version"),
        model_location=str(model) if model else "",
        model_path=model_path,
        model_digest=pinned.digest if pinned else model.digest if model else "",
        source=_source(model, pinned),
        service=texts.get("service"),
        app=texts.get("app"),
        inputs=inputs,
        code=lists.get("code", ()),
        trust=lists.get("trust", ()),
        trust_all=trust_all or bool(pinned and pinned.trusted),
        golden=known,
        written=tuple(one for one in (file.path, request) if one),
        serve=serve,
        image=image,
    )
    return Resolved(project, tuple(environment.unknown_variables(environ)))


def _file(target: str | None, cwd: Path) -> ProjectFile:
    """The settings that hold for a target; a model file by itself has none."""
    if target is not None and _URL.fullmatch(target):
        return ProjectFile(cwd)
    if target is None or _is_attribute(target, cwd):
        return project_file.find(cwd)
    path = cwd / target
    if path.name == FILE_NAME and path.is_file():
        return project_file.find(path.parent)
    return project_file.find(path) if path.is_dir() else ProjectFile(cwd)


def _is_attribute(target: str, cwd: Path) -> bool:
    return _TARGET.fullmatch(target) is not None and not (cwd / target).exists()


def _served(target: str | None, cwd: Path) -> dict[str, str]:
    """What the target says is served; nothing where it names a project."""
    if target is None:
        return {}
    if _is_attribute(target, cwd):
        # Whether it is a Service or an ASGI application is known once it is imported.
        return {"service": target}
    if _URL.fullmatch(target):
        return {"model": target}
    path = cwd / target
    if path.name == FILE_NAME and not path.exists():
        raise UsageError(f"{path}: expected a project's settings, found nothing there")
    if path.is_dir() and not any((path / name).is_file() for name in (FILE_NAME, "pyproject.toml")):
        raise UsageError(_no_project(path))
    return {} if path.is_dir() or path.name == FILE_NAME else {"model": str(path)}


def _no_project(folder: Path) -> str:
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_file())[:5]
    listing = ", ".join(found) if found else "no file in it"
    return f"{folder}: expected a folder with {FILE_NAME}, found {listing}; name the model file"


def _nothing_to_serve(target: str | None, file: ProjectFile, cwd: Path) -> str:
    if file.path is not None:
        return f"{file.source}: expected model, service or app, found none of them."
    if target is None:
        return (
            "Expected a model to serve: a file, a folder with boxship.toml, module:attr, or "
            f"{contract.MODEL_PATH_VARIABLE}; found none (no {FILE_NAME} in {cwd})."
        )
    return f"{target}: expected model, service or app in {FILE_NAME}, found none of them."


def _location(text: str, source: str, problems: list[str]) -> Location | None:
    try:
        return location.parse(text)
    except ValueError as error:
        problems.append(f"{source}: model: {error}")
        return None


def _pinned(
    model: Location, folder: Path, file: str, source: str, problems: list[str]
) -> LockedModel | None:
    """The lock's word on the model; a model that is named elsewhere than in the file has none."""
    pinned = lock.read(folder).model
    text = str(model)
    if pinned is None or (pinned.location != text and source != file):
        return None
    where = folder / lock.FILE_NAME
    if pinned.location != text:
        problems.append(
            f"{where}: expected the lock of {text!r}, found that of {pinned.location!r}; "
            "lock again: boxship lock"
        )
    elif model.digest and model.digest != pinned.digest:
        problems.append(
            f"{where}: expected the digest {model.digest}, found {pinned.digest}; "
            "lock again: boxship lock"
        )
    return pinned


def _source(model: Location | None, pinned: LockedModel | None) -> Location | None:
    if model is None or not model.url:
        return None
    return replace(model, digest=pinned.digest) if pinned else model


def _default_name(texts: Mapping[str, str], model: Location | None, folder: Path) -> str:
    if texts.get("service") or texts.get("app"):
        attribute = (texts.get("service") or texts["app"]).rpartition(":")[2]
        raw = attribute.lower() if texts.get("service") else folder.name
    else:
        raw = model.name.partition(".")[0] if model else folder.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", raw).strip("-._") or "model"
