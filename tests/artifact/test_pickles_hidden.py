"""Files that two unpicklers would read as two programs, or that change what they handed out.

None is ever run: each is refused, with nothing loaded.
"""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from numpy import dtype as numpy_dtype

from boxship.artifact import pickles
from boxship.errors import ModelError

HIDDEN = b"cos\nsystem\n0"
"""Opcodes that name ``os.system``, where the scanner should see the bytes of an array."""


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def dtype(code: str, *, fields: bytes = b"NN", size: int = -1, flags: int = 0) -> bytes:
    """A numpy dtype with its state; ``fields`` are the names and their dict, as opcodes."""
    made = name("numpy", "dtype") + b"(" + text(code) + b"K\x00K\x01tR"
    state = b"(K\x03" + text("|") + b"N" + fields + number(size) + number(1) + number(flags) + b"t"
    return made + state + b"b"


def wrapper(of: bytes, count: int, extra: bytes = b"") -> bytes:
    """Joblib's note that an array of ``count`` items of a dtype follows."""
    state = (
        text("subclass") + name("numpy", "ndarray")
        + text("shape") + number(count) + b"\x85"
        + text("order") + text("C")
        + text("dtype") + of
        + text("allow_mmap") + b"\x89"
    )  # fmt: skip
    made = name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"
    return made + b"}(" + state + extra + b"ub"


def array(of: bytes, content: bytes = text("AAAAAAAA")) -> bytes:
    """A plain pickle's array of one item."""
    made = name("numpy._core.multiarray", "_reconstruct") + name("numpy", "ndarray")
    encode = name("_codecs", "encode")
    kind = encode + b"(" + text("b") + text("latin1") + b"tR"
    raw = encode + b"(" + content + text("latin1") + b"tR"
    return made + b"K\x00\x85" + kind + b"\x87R(K\x01K\x01\x85" + of + b"\x89" + raw + b"tb"


OBJECT = dtype("O8", flags=63)


def ends_inside_a_frame() -> bytes:
    """The C unpickler takes the whole frame from the file, whatever it needs of it."""
    frame = 1 << 18
    head = b"N."
    rest = frame - len(head) - 5
    # To one who goes on right after the STOP, the hidden opcodes are a string's bytes.
    nested = head + b"B" + struct.pack("<I", rest + len(HIDDEN)) + b"\0" * rest
    return wrapper(OBJECT, 1) + b"\x95" + struct.pack("<Q", frame) + nested + HIDDEN + b"0N"


def crosses_the_end_of_a_frame() -> bytes:
    """Of a string that begins inside a frame the C unpickler drops what is inside."""
    size = 1 << 14
    string = b"B" + struct.pack("<I", size + len(HIDDEN))
    return b"\x95" + struct.pack("<Q", size) + string + b"\0" * size + HIDDEN


def takes_an_own_dtype_of_numpys() -> bytes:
    """Without a copy it takes on no state: its items have no bytes, whatever that says."""
    made = dtype("V0", size=1).replace(b"K\x00K\x01tR", b"K\x00K\x00tR", 1)
    return wrapper(made, len(HIDDEN)) + HIDDEN


def has_a_read_of_its_own() -> bytes:
    """Joblib calls the wrapper's ``read``, which would then read nothing."""
    return wrapper(dtype("i1"), len(HIDDEN), text("read") + name("builtins", "slice")) + HIDDEN


def claims_to_hold_objects() -> bytes:
    """Joblib asks the dtype, and reads a pickle where the scanner passes over numbers."""
    return wrapper(dtype("i1", flags=63), len(HIDDEN) + 2) + b"N." + HIDDEN


def changes_a_dtype_in_use() -> bytes:
    made = dtype("V8", size=8).replace(b"R(", b"Rq\x05(", 1)
    later = dtype("V8", fields=b"(" + text("a") + b"t}" + text("a") + b"(" + OBJECT + b"K\x00ts",
                  size=8, flags=63)  # fmt: skip
    return array(made) + b"h\x05" + later[later.index(b"R(") + 1 :] + b"0"


def changes_the_fields_of_a_dtype() -> bytes:
    inside = dtype("i8")
    fields = b"(" + text("a") + b"t}q\x07" + text("a") + b"(" + inside + b"K\x00ts"
    made = dtype("V8", fields=fields, size=8)
    return array(made) + b"h\x07" + text("a") + b"(" + OBJECT + b"K\x00ts0"


def names_no_field() -> bytes:
    inside = b"}" + text("a") + b"(" + dtype("i8") + b"K\x00ts"
    return array(dtype("V8", fields=b"(" + text("x") + b"t" + inside, size=8))


def has_fields_in_a_number() -> bytes:
    inside = b"}" + text("a") + b"(" + OBJECT + b"K\x00ts"
    return array(dtype("i8", fields=b"(" + text("a") + b"t" + inside, flags=63))


def writes_a_number_in_octal() -> bytes:
    """64 to the C unpickler, 100 to others: the two fields would lie on one another."""
    parts = text("a") + b"(" + OBJECT + b"K@t" + text("b") + b"(" + dtype("i8") + b"I0100\nt"
    fields = b"(" + text("a") + text("b") + b"t}(" + parts + b"u"
    return array(dtype("V108", fields=fields, size=108, flags=63))


FILES: dict[str, Callable[[], bytes]] = {
    function.__name__.replace("_", " "): function
    for function in (
        ends_inside_a_frame,
        crosses_the_end_of_a_frame,
        takes_an_own_dtype_of_numpys,
        has_a_read_of_its_own,
        claims_to_hold_objects,
        changes_a_dtype_in_use,
        changes_the_fields_of_a_dtype,
        names_no_field,
        has_fields_in_a_number,
        writes_a_number_in_octal,
    )
}


@pytest.mark.parametrize("kind", FILES)
def test_it_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04" + FILES[kind]() + b".")
    with pytest.raises(
        ModelError, match=r"hides objects|is in use|is not a whole pickle"
    ) as caught:
        pickles.load(path)
    assert "os.system" not in caught.value.message, "it was hidden from the scanner"


def test_the_same_parts_load_where_they_are_honest(tmp_path: Path) -> None:
    """So it is the trick that is refused, and not how this file writes arrays."""
    path = tmp_path / "model.pkl"
    honest = array(dtype("V8", fields=b"(" + text("a") + b"t}" + text("a") + b"("
                         + dtype("i8") + b"K\x00ts", size=8))  # fmt: skip
    path.write_bytes(b"\x80\x04" + honest + b".")
    found = pickles.load(path).model
    assert found.dtype == numpy_dtype([("a", "i8")])
    path.write_bytes(b"\x80\x04" + wrapper(dtype("i1"), 3) + b"abc" + b".")
    assert bytes(pickles.load(path).model) == b"abc"
    assert pickle.loads(b"\x80\x04I100\n.") == 100
