"""What each opcode of a pickle has the machine do; what each is, ``pickletools`` knows."""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final


@dataclass(frozen=True, slots=True)
class Opcode:
    """``act`` is the machine's method. It is called with what ``read`` reads, else with ``given``."""

    act: str
    read: Callable[[IO[bytes]], Any] | None = None
    given: Any = None


_VALUES: Final = (
    "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
)  # fmt: skip
_OPAQUE_VALUES: Final = (
    "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "EMPTY_SET",
)  # fmt: skip

_ACTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_VALUES, "push"),
    **dict.fromkeys(_OPAQUE_VALUES, "push_opaque"),
    "INT": "integer",
    "TUPLE": "tuple_to_mark",
    "LIST": "list_to_mark",
    "FROZENSET": "opaque_to_mark",
    "EMPTY_LIST": "empty_list",
    "EMPTY_DICT": "empty_dict",
    "DICT": "dict_to_mark",
    "APPEND": "add_one",
    "APPENDS": "add_to_mark",
    "ADDITEMS": "add_to_set",
    "SETITEM": "set_one",
    "SETITEMS": "set_to_mark",
    "MARK": "mark",
    "POP": "pop",
    "POP_MARK": "discard_mark",
    "DUP": "dup",
    "PROTO": "protocol",
    "FRAME": "frame",
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), "put"),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), "get"),
    "MEMOIZE": "memoize",
    "GLOBAL": "global_",
    "STACK_GLOBAL": "stack_global",
    "REDUCE": "reduce",
    "BUILD": "build",
    "INST": "inst",
    "OBJ": "obj",
    "NEWOBJ": "newobj",
    "NEWOBJ_EX": "newobj_ex",
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), "extension"),
    "PERSID": "persistent_text",
    "BINPERSID": "persistent",
    "NEXT_BUFFER": "next_buffer",
    "READONLY_BUFFER": "nothing",
}
_GIVEN: Final[Mapping[str, Opcode]] = {
    "NONE": Opcode("push"),
    "NEWTRUE": Opcode("push", given=True),
    "NEWFALSE": Opcode("push", given=False),
    "EMPTY_TUPLE": Opcode("push", given=()),
    "TUPLE1": Opcode("tuple_of", given=1),
    "TUPLE2": Opcode("tuple_of", given=2),
    "TUPLE3": Opcode("tuple_of", given=3),
}
_READ_BY_THE_MACHINE: Final = frozenset({"GLOBAL", "INST", "INT"})
"""Where ``pickletools`` reads something else than an unpickler does."""


def _opcode(one: pickletools.OpcodeInfo) -> Opcode:
    if one.name in _GIVEN:
        return _GIVEN[one.name]
    read = one.arg.reader if one.arg and one.name not in _READ_BY_THE_MACHINE else None
    return Opcode(_ACTS[one.name], read)


OPCODES: Final[Mapping[bytes, Opcode]] = {
    one.code.encode("latin-1"): _opcode(one) for one in pickletools.opcodes if one.name != "STOP"
}
