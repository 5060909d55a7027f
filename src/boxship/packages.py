"""Which packages are installed, found out without importing any."""

from collections.abc import Mapping
from importlib.util import find_spec


def missing(modules: Mapping[str, str]) -> list[str]:
    """The packages of those ``modules`` (module → package) that are not there."""
    return [package for module, package in modules.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # Of a dotted name, what stands before the dot is missing already.
        return False
