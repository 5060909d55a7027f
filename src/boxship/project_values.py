"""Values as somebody wrote them, made into the project's own; every problem is collected."""

from collections.abc import Mapping
from typing import Any, TypeVar

from boxship import suggestions
from boxship.image_settings import ImageSettings
from boxship.settings import ServeSettings, options
from boxship.signature import DATATYPES, TensorSpec

TEXT_KEYS = ("name", "version", "model", "service", "app")
LIST_KEYS = ("code", "trust")
KEYS = (*TEXT_KEYS, *LIST_KEYS, "golden", "inputs", "serve", "image")


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


Table = TypeVar("Table", ServeSettings, ImageSettings)


def table_settings(
    of: type[Table],
    name: str,
    table: object,
    *,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    source: str,
    problems: list[str],
) -> Table:
    """``[serve]`` or ``[image]``: a flag beats the environment, the environment beats the file."""
    if not isinstance(table, dict):
        problems.append(f"{source}: {name}: expected a table [{name}], found {table!r}")
        table = {}
    known = options(of, name)
    problems += suggestions.unknown(table, [option.key for option in known], f"{source} [{name}]")
    values: dict[str, Any] = {}
    for option in known:
        if option.key in flags:
            value, where = flags[option.key], option.flag
        elif environ.get(option.variable):
            value, where = environ[option.variable], f"environment variable {option.variable}"
        elif option.key in table:
            value, where = table[option.key], f"{source}: {name}.{option.key}"
        else:
            continue
        try:
            values[option.key] = option.kind.parse(value)
        except ValueError:
            problems.append(f"{where}: expected {option.kind.expected}, found {value!r}")
    return of(**values)


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
        problems += suggestions.unknown(
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
