"""The documentation page: Swagger UI from the package, nothing from the internet."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from boxship import contract

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's header of that name: everything from this server, no inline script or style."""

CONTENT_TYPE: Final = "text/html; charset=utf-8"
"""The page's content type."""

_ASSETS: Final = Path(__file__).parent / "assets"
_CONTENT_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "initializer.js": "text/javascript; charset=utf-8",
}
ASSET_NAMES: Final = tuple(_CONTENT_TYPES)
"""What is served below the page's own path."""

_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%23c60' d='M4 3h4v4H4zM9 3h4v4H9z'/%3E"
    "%3Cpath fill='%23246' d='M1 8h14l-2 5H3z'/%3E%3C/svg%3E"
)


@dataclass(frozen=True)
class Asset:
    """A file of the page. ``gzip`` is its body under ``Content-Encoding: gzip``."""

    content_type: str
    gzip: bytes
    etag: str

    def identity(self) -> bytes:
        """The body for a client that does not accept gzip."""
        return gzip.decompress(self.gzip)


def asset(name: str) -> Asset | None:
    """The file served as ``/docs/{name}``, or None where there is none of that name."""
    return _read(name) if name in _CONTENT_TYPES else None


@cache
def _read(name: str) -> Asset:
    packed = _ASSETS / f"{name}.gz"
    if packed.exists():
        body = packed.read_bytes()
    else:
        body = gzip.compress((_ASSETS / name).read_bytes(), 9, mtime=0)
    # Weak: one tag stands for the same file with and without gzip.
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Asset(_CONTENT_TYPES[name], body, etag)


def page(title: str) -> bytes:
    """The HTML of ``/docs``. Its links are relative, so that it works behind a path prefix."""
    folder = contract.DOCS.strip("/")
    document = contract.OPENAPI.strip("/")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="{_ICON}">
<link rel="stylesheet" href="{folder}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-openapi="{document}"></div>
<noscript>This page needs JavaScript. The same is in <a href="{document}">{document}</a>.</noscript>
<script src="{folder}/swagger-ui-bundle.js"></script>
<script src="{folder}/initializer.js"></script>
</body>
</html>
""".encode()
