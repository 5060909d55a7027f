"""The packages that making images needs, and that nothing else of Boxship does."""

from boxship import packages
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
    missing = packages.missing(_PACKAGES)
    if missing:
        raise BuildError(
            f"Making images needs packages that are not installed: {', '.join(missing)}.",
            tip="Install them: pip install 'boxship[build]'",
        )
