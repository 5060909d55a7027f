"""The machine that a pickle is a program for, with nothing behind it.

Names become inert marks, calls give inert marks, so a whole file can be read,
joblib's arrays and their nested pickles included, and nothing is imported and
nothing is called. What each opcode means is pickletools' knowledge.
"""

import pickletools
from collections.abc import Callable
from typing import Any, Final

from boxship.artifact.pickling import conduct, wrapped_arrays
from boxship.artifact.pickling.dtypes import Dtype
from boxship.artifact.pickling.values import (
    ARRAY_WRAPPER,
    OPAQUE,
    Findings,
    Global,
    MalformedPickleError,
    Object,
    Table,
    Texts,
    true_name,
)


class Machine:
    """The pickle machine with inert values. ``arrays`` says that joblib's arrays may follow."""

    def __init__(self, findings: Findings, *, arrays: bool) -> None:
        self.findings = findings
        self.stream = findings.stream
        self.arrays = arrays
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.frame_end = 0

    def run(self) -> None:
        """Read one pickle, from its first opcode to its STOP."""
        read, stream = self.stream.read, self.stream
        while (code := read(1)) != b".":
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise MalformedPickleError("no opcode of any pickle" if code else "no more bytes")
            reader, act = opcode
            act(self, reader(stream) if reader is not None else None)
        self.stack.pop()

    def here(self) -> int:
        """The offset of the opcode that has just been read, if it has no argument."""
        self.findings.last_offset = self.stream.tell() - 1
        return self.findings.last_offset

    def pop_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_opaque(self, _: Any) -> None:
        self.stack.append(OPAQUE)

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def discard_mark(self, _: Any) -> None:
        self.pop_mark()

    def dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def nothing(self, _: Any) -> None:
        pass

    def protocol(self, number: int) -> None:
        if number > 5:
            raise MalformedPickleError(f"pickle protocol {number} is newer than this Python knows")
        self.findings.protocol = max(self.findings.protocol, number)

    def frame(self, size: int) -> None:
        # The C unpickler ignores frames and the Python one obeys them; where both
        # would read the same bytes there is nothing to tell apart.
        start = self.stream.tell()
        if start < self.frame_end:
            raise MalformedPickleError("a frame begins inside a frame")
        self.frame_end = start + size

    def put(self, index: int) -> None:
        # A memo index beyond the file makes the C unpickler reserve memory for it.
        if not 0 <= index <= self.stream.tell():
            raise MalformedPickleError(f"memo index {index}")
        self.memo[index] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise MalformedPickleError("the stack is empty")
        items = tuple(self.stack[len(self.stack) - count :])
        self.stack[len(self.stack) - count :] = [items]

    def tuple_to_mark(self, _: Any) -> None:
        items = tuple(self.pop_mark())
        self.stack.append(items)

    def opaque_to_mark(self, _: Any) -> None:
        self.pop_mark()
        self.stack.append(OPAQUE)

    def list_to_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self.empty_list(None)
        self.add_items(items)

    def empty_list(self, _: Any) -> None:
        self.stack.append(Texts())

    def dict_to_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append(Table().take(items))

    def empty_dict(self, _: Any) -> None:
        self.stack.append(Table())

    def add_one(self, _: Any) -> None:
        self.add_items([self.stack.pop()])

    def add_to_mark(self, _: Any) -> None:
        self.add_items(self.pop_mark())

    def add_items(self, items: list[Any]) -> None:
        target = self.added_to()
        if isinstance(target, Texts):
            target.take(items)

    def set_one(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def set_to_mark(self, _: Any) -> None:
        self.set_items(self.pop_mark())

    def set_items(self, items: list[Any]) -> None:
        target = self.added_to()
        if isinstance(target, Table):
            target.take(items)

    def changed(self) -> Any:
        """The object on top of the stack, which an opcode is about to change."""
        target = self.stack[-1]
        if isinstance(target, Global):
            self.findings.trick(f"changes {'.'.join(target.key)} itself", self.here())
        return target

    def added_to(self) -> Any:
        """The object on top of the stack, which something is about to be added to."""
        target = self.changed()
        if isinstance(target, Object) and target is not OPAQUE:
            conduct.check_addition(self.findings, target, self.here())
        return target

    def global_(self, _: Any) -> None:
        # Not with pickletools' reader: it resolves escapes, which the unpickler does not.
        offset = self.here()
        self.stack.append(self.name(self.line(), self.line(), offset))

    def line(self) -> str:
        data = self.stream.readline()
        if not data.endswith(b"\n"):
            raise MalformedPickleError("a name without end")
        return data[:-1].decode("utf-8")

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if isinstance(name, str) and isinstance(module, str):
            self.stack.append(self.name(module, name, self.here()))
        else:
            self.findings.trick("computes the name that it imports", self.here())
            self.stack.append(Object())

    def name(self, module: str, name: str, offset: int) -> Global:
        key = true_name(module, name)
        self.findings.globals.setdefault(key, offset)
        return Global(key)

    def reduce(self, _: Any) -> None:
        args = self.stack.pop()
        self.stack.append(self.call(self.stack.pop(), args))

    def call(self, function: Any, args: Any) -> Any:
        if not isinstance(function, Global):
            self.findings.trick("calls an object that it made itself", self.here())
            return Object()
        if not isinstance(args, tuple):
            self.findings.trick("computes the arguments of a call", self.here())
            return Object()
        conduct.check_call(self.findings, function, args, self.here())
        if function.key == _DTYPE:
            return Dtype.of(args)
        if function.key[1] in _MAKERS and args:
            return self.make(args[0], args[1:])
        if function.key == ARRAY_WRAPPER:
            self.findings.trick("calls joblib's array wrapper", self.here())
        return Object(function.key)

    def make(self, cls: Any, args: Any) -> Object | Dtype:
        """An instance of ``cls`` on which nothing was called."""
        if isinstance(cls, Global):
            if cls.key == _DTYPE:
                return Dtype.of(args if isinstance(args, tuple) else ())
            return Object(cls.key)
        self.findings.trick("makes an instance of an object that it made itself", self.here())
        return Object()

    def newobj(self, _: Any) -> None:
        args = self.stack.pop()
        self.stack.append(self.make(self.stack.pop(), args))

    def newobj_ex(self, _: Any) -> None:
        self.stack.pop()
        self.newobj(None)

    def inst(self, _: Any) -> None:
        args = tuple(self.pop_mark())
        self.global_(None)
        self.stack.append(self.call(self.stack.pop(), args))

    def obj(self, _: Any) -> None:
        function, *args = self.pop_mark()
        self.stack.append(self.call(function, tuple(args)))

    def extension(self, code: int) -> None:
        self.findings.trick(f"uses the extension code {code} in place of a name", self.here())
        self.stack.append(Object())

    def persistent_text(self, _: Any) -> None:
        self.stack.append(None)
        self.persistent(None)

    def persistent(self, _: Any) -> None:
        self.stack.pop()
        self.findings.trick("refers to an object outside the file", self.here())
        self.stack.append(Object())

    def next_buffer(self, _: Any) -> None:
        raise MalformedPickleError("its arrays lie in buffers outside the file")

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.changed()
        if isinstance(target, Dtype):
            if not target.build(state):
                self.findings.trick("hides objects in an array of numbers", self.here())
        elif isinstance(target, Object) and target is not OPAQUE:
            conduct.check_state(self.findings, target, state, self.here())
            parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
            if target.maker == ARRAY_WRAPPER:
                self.build_wrapper(target, parts)
            elif self.findings.sklearn_version is None:
                version = next(
                    (p.get("_sklearn_version") for p in parts if isinstance(p, dict)), None
                )
                self.findings.sklearn_version = version if isinstance(version, str) else None

    def build_wrapper(self, wrapper: Object, parts: tuple[Any, ...]) -> None:
        for part in parts:
            if not isinstance(part, dict | None):
                raise MalformedPickleError("an array without its description")
            wrapper.state.update(part or {})
        if self.arrays:
            if self.stream.tell() < self.frame_end:
                raise MalformedPickleError("an array begins inside a frame")
            nested = Machine(self.findings, arrays=False)
            wrapped_arrays.pass_over(self.findings, wrapper.state, nested.run)
            self.stack[-1] = Object(("numpy", "ndarray"))


_DTYPE: Final = ("numpy", "dtype")
_MAKERS: Final = {"_reconstructor", "__newobj__", "newObj"}
"""Functions that make an empty instance of their first argument: copyreg's, and scikit-learn's."""

_Act = Callable[[Machine, Any], None]


def _tuple_of(count: int) -> _Act:
    return lambda machine, _: machine.tuple_of(count)


def _constant(value: Any) -> _Act:
    return lambda machine, _: machine.push(value)


_VALUES: Final = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
)  # fmt: skip
_OPAQUE_VALUES: Final = (
    "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "EMPTY_SET",
)  # fmt: skip

_ACTS: Final[dict[str, _Act]] = {
    **dict.fromkeys(_VALUES, Machine.push),
    **dict.fromkeys(_OPAQUE_VALUES, Machine.push_opaque),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": Machine.tuple_to_mark,
    "LIST": Machine.list_to_mark,
    "FROZENSET": Machine.opaque_to_mark,
    "EMPTY_LIST": Machine.empty_list,
    "EMPTY_DICT": Machine.empty_dict,
    "DICT": Machine.dict_to_mark,
    "APPEND": Machine.add_one,
    "APPENDS": Machine.add_to_mark,
    "ADDITEMS": Machine.add_to_mark,
    "SETITEM": Machine.set_one,
    "SETITEMS": Machine.set_to_mark,
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": Machine.discard_mark,
    "DUP": Machine.dup,
    "PROTO": Machine.protocol,
    "FRAME": Machine.frame,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    "MEMOIZE": Machine.memoize,
    "GLOBAL": Machine.global_,
    "STACK_GLOBAL": Machine.stack_global,
    "REDUCE": Machine.reduce,
    "BUILD": Machine.build,
    "INST": Machine.inst,
    "OBJ": Machine.obj,
    "NEWOBJ": Machine.newobj,
    "NEWOBJ_EX": Machine.newobj_ex,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine.extension),
    "PERSID": Machine.persistent_text,
    "BINPERSID": Machine.persistent,
    "NEXT_BUFFER": Machine.next_buffer,
    "READONLY_BUFFER": Machine.nothing,
}

_OPCODES: Final = {
    opcode.code.encode("latin-1"): (
        opcode.arg.reader if opcode.arg and opcode.name not in ("GLOBAL", "INST") else None,
        _ACTS[opcode.name],
    )
    for opcode in pickletools.opcodes
    if opcode.name != "STOP"
}
