"""The package indexes that this machine's variables name for uv, with the logins that reach them.

https://docs.astral.sh/uv/reference/environment/
"""

import re
from collections.abc import Iterator, Mapping

from boxship.build.asked import uv_indexes

_EXTRA = ("UV_INDEX", "UV_EXTRA_INDEX_URL")
_DEFAULT = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
_INDEX = re.compile(r"(?:(?P<name>[\w.-]+)=)?(?P<url>[a-z]+://\S+)")


def beside(environ: Mapping[str, str]) -> list[str]:
    """Those beside the usual one, the first first."""
    return [url for variable in _EXTRA for url in _named(variable, environ)]


def default(environ: Mapping[str, str]) -> list[str]:
    """The one in place of the usual one, if there is one."""
    return [url for variable in _DEFAULT for url in _named(variable, environ)][:1]


def _named(variable: str, environ: Mapping[str, str]) -> Iterator[str]:
    for one in environ.get(variable, "").split():
        if found := _INDEX.fullmatch(one):
            yield uv_indexes.with_login(found["url"], found["name"] or "", environ)
