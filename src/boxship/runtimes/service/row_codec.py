"""JSON bodies → rows of the service's type, strictly, with every problem named."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec

from boxship.errors import MISSING, InputError, MalformedError, Problem, UsageError
from boxship.json_input import MAX_PROBLEMS, TOO_DEEP, Loc, parse, shown, unknown_field
from boxship.runtimes.service.records import Record, is_pydantic, records_in
from boxship.runtimes.service.row_columns import Column
from boxship.runtimes.service.row_keys import key_check
from boxship.runtimes.service.row_problems import extra_field, non_finite, problems
from boxship.runtimes.service.row_words import expected, pydantic_words

_FIRST = re.compile(rb"[ \t\r\n]*(.?)", re.DOTALL)
_INT64 = range(-(2**63), 2**63)
_INT64_WORDS = f"a whole number from {_INT64[0]} to {_INT64[-1]}"


class RefusedError(Exception):
    """A decoder's refusal. ``find`` tells why, given the rows as plain JSON values."""

    def __init__(self, find: Callable[[list[Any]], Iterable[Problem]]) -> None:
        super().__init__()
        self.find = find


class Decoder(Protocol):
    """One way to decode rows."""

    def decode(self, body: bytes, *, single: bool) -> list[Any]:
        """The rows of a JSON object or list; ``RefusedError``, or ``ValueError`` where it is no JSON."""


class RowCodec:
    """Decodes bodies into rows of one type."""

    def __init__(self, record: Record, columns: Sequence[Column]) -> None:
        pydantic = any(is_pydantic(inner.type) for inner in records_in(record.type))
        self._decoder: Decoder = PydanticDecoder(record) if pydantic else MsgspecDecoder(record)
        self._ranged = [
            column
            for column in columns
            if column.form != "json"
            and (column.spec.datatype == "INT64" or (pydantic and column.spec.datatype == "FP64"))
        ]

    def decode(self, body: bytes) -> tuple[list[Any], bool]:
        """``body``'s rows, and whether it was one object rather than a list.

        ``MalformedError`` where it is no JSON or nested too deeply; ``InputError``
        with every problem (at most ``MAX_PROBLEMS``) where it is not such rows.
        """
        first = _FIRST.match(body)
        single = first is not None and first[1] == b"{"
        try:
            rows = self._decoder.decode(body, single=single)
        except RefusedError as refused:
            rows, found = [], _explain(body, refused)
        except RecursionError:
            raise MalformedError(TOO_DEEP) from None
        except ValueError as error:
            parse(body)
            # It is JSON: the decoder alone has a limit that this body exceeds.
            raise MalformedError(f"expected JSON, found: {error}") from error
        else:
            found = list(islice(_out_of_range(rows, self._ranged), MAX_PROBLEMS))
        if found:
            raise InputError(*(_from_root(problem) if single else problem for problem in found))
        return rows, single


def _explain(body: bytes, refused: RefusedError) -> list[Problem]:
    value = parse(body)
    if not isinstance(value, dict | list):
        return [Problem((), "an object or a list of objects", shown(value))]
    rows = value if isinstance(value, list) else [value]
    try:
        return list(islice(refused.find(rows), MAX_PROBLEMS))
    except RecursionError:
        raise MalformedError(TOO_DEEP) from None


def _from_root(problem: Problem) -> Problem:
    """Decoders speak of rows; where the body is one object, that row is the body."""
    return Problem(problem.loc[1:], problem.expected, problem.found)


def _out_of_range(rows: list[Any], columns: Sequence[Column]) -> Iterator[Problem]:
    """Numbers that the signature's INT64 and FP64 cannot hold.

    JSON's integers have no end, and pydantic makes infinity of the string "inf". A
    default is the author's own and may be NaN.
    """
    for index, row in enumerate(rows) if columns else ():
        values = row if isinstance(row, dict) else None
        given = getattr(row, "model_fields_set", None)
        for column in columns:
            if given is not None and column.attribute not in given:
                continue
            value = (
                getattr(row, column.attribute) if values is None else values.get(column.attribute)
            )
            for number in value if isinstance(value, list | tuple) else (value,):
                loc = (index, column.spec.name)
                if isinstance(number, int) and number not in _INT64 and _is_integer(column):
                    yield Problem(loc, _INT64_WORDS, shown(number))
                elif isinstance(number, float) and given is not None and not math.isfinite(number):
                    yield Problem(loc, "a finite number", shown(number))


def _is_integer(column: Column) -> bool:
    return column.spec.datatype == "INT64"


class MsgspecDecoder:
    """Rows of dataclasses, Structs and TypedDicts."""

    def __init__(self, record: Record) -> None:
        _refuse_foreign_types(record)
        self._type = record.type
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(record.type)
        self._many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[self._type])  # type: ignore[name-defined]
        self._keys_known = key_check(record.type)

    def decode(self, body: bytes, *, single: bool) -> list[Any]:
        try:
            rows: list[Any] = [self._one.decode(body)] if single else self._many.decode(body)
        except msgspec.ValidationError as error:
            raise RefusedError(self._problems) from error
        if self._keys_known is not None:
            plain = msgspec.json.decode(body)
            if not all(map(self._keys_known, [plain] if single else plain)):
                raise RefusedError(self._problems)
        return rows

    def _problems(self, rows: list[Any]) -> Iterator[Problem]:
        for index, row in enumerate(rows):
            if not self._accepts(row):
                yield from problems(row, self._type, (index,))

    def _accepts(self, row: Any) -> bool:
        """Whether one row is sound, the fast way: most rows of a refused list are."""
        if any(non_finite(row, ())):
            return False
        try:
            self._one.decode(msgspec.json.encode(row))
        except msgspec.ValidationError:
            return False
        return self._keys_known is None or self._keys_known(row)


def _refuse_foreign_types(record: Record) -> None:
    """Any class is a hint to msgspec, which then fails at the first row; fail at the start."""
    for inner in records_in(record.type):
        for field in inner.fields:
            try:
                msgspec.json.schema(field.hint)
            except TypeError as error:
                raise UsageError(
                    f"The field {inner.name}.{field.attribute} has the type {field.hint}, "
                    "which JSON cannot hold.",
                    tip="Use float, int, str, bool, a date, a list or dict of these, "
                    "or another dataclass.",
                ) from error


class PydanticDecoder:
    """Rows that are or hold pydantic models. pydantic's own rules apply, ``extra`` included."""

    def __init__(self, record: Record) -> None:
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError

        self._record = record
        try:
            self._one: TypeAdapter[Any] = TypeAdapter(record.type)
            self._many: TypeAdapter[Any] = TypeAdapter(list[record.type])  # type: ignore[name-defined]
        except PydanticUserError as error:
            raise UsageError(
                f"pydantic cannot take rows of {record.name}: {str(error).splitlines()[0]}",
                tip="Make every object in the row a pydantic model or a dataclass.",
            ) from error

    def decode(self, body: bytes, *, single: bool) -> list[Any]:
        from pydantic import ValidationError

        try:
            # pydantic reads 1e999 as infinity; msgspec refuses it.
            msgspec.json.decode(body)
        except msgspec.ValidationError as error:
            raise RefusedError(self._problems) from error
        try:
            return [self._one.validate_json(body)] if single else self._many.validate_json(body)
        except ValidationError as error:
            # One by one, since the details of every row at once can take seconds.
            if error.error_count() == 1 and error.errors()[0]["type"] == "json_invalid":
                raise ValueError(error.errors()[0]["msg"].removeprefix("Invalid JSON: ")) from error
            raise RefusedError(self._problems) from error

    def _problems(self, rows: list[Any]) -> Iterator[Problem]:
        from pydantic import ValidationError

        for index, row in enumerate(rows):
            yield from non_finite(row, (index,))
            try:
                self._one.validate_json(json.dumps(row))
            except ValidationError as error:
                for detail in error.errors(include_url=False, include_context=False):
                    loc = (index, *detail["loc"])
                    yield self._problem(detail["type"], loc, detail["msg"], detail["input"])

    def _problem(self, kind: str, loc: Loc, message: str, value: Any) -> Problem:
        name = str(loc[-1]) if loc else ""
        if kind == "missing":
            hints = {field.name: field.hint for field in self._record.fields}
            known = len(loc) == 2 and name in hints
            return Problem(loc, expected(hints[name]) if known else "a value", MISSING)
        if kind == "extra_forbidden":
            if len(loc) == 2:
                return extra_field(name, self._record, loc[:-1])
            return unknown_field(loc[:-1], name, "one of the fields of its type", ())
        return Problem(loc, pydantic_words(message), shown(value))
