"""One object's bytes, in order, into a file: several requests ahead, and on from where it broke off.

The bytes are hashed as they are written. What a killed process has left is read again and
counts. Memory is bounded by the requests that are under way.
"""

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions

from boxship.artifact.remote.listing import Entry, tag_of
from boxship.artifact.remote.mishaps import MissingError, ReplacedError, asking

CHUNK_BYTES = 8 * 1024 * 1024
_FIRST_CHUNK_BYTES = 1024 * 1024
REQUESTS_AHEAD = 8
_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.2
_READ_BYTES = 1 << 20
_DATE = re.compile(r"\d{4}-\d\d-\d\dT")
_FINAL = (
    MissingError,
    exceptions.PermissionDeniedError,
    exceptions.UnauthenticatedError,
    exceptions.PreconditionError,
    exceptions.NotSupportedError,
)

Progress = Callable[[int], None]
"""Called with the number of bytes that have just arrived, or were found here already."""

Window = asyncio.Semaphore
"""Who holds it may have one chunk under way or in memory; shared by all files of a fetch."""


async def copy(
    store: Any, entry: Entry, file: Path, progress: Progress, window: Window | None = None
) -> str:
    """Write ``entry`` to ``file``, whose bytes so far are its first; the whole file's SHA-256.

    ``window`` bounds the memory, ``REQUESTS_AHEAD`` chunks of ``CHUNK_BYTES`` by itself. Raises
    ``ReplacedError`` where the object is not ``entry`` any more, obstore's errors, and
    ``OSError`` of the disk.
    """
    content = hashlib.sha256()
    with file.open("ab+", buffering=0) as out:
        out.seek(0)
        found = 0
        while chunk := out.read(_READ_BYTES):
            content.update(chunk)
            found += len(chunk)
            progress(len(chunk))
        if found > entry.size:
            raise ReplacedError
        if not entry.tag:
            # Nothing would tell two answers of one object from those of two.
            return await _whole(store, entry, out, progress)
        try:
            async for data in _ahead(store, entry, found, window or Window(REQUESTS_AHEAD)):
                _write(out, data)
                content.update(data)
                progress(len(data))
        except exceptions.NotSupportedError:
            return await _whole(store, entry, out, progress)
    return content.hexdigest()


def _write(out: Any, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[out.write(view) :]


async def _ahead(store: Any, entry: Entry, offset: int, window: Window) -> AsyncIterator[Any]:
    """The bytes from ``offset`` on, a chunk at a time."""
    chunks = _chunks(offset, entry.size)
    under_way: deque[asyncio.Task[Any]] = deque()

    async def chunk(start: int, end: int) -> Any:
        await window.acquire()
        try:
            return await _range(store, entry, start, end)
        except BaseException:
            window.release()
            raise

    def more() -> None:
        if (bounds := next(chunks, None)) is not None:
            under_way.append(asyncio.create_task(chunk(*bounds)))

    for _ in range(REQUESTS_AHEAD):
        more()
    try:
        while under_way:
            data = await under_way.popleft()
            try:
                yield data
            finally:
                window.release()
            more()
    finally:
        for task in under_way:
            task.cancel()
        for left in await asyncio.gather(*under_way, return_exceptions=True):
            if not isinstance(left, BaseException):
                window.release()


def _chunks(offset: int, end: int) -> Iterator[tuple[int, int]]:
    """Small ones first, then larger ones: what is whole is on the disk, and outlives the process."""
    while offset < end:
        size = min(CHUNK_BYTES, max(_FIRST_CHUNK_BYTES, offset // REQUESTS_AHEAD))
        yield offset, min(offset + size, end)
        offset += size


async def _range(store: Any, entry: Entry, start: int, end: int) -> Any:
    pause = _FIRST_PAUSE_S
    for attempt in range(_ATTEMPTS):
        try:
            with asking():
                options: Any = {"range": (start, end), **_condition(entry)}
                result = await obstore.get_async(store, entry.key, options=options)
            _same(entry, result.meta)
            data = await result.bytes_async()
            if len(data) == end - start:
                return data
        except exceptions.PreconditionError:
            raise ReplacedError from None
        except _FINAL:
            raise
        except exceptions.BaseError:
            if attempt == _ATTEMPTS - 1:
                raise
        await asyncio.sleep(pause)
        pause *= 2
    raise exceptions.GenericError(f"bytes {start} to {end} came cut off, {_ATTEMPTS} times")


def _condition(entry: Entry) -> Any:
    """Weak tags match nothing, by HTTP's rules; dates are none."""
    is_tag = entry.tag and not entry.tag.startswith("W/") and not _DATE.match(entry.tag)
    return {"if_match": f'"{entry.tag}"'} if is_tag else {}


def _same(entry: Entry, meta: Any) -> None:
    if (meta["size"], tag_of(meta)) != (entry.size, entry.tag):
        raise ReplacedError


async def _whole(store: Any, entry: Entry, out: Any, progress: Progress) -> str:
    """From the first byte, of a server that knows no ranges; each time anew."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            return await _stream(store, entry, out, progress)
        except exceptions.NotSupportedError:
            # The library would go on where it was cut off, and the server cannot.
            if not left:
                raise exceptions.GenericError(
                    f"it came cut off, {_ATTEMPTS} times, and the server sends no parts of it"
                ) from None
        except _FINAL:
            raise
        except exceptions.BaseError:
            if not left:
                raise
    raise AssertionError  # the last attempt has returned or raised


async def _stream(store: Any, entry: Entry, out: Any, progress: Progress) -> str:
    found = out.seek(0, 2)
    out.truncate(0)
    progress(-found)
    content = hashlib.sha256()
    with asking():
        result = await obstore.get_async(store, entry.key)
    _same(entry, result.meta)
    size = 0
    async for data in result.stream(min_chunk_size=_READ_BYTES):
        size += len(data)
        if size > entry.size:
            raise ReplacedError
        _write(out, data)
        content.update(data)
        progress(len(data))
    if size < entry.size:
        raise exceptions.GenericError(f"expected {entry.size} bytes, found {size}")
    return content.hexdigest()
