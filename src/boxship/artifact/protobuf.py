"""Protocol Buffers, read at the level of the wire.

An ONNX file is one protobuf message. The few things read from it directly (class
names, whether it is ONNX at all) are not worth an 18 MB package in the image.
Source: https://protobuf.dev/programming-guides/encoding/
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

VARINT = 0
FIXED64 = 1
LENGTH = 2
FIXED32 = 5

MODEL_GRAPH = 7
"""The field of an ONNX file that holds its graph."""

_MAX_FIELD = (1 << 29) - 1
_MAX_VARINT_BYTES = 10


def mapped(path: Path) -> memoryview:
    """The file's bytes, which are read only where they are looked at.

    Raises ``OSError``, and ``ValueError`` where the file is empty.
    """
    with path.open("rb") as file:
        # Not closed by hand: it lives as long as the last view of it.
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def iter_fields(
    buffer: bytes | memoryview, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int, int | memoryview]]:
    """The fields of the message in ``buffer[start:end]``, in file order.

    Gives ``(field number, wire type, value)``: an unsigned ``int`` for varints and
    fixed-width numbers (little endian, not yet interpreted), a view that copies
    nothing for length-delimited values (strings, bytes, messages, packed numbers).
    Raises ``ValueError`` where the bytes are no message or end too early; the
    fields before that place have been given by then.
    """
    view = memoryview(buffer)
    limit = len(view) if end is None else end
    if not 0 <= start <= limit <= len(view):
        raise ValueError(f"bytes {start} to {limit} are not inside a buffer of {len(view)} bytes")
    at = start
    while at < limit:
        key, at = read_varint(view, at, limit)
        field, wire_type = key >> 3, key & 7
        if not 0 < field <= _MAX_FIELD:
            raise ValueError(f"byte {at}: field number {field} is out of range")
        if wire_type == VARINT:
            value, at = read_varint(view, at, limit)
            yield field, wire_type, value
            continue
        if wire_type == LENGTH:
            size, at = read_varint(view, at, limit)
        elif wire_type == FIXED64:
            size = 8
        elif wire_type == FIXED32:
            size = 4
        else:
            raise ValueError(f"byte {at}: wire type {wire_type} is not one of 0, 1, 2, 5")
        if size > limit - at:
            raise ValueError(f"byte {at}: field {field} needs {size} bytes, {limit - at} are left")
        chunk = view[at : at + size]
        at += size
        yield (
            field,
            wire_type,
            chunk if wire_type == LENGTH else int.from_bytes(chunk, "little"),
        )


def messages(buffer: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of the length-delimited field ``wanted``; errors are those of ``iter_fields``."""
    for field, _, value in iter_fields(buffer):
        if field == wanted and not isinstance(value, int):
            yield value


def text(value: memoryview) -> str:
    """A string field's value; bytes that are no UTF-8 become U+FFFD."""
    return bytes(value).decode("utf-8", "replace")


def read_varint(buffer: bytes | memoryview, at: int, limit: int) -> tuple[int, int]:
    """The unsigned 64-bit varint at byte ``at``, and the byte after it.

    Raises ``ValueError`` where it does not end before ``limit``.
    """
    value = 0
    for position in range(at, min(at + _MAX_VARINT_BYTES, limit)):
        byte = buffer[position]
        value |= (byte & 0x7F) << (7 * (position - at))
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + 1
    raise ValueError(f"byte {at}: a varint does not end where it should")
