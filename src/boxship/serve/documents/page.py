"""The documentation page: Swagger UI from the package, nothing from the internet."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from boxship import contract
from boxship.serve import statuses
from boxship.serve.messages import Header, Request, Response

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
ASSETS: Final = tuple(_CONTENT_TYPES)
"""The names under ``/docs/`` that the page loads."""

_NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
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


def asset_response(request: Request) -> Response:
    """The answer to ``GET /docs/{name}``: gzip where the client takes it, 304 where it has it."""
    found = asset(request.path.rpartition("/")[2])
    if found is None:
        expected = ", ".join(ASSETS)
        text = f"expected one of {expected} under {contract.DOCS}, found {request.path!r}"
        return statuses.text_response(404, text, request.path)
    headers: tuple[Header, ...] = (
        (b"etag", found.etag.encode()),
        (b"cache-control", b"max-age=3600"),
        (b"vary", b"accept-encoding"),
        _NO_SNIFF,
    )
    content_type = found.content_type.encode()
    if found.etag in (request.header(b"if-none-match") or ""):
        return Response(304, b"", content_type, headers)
    if _takes_gzip(request.header(b"accept-encoding") or ""):
        return Response(200, found.gzip, content_type, (*headers, (b"content-encoding", b"gzip")))
    return Response(200, found.identity(), content_type, headers)


def page_response(title: str) -> Response:
    """The answer to ``GET /docs``."""
    headers = ((b"content-security-policy", CONTENT_SECURITY_POLICY.encode()), _NO_SNIFF)
    return Response(200, page(title), CONTENT_TYPE.encode(), headers)


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.split(","):
        coding, _, weight = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return re.fullmatch(r"\s*q=0(\.0*)?\s*", weight) is None
    return False


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
