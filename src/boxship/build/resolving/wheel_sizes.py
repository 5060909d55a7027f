"""How large a wheel is, and how much of it no image has, before it is downloaded."""

import logging
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from boxship.build import address
from boxship.build.layers import slim
from boxship.build.layers.cut import HEAVY_BYTES
from boxship.build.resolving.logins import Logins
from boxship.build.resolving.remote_file import RemoteFile
from boxship.lock import LockedWheel

logger = logging.getLogger("boxship.build")

_SECONDS = 30
# https://packaging.python.org/en/latest/specifications/binary-distribution-format/
_MOVED = re.compile(r"[^/]+\.data/(?:purelib|platlib|data)/")
# Compressed on its way, it would be of another size.
_AS_IT_IS = {"accept-encoding": "identity"}


@dataclass(frozen=True)
class Size:
    """Bytes of a wheel, and of those of its files that slimming leaves out, compressed."""

    whole: int
    left_out: int = 0


class Sizes:
    """Asks for what was not locked ``before``; many threads may ask at once."""

    def __init__(self, logins: Logins, before: Iterable[LockedWheel] = ()) -> None:
        self._logins = logins
        self._before = {one.digest: Size(one.size, one.left_out) for one in before}
        self._client = httpx.Client(follow_redirects=True, timeout=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, place: str | Path, digest: str, told: int = 0) -> Size:
        """The size of the wheel at ``place``, an address or a file; an index ``told`` it, or 0.

        Of a light wheel, and where nobody tells, nothing is left out.
        """
        before = self._before.get(digest, Size(0))
        whole = told or before.whole or self._whole(place)
        if whole < HEAVY_BYTES:
            return Size(whole)
        # None may be because no server told it then.
        return Size(whole, before.left_out or self._left_out(place, whole))

    def _whole(self, place: str | Path) -> int:
        """Bytes; 0, with a word on it, where nobody tells."""
        if isinstance(place, Path):
            return place.stat().st_size
        url, login = self._at(place)
        try:
            return self._told(url, login)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            logger.warning(
                "%s: expected its server to tell its size, found %s. It counts as 0 bytes: plan and "
                "budget come out too small, and it gets no layer of its own. Give a login that its "
                "server takes, and lock again.",
                address.bare(url), _found(error),
            )  # fmt: skip
            return 0

    def _told(self, url: str, login: httpx.Auth) -> int:
        """Bytes, by the head of the file, else by that of its first byte. Raises as it comes."""
        answer = self._client.head(url, auth=login, headers=_AS_IT_IS)
        if answer.is_success and "content-length" in answer.headers:
            return int(answer.headers["content-length"])
        # An address that was signed for reading has no head.
        headers = {**_AS_IT_IS, "range": "bytes=0-0"}
        with self._client.stream("GET", url, auth=login, headers=headers) as answer:
            answer.raise_for_status()
            if answer.status_code == httpx.codes.PARTIAL_CONTENT:
                return int(answer.headers["content-range"].rpartition("/")[2])
            return int(answer.headers["content-length"])

    def _left_out(self, place: str | Path, whole: int) -> int:
        """Bytes, from the wheel's list of its files, which is at its end."""
        file: Path | RemoteFile
        if isinstance(place, Path):
            name, file = str(place), place
        else:
            name, login = self._at(place)
            file = RemoteFile(self._client, name, whole, login)
        try:
            with zipfile.ZipFile(file) as wheel:
                found = sum(
                    one.compress_size
                    for one in wheel.infolist()
                    if slim.left_out(_MOVED.sub("", one.filename, count=1))
                )
        # The last two are of lists that zipfile cannot read.
        except (
            httpx.HTTPError,
            OSError,
            zipfile.BadZipFile,
            ValueError,
            NotImplementedError,
        ) as error:
            logger.debug(
                "%s: its files are not known, and count as staying: %s",
                address.bare(name),
                address.shown(str(error)),
            )
            return 0
        return found if found < whole else 0

    def _at(self, url: str) -> tuple[str, httpx.Auth]:
        """The address to ask, without its login, and that login, else its host's."""
        return address.without_login(url), self._logins.find(url)


def _found(error: Exception) -> str:
    """In words that have no address in them."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}"
    return "no answer" if isinstance(error, httpx.TransportError) else "an answer without it"
