"""``boxship.toml``, environment and flags, resolved into one frozen ``Project``.

A flag beats the environment, the environment beats the file, the file beats the
default. Every problem is reported, not the first.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxship import contract
from boxship.errors import UsageError
from boxship.settings import ServeSettings, options
from boxship.signature import DATATYPES, TensorSpec

FILE_NAME = "boxship.toml"
GOLDEN_NAME = "golden.json"

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# A version stands in a response header and in a path.
_VERSION = re.compile(r"[!-.0-~]+")
_TEXT_KEYS = ("name", "version", "model", "service", "app")
_LIST_KEYS = ("code", "trust")
_KEYS = (*_TEXT_KEYS, *_LIST_KEYS, "golden", "inputs", "serve")
_PREFIX = "BOXSHIP_"
_OTHER_VARIABLES = (contract.CPU_REQUEST_VARIABLE,)


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is served and how.

    One of three things is served: ``app`` (an ASGI application), ``service`` (code
    around a model, which ``model_path`` is handed to) or the model at
    ``model_path`` by itself. ``trust`` names modules that a pickle may name;
    ``trust_all`` loads any pickle. ``golden`` is the golden request's content.
    """

    folder: Path
    name: str
    version: str | None = None
    model_path: str | None = None
    service: str | None = None
    app: str | None = None
    inputs: tuple[TensorSpec, ...] = ()
    code: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    trust_all: bool = False
    golden: Mapping[str, Any] | None = None
    serve: ServeSettings = field(default_factory=ServeSettings)

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
    trust_all: bool = False,
) -> Resolved:
    """Decide what is served.

    ``flags`` holds ``[serve]`` keys and top-level keys that were given on the
    command line. Raises ``UsageError`` with every problem found.
    """
    try:
        return _resolve(target, flags, environ, cwd, trust_all=trust_all)
    except OSError as error:
        # A folder that may not be entered, a name that is too long.
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _resolve(
    target: str | None,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    trust_all: bool,
) -> Resolved:
    problems: list[str] = []
    folder, table, source = _find_file(target, cwd)
    raw: dict[str, Any] = {key: table[key] for key in table if key in _KEYS}
    problems += _unknown(table, _KEYS, source)
    raw.update(_from_environment(environ))
    served = _served(target, folder, cwd)
    explicit = {key: value for key, value in flags.items() if key in _KEYS}
    # A target replaces what the file says is served; MODEL_PATH is where the model
    # of a project or a service lies, so a model named on the command line beats it.
    if served:
        raw = {key: value for key, value in raw.items() if key not in ("service", "app")} | served
    raw.update(explicit)
    sources = dict.fromkeys(raw, source) | dict.fromkeys(explicit, "command line")
    texts, lists = _typed(raw, sources, problems)
    serve = _serve_settings(table.get("serve", {}), flags, environ, source, problems)
    inputs = _inputs(raw.get("inputs", []), source, problems)
    if not problems and not any(texts.get(key) for key in ("model", "service", "app")):
        problems.append(_nothing_to_serve(target, cwd))
    if texts.get("service") and texts.get("app"):
        problems.append(f"{source}: service and app exclude each other; keep one of them")
    model_path = _local(texts["model"], folder, problems) if texts.get("model") else None
    golden = _golden(raw.get("golden"), model_path, folder, problems)
    name = texts.get("name") or _default_name(texts, model_path, folder)
    if not _NAME.fullmatch(name):
        problems.append(f"name: expected letters, digits, '.', '_' or '-', found {name!r}")
    if not _VERSION.fullmatch(texts.get("version", "1")):
        problems.append(
            f"version: expected printable ASCII without spaces and '/', found {texts['version']!r}"
        )
    if problems:
        raise UsageError("\n".join(problems), tip="See boxship serve --help.")
    project = Project(
        folder=folder,
        name=name,
        version=texts.get("version"),
        model_path=model_path,
        service=texts.get("service"),
        app=texts.get("app"),
        inputs=inputs,
        code=lists.get("code", ()),
        trust=lists.get("trust", ()),
        trust_all=trust_all,
        golden=golden,
        serve=serve,
    )
    return Resolved(project, tuple(_unknown_variables(environ)))


def _find_file(target: str | None, cwd: Path) -> tuple[Path, dict[str, Any], str]:
    """The project's folder, its settings table, and the file's name for messages."""
    folder = cwd
    if target is not None and not _is_attribute(target, cwd):
        path = cwd / target
        if path.name == FILE_NAME and path.is_file():
            folder = path.parent
        elif path.is_dir():
            folder = path
        else:
            return cwd, {}, "command line"
    file = folder / FILE_NAME
    if file.is_file():
        return folder.resolve(), _read_toml(file), str(file)
    pyproject = folder / "pyproject.toml"
    if pyproject.is_file():
        source = f"{pyproject} [tool.boxship]"
        tool = _read_toml(pyproject).get("tool", {})
        table = tool.get("boxship", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise UsageError(f"{source}: expected a table, found {table!r}")
        return folder.resolve(), table, source
    return folder.resolve(), {}, "command line"


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: expected valid TOML, found an error: {error}") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None


def _is_attribute(target: str, cwd: Path) -> bool:
    return _TARGET.fullmatch(target) is not None and not (cwd / target).exists()


def _served(target: str | None, folder: Path, cwd: Path) -> dict[str, str]:
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
    if path.is_dir() or path.name == FILE_NAME:
        if not (folder / FILE_NAME).is_file() and not (folder / "pyproject.toml").is_file():
            raise UsageError(_no_project(path))
        return {}
    return {"model": str(path)}


def _no_project(folder: Path) -> str:
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_file())[:5]
    listing = ", ".join(found) if found else "no file"
    return f"{folder}: expected a folder with {FILE_NAME}, found {listing}; name the model file"


def _nothing_to_serve(target: str | None, cwd: Path) -> str:
    if target is None:
        return (
            "Expected a model to serve: a file, a folder with boxship.toml, module:attr, or "
            f"{contract.MODEL_PATH_VARIABLE}; found none (no {FILE_NAME} in {cwd})."
        )
    return f"{target}: expected model, service or app in {FILE_NAME}, found none of them."


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Top-level keys from ``MODEL_PATH`` and ``BOXSHIP_…``; lists are comma-separated."""
    found: dict[str, Any] = {}
    for key in (*_TEXT_KEYS, *_LIST_KEYS):
        variable = contract.MODEL_PATH_VARIABLE if key == "model" else f"BOXSHIP_{key.upper()}"
        value = environ.get(variable)
        if value:
            parts = [part.strip() for part in value.split(",")]
            found[key] = [part for part in parts if part] if key in _LIST_KEYS else value
    return found


def _typed(
    raw: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key, value in raw.items():
        if key in _TEXT_KEYS:
            if isinstance(value, str) and value:
                texts[key] = value
            else:
                problems.append(f"{sources[key]}: {key}: expected a text, found {value!r}")
        elif key in _LIST_KEYS:
            if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
                lists[key] = tuple(value)
            else:
                problems.append(f"{sources[key]}: {key}: expected a list of texts, found {value!r}")
    return texts, lists


def _serve_settings(
    table: object,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    source: str,
    problems: list[str],
) -> ServeSettings:
    if not isinstance(table, dict):
        problems.append(f"{source}: serve: expected a table [serve], found {table!r}")
        table = {}
    known = options()
    problems += _unknown(table, [option.key for option in known], f"{source} [serve]")
    values: dict[str, Any] = {}
    for option in known:
        if option.key in flags:
            value, where = flags[option.key], option.flag
        elif environ.get(option.variable):
            value, where = environ[option.variable], f"environment variable {option.variable}"
        elif option.key in table:
            value, where = table[option.key], f"{source}: serve.{option.key}"
        else:
            continue
        try:
            values[option.key] = option.kind.parse(value)
        except ValueError:
            problems.append(f"{where}: expected {option.kind.expected}, found {value!r}")
    return ServeSettings(**values)


def _inputs(value: object, source: str, problems: list[str]) -> tuple[TensorSpec, ...]:
    if not isinstance(value, list):
        problems.append(f"{source}: inputs: expected a list of tables, found {value!r}")
        return ()
    specs: list[TensorSpec] = []
    for index, entry in enumerate(value):
        where = f"{source}: inputs[{index}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(f'{where}: expected {{ name = "…", datatype = "…" }}, found {entry!r}')
            continue
        problems += _unknown(
            entry, ("name", "datatype", "nullable", "description", "example"), where
        )
        datatype, nullable = entry.get("datatype", "FP64"), entry.get("nullable", False)
        if not isinstance(nullable, bool):
            problems.append(f"{where}.nullable: expected true or false, found {nullable!r}")
        if datatype not in DATATYPES:
            problems.append(
                f"{where}.datatype: expected one of {', '.join(DATATYPES)}, found {datatype!r}"
            )
            continue
        if nullable is True and not datatype.startswith(("FP", "BYTES")):
            problems.append(f"{where}.nullable: expected FP… or BYTES for it, found {datatype}")
        specs.append(
            TensorSpec(
                name=name,
                datatype=datatype,
                nullable=nullable is True,
                description=str(entry.get("description", "")),
                example=entry.get("example"),
            )
        )
    names = [spec.name for spec in specs]
    problems += [
        f"{source}: inputs: {name!r} is named twice"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return tuple(specs)


def _local(location: str, folder: Path, problems: list[str]) -> str:
    """The model's path on this machine; ``file://`` is one, other URLs are not."""
    match = _URL.fullmatch(location)
    if match is None:
        return str((folder / location).resolve())
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file" and rest.startswith("/"):
        return rest
    problems.append(
        f"{location}: expected a path or file:///…, found a {scheme}:// URL; "
        "bring the model here first and give its path"
    )
    return location


def _default_name(texts: Mapping[str, str], model_path: str | None, folder: Path) -> str:
    if texts.get("service") or texts.get("app"):
        attribute = (texts.get("service") or texts["app"]).rpartition(":")[2]
        raw = attribute.lower() if texts.get("service") else folder.name
    else:
        raw = Path(model_path).name.partition(".")[0] if model_path else folder.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", raw).strip("-._") or "model"


def _golden(
    value: object, model_path: str | None, folder: Path, problems: list[str]
) -> Mapping[str, Any] | None:
    """The golden request: a table, a named file, or ``golden.json`` beside the model."""
    content: Any = value
    where = "golden"
    if value is not None and not isinstance(value, dict | str):
        problems.append(f"golden: expected a file's name or a table, found {value!r}")
        return None
    if not isinstance(value, dict):
        beside = Path(model_path).parent if model_path else folder
        path = (folder / value).resolve() if isinstance(value, str) else beside / GOLDEN_NAME
        if value is None and not path.is_file():
            return None
        where = str(path)
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            problems.append(f"golden: expected a file at {path}, found: {error.strerror}")
            return None
        except (ValueError, RecursionError) as error:
            problems.append(f"{path}: expected JSON, found an error: {error}")
            return None
    if not isinstance(content, dict) or not {"inputs", "outputs"} <= content.keys():
        problems.append(f'{where}: expected {{"inputs": …, "outputs": …}}, found {content!r:.80}')
        return None
    problems += _unknown(content, ("inputs", "outputs", "tolerance"), where)
    return content


def _unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> list[str]:
    return [f"{where}: unknown key {key!r}{_hint(key, known)}" for key in table if key not in known]


def _hint(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The nearest known word; what all of them begin with makes none nearer."""
    rests = [other.removeprefix(prefix) for other in known if other.startswith(prefix)]
    close = difflib.get_close_matches(word.removeprefix(prefix), rests, n=1, cutoff=0.6)
    return f"; did you mean {prefix + close[0]!r}?" if close else ""


def _unknown_variables(environ: Mapping[str, str]) -> Sequence[str]:
    known = [option.variable for option in options()] + list(_OTHER_VARIABLES)
    known += [f"BOXSHIP_{key.upper()}" for key in (*_TEXT_KEYS, *_LIST_KEYS) if key != "model"]
    return [
        f"environment variable {name} is unknown and ignored{_variable_hint(name, known, environ)}"
        for name in sorted(environ)
        if name.startswith(_PREFIX) and name not in known
    ]


def _variable_hint(name: str, known: Sequence[str], environ: Mapping[str, str]) -> str:
    if "://" in environ[name]:
        return " (Kubernetes injects such for a Service; enableServiceLinks: false stops it)"
    plain = {f"BOXSHIP_SERVE_{option.key.upper()}": option.variable for option in options()}
    plain["BOXSHIP_MODEL"] = contract.MODEL_PATH_VARIABLE
    return f"; did you mean {plain[name]!r}?" if name in plain else _hint(name, known, _PREFIX)
