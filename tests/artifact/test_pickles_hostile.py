"""Files made to deceive: each is refused before anything of it runs, by two means.

The scan refuses it, and so does the unpickler that enforces the same list, which is
asked here as if the scan had approved of nothing.
"""

import contextlib
import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from support.opcodes import call, name, stack_name, text

from boxship.artifact import pickles
from boxship.artifact.pickling.unpickler import unpickle
from boxship.errors import ModelError, UntrustedModelError


class Reduces:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.made = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.made


def joblib_file(value: object, folder: Path, **options: object) -> bytes:
    joblib.dump(value, folder / "made", **options)
    return (folder / "made").read_bytes()


TOUCH = "touch canary"
CREATE = "open('canary', 'w').close()"
ORDINARY = name("sklearn.linear_model._logistic", "LogisticRegression")

HOSTILE: dict[str, bytes] = {
    "os.system": call("os", "system", TOUCH) + b".",
    "a name that Python 2 had elsewhere": call("UserString", "UserString", "x") + b".",
    "a name that Python 3 moved": call("__builtin__", "reduce", "x") + b".",
    "posix.system": b"\x80\x04" + stack_name("posix", "system") + text(TOUCH) + b"\x85R.",
    "subprocess.Popen": call("subprocess", "Popen", "touch") + b".",
    "eval": call("builtins", "eval", CREATE) + b".",
    "exec in Python 2's spelling": b"\x80\x02" + call("__builtin__", "exec", CREATE) + b".",
    "getattr chain": name("builtins", "getattr") + b"(" + name("os", "path") + text("os") + b"tR.",
    "import by name": call("builtins", "__import__", "os") + b".",
    "a function of numpy's tests that runs code": (
        call("numpy.testing._private.utils", "runstring", CREATE) + b"."
    ),
    "a function of f2py that evaluates": call("numpy.f2py.crackfortran", "myeval", CREATE) + b".",
    "ufunc by name": call("numpy._core", "_ufunc_reconstruct", "os", "system") + b".",
    "numpy.load": call("numpy", "load", "canary") + b".",
    "a distribution that executes its state": (
        name("scipy.stats._distn_infrastructure", "rv_continuous") + b")\x81}b."
    ),
    "a file through memmap's factory": call("numpy.lib.format", "open_memmap", "canary") + b".",
    "functools.reduce": call("functools", "reduce", "x") + b".",
    "a partial of system": b"\x80\x02cfunctools\npartial\ncos\nsystem\n\x85R.",
    "operator.attrgetter": call("operator", "attrgetter", "x") + b".",
    "nested unpickler": call("pickle", "loads", "x") + b".",
    "INST of protocol 0": b"(S'touch canary'\nios\nsystem\n.",
    "OBJ of protocol 1": b"(" + name("os", "system") + text(TOUCH) + b"o.",
    "names from the memo": (
        b"\x80\x04" + text("os") + b"\x94" + text("system") + b"\x940h\x00h\x01\x93"
        + text(TOUCH) + b"\x85R."
    ),
    "a call through the memo": (
        b"\x80\x02" + name("os", "system") + b"q\x050N0h\x05" + text(TOUCH) + b"\x85R."
    ),
    "a call of a duplicate under a mark": (
        name("os", "system") + b"2(" + text("ignored") + b"1" + text(TOUCH) + b"\x85R."
    ),
    "a computed name": (
        b"\x80\x04" + call("builtins", "str", "os") + text("system") + b"\x93"
        + text(TOUCH) + b"\x85R."
    ),
    "a dotted name": b"\x80\x04" + stack_name("builtins", "object.__subclasses__") + b")R.",
    "a dotted name in a listed module": (
        b"\x80\x04" + stack_name("sklearn.linear_model._logistic", "np.load") + b")R."
    ),
    "a module's private import": (
        b"\x80\x04" + stack_name("sklearn.linear_model._logistic", "warnings") + b"."
    ),
    "__newobj__ of something unlisted": (
        name("copyreg", "__newobj__") + b"(" + name("subprocess", "Popen") + text(TOUCH) + b"tR."
    ),
    "NEWOBJ of something unlisted": (
        b"\x80\x02" + name("subprocess", "Popen") + text(TOUCH) + b"\x85\x81."
    ),
    "NEWOBJ_EX of something unlisted": (
        b"\x80\x04" + stack_name("subprocess", "Popen") + text(TOUCH) + b"\x85}\x92."
    ),
    "a name that spaces take apart": b"cos system\nx\n.",
    "a name spelt with escapes": b"csklearn.linear_model._logistic\nLogistic\\x52egression\n.",
    "a module with a look-alike name": name("sklearn.linear_model._logistic ", "x") + b".",
    "a call inside the state of a model": (
        ORDINARY + b")\x81}" + text("C") + call("os", "system", TOUCH) + b"sb."
    ),
    "a persistent id": b"\x80\x02" + text("x") + b"Q.",
    "a persistent id in text": b"Pcanary\n.",
    "extension code of one byte": b"\x80\x02\x82\x01.",
    "extension code of two bytes": b"\x80\x02\x83\x01\x01.",
    "extension code of four bytes": b"\x80\x02\x84\x01\x01\x00\x00.",
    "a second pickle": b"N." + call("os", "system", TOUCH) + b".",
}  # fmt: skip
"""Every one of these is refused by the scan, and again while loading."""

WRAPPER = name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"
DTYPE = name("numpy", "dtype") + b"(X\x02\x00\x00\x00%s\x89\x88tR"

MISUSE: dict[str, bytes] = {
    "maps an array of objects": (
        WRAPPER + b"}(" + text("dtype") + DTYPE % b"O8" + text("shape") + b")" + text("allow_mmap")
        + b"\x88ubN.."
    ),
    "hides an array behind another maker": (
        name("sklearn.neighbors._kd_tree", "newObj") + WRAPPER[:-2]
        + b"\x85R}(" + text("dtype") + DTYPE % b"O8" + text("shape") + b")ub"
        + call("builtins", "eval", "1") + b".."
    ),
    "calls what a call returned": call("builtins", "dict") + b")R.",
    "makes an instance of an instance": call("builtins", "dict") + b")\x81.",
    "sets attributes of a class": ORDINARY + b"N}" + text("predict") + b"Ns\x86b.",
    "sets attributes of a function": name("numpy", "mean") + b"}" + text("x") + b"Nsb.",
    "sets items of a class": name("builtins", "dict") + text("a") + b"Ns.",
    "sets many items of a class": name("builtins", "dict") + b"(" + text("a") + b"Nu.",
    "appends to a class": name("builtins", "list") + b"Na.",
    "extends a class": name("builtins", "list") + b"(Ne.",
    "calls joblib's wrapper": call("joblib.numpy_pickle", "NumpyArrayWrapper", "x") + b".",
    "computes the arguments of a call": name("builtins", "dict") + b"]R.",
    "hides objects among numbers": (
        name("numpy", "dtype") + b"(" + text("V8") + b"tR(K\x03" + text("|") + b"N"
        + text("a") + b"\x85}" + text("a") + name("numpy", "dtype") + b"(" + text("O8")
        + b"tRK\x00\x86sK\x08K\x01K\x00tb."
    ),
}  # fmt: skip
"""Only listed names, put to a use that no model makes of them."""


@pytest.fixture(autouse=True)
def no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run the test where the hostile files would leave their mark, and look for it."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("canary").exists(), "code of the pickle ran"


def written(data: bytes) -> Path:
    path = Path("model.pkl")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("case", [*HOSTILE, *MISUSE])
def test_the_scan_refuses_it(case: str) -> None:
    path = written({**HOSTILE, **MISUSE}[case])
    assert pickles.scan(path).untrusted()
    with pytest.raises(UntrustedModelError, match="Nothing of it was run"):
        pickles.load(path)


# The unpickler never reads beyond the first pickle.
@pytest.mark.parametrize("case", sorted(HOSTILE.keys() - {"a second pickle"}))
def test_the_unpickler_refuses_it_even_if_nobody_looked_before(case: str) -> None:
    path = written(HOSTILE[case])
    report = pickles.scan(path)
    with (
        path.open("rb") as file,
        pytest.raises((UntrustedModelError, pickle.UnpicklingError, ValueError)),
    ):
        unpickle(report, file, {})


def test_the_canary_would_sing() -> None:
    """The collection is not harmless: without Boxship the first file does run."""
    pickle.loads(HOSTILE["os.system"])
    assert Path("canary").exists()
    Path("canary").unlink()


@pytest.mark.parametrize("options", [{}, {"compress": 3}, {"protocol": 2}], ids=str)
def test_a_nested_pickle_in_an_array_of_objects_is_looked_through(options: dict[str, int]) -> None:
    """Joblib writes arrays of objects as a pickle in the pickle."""
    array = np.array([Reduces(os.system, TOUCH), None], dtype=object)
    path = written(joblib_file({"model": array}, Path(), **options))
    report = pickles.scan(path)
    assert [str(use).split(" ")[0] for use in report.untrusted()] == ["posix.system"]
    with pytest.raises(UntrustedModelError, match=r"posix\.system \(at byte \d+\)"):
        pickles.load(path)


def test_a_nested_pickle_is_restricted_while_it_loads() -> None:
    """Joblib before 1.6 reads it with pickle.load, which nobody restricts."""
    path = written(joblib_file(np.array([Reduces(os.system, TOUCH)], dtype=object), Path()))
    report = pickles.scan(path)
    approved = {
        (use.module, use.name): getattr(__import__(use.module, fromlist=["x"]), use.name)
        for use in report.globals
        if use.module not in ("posix", "joblib.numpy_pickle")
    }
    with path.open("rb") as file, pytest.raises(UntrustedModelError, match=r"posix\.system"):
        unpickle(report, file, approved)


def test_every_name_is_reported_with_the_place_of_its_first_use() -> None:
    data = b"\x80\x02" + call("os", "system", TOUCH) + b"0" + call("builtins", "eval", "1") + b"0"
    path = written(data + call("os", "system", TOUCH) + b".")
    with pytest.raises(UntrustedModelError) as caught:
        pickles.load(path)
    assert "os.system (at byte 2)" in caught.value.message
    assert f"builtins.eval (at byte {data.index(b'cbuiltins')})" in caught.value.message
    assert caught.value.message.count("os.system") == 1
    assert "--trust" in caught.value.tip
    assert "trust =" not in caught.value.tip, "a library is nobody's own module"


def test_modules_that_may_be_the_users_own_are_suggested() -> None:
    path = written(b"\x80\x02cchurn.features\nRatio\ncos\nsystem\n\x86.")
    with pytest.raises(UntrustedModelError) as caught:
        pickles.load(path)
    assert 'trust = ["churn.features"]' in caught.value.tip


def test_offsets_are_those_that_pickletools_shows() -> None:
    data = pickle.dumps(np.arange(3), protocol=4)
    path = written(data)
    shown = [
        position
        for opcode, _, position in pickletools.genops(data)
        if opcode.name == "STACK_GLOBAL"
    ]
    assert [use.offset for use in pickles.scan(path).globals] == shown


BROKEN: dict[str, bytes] = {
    "array whose description is computed": (
        b"\x80\x02" + name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"
        + call("builtins", "dict") + b"b."
    ),
    "no opcode": b"\x80\x04\xff.",
    "stack underflow": b"\x80\x02R.",
    "tuple of nothing": b"\x80\x02\x87.",
    "no mark": b"\x80\x02t.",
    "names that are no text": b"c\xff\xff\nx\n.",
    "unknown memo": b"\x80\x02h\x07.",
    "memo index that reserves memory": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "bytes longer than memory": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    "bytearray longer than memory": b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.",
    "frame in a frame": b"\x80\x04\x95" + struct.pack("<Q", 30) + b"\x95" + bytes(8) + b"N.",
    "newer protocol": b"\x80\x06N.",
    "odd dict": b"(Nd.",
    "digits without end": b"I" + b"9" * 5000 + b"\n.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "dtype without state": name("numpy", "dtype") + b"(" + text("f8") + b"tR)b.",
    "an array without a shape": (
        b"\x80\x02" + name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}b."
    ),
    "array of unknown size": WRAPPER + b"}(" + text("dtype") + DTYPE % b"x9" + text("shape") + b")ub.",
    "array that is cut off": WRAPPER + b"}(" + text("dtype") + DTYPE % b"f8" + text("shape") + b"M\xff\xff\x85ub.",
    "array in a frame": (
        b"\x80\x04\x95" + struct.pack("<Q", 200) + WRAPPER + b"}(" + text("dtype") + DTYPE % b"f8"
        + text("shape") + b")ub" + b"N" * 200 + b"."
    ),
    "arguments that are missing": b"\x80\x02cos\n",
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_said_to_be_broken(case: str) -> None:
    path = written(BROKEN[case])
    with pytest.raises(ModelError, match="is not a whole pickle"):
        pickles.scan(path)


def test_deep_nesting_is_no_recursion() -> None:
    """A tuple in a tuple, a hundred thousand deep, as the key of a dict."""
    path = written(b"\x80\x02}N" + b"\x85" * 100_000 + b"Ns.")
    assert pickles.scan(path).untrusted() == ()


class Files(dict[str, bytes]):
    """Files by the way they were written; short where hypothesis shows it."""

    def __repr__(self) -> str:
        return f"<{len(self)} files>"


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A real model, as joblib writes it and as pickle does."""
    folder = tmp_path_factory.mktemp("model")
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier().fit(np.arange(12.0).reshape(6, 2), list("ababcc"))
    model.extra_ = np.array(["x", None], dtype=object)
    made = Files({f"pickle {protocol}": pickle.dumps(model, protocol) for protocol in range(6)})
    for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)):
        made[f"joblib {compress}"] = joblib_file(model, folder, compress=compress)
    return made


def test_a_file_cut_off_anywhere_is_said_to_be_cut_off(model_bytes: Files) -> None:
    for made, data in model_bytes.items():
        for length in {*range(1, len(data), max(1, len(data) // 40)), len(data) - 1}:
            path = written(data[:length])
            with pytest.raises(ModelError) as caught:
                pickles.scan(path)
            assert not isinstance(caught.value, UntrustedModelError)
            assert "it ends in the middle" in caught.value.message, (made, length)


def scan_or_refuse(data: bytes) -> None:
    """Any other exception than the one that says that the file is broken fails the test."""
    with contextlib.suppress(ModelError):
        pickles.scan(written(data))


@settings(max_examples=300, deadline=2000)
@given(
    which=st.sampled_from(["pickle 0", "pickle 2", "pickle 5", "joblib 0", "joblib 3"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), min_size=1, max_size=4),
)
@example(which="joblib 0", changes=[(0.5, b"\x00\xff")])
@example(which="pickle 0", changes=[(0, b"S'\\ '\n")])
def test_no_mutation_makes_the_scan_raise_anything_else(
    model_bytes: Files, which: str, changes: list[tuple[float, bytes]]
) -> None:
    data = bytearray(model_bytes[which])
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    scan_or_refuse(bytes(data))


@settings(max_examples=300, deadline=2000)
@given(
    opcodes=st.lists(st.sampled_from([op.code for op in pickletools.opcodes]), max_size=40),
    tail=st.binary(max_size=40),
)
def test_no_sequence_of_opcodes_makes_the_scan_raise_anything_else(
    opcodes: list[str], tail: bytes
) -> None:
    scan_or_refuse(b"\x80\x04" + "".join(opcodes).encode("latin-1") + tail)
