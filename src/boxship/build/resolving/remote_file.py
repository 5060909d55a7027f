"""A file on a web server, of which only its end is fetched, as far as somebody reads there."""

import os

import httpx

_AHEAD = 128_000
"""Bytes that the first request asks for: most wheels list their files in fewer."""
_MOST = 16_000_000
"""Of the end, at most. The longest lists of files are of 2 MB."""


class RemoteFile:
    """``size`` bytes at ``url``, for ``zipfile.ZipFile``, which reads a list at the end.

    Reading raises ``httpx.HTTPError``, and ``OSError`` where the server does not answer ranges, or
    the end would be too long; the whole file is never fetched.
    """

    def __init__(self, client: httpx.Client, url: str, size: int, login: httpx.Auth) -> None:
        self._client = client
        self._url = url
        self._size = size
        self._login = login
        self._at = 0
        self._start = size
        self._end = b""
        """The bytes from ``_start`` on."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As files do it."""
        before = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = before + offset
        return self._at

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def read(self, count: int | None = -1) -> bytes:
        """As files do it; what was fetched once is kept."""
        if self._at < self._start:
            start = min(self._at, max(self._size - _AHEAD, 0))
            self._end = self._fetch(start) + self._end
            self._start = start
        first = self._at - self._start
        last = None if count is None or count < 0 else first + count
        found = self._end[first:last]
        self._at += len(found)
        return found

    def _fetch(self, start: int) -> bytes:
        """From ``start`` to what is here already."""
        if self._size - start > _MOST:
            raise OSError(f"expected at most {_MOST} bytes of its end to read")
        wanted = f"bytes {start}-{self._start - 1}/"
        # Compressed on its way, it would be other bytes.
        headers = {"range": wanted.replace(" ", "=")[:-1], "accept-encoding": "identity"}
        with self._client.stream("GET", self._url, headers=headers, auth=self._login) as answer:
            answer.raise_for_status()
            found = answer.headers.get("content-range", "")
            if answer.status_code != httpx.codes.PARTIAL_CONTENT or not found.startswith(wanted):
                raise OSError(f"expected {wanted}, found {answer.status_code} {found}")
            data = bytearray()
            for chunk in answer.iter_raw():
                data += chunk
                if len(data) > self._start - start:
                    break
        if len(data) != self._start - start:
            raise OSError(f"expected {self._start - start} bytes, found {len(data)}")
        return bytes(data)
