"""The logins in files of settings: in an address, as in ``https://user:password@host``."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_SETTINGS = re.compile(
    r".*\.(toml|cfg|ini|conf|lock|ya?ml|json|properties)"
    r"|(requirements|constraints).*\.(txt|in)|\.condarc|Pipfile|.*Dockerfile.*|\..*rc",
    re.IGNORECASE,
)
_LARGEST_BYTES = 4_000_000
"""What is larger was not written by hand, and is data."""
_ADDRESS = re.compile(
    # docker://python:3.11@sha256:… has a tag there, and no password.
    r"[a-zA-Z]://(?P<user>[^\s/?#\"'`:]*)(?P<password>:[^\s/?#\"'`]*)?@(?!sha256:)"
)
_PLACEHOLDER = re.compile(
    r"\$\{[^}]*\}|\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%|%\(\w+\)s|\{.*\}|<.*>|\*+|…|\.\.\."
)
_TOKEN = re.compile(r"(?=\D*\d)(?=.*[a-z])[\w-]{20,}", re.IGNORECASE)
"""A user's name is hardly as long, and of letters and digits."""


def may_have_some(name: str) -> bool:
    """Whether a file of that name has settings: what code does with addresses is not looked at."""
    return bool(_SETTINGS.fullmatch(name))


def lines(file: Path) -> Iterator[int]:
    """The numbers of the lines, from 1, that have a login; ``${NAME}`` is none. Raises ``OSError``."""
    if file.stat().st_size > _LARGEST_BYTES:
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if any(map(_is_login, _ADDRESS.finditer(line))):
            yield number


def _is_login(match: re.Match[str]) -> bool:
    password = (match["password"] or "").removeprefix(":")
    if password:
        return not _PLACEHOLDER.fullmatch(password)
    return bool(_TOKEN.fullmatch(unquote(match["user"])))
