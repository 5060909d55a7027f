"""The machine that a pickle is a program for, with nothing behind it.

Names become inert marks, calls give inert marks, so a whole file can be read,
joblib's arrays and their nested pickles included, and nothing is imported and
nothing is called. What each opcode means is pickletools' knowledge.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from boxship.artifact.pickling import conduct, wrapped_arrays
from boxship.artifact.pickling.dtypes import Dtype
from boxship.artifact.pickling.opcodes import OPCODES
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
            opcode = OPCODES.get(code)
            if opcode is None:
                raise MalformedPickleError("no opcode of any pickle" if code else "no more bytes")
            getattr(self, opcode.act)(opcode.read(stream) if opcode.read else opcode.given)
            if self.frame_end and stream.tell() >= self.frame_end:
                self.end_frame()
        if self.frame_end > stream.tell():
            raise MalformedPickleError("a pickle ends inside a frame")
        self.stack.pop()

    def end_frame(self) -> None:
        # Of an opcode across the end the C unpickler drops what is inside, and reads it anew.
        if self.stream.tell() > self.frame_end:
            raise MalformedPickleError("an opcode crosses the end of a frame")
        self.frame_end = 0

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
        self.again(self.stack[-1])

    def again(self, value: Any) -> None:
        """Push what is somewhere else too."""
        if isinstance(value, Dtype | Object) and value is not OPAQUE:
            value.shared = True
        self.stack.append(value)

    def integer(self, _: Any) -> None:
        # The C unpickler takes 010 for 8, pickletools for 10.
        text = self.line()
        if text in ("00", "01"):
            self.stack.append(text == "01")
        elif _DECIMAL.fullmatch(text):
            self.stack.append(int(text))
        else:
            raise MalformedPickleError(f"the number {text!r}")

    def nothing(self, _: Any) -> None:
        pass

    def protocol(self, number: int) -> None:
        if number > 5:
            raise MalformedPickleError(f"pickle protocol {number} is newer than this Python knows")
        self.findings.protocol = max(self.findings.protocol, number)

    def frame(self, size: int) -> None:
        # The C unpickler takes a frame whole, the Python one obeys it; where frames hold whole
        # opcodes and follow one another, both read the same.
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
        self.again(self.memo[index])

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise MalformedPickleError("the stack is empty")
        items = tuple(self.stack[len(self.stack) - count :])
        self.stack[len(self.stack) - count :] = [items]
        self.put_in(items[1:])

    def tuple_to_mark(self, _: Any) -> None:
        items = tuple(self.pop_mark())
        self.stack.append(items)
        self.put_in(items[1:])

    def put_in(self, items: Sequence[Any]) -> None:
        """``items`` are part of something now. The first of a tuple may be what it makes."""
        conduct.check_items(self.findings, items, self.findings.last_offset)

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
        self.stack.append(self.filled(Table(), items))

    def filled(self, table: Table, items: list[Any]) -> Table:
        self.put_in(items[1::2])
        table.take(items)
        conduct.note_method_names(self.findings, table, self.findings.last_offset)
        return table

    def empty_dict(self, _: Any) -> None:
        self.stack.append(Table())

    def add_one(self, _: Any) -> None:
        self.add_items([self.stack.pop()])

    def add_to_mark(self, _: Any) -> None:
        self.add_items(self.pop_mark())

    def add_items(self, items: list[Any]) -> None:
        target = self.added_to(conduct.LISTS)
        self.put_in(items)
        if isinstance(target, Texts):
            target.take(items)
        elif isinstance(target, Table):
            self.findings.trick("appends to a dict", self.here())

    def add_to_set(self, _: Any) -> None:
        self.pop_mark()
        if isinstance(self.added_to(conduct.SETS), Texts | Table):
            self.findings.trick("adds to what is no set", self.here())

    def set_one(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def set_to_mark(self, _: Any) -> None:
        self.set_items(self.pop_mark())

    def set_items(self, items: list[Any]) -> None:
        target = self.added_to(conduct.MAPPINGS)
        if isinstance(target, Table) and not target.taken:
            self.filled(target, items)
        elif isinstance(target, Table | Texts):
            what = "a dict that is in use" if isinstance(target, Table) else "a list by index"
            self.findings.trick(f"changes {what}", self.here())

    def changed(self) -> Any:
        """The object on top of the stack, which an opcode is about to change."""
        target = self.stack[-1]
        if isinstance(target, Global):
            self.findings.trick(f"changes {'.'.join(target.key)} itself", self.here())
        return target

    def added_to(self, kinds: frozenset[tuple[str, str]]) -> Any:
        """The object on top of the stack, to which something is added as to one of ``kinds``."""
        target = self.changed()
        if isinstance(target, Object) and target is not OPAQUE:
            conduct.check_addition(self.findings, target, kinds, self.here())
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
        if function.key == conduct.RECONSTRUCTOR and len(args) == 3:
            return self.reconstruct(*args)
        if function.key[1] in conduct.MAKERS and args:
            return self.make(args[0], args[1:])
        self.findings.calls.setdefault(function.key, self.here())
        if function.key == DTYPE:
            return Dtype.of(args)
        if function.key == ARRAY_WRAPPER:
            self.findings.trick("calls joblib's array wrapper", self.here())
        return Object(function.key)

    def make(self, cls: Any, args: Any) -> Object | Dtype:
        """An instance of ``cls``; nothing was called on it, unless it was made of ``args``."""
        if not isinstance(cls, Global):
            self.findings.trick("makes an instance of an object that it made itself", self.here())
            return Object()
        if args != ():
            conduct.check_made(self.findings, cls, args, self.here())
            self.findings.calls.setdefault(cls.key, self.here())
        if cls.key == DTYPE:
            return Dtype.of(args if isinstance(args, tuple) else ())
        return Object(cls.key)

    def reconstruct(self, cls: Any, base: Any, state: Any) -> Any:
        """What ``copyreg`` makes: an empty instance, or one of a builtin's that has content."""
        key = base.key if isinstance(base, Global) else None
        if key == _OBJECT and state is None:
            return self.make(cls, ())
        made = self.make(cls, (state,))
        if key == ("builtins", "tuple") and isinstance(state, tuple):
            return state  # under another name, but with the same items
        if key != ("builtins", "dict") or not isinstance(state, Table):
            self.findings.trick("makes an instance by another class's rules", self.here())
        return made

    def newobj(self, _: Any) -> None:
        args = self.stack.pop()
        self.stack.append(self.make(self.stack.pop(), args))

    def newobj_ex(self, _: Any) -> None:
        options, args = self.stack.pop(), self.stack.pop()
        self.stack.append(self.make(self.stack.pop(), (args, options)))

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
            if target.shared or not target.build(state):
                self.findings.trick("hides objects in an array of numbers", self.here())
        elif isinstance(target, Object) and target is not OPAQUE:
            conduct.check_state(self.findings, target, state, self.here())
            target.built = True
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
            if not isinstance(part, Table | None) or (part and part.odd):
                raise MalformedPickleError("an array without its description")
            wrapper.state.update(part or {})
        if self.arrays:
            if self.stream.tell() < self.frame_end:
                raise MalformedPickleError("an array begins inside a frame")
            self.frame_end = 0
            nested = Machine(self.findings, arrays=False)
            wrapped_arrays.pass_over(self.findings, wrapper.state, nested.run)
            self.stack[-1] = Object(("numpy", "ndarray"))


DTYPE: Final = ("numpy", "dtype")
_OBJECT: Final = ("builtins", "object")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)")
