"""The packages that making images needs, and that nothing else of Boxship does."""

from importlib.util import find_spec

from boxship.errors import BuildError

_PACKAGES = {
    "backports.zstd": "backports.zstd",
    "deflate": "deflate",
    "httpx": "httpx",
    "packaging": "packaging",
    "uv": "uv",
}
"""Module → package."""


def check_packages() -> None:
    """Raise ``BuildError`` with every package that is missing. Imports none of them."""
    missing = [package for module, package in _PACKAGES.items() if not _is_there(module)]
    if missing:
        raise BuildError(
            f"Making images needs packages that are not installed: {', '.join(missing)}.",
            tip="Install them: pip install 'boxship[build]'",
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
