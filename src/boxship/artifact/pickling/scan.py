"""What a pickle would do, found out without doing any of it."""

import mmap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from boxship.artifact.compression import (
    DECOMPRESSION_ERRORS,
    HEAD_BYTES,
    compression,
    open_decompressed,
)
from boxship.artifact.mishaps import COPY_AGAIN, unreadable
from boxship.artifact.pickling.conduct import check_method_names
from boxship.artifact.pickling.listed import is_called, is_listed
from boxship.artifact.pickling.machine import Machine
from boxship.artifact.pickling.values import Findings, MalformedPickleError, Trick
from boxship.errors import ModelError


@dataclass(frozen=True)
class GlobalUse:
    """A name that the pickle imports; ``offset`` is its first use, in uncompressed bytes."""

    module: str
    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.module}.{self.name} (at byte {self.offset})"


@dataclass(frozen=True)
class Attribute:
    """An attribute whose value might be called: that of an instance of ``module.cls``."""

    module: str
    cls: str
    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.name} of {self.module}.{self.cls} (at byte {self.offset})"


@dataclass(frozen=True, kw_only=True)
class PickleReport:
    """All that a pickle says about itself.

    ``globals`` are in the order of their first use, in Python 3's spelling.
    ``size`` is in uncompressed bytes. ``sklearn_version`` is the one the first
    estimator in the file was saved with. ``joblib`` says that the arrays lie
    outside the pickle, as joblib writes them, and ``mappable`` that they can be
    memory-mapped. ``attributes`` are those that might be called. ``calls`` are the names that
    are called at once, each with its first place.
    """

    path: Path
    protocol: int
    size: int
    globals: tuple[GlobalUse, ...]
    tricks: tuple[Trick, ...]
    sklearn_version: str | None
    joblib: bool
    mappable: bool
    attributes: tuple[Attribute, ...] = ()
    calls: tuple[GlobalUse, ...] = ()

    def untrusted(self, trusted_modules: Sequence[str] = ()) -> tuple[GlobalUse | Trick, ...]:
        """What nobody vouches for: neither Boxship's list nor one of ``trusted_modules``."""
        names = [
            use
            for use in self.globals
            if not is_listed(use.module, use.name) and not in_modules(use.module, trusted_modules)
        ]
        calls = [
            Trick(f"calls {use.module}.{use.name}, which no model does", use.offset)
            for use in self.calls
            if is_listed(use.module, use.name) and not is_called(use.module, use.name)
        ]
        return (*names, *calls, *self.tricks)


def in_modules(module: str, modules: Sequence[str]) -> bool:
    """Whether ``module`` is one of ``modules``, or a submodule of one."""
    return any(module == trusted or module.startswith(f"{trusted}.") for trusted in modules)


def scan(path: Path) -> PickleReport:
    """Read the whole of ``path`` without running any of it.

    Raises ``ModelError`` where the file cannot be read or is not a whole pickle.
    """
    with _open(path) as (stream, size), warnings.catch_warnings():
        # A damaged string makes Python warn of its escapes.
        warnings.simplefilter("ignore")
        findings = Findings(stream, size)
        try:
            Machine(findings, arrays=True).run()
            check_method_names(findings)
            end = stream.tell()
            if stream.read(1):
                findings.trick("goes on after the end of the pickle", end)
        except _MALFORMED as error:
            raise _malformed(path, findings, error) from error
        return PickleReport(
            path=path,
            protocol=findings.protocol,
            size=end if size is None else size,
            globals=_uses(findings.globals),
            tricks=tuple(findings.tricks),
            sklearn_version=findings.sklearn_version,
            joblib=findings.arrays,
            mappable=findings.mappable and size is not None,
            attributes=tuple(
                Attribute(module, cls, name, offset)
                for ((module, cls), name), offset in findings.attributes.items()
            ),
            calls=_uses(findings.calls),
        )


def _uses(found: Mapping[tuple[str, str], int]) -> tuple[GlobalUse, ...]:
    return tuple(GlobalUse(module, name, offset) for (module, name), offset in found.items())


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """The uncompressed content of ``path``, and its size where that is the file itself."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            kind = compression(head)
            if kind is None and head:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    yield cast(IO[bytes], view), len(view)
                return
    except OSError as error:
        raise unreadable(path, error) from error
    if kind is None:
        raise ModelError(f"{path} is empty.", tip=COPY_AGAIN)
    with open_decompressed(path, kind) as stream:
        yield stream, None


_MALFORMED = (
    *DECOMPRESSION_ERRORS,
    MalformedPickleError,
    ValueError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
)
"""What the machine and ``pickletools`` raise on bytes that are not a pickle."""


def _malformed(path: Path, findings: "Findings", error: BaseException) -> ModelError:
    offset = findings.last_offset
    try:
        cut_off = not findings.stream.read(1)
        offset = findings.stream.tell()
    except DECOMPRESSION_ERRORS:
        cut_off = True
    found = "it ends in the middle" if cut_off else f"it is damaged there ({error})"
    return ModelError(
        f"{path} is not a whole pickle: read up to byte {offset}, {found}.",
        tip=COPY_AGAIN,
    )
