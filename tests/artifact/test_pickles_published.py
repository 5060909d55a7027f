"""Files that follow published ways past scanners of pickles; none of them is ever run.

Each is named by the advisory that describes the way: GHSA and CVE numbers as in GitHub's
advisory database, a pull request or a test where the tool's authors published it so. The tool
that was passed stands behind the number.
"""

import pickle
from pathlib import Path

import pytest
from support.opcodes import call, name, stack_name, text

from boxship.artifact import pickles
from boxship.artifact.pickling.unpickler import unpickle
from boxship.errors import UntrustedModelError

CODE = "open('canary', 'w').close()"
COMMAND = "touch canary"
LIBRARIES = ("numpy", "scipy", "sklearn", "joblib")


def method(module: str, qualified: str, *arguments: str) -> bytes:
    """Call what protocol 4 finds along a dotted name."""
    return (
        b"\x80\x04" + stack_name(module, qualified) + b"("
        + b"".join(map(text, arguments)) + b"tR."
    )  # fmt: skip


def attribute_of_call(inner: bytes, attribute: str, argument: str) -> bytes:
    """``getattr(inner, attribute)(argument)``."""
    return (
        b"\x80\x04"
        + name("builtins", "getattr")
        + inner
        + text(attribute)
        + b"\x86R"
        + text(argument)
        + b"\x85R."
    )


CLOUDPICKLE = "joblib.externals.cloudpickle.cloudpickle"

WITHIN_THE_LIBRARIES: dict[str, bytes] = {
    "GHSA-3329-ghmp-jmv5 (picklescan), CVE-2025-71365": (
        call("numpy.f2py.crackfortran", "myeval", CODE) + b"."
    ),
    "GHSA-r8g5-cgf2-4m4m (picklescan)": (
        name("numpy.f2py.crackfortran", "getlincoef") + text(CODE) + b"}\x86R."
    ),
    "GHSA-cffc-mxrf-mhh4 (picklescan), CVE-2025-71347": (
        name("numpy.f2py.crackfortran", "param_eval") + b"(" + text(CODE) + b"}}NtR."
    ),
    "GHSA-6556-fwc2-fg2p (picklescan), CVE-2025-71339": (
        name("numpy.f2py.crackfortran", "_eval_length") + text(CODE) + b"}\x86R."
    ),
    "CVE-2025-71355 (picklescan)": (
        name("numpy.testing._private.utils", "runstring") + text(CODE) + b"}\x86R."
    ),
    "CVE-2026-27952 (Agenta's list of modules)": method(
        "numpy.ma.core", "inspect.os.system", COMMAND
    ),
    "CVE-2019-6446 (numpy)": (
        name("numpy", "load") + b"(" + text("canary.npy") + b"N\x88tR."
    ),
    "CVE-2020-13092 (scikit-learn)": call("sklearn.externals.joblib", "load", "canary.pkl") + b".",
    "CVE-2022-21797 (joblib)": (
        b"\x80\x04" + stack_name("joblib.parallel", "Parallel")
        + b")}" + text("pre_dispatch") + text(CODE) + b"s\x92."
    ),
    "CVE-2024-34997 (joblib)": method(
        "joblib.numpy_pickle", "NumpyArrayWrapper.read_array", "canary"
    ),
    "promptfoo/modelaudit#626 (modelaudit)": call("joblib", "load", "canary.pkl") + b".",
    "cloudpickle_codeinjection.pkl (picklescan's tests), as joblib carries it": (
        b"\x80\x04" + stack_name(CLOUDPICKLE, "_make_function")
        + b"(" + stack_name(CLOUDPICKLE, "_builtin_type") + text("CodeType") + b"\x85R"
        + b"}N)NtR."
    ),
}  # fmt: skip
"""These use no name outside numpy, scipy, scikit-learn and joblib."""

PUBLISHED: dict[str, bytes] = {
    **WITHIN_THE_LIBRARIES,
    "GHSA-5qwp-399c-mjwf (picklescan)": method("trace", "Trace.run", CODE),
    "GHSA-g344-hcph-8vgg (picklescan)": method("trace", "Trace.runctx", CODE),
    "GHSA-x696-vm39-cp64 (picklescan)": method("profile", "Profile.run", CODE),
    "GHSA-6vqj-c2q5-j97w (picklescan)": method("profile", "Profile.runctx", CODE),
    "GHSA-7wx9-6375-f5wh (picklescan)": call("profile", "run", CODE) + b".",
    "GHSA-f54q-57x4-jg88 (picklescan)": method("lib2to3.pgen2.grammar", "Grammar.loads", "x"),
    "GHSA-p9w7-82w4-7q8m (picklescan)": method(
        "lib2to3.pgen2.pgen", "ParserGenerator.make_label", CODE
    ),
    "GHSA-3vg9-h568-4w9m (picklescan)": method("idlelib.debugobj", "ObjectTreeItem.SetText", CODE),
    "GHSA-6w4w-5w54-rjvr (picklescan)": method(
        "idlelib.autocomplete", "AutoComplete.get_entity", CODE
    ),
    "GHSA-7cq8-mj8x-j263 (picklescan)": method(
        "idlelib.autocomplete", "AutoComplete.fetch_completions", CODE
    ),
    "GHSA-8r4j-24qv-fmq9 (picklescan)": method("idlelib.calltip", "Calltip.fetch_tip", CODE),
    "GHSA-9xph-j2h6-g47v (picklescan)": call("idlelib.calltip", "get_entity", CODE) + b".",
    "GHSA-m869-42cg-3xwr (picklescan)": method("idlelib.run", "Executive.runcode", CODE),
    "GHSA-j343-8v2j-ff7w (picklescan)": method(
        "idlelib.pyshell", "ModifiedInterpreter.runcommand", CODE
    ),
    "GHSA-3gf5-cxq9-w223 (picklescan)": method(
        "idlelib.pyshell", "ModifiedInterpreter.runcode", CODE
    ),
    "GHSA-cj3c-v495-4xqh (picklescan)": method("code", "InteractiveInterpreter.runcode", CODE),
    "GHSA-xp4f-hrf8-rxw7 (picklescan)": call("ensurepip", "_run_pip", "install") + b".",
    "GHSA-fqq6-7vqf-w3fg (picklescan)": call("doctest", "debug_script", CODE) + b".",
    "GHSA-9w88-8rmg-7g2p (picklescan)": call("cProfile", "runctx", CODE) + b".",
    "GHSA-49gj-c84q-6qm9 (picklescan)": call("cProfile", "run", CODE) + b".",
    "GHSA-q77w-mwjj-7mqx (picklescan)": method(
        "asyncio.unix_events", "_UnixSubprocessTransport._start", COMMAND
    ),
    "GHSA-m273-6v24-x4m4 (picklescan)": (
        call("distutils.file_util", "write_file", "canary", "x") + b"."
    ),
    "GHSA-4675-36f9-wf6r (picklescan), CVE-2025-71323": call("ctypes", "CDLL", "libc.so.6") + b".",
    "GHSA-84r2-jw7c-4r5q (picklescan)": (
        name("operator", "methodcaller") + text("system") + text(COMMAND) + b"\x86R"
        + call("pydoc", "locate", "os") + b"\x85R."
    ),
    "GHSA-955r-x9j8-7rhh (picklescan)": (
        name("_operator", "methodcaller") + text("system") + text(COMMAND) + b"\x86R"
        + call("builtins", "__import__", "os") + b"\x85R."
    ),
    "GHSA-46h3-79wf-xr6c (picklescan)": (
        call("_operator", "attrgetter", "system") + call("builtins", "__import__", "os")
        + b"\x85R" + text(COMMAND) + b"\x85R."
    ),
    "GHSA-vqmv-47xg-9wpr (picklescan)": call("pty", "spawn", "id") + b".",
    "GHSA-4whj-rm5r-c2v8 (picklescan)": (
        call("torch.utils.bottleneck.__main__", "run_autograd_prof", CODE) + b"."
    ),
    "GHSA-vr7h-p6mm-wpmh (picklescan)": (
        call("torch.jit.unsupported_tensor_ops", "execWrapper", CODE) + b"."
    ),
    "GHSA-vv6j-3g6g-2pvj (picklescan)": method(
        "torch.utils._config_module", "ConfigModule.load_config", "x"
    ),
    "GHSA-h3qp-7fh3-f8h4 (picklescan)": (
        call("torch.utils.data.datapipes.utils.decoder", "basichandlers", "pickle", "x") + b"."
    ),
    "GHSA-jhph-76pp-mggw (picklescan)": call("torch.utils.collect_env", "run", COMMAND) + b".",
    "CVE-2025-1716 (picklescan)": call("pip", "main", "install") + b".",
    "GHSA-r7v6-mfhq-g3m2 (fickling)": (
        b"\x80\x04" + stack_name("pty", "spawn") + text("id") + b"\x85R" + text("x") + b"b."
    ),
    "trailofbits/fickling#108 (fickling)": b"(cpty\nspawn\nS'id'\no.",
    "GHSA-565g-hwwr-4pp3 (fickling)": (
        name("types", "FunctionType") + call("marshal", "loads", "x") + b"}\x86R)R."
    ),
    "GHSA-wfq2-52f7-7qvj (fickling)": call("runpy", "run_path", "canary.py") + b".",
    "GHSA-p523-jq9w-64x9 (fickling)": (
        b"\x80\x05" + stack_name("cProfile", "run") + text(CODE) + b"\x85R."
    ),
    "GHSA-5hvc-6wx8-mvv4 (fickling)": (
        call("pydoc", "locate", "ctypes.windll.kernel32.WinExec") + text("x") + b"\x85R."
    ),
    "GHSA-q5qq-mvfm-j35x (fickling), importlib": attribute_of_call(
        call("importlib", "import_module", "os"), "system", COMMAND
    ),
    "GHSA-q5qq-mvfm-j35x (fickling), code": attribute_of_call(
        name("code", "InteractiveInterpreter") + b")R", "runsource", CODE
    ),
    "GHSA-q5qq-mvfm-j35x (fickling), multiprocessing": (
        name("multiprocessing.util", "spawnv_passfds") + text("/bin/sh") + b"](" + text("-c")
        + text(COMMAND) + b"e)\x87R."
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run the test where the files would leave their mark, and look for it."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("canary").exists(), "code of the pickle ran"


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Path:
    path = Path("model.pkl")
    path.write_bytes(PUBLISHED[request.param])
    return path


def test_there_are_enough_of_them() -> None:
    assert len(PUBLISHED) >= 30
    assert len(WITHIN_THE_LIBRARIES) >= 10


@pytest.mark.parametrize("written", PUBLISHED, indirect=True)
def test_it_is_refused_with_the_name_and_its_place(written: Path) -> None:
    untrusted = pickles.scan(written).untrusted()
    with pytest.raises(UntrustedModelError, match="Nothing of it was run") as caught:
        pickles.load(written)
    for use in untrusted:
        assert str(use) in caught.value.message


@pytest.mark.parametrize("written", PUBLISHED, indirect=True)
def test_it_is_refused_while_it_loads_too(written: Path) -> None:
    """Even if the scan had approved of nothing and said nothing."""
    report = pickles.scan(written)
    with written.open("rb") as file, pytest.raises((UntrustedModelError, pickle.UnpicklingError)):
        unpickle(report, file, {})


@pytest.mark.parametrize("written", WITHIN_THE_LIBRARIES, indirect=True)
def test_a_list_of_packages_would_have_let_it_pass(written: Path) -> None:
    used = {use.module.partition(".")[0] for use in pickles.scan(written).globals}
    assert used <= set(LIBRARIES)
