"""numpy's dtypes as a pickle describes them: how many bytes, and which of them are pointers."""

import re
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from boxship.artifact.pickling.values import MalformedPickleError, Table

_DTYPE: Final = re.compile(r"[|<>=]?([biufcmMSUVO])(\d+)")
_OBJECT_FLAGS: Final = 0x1B
"""What numpy sets where an item holds objects: they are counted, need care, and are pickled one
by one. With one of them missing, an array's bytes would be taken for pointers."""
_POINTER_BYTES: Final = 8
_POINTER_FLAGS: Final = 0x07
"""Those of them that nothing but objects has."""


@dataclass(slots=True, eq=False)
class Dtype:
    """A numpy dtype: ``itemsize`` in bytes, ``None`` where it is not known.

    ``shared`` says that something else may have it already, which a change would reach.
    """

    kind: str
    itemsize: int | None
    has_object: bool
    shared: bool = False

    @classmethod
    def of(cls, args: tuple[Any, ...]) -> "Dtype":
        """What ``numpy.dtype(*args)`` would be; its state comes later.

        Without a copy it could be one of numpy's own, which take on no state and say nothing.
        """
        code = args[0] if args else None
        match = _DTYPE.fullmatch(code) if isinstance(code, str) else None
        if match is None or args[1:] != (False, True):
            return cls("", None, has_object=False)
        kind, size = match[1], int(match[2])
        if kind == "O" and size != _POINTER_BYTES:
            return cls("", None, has_object=False)
        return cls(kind, size * 4 if kind == "U" else size, has_object=kind == "O")

    def build(self, state: Any) -> bool:
        """Take on the state, as numpy does. False where pointers would not be known as such."""
        if not isinstance(state, tuple) or len(state) < 8:
            raise MalformedPickleError("a dtype without its state")
        _, _, subarray, names, fields, itemsize, _, flags = state[:8]
        if not self.kind or not isinstance(itemsize, int) or not isinstance(flags, int):
            return False
        if self.kind in ("S", "U", "V"):
            if itemsize < 0:
                return False
            self.itemsize = itemsize
        parts = _fields(names, fields) if subarray is None else _subarray(subarray)
        if parts is None or not self._holds(parts):
            return False
        self.has_object = self.has_object or any(part.has_object for part, _, _ in parts)
        if self.has_object:
            return flags & _OBJECT_FLAGS == _OBJECT_FLAGS
        return not flags & _POINTER_FLAGS

    def _holds(self, parts: "list[_Part]") -> bool:
        """Whether each part lies within an item; and where there are pointers, none on another."""
        if parts and self.kind != "V":
            return False
        end = 0
        alone = any(part.has_object for part, _, _ in parts)
        for _, start, size in sorted(parts, key=lambda one: one[1]):
            if alone and start < end:
                return False
            end = max(end, start + size)
        return not parts or (self.itemsize is not None and end <= self.itemsize)


_Part = tuple[Dtype, int, int]
"""A dtype within another, the byte where it begins, and its bytes in all."""


def _fields(names: Any, fields: Any) -> "list[_Part] | None":
    """The parts of a record; None where they cannot be told."""
    if fields is None:
        return [] if names is None else None
    if not isinstance(fields, Table) or fields.odd or not isinstance(names, tuple):
        return None
    if sorted(map(str, names)) != sorted(fields) or not all(type(one) is str for one in names):
        return None
    fields.taken = True
    found: list[_Part] = []
    for field in fields.values():
        match field:
            case (Dtype(itemsize=int(size)) as part, int(start), *_) if start >= 0:
                found.append((part, start, size))
            case _:
                return None
    return found


def _subarray(value: Any) -> "list[_Part] | None":
    """The items of an array within an item; None where they cannot be told."""
    match value:
        case (Dtype(itemsize=int(size)) as part, tuple(shape)) if all(
            isinstance(length, int) and length >= 0 for length in shape
        ):
            return [(part, 0, size * prod(shape))]
        case (Dtype(itemsize=int(size)) as part, int(length)) if length >= 0:
            return [(part, 0, size * length)]
    return None
