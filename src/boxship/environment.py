"""The environment variables that settle a project: ``MODEL_PATH`` and ``BOXSHIP_…``."""

from collections.abc import Mapping, Sequence
from typing import Any

from boxship import contract, suggestions
from boxship.project_values import LIST_KEYS, TEXT_KEYS
from boxship.settings import options

_PREFIX = "BOXSHIP_"
_OTHER_VARIABLES = (
    contract.CPU_REQUEST_VARIABLE,
    contract.CACHE_VARIABLE,
    contract.CACHE_SIZE_VARIABLE,
)


def variable(key: str) -> str:
    """The environment variable of a top-level key."""
    return contract.MODEL_PATH_VARIABLE if key == "model" else f"{_PREFIX}{key.upper()}"


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Top-level keys from ``MODEL_PATH`` and ``BOXSHIP_…``; lists are comma-separated."""
    found: dict[str, Any] = {}
    for key in (*TEXT_KEYS, *LIST_KEYS):
        value = environ.get(variable(key))
        if value:
            parts = [part.strip() for part in value.split(",")]
            found[key] = [part for part in parts if part] if key in LIST_KEYS else value
    return found


def unknown_variables(environ: Mapping[str, str]) -> Sequence[str]:
    """A warning for each ``BOXSHIP_…`` that is no setting: Kubernetes injects some by itself."""
    known = [option.variable for option in options()] + list(_OTHER_VARIABLES)
    known += [variable(key) for key in (*TEXT_KEYS, *LIST_KEYS)]
    return [
        f"environment variable {name} is unknown and ignored{_variable_hint(name, known, environ)}"
        for name in sorted(environ)
        if name.startswith(_PREFIX) and name not in known
    ]


def _variable_hint(name: str, known: Sequence[str], environ: Mapping[str, str]) -> str:
    if "://" in environ[name]:
        return " (Kubernetes injects such for a Service; enableServiceLinks: false stops it)"
    plain = {f"{_PREFIX}SERVE_{option.key.upper()}": option.variable for option in options()}
    plain[f"{_PREFIX}MODEL"] = contract.MODEL_PATH_VARIABLE
    return (
        f"; did you mean {plain[name]!r}?"
        if name in plain
        else suggestions.hint(name, known, _PREFIX)
    )
