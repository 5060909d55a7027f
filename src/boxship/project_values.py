"""Values as somebody wrote them, made into the project's own; every problem is collected."""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boxship.settings import ServeSettings, options
from boxship.signature import DATATYPES, TensorSpec

GOLDEN_NAME = "golden.json"
TEXT_KEYS = ("name", "version", "model", "service", "app")
LIST_KEYS = ("code", "trust")
KEYS = (*TEXT_KEYS, *LIST_KEYS, "golden", "inputs", "serve")


def typed(
    raw: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The texts and the lists of texts among ``raw``; ``sources`` says where each was written."""
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key, value in raw.items():
        if key in TEXT_KEYS:
            if isinstance(value, str) and value:
                texts[key] = value
            else:
                problems.append(f"{sources[key]}: {key}: expected a text, found {value!r}")
        elif key in LIST_KEYS:
            if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
                lists[key] = tuple(value)
            else:
                problems.append(f"{sources[key]}: {key}: expected a list of texts, found {value!r}")
    return texts, lists


def serve_settings(
    table: object,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    source: str,
    problems: list[str],
) -> ServeSettings:
    """``[serve]``: a flag beats the environment, the environment beats the file."""
    if not isinstance(table, dict):
        problems.append(f"{source}: serve: expected a table [serve], found {table!r}")
        table = {}
    known = options()
    problems += unknown(table, [option.key for option in known], f"{source} [serve]")
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


def inputs(value: object, source: str, problems: list[str]) -> tuple[TensorSpec, ...]:
    """The columns that the project declares, in their order."""
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
        problems += unknown(
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


def golden(
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
    problems += unknown(content, ("inputs", "outputs", "tolerance"), where)
    return content


def unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> list[str]:
    """A problem for each key that is not known, with the nearest one that is."""
    return [f"{where}: unknown key {key!r}{hint(key, known)}" for key in table if key not in known]


def hint(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The nearest known word; what all of them begin with makes none nearer."""
    rests = [other.removeprefix(prefix) for other in known if other.startswith(prefix)]
    close = difflib.get_close_matches(word.removeprefix(prefix), rests, n=1, cutoff=0.6)
    return f"; did you mean {prefix + close[0]!r}?" if close else ""
