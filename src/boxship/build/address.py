"""Addresses on the network: what lets one in, and what of them may be written down or shown."""

import re
from urllib.parse import quote, unquote, urlsplit

# A raw "@" may be in a password: the last one before the path ends the login.
_LOGIN = r"""(?P<scheme>[a-z][a-z0-9+.-]*://)(?:(?P<login>[^/\s"'`<>]*)@)?"""
_WHOLE = re.compile(_LOGIN, re.IGNORECASE)
_SHOWN = re.compile(rf"""{_LOGIN}(?P<rest>[^\s?"'`<>]*)(?:\?[^\s"'`<>)]*)?""", re.IGNORECASE)


def bare(url: str) -> str:
    """``url`` as it may be written down: no login, no query, which may hold a token, no fragment."""
    if "://" not in url:
        return url
    return re.split(r"[?#]", without_login(url), maxsplit=1)[0]


def without_login(url: str) -> str:
    """``url`` with its query, as a server is asked for it."""
    return _WHOLE.sub(r"\g<scheme>", url, count=1)


def shown(text: str) -> str:
    """``text`` with the addresses in it as they may be shown: no logins, no queries."""
    return _SHOWN.sub(r"\g<scheme>\g<rest>", text)


def host(url: str) -> str:
    """The host of ``url``, and its port where it has one."""
    return urlsplit(bare(url)).netloc


def login(url: str) -> tuple[str, str] | None:
    """The user and the password in ``url``, either of them "" where it has none; None without."""
    found = _WHOLE.match(url)
    if found is None or not found["login"]:
        return None
    user, _, password = found["login"].partition(":")
    return unquote(user), unquote(password)


def with_login(url: str, user: str, password: str) -> str:
    """``url`` with this login, and no other."""
    mark = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return _WHOLE.sub(lambda found: found["scheme"] + mark, url, count=1)
