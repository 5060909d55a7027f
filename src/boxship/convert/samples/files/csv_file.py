"""Rows from a CSV file, plain or compressed with gzip."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, cast

from boxship.convert.samples.files.table import Column, Table
from boxship.errors import UsageError

_BAD_ROWS_SHOWN: Final = 5


def read_csv(path: Path, names: Sequence[str]) -> Table:
    """The table in ``path``: UTF-8, divided by commas, a header unless it is all numbers.

    ``names`` are the model's columns, by which a header is known. An empty field is a
    missing value. Raises ``UsageError`` where the file is no such thing.
    """
    try:
        with _open(path) as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Expected text in UTF-8 in {path}, found the byte 0x{error.object[error.start]:02x}.",
            tip="Save the file again as UTF-8.",
        ) from error
    except csv.Error as error:
        raise UsageError(
            f"{path} is not CSV that can be read: {error}.",
            tip="Look for a quotation mark that is never closed; write one inside a field twice.",
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(
            f"{path} cannot be decompressed: {error}.", tip="Compress or copy it again."
        ) from error
    if not rows:
        raise UsageError(f"{path} is empty.", tip="Write the columns' names and at least one row.")
    header, notes = _header(rows[0], names)
    body = rows if header is None else rows[1:]
    width = len(rows[0])
    _check_widths(body, width, path)

    def column(position: int) -> Column:
        return [row[position] or None for row in body]

    return Table(header, width, len(body), column, notes)


def _open(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _header(
    first: list[str], names: Sequence[str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    known = {name.strip() for name in first} & set(names)
    if known or not all(_is_number(field) for field in first):
        return tuple(first), ()
    note = "The first row of the file holds numbers, so its columns are taken in their order."
    return None, (note,)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _check_widths(rows: list[list[str]], width: int, path: Path) -> None:
    bad = [(number, len(row)) for number, row in enumerate(rows, 1) if len(row) != width]
    if bad:
        shown = ", ".join(f"row {number} has {found}" for number, found in bad[:_BAD_ROWS_SHOWN])
        more = (
            f" and {len(bad) - _BAD_ROWS_SHOWN} more rows differ" if bad[_BAD_ROWS_SHOWN:] else ""
        )
        raise UsageError(
            f"Expected {width} fields in every row of {path}, as in its first; {shown}{more}.",
            tip="A comma inside a field needs quotation marks around the field.",
        )
