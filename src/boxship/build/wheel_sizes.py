"""How large a wheel is, where its index does not say: many plain ones list links alone."""

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx

logger = logging.getLogger("boxship.build")


class Sizes:
    """Asks for a file's length. ``indexes`` may hold logins, which go to their own hosts alone."""

    def __init__(self, indexes: Iterable[str]) -> None:
        parts = [urlsplit(url) for url in indexes]
        self._logins = {
            one.netloc.rpartition("@")[2]: (one.username or "", one.password or "")
            for one in parts
            if one.username
        }

    def __call__(self, url: str) -> int:
        """Bytes; 0, with a word on it, where nobody tells."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        place = parts._replace(netloc=host).geturl()
        login = self._logins.get(host)
        try:
            answer = httpx.head(place, auth=login, follow_redirects=True, timeout=30)
            answer.raise_for_status()
            return int(answer.headers["content-length"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            logger.warning("%s: its size is not known, and counts as nothing: %s", place, error)
            return 0
