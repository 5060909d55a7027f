"""The wire reader gives what protobuf wrote, and refuses everything else with ValueError."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from boxship.artifact.protobuf import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    iter_fields,
    mapped,
    messages,
    text,
)


def fields(data: bytes, *bounds: int) -> list[tuple[int, int, int | bytes]]:
    return [
        (field, kind, value if isinstance(value, int) else bytes(value))
        for field, kind, value in iter_fields(data, *bounds)
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\x08\x96\x01", [(1, VARINT, 150)]),
        (b"\x08" + b"\xff" * 9 + b"\x01", [(1, VARINT, 2**64 - 1)]),
        (b"\x12\x07testing", [(2, LENGTH, b"testing")]),
        (b"\x12\x00\x08\x01", [(2, LENGTH, b""), (1, VARINT, 1)]),
        (b"\x1d\x01\x00\x00\x80", [(3, FIXED32, 0x80000001)]),
        (b"\x19\x01\x00\x00\x00\x00\x00\x00\x00", [(3, FIXED64, 1)]),
        (b"\xfa\x01\x01x", [(31, LENGTH, b"x")]),
    ],
)
def test_fields_are_given_in_file_order(
    data: bytes, expected: list[tuple[int, int, int | bytes]]
) -> None:
    assert fields(data) == expected


def test_a_part_of_a_buffer_is_read_without_copying() -> None:
    data = b"##\x12\x02ab##"
    assert fields(data, 2, 6) == [(2, LENGTH, b"ab")]
    ((_, _, value),) = iter_fields(data, 2, 6)
    assert isinstance(value, memoryview)
    assert value.obj is data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x08", "a varint does not end"),
        (b"\x08\xff\xff", "a varint does not end"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "a varint does not end"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "a varint does not end"),
        (b"\x12\x05ab", "field 2 needs 5 bytes, 2 are left"),
        (b"\x1d\x01\x00", "field 3 needs 4 bytes, 2 are left"),
        (b"\x19\x01\x00", "field 3 needs 8 bytes, 2 are left"),
        (b"\x00\x01", "field number 0 is out of range"),
        (b"\x80\x80\x80\x80\x10\x01", "field number 536870912 is out of range"),
        (b"\x0b", "wire type 3"),
        (b"\x0f", "wire type 7"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fields(data)


def test_bounds_outside_the_buffer_are_refused() -> None:
    with pytest.raises(ValueError, match="not inside a buffer of 3 bytes"):
        fields(b"\x08\x96\x01", 0, 4)


def test_fields_before_the_broken_one_are_given() -> None:
    """A prefix of a file is enough to recognise it."""
    reader = iter_fields(b"\x08\x07\x12\x05ab")
    assert next(reader) == (1, VARINT, 7)
    with pytest.raises(ValueError, match="needs 5 bytes"):
        next(reader)


@given(st.binary(max_size=64))
def test_any_bytes_end_in_fields_or_value_error(data: bytes) -> None:
    try:
        found = fields(data)
    except ValueError:
        return
    assert sum(2 for _ in found) <= len(data)


def test_the_messages_of_a_field_are_given_in_order_and_others_are_not() -> None:
    data = b"\x12\x02ab" + b"\x0a\x01x" + b"\x10\x07" + b"\x12\x01\xff"
    assert [text(value) for value in messages(data, 2)] == ["ab", "�"]


def test_a_file_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"\x12\x02ab")
    assert fields(mapped(tmp_path / "model").tobytes()) == [(2, LENGTH, b"ab")]
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty"):
        mapped(tmp_path / "empty")
