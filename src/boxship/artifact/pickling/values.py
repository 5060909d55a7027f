"""What the inert pickle machine works on, and what it writes down."""

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass, field
from typing import IO, Any, Final

ARRAY_WRAPPER: Final = ("joblib.numpy_pickle", "NumpyArrayWrapper")
"""After joblib sets the state of one of these, an array's bytes follow in the stream."""


@dataclass(frozen=True)
class Trick:
    """Something that no honest pickle does, and where it does it."""

    what: str
    offset: int

    def __str__(self) -> str:
        return f"{self.what} (at byte {self.offset})"


class MalformedPickleError(Exception):
    """The stream is not a pickle that any unpickler would read to its end."""


MODULES: Final = {**IMPORT_MAPPING, "_loss": "sklearn._loss._loss"}
"""Protocols 0 to 2 write Python 2's names. scikit-learn 1.4 to 1.8 call one extension ``_loss``,
which is found only where something else has imported it."""


def true_name(module: str, name: str) -> tuple[str, str]:
    """Where Python 3 finds what the pickle calls ``module.name``."""
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return MODULES.get(module, module), name


@dataclass
class Findings:
    """What the machine writes down on its way.

    ``file_size`` is in bytes where the stream is the file itself, which can be
    skipped through; ``None`` where it is decompressed on the way.
    """

    stream: IO[bytes]
    file_size: int | None
    protocol: int = 0
    globals: dict[tuple[str, str], int] = field(default_factory=dict)
    tricks: list[Trick] = field(default_factory=list)
    sklearn_version: str | None = None
    arrays: bool = False
    mappable: bool = False
    last_offset: int = 0

    def trick(self, what: str, offset: int) -> None:
        self.tricks.append(Trick(what, offset))


@dataclass(slots=True, eq=False)
class Global:
    """A name, where the real machine would have what it names."""

    key: tuple[str, str]


@dataclass(slots=True, eq=False)
class Object:
    """What the real machine would have made by calling ``maker``."""

    maker: tuple[str, str] | None = None
    state: dict[str, Any] = field(default_factory=dict)


_DTYPE: Final = re.compile(r"[|<>=]?([biufcmMSUVO])(\d+)")
_HAS_OBJECT: Final = 0x01


@dataclass(slots=True, eq=False)
class Dtype:
    """A numpy dtype: ``itemsize`` in bytes, ``None`` where it is not known."""

    kind: str
    itemsize: int | None
    has_object: bool

    @classmethod
    def of(cls, args: tuple[Any, ...]) -> "Dtype":
        """What ``numpy.dtype(*args)`` would be; its state comes later."""
        code = args[0] if args else None
        match = _DTYPE.fullmatch(code) if isinstance(code, str) else None
        if match is None:
            return cls("", None, has_object=False)
        kind, size = match[1], int(match[2])
        return cls(kind, size * 4 if kind == "U" else size, has_object=kind == "O")

    def build(self, state: Any) -> bool:
        """Take on the state, as numpy does. False where it hides the objects among its fields."""
        if not isinstance(state, tuple) or len(state) < 8:
            raise MalformedPickleError("a dtype without its state")
        _, _, _, _, fields, itemsize, _, flags = state[:8]
        if self.kind in ("S", "U", "V") and isinstance(itemsize, int) and itemsize >= 0:
            self.itemsize = itemsize
        parts = [part[0] for part in fields.values() if part] if isinstance(fields, dict) else []
        has_object = any(isinstance(part, Dtype) and part.has_object for part in parts)
        claimed = isinstance(flags, int) and bool(flags & _HAS_OBJECT)
        self.has_object = self.has_object or has_object or claimed
        return claimed or not has_object


OPAQUE: Final = Object()
"""Stands for values that no name, dtype or shape can be made of: bytes, floats, lists, sets."""


def text_keys(items: list[Any]) -> dict[str, Any]:
    """The pairs whose key is text; hashing anything else could run deep into a hostile tuple."""
    return {
        key: value for key, value in zip(items[::2], items[1::2], strict=True) if type(key) is str
    }
