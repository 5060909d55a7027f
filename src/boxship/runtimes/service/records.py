"""The object types of a service's hints: which fields a JSON object of theirs has.

Dataclasses, ``msgspec.Struct``, ``TypedDict`` and pydantic models become one frozen
``Record``, so that nobody else needs to know which of the four a type is.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from boxship.errors import UsageError


@dataclass(frozen=True)
class Field:
    """One field. ``name`` is its key in JSON, ``attribute`` its name in Python.

    ``written`` is its key in the JSON of an answer, where pydantic has another one there.
    """

    name: str
    attribute: str
    hint: Any
    required: bool
    description: str = ""
    written: str = ""


@dataclass(frozen=True)
class Record:
    """An object type. ``closed`` says that unknown fields are refused by Boxship or msgspec.

    pydantic models are never ``closed`` here: pydantic itself obeys their ``extra``.
    ``tag`` is the key that a tagged Struct carries beside its fields.
    """

    type: Any
    fields: tuple[Field, ...]
    closed: bool
    tag: str = ""

    @property
    def name(self) -> str:
        return str(self.type.__name__)

    @property
    def known(self) -> frozenset[str]:
        """Every key that an object of this type may have."""
        return frozenset(field.name for field in self.fields) | ({self.tag} if self.tag else set())


def bare(hint: Any) -> Any:
    """``hint`` without ``Annotated``, ``Required``, ``NotRequired`` and ``NewType``."""
    while True:
        if typing.get_origin(hint) in (typing.Annotated, typing.Required, typing.NotRequired):
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            return hint


def arms(hint: Any) -> tuple[tuple[Any, ...], bool]:
    """The alternatives of a union without ``None``, and whether ``None`` was one."""
    hint = bare(hint)
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,), False
    every = typing.get_args(hint)
    return tuple(arm for arm in every if arm is not type(None)), type(None) in every


def item_of(hint: Any) -> Any | None:
    """The element type of ``list[X]``, ``Sequence[X]`` or ``tuple[X, ...]``, else ``None``.

    A bare ``list`` has elements of type ``Any``.
    """
    hint = bare(hint)
    if hint in (list, Sequence, typing.List, typing.Sequence):  # noqa: UP006
        return Any
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, Sequence):
        return args[0]
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return args[0]
    return None


def value_of(hint: Any) -> Any | None:
    """The value type of ``dict[str, X]``, else ``None``."""
    hint = bare(hint)
    if typing.get_origin(hint) in (dict, Mapping):
        return typing.get_args(hint)[1]
    return None


def is_pydantic(hint: Any) -> bool:
    """Whether ``hint`` is a pydantic model or pydantic dataclass (pydantic is not imported)."""
    return isinstance(hint, type) and hasattr(hint, "__pydantic_fields__")


def record_of(hint: Any) -> Record | None:
    """The object type that ``hint`` is, or ``None``.

    A field whose hint cannot be resolved is a ``UsageError``.
    """
    kind = bare(hint)
    return _record(kind) if isinstance(kind, type) else None


@cache
def _record(kind: Any) -> Record | None:
    try:
        if is_pydantic(kind):
            return _pydantic_record(kind)
        if issubclass(kind, msgspec.Struct):
            return _struct_record(kind)
        if dataclasses.is_dataclass(kind):
            return _dataclass_record(kind)
        if typing.is_typeddict(kind):
            return _typed_dict_record(kind)
    except NameError as error:
        raise UsageError(
            f"The type hints of {kind.__name__} cannot be resolved: {error}.",
            tip="Import the name when the program runs, not only under TYPE_CHECKING, "
            "and define the class at the top of its module.",
        ) from error
    return None


def records_in(hint: Any) -> Iterator[Record]:
    """Every object type that ``hint`` mentions, itself included, each once."""
    seen: set[Any] = set()
    waiting = [hint]
    while waiting:
        here = waiting.pop()
        record = record_of(here)
        if record is None:
            waiting.extend(typing.get_args(bare(here)))
        elif record.type not in seen:
            seen.add(record.type)
            waiting.extend(field.hint for field in record.fields)
            yield record


def _description(hint: Any) -> str:
    for note in typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ():
        if isinstance(note, msgspec.Meta) and note.description:
            return note.description
    return ""


def _dataclass_record(kind: Any) -> Record:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = tuple(
        Field(
            name=field.name,
            attribute=field.name,
            hint=hints[field.name],
            required=field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING,
            description=_description(hints[field.name]),
        )
        for field in dataclasses.fields(kind)
        if field.init
    )
    return Record(kind, fields, closed=True)


def _struct_record(kind: Any) -> Record | None:
    config = kind.__struct_config__
    if config.array_like:
        return None
    fields = tuple(
        Field(
            name=field.encode_name,
            attribute=field.name,
            hint=field.type,
            required=field.required,
            description=_description(field.type),
        )
        for field in msgspec.structs.fields(kind)
    )
    return Record(kind, fields, closed=config.forbid_unknown_fields, tag=config.tag_field or "")


def _typed_dict_record(kind: Any) -> Record:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = tuple(
        Field(
            name=name,
            attribute=name,
            hint=_without_required(hint),
            required=name in kind.__required_keys__,
            description=_description(hint),
        )
        for name, hint in hints.items()
    )
    return Record(kind, fields, closed=True)


def _without_required(hint: Any) -> Any:
    """What only a TypedDict's body may say is no type to anybody else."""
    if typing.get_origin(hint) in (typing.Required, typing.NotRequired):
        return typing.get_args(hint)[0]
    return hint


def _pydantic_record(kind: Any) -> Record:
    fields = tuple(
        Field(
            name=_alias(info) or name,
            attribute=name,
            hint=info.annotation,
            required=info.is_required(),
            description=info.description or "",
            written=(info.serialization_alias or name) if hasattr(kind, "model_dump") else name,
        )
        for name, info in kind.__pydantic_fields__.items()
    )
    return Record(kind, fields, closed=False)


def _alias(info: Any) -> str:
    for alias in (info.validation_alias, info.alias):
        if isinstance(alias, str):
            return alias
    return ""
