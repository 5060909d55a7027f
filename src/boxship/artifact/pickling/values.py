"""What the inert pickle machine works on, and what it writes down."""

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
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    """What is called, or made of arguments: where first."""
    method_names: list[tuple[Any, str, int]] = field(default_factory=list)
    """Values that will be taken for names of methods, where they stand, and where they were set."""
    attributes: dict[tuple[tuple[str, str], str], int] = field(default_factory=dict)
    """What might be called among the attributes: class and attribute → where it was set."""

    def trick(self, what: str, offset: int) -> None:
        self.tricks.append(Trick(what, offset))


@dataclass(slots=True, eq=False)
class Global:
    """A name, where the real machine would have what it names."""

    key: tuple[str, str]


@dataclass(slots=True, eq=False)
class Object:
    """What the real machine would have made by calling ``maker``.

    ``shared`` says that something else may have it already, ``built`` that it was given a state.
    """

    maker: tuple[str, str] | None = None
    state: dict[str, Any] = field(default_factory=dict)
    shared: bool = False
    built: bool = False


OPAQUE: Final = Object()
"""Stands for values that no name, dtype or shape can be made of: bytes, floats, sets."""


class Table(dict[str, Any]):
    """A dict's pairs whose key is text; hashing anything else could run deep into a hostile tuple.

    ``odd`` says that other keys were left out; ``taken`` that something was made of it already,
    as it was.
    """

    odd = False
    taken = False

    def take(self, items: list[Any]) -> "Table":
        """Put in keys and values, which stand in turn in ``items``."""
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is str:
                self[key] = value
            else:
                self.odd = True
        return self


@dataclass(slots=True, eq=False)
class Texts:
    """A list: the texts in it, and whether it holds anything else."""

    found: list[str] = field(default_factory=list)
    others: bool = False

    def take(self, items: list[Any]) -> None:
        """Append ``items``."""
        for item in items:
            if type(item) is str:
                self.found.append(item)
            elif item is not None:
                self.others = True
