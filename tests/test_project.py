"""What is served, and with which settings: file, environment and flags, resolved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import UsageError
from boxship.golden import GoldenRequest
from boxship.location import Location
from boxship.project import Project, Resolved, resolve
from boxship.settings import ServeSettings
from boxship.signature import TensorSpec

DIGEST = "sha256:" + "0123456789abcdef" * 4
PROJECTS = Path(__file__).parent / "projects"


def resolved(
    target: str | None = None,
    *,
    cwd: Path,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Resolved:
    return resolve(target, flags=flags or {}, environ=environ or {}, cwd=cwd)


def project(
    target: str | None = None,
    *,
    cwd: Path,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Project:
    return resolved(target, cwd=cwd, flags=flags, environ=environ).project


def problems(target: str | None = None, **options: Any) -> list[str]:
    """The lines of the error that a project deserves."""
    with pytest.raises(UsageError) as caught:
        resolved(target, **options)
    assert caught.value.exit_code == 2
    return caught.value.message.splitlines()


def written(folder: Path, text: str) -> Path:
    (folder / "boxship.toml").write_text(text, encoding="utf-8")
    return folder


# What is served


def test_a_whole_project() -> None:
    """Every key of the file arrives; golden.json is found beside the model."""
    folder = PROJECTS / "churn"
    assert project(cwd=folder) == Project(
        folder=folder,
        name="churn",
        version="2024-06",
        model_location="models/churn.onnx",
        model_path=str(folder / "models" / "churn.onnx"),
        inputs=(
            TensorSpec(name="age", datatype="INT64"),
            TensorSpec(name="income", datatype="FP64", nullable=True, description="a year's"),
        ),
        code=("src",),
        trust=("churn.features",),
        golden=GoldenRequest({"age": 30, "income": None}, {"score": 0.25}, 0.001),
        written=(folder / "boxship.toml",),
        serve=ServeSettings(port=9001, workers=3, access_log=True, max_body_size=5_000_000),
    )


@pytest.mark.parametrize("target", ["churn", "churn/", "churn/boxship.toml", "./churn"])
def test_a_project_by_its_folder_or_file(target: str) -> None:
    """A folder and its boxship.toml name the same project, wherever the caller stands."""
    assert project(target, cwd=PROJECTS) == project(cwd=PROJECTS / "churn")


def test_a_project_by_its_absolute_path(tmp_path: Path) -> None:
    assert project(str(PROJECTS / "churn"), cwd=tmp_path) == project(cwd=PROJECTS / "churn")


def test_pyproject_serves_as_well() -> None:
    """[tool.boxship] in pyproject.toml is a project too."""
    found = project(cwd=PROJECTS / "pyproject")
    assert (found.service, found.name, found.serve.workers) == ("service:Churn", "churn", 2)


def test_boxship_toml_beats_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.boxship]\nmodel = "a.pkl"\n')
    assert project(cwd=written(tmp_path, 'model = "b.pkl"')).name == "b"


def test_a_model_file_needs_no_project(tmp_path: Path) -> None:
    found = project("models/churn.pkl", cwd=tmp_path)
    assert found == Project(
        folder=tmp_path,
        name="churn",
        model_location=str(tmp_path / "models" / "churn.pkl"),
        model_path=str(tmp_path / "models" / "churn.pkl"),
    )


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert project("file:///models/churn.pkl", cwd=tmp_path).model_path == "/models/churn.pkl"


@pytest.mark.parametrize("text", ["s3://bucket/churn.pkl", "https://models.test/churn.pkl?key=1"])
def test_an_address_is_where_the_model_comes_from(tmp_path: Path, text: str) -> None:
    found = project(text, cwd=tmp_path)
    assert found.source == Location(store=text[: text.index(":")], url=text)
    assert (found.name, found.model_path, found.model_digest) == ("churn", None, "")


def test_a_digest_is_what_the_bytes_must_have(tmp_path: Path) -> None:
    assert project(f"churn.pkl@{DIGEST}", cwd=tmp_path).model_digest == DIGEST
    found = project(f"s3://bucket/churn.pkl@{DIGEST}", cwd=tmp_path)
    assert found.source == Location(store="s3", url="s3://bucket/churn.pkl", digest=DIGEST)


@pytest.mark.parametrize("text", ["ftp://models.test/churn.pkl", "file://host/churn.pkl"])
def test_other_addresses_are_refused(tmp_path: Path, text: str) -> None:
    (found,) = problems(text, cwd=tmp_path)
    assert found.startswith("command line: model: expected ")


def test_what_is_pinned_is_not_watched(tmp_path: Path) -> None:
    (found,) = problems(f"s3://bucket/churn.pkl@{DIGEST}", cwd=tmp_path, flags={"watch_s": 30})
    assert found.startswith("watch: expected a model whose digest is open")
    assert project("s3://bucket/churn.pkl", cwd=tmp_path, flags={"watch_s": 30}).serve.watch_s == 30


LOCKED = f"""
version = 1
[model]
location = "s3://bucket/churn.pkl"
digest = "{DIGEST}"
size = 5
trusted = true
"""


def test_a_lock_holds_for_the_projects_model(tmp_path: Path) -> None:
    (tmp_path / "boxship.toml").write_text('model = "s3://bucket/churn.pkl"')
    (tmp_path / "boxship.lock").write_text(LOCKED)
    found = project(".", cwd=tmp_path)
    assert (found.model_digest, found.trust_all) == (DIGEST, True)
    assert found.source is not None
    assert found.source.digest == DIGEST


def test_a_lock_says_nothing_of_a_model_named_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "boxship.toml").write_text('model = "s3://bucket/churn.pkl"')
    (tmp_path / "boxship.lock").write_text(LOCKED)
    found = project(".", cwd=tmp_path, environ={"MODEL_PATH": "s3://bucket/other.pkl"})
    assert (found.model_digest, found.trust_all) == ("", False)


@pytest.mark.parametrize(
    "model", ["s3://bucket/newer.pkl", f"s3://bucket/churn.pkl@sha256:{'9' * 64}"]
)
def test_a_stale_lock_is_refused(tmp_path: Path, model: str) -> None:
    (tmp_path / "boxship.toml").write_text(f'model = "{model}"')
    (tmp_path / "boxship.lock").write_text(LOCKED)
    (found,) = problems(".", cwd=tmp_path)
    assert "lock again: boxship lock" in found


def test_model_path_variable(tmp_path: Path) -> None:
    """MODEL_PATH says where the model is, as in a container."""
    found = project(cwd=tmp_path, environ={"MODEL_PATH": "/models/churn.onnx"})
    assert (found.model_path, found.name) == ("/models/churn.onnx", "churn")


def test_a_target_beats_model_path(tmp_path: Path) -> None:
    found = project("a.pkl", cwd=tmp_path, environ={"MODEL_PATH": "/models/b.pkl"})
    assert found.model_path == str(tmp_path / "a.pkl")


def test_an_attribute_is_a_service_around_the_model(tmp_path: Path) -> None:
    """module:attr replaces what the file serves; its model and settings stay."""
    written(tmp_path, 'name = "churn"\napp = "app:app"\nmodel = "a.pkl"\n[serve]\nworkers = 2\n')
    found = project("src.service:Churn", cwd=tmp_path)
    assert (found.service, found.app, found.name) == ("src.service:Churn", None, "churn")
    assert found.model_path == str(tmp_path / "a.pkl")
    assert found.serve.workers == 2


def test_model_path_is_handed_to_a_service(tmp_path: Path) -> None:
    found = project("service:Churn", cwd=tmp_path, environ={"MODEL_PATH": "/models/a.pkl"})
    assert (found.service, found.model_path) == ("service:Churn", "/models/a.pkl")


def test_a_file_that_looks_like_an_attribute_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "model:v2").touch()
    assert project("model:v2", cwd=tmp_path).model_path == str(tmp_path / "model:v2")


def test_search_path_holds_the_projects_own_modules(tmp_path: Path) -> None:
    """`code = ["src"]` is found as a package `src` and as a folder of modules."""
    written(tmp_path, 'service = "service:Churn"\ncode = ["src", "lib/features"]')
    assert project(cwd=tmp_path).search_path == (
        tmp_path,
        tmp_path / "lib",
        tmp_path / "src",
        tmp_path / "lib" / "features",
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('model = "models/churn.v2.onnx"', "churn"),
        ('model = "models/Kündigung 2024.pkl"', "K-ndigung-2024"),
        ('model = ".pkl"', "model"),
        ('model = "models/模型.pkl"', "model"),
        ('service = "src.service:ChurnModel"', "churnmodel"),
        ('name = "a.b_c-1"\nmodel = "x.pkl"', "a.b_c-1"),
    ],
)
def test_the_default_name(tmp_path: Path, content: str, name: str) -> None:
    """The settings' name, else the file's stem or the service's class."""
    assert project(cwd=written(tmp_path, content)).name == name


def test_an_application_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "churn api"
    folder.mkdir()
    assert project(cwd=written(folder, 'app = "main:app"')).name == "churn-api"


# Which setting wins


FILE = 'model = "a.pkl"\n[serve]\nport = 1001\nworkers = 1\n'


@pytest.mark.parametrize(
    ("content", "environ", "flags", "expected"),
    [
        ('model = "a.pkl"', {}, {}, (8080, "auto")),
        (FILE, {}, {}, (1001, 1)),
        (FILE, {"PORT": "1002", "BOXSHIP_SERVE_WORKERS": "2"}, {}, (1002, 2)),
        (FILE, {"PORT": "1002"}, {"port": "1003", "workers": "auto"}, (1003, "auto")),
        (FILE, {"PORT": "", "BOXSHIP_SERVE_WORKERS": ""}, {}, (1001, 1)),
        (FILE, {"PORT": "none"}, {"port": "1003"}, (1003, 1)),
    ],
    ids=["default", "file", "environment", "flag", "empty-is-unset", "only-the-winner-is-read"],
)
def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    tmp_path: Path,
    content: str,
    environ: dict[str, str],
    flags: dict[str, str],
    expected: tuple[int, object],
) -> None:
    found = project(cwd=written(tmp_path, content), environ=environ, flags=flags).serve
    assert (found.port, found.workers) == expected


def test_the_same_order_for_what_is_served(tmp_path: Path) -> None:
    written(tmp_path, 'name = "file"\nversion = "file"\nmodel = "a.pkl"\ntrust = ["file"]')
    environ = {
        "BOXSHIP_NAME": "environment",
        "BOXSHIP_VERSION": "environment",
        "BOXSHIP_TRUST": "one, two,",
        "BOXSHIP_CODE": "src",
    }
    found = project(cwd=tmp_path, environ=environ, flags={"version": "flag"})
    assert (found.name, found.version) == ("environment", "flag")
    assert (found.trust, found.code) == (("one", "two"), ("src",))


def test_trust_all_is_said_only_by_the_caller(tmp_path: Path) -> None:
    assert not project("a.pkl", cwd=tmp_path).trust_all
    assert resolve("a.pkl", flags={}, environ={}, cwd=tmp_path, trust_all=True).project.trust_all


# Warnings


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("BOXSHIP_SERVE_WORKER", "2", "; did you mean 'BOXSHIP_SERVE_WORKERS'?"),
        ("BOXSHIP_SERVE_PORT", "9000", "; did you mean 'PORT'?"),
        ("BOXSHIP_MODEL", "a.pkl", "; did you mean 'MODEL_PATH'?"),
        ("BOXSHIP_QUIETLY", "1", ""),
        (
            "BOXSHIP_SERVE_PORT",
            "tcp://10.0.0.1:8080",
            " (Kubernetes injects such for a Service; enableServiceLinks: false stops it)",
        ),
    ],
)
def test_an_unknown_variable_only_warns(tmp_path: Path, name: str, value: str, hint: str) -> None:
    """A Service named boxship-serve must not keep its own container from starting."""
    found = resolved("a.pkl", cwd=tmp_path, environ={name: value})
    assert found.warnings == (f"environment variable {name} is unknown and ignored{hint}",)
    assert found.project.serve == ServeSettings()


def test_known_variables_do_not_warn(tmp_path: Path) -> None:
    environ = {"PORT": "1", "BOXSHIP_SERVE_HOST": "::1", "BOXSHIP_NAME": "a", "HOME": "/"}
    environ |= {"BOXSHIP_CPU_REQUEST": "2", "BOXSHIP_TRUST": "x"}
    assert resolved("a.pkl", cwd=tmp_path, environ=environ).warnings == ()


# Everything wrong at once


def test_every_problem_is_reported() -> None:
    """One run shows all that is to be mended, each with its place."""
    folder = PROJECTS / "many_problems"
    file = folder / "boxship.toml"
    datatypes = "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64"
    assert problems(cwd=folder, environ={"BOXSHIP_SERVE_MAX_ROWS": "many"}) == [
        f"{file}: unknown key 'modell'; did you mean 'model'?",
        f"{file}: name: expected a text, found 7",
        f"{file}: code: expected a list of texts, found 'src'",
        f"{file} [serve]: unknown key 'worker'; did you mean 'workers'?",
        f"{file}: serve.port: expected a whole number of at least 0 and at most 65535, found 70000",
        (
            "environment variable BOXSHIP_SERVE_MAX_ROWS: expected a whole number of at least 1, "
            "found 'many'"
        ),
        f"{file}: serve.drain_delay_s: expected a number of seconds, zero or more, found -1",
        f"{file}: serve.access_log: expected true or false, found 'perhaps'",
        f"{file}: inputs[0].datatype: expected one of {datatypes}, BYTES, found 'INTEGER'",
        (
            f'{file}: inputs[1]: expected {{ name = "…", datatype = "…" }}, '
            "found {'datatype': 'FP64'}"
        ),
        f"{file}: inputs[2]: unknown key 'dtype'; did you mean 'datatype'?",
        f"{file}: service and app exclude each other; keep one of them",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('model = ""', "{file}: model: expected a text, found ''"),
        ("trust = [1]", "{file}: trust: expected a list of texts, found [1]"),
        ("serve = 3", "{file}: serve: expected a table [serve], found 3"),
        ("inputs = 3", "{file}: inputs: expected a list of tables, found 3"),
        (
            "inputs = [3]",
            '{file}: inputs[0]: expected {{ name = "…", datatype = "…" }}, found 3',
        ),
        (
            'inputs = [{ name = "" }]',
            "{file}: inputs[0]: expected {{ name = \"…\", datatype = \"…\" }}, found {{'name': ''}}",
        ),
        (
            'inputs = [{ name = "a" }, { name = "b" }, { name = "a" }]',
            "{file}: inputs: 'a' is named twice",
        ),
        (
            'inputs = [{ name = "a", nullable = "yes" }]',
            "{file}: inputs[0].nullable: expected true or false, found 'yes'",
        ),
        (
            'inputs = [{ name = "a", datatype = "INT64", nullable = true }]',
            "{file}: inputs[0].nullable: expected FP… or BYTES for it, found INT64",
        ),
        ('name = "a/b"', "{file}: name: expected letters, digits, '.', '_' or '-', found 'a/b'"),
        ('name = "-a"', "{file}: name: expected letters, digits, '.', '_' or '-', found '-a'"),
        (
            'version = "1\\nx-admin: 1"',
            "{file}: version: expected printable ASCII without spaces and '/', found '1\\nx-admin: 1'",
        ),
        ("golden = 3", "golden: expected a file's name or a table, found 3"),
        ('[serve]\nhost = " "', "{file}: serve.host: expected a text that is not empty, found ' '"),
    ],
)
def test_what_a_file_may_not_say(tmp_path: Path, content: str, problem: str) -> None:
    """Each refusal says what was expected, what was found, and where."""
    text = content if content.startswith("model") else f'model = "a.pkl"\n{content}'
    file = written(tmp_path, text) / "boxship.toml"
    assert problems(cwd=tmp_path) == [problem.format(file=file)]


def test_an_empty_flag_is_blamed_on_the_command_line(tmp_path: Path) -> None:
    written(tmp_path, 'model = "a.pkl"')
    assert problems(cwd=tmp_path, flags={"name": "", "port": "x"}) == [
        "command line: name: expected a text, found ''",
        "--port: expected a whole number of at least 0 and at most 65535, found 'x'",
    ]


def test_an_input_may_be_described_and_exemplified(tmp_path: Path) -> None:
    written(
        tmp_path,
        'model = "a.pkl"\ninputs = [{ name = "city", datatype = "BYTES", example = "Rome" }]',
    )
    assert project(cwd=tmp_path).inputs == (
        TensorSpec(name="city", datatype="BYTES", example="Rome"),
    )


def test_nothing_to_serve(tmp_path: Path) -> None:
    assert problems(cwd=tmp_path) == [
        (
            "Expected a model to serve: a file, a folder with boxship.toml, module:attr, or "
            f"MODEL_PATH; found none (no boxship.toml in {tmp_path})."
        )
    ]


@pytest.mark.parametrize("target", [None, "."])
def test_settings_that_name_nothing_to_serve(tmp_path: Path, target: str | None) -> None:
    (tmp_path / "boxship.toml").write_text('[image]\nbase = "python:3.12-slim"\n')
    assert problems(target, cwd=tmp_path) == [
        f"{tmp_path}/boxship.toml: expected model, service or app, found none of them."
    ]


def test_a_pyproject_that_never_heard_of_boxship() -> None:
    assert problems("pyproject_plain", cwd=PROJECTS) == [
        "pyproject_plain: expected model, service or app in boxship.toml, found none of them."
    ]


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    """The message lists what is there: perhaps the model file was meant."""
    (tmp_path / "models").mkdir()
    assert problems("models", cwd=tmp_path) == [
        (
            f"{tmp_path}/models: expected a folder with boxship.toml, found no file in it; "
            "name the model file"
        )
    ]
    (tmp_path / "models" / "churn.pkl").touch()
    assert "found churn.pkl; name" in problems("models", cwd=tmp_path)[0]


@pytest.mark.parametrize("target", ["boxship.toml", "nowhere/boxship.toml"])
def test_a_settings_file_that_is_not_there(tmp_path: Path, target: str) -> None:
    assert problems(target, cwd=tmp_path) == [
        f"{tmp_path / target}: expected a project's settings, found nothing there"
    ]


# Files that cannot be read


@pytest.mark.parametrize(
    ("folder", "detail"),
    [
        ("broken_toml", "(at line 1, column 14)"),
        ("latin1", "'utf-8' codec can't decode byte 0xfc in position 9: invalid start byte"),
    ],
)
def test_a_file_that_is_no_toml(folder: str, detail: str) -> None:
    file = PROJECTS / folder / "boxship.toml"
    (found,) = problems(folder, cwd=PROJECTS)
    assert found.startswith(f"{file}: expected valid TOML, found an error: ")
    assert found.endswith(detail)


@pytest.mark.parametrize("content", ["x = " + "9" * 5000, "x = " + "[" * 5000])
def test_toml_beyond_the_parsers_limits(tmp_path: Path, content: str) -> None:
    """A number of thousands of digits and endless nesting end in words, not in a traceback."""
    written(tmp_path, content)
    (found,) = problems(cwd=tmp_path)
    assert found.startswith(f"{tmp_path}/boxship.toml: expected valid TOML, found an error: ")


def test_a_pyproject_whose_table_is_none(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool]\nboxship = 3")
    assert problems(cwd=tmp_path) == [f"{file} [tool.boxship]: expected a table, found 3"]


def test_a_pyproject_without_tools(tmp_path: Path) -> None:
    """What other tools would refuse does not keep a model from being served."""
    (tmp_path / "pyproject.toml").write_text("tool = 3")
    assert project(cwd=tmp_path, environ={"MODEL_PATH": "/a.pkl"}).model_path == "/a.pkl"


def test_a_path_that_the_system_refuses(tmp_path: Path) -> None:
    """A name too long (or a folder that may not be entered) is the user's to mend."""
    name = "x" * 5000
    assert problems(name, cwd=tmp_path) == [
        f"{tmp_path / name}: cannot be read: File name too long"
    ]


# The golden request


GOLDEN = {"inputs": {"age": 30}, "outputs": {"score": 0.25}}
REQUEST = GoldenRequest(GOLDEN["inputs"], GOLDEN["outputs"])


def test_golden_beside_the_model(tmp_path: Path) -> None:
    """golden.json is found next to the model, wherever that lies."""
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN))
    assert project(str(tmp_path / "churn.pkl"), cwd=PROJECTS).golden == REQUEST


def test_golden_of_a_service_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN))
    assert project("service:Churn", cwd=tmp_path).golden == REQUEST


def test_golden_by_name(tmp_path: Path) -> None:
    """A named file is looked for from the project's folder, and beats the one beside the model."""
    (tmp_path / "golden.json").write_text("{}")
    (tmp_path / "known.json").write_text(json.dumps(GOLDEN))
    written(tmp_path, 'model = "a.pkl"\ngolden = "known.json"')
    assert project(cwd=tmp_path).golden == REQUEST


def test_golden_inline(tmp_path: Path) -> None:
    written(
        tmp_path, 'model = "a.pkl"\n[golden]\ninputs = { age = 30 }\noutputs = { score = 0.25 }'
    )
    assert project(cwd=tmp_path).golden == REQUEST


def test_no_golden(tmp_path: Path) -> None:
    assert project("a.pkl", cwd=tmp_path).golden is None


def test_a_named_golden_must_exist(tmp_path: Path) -> None:
    written(tmp_path, 'model = "a.pkl"\ngolden = "known.json"')
    assert problems(cwd=tmp_path) == [
        f"golden: expected a file at {tmp_path}/known.json, found: No such file or directory"
    ]


def test_broken_golden() -> None:
    file = PROJECTS / "broken_golden" / "golden.json"
    (found,) = problems("broken_golden", cwd=PROJECTS)
    assert found.startswith(f"{file}: expected JSON, found an error: Expecting value")


def test_golden_without_outputs() -> None:
    file = PROJECTS / "golden_without_outputs" / "golden.json"
    assert problems("golden_without_outputs", cwd=PROJECTS) == [
        (
            f'{file}: expected {{"inputs": …, "outputs": …}}, '
            "found {'inputs': {'age': 30}, 'output': {'score': 0.25}}"
        )
    ]


def test_golden_with_an_unknown_key(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN | {"tolerence": 0.1}))
    assert problems(str(tmp_path / "a.pkl"), cwd=tmp_path) == [
        f"{tmp_path}/golden.json: unknown key 'tolerence'; did you mean 'tolerance'?"
    ]


def test_golden_nested_without_end(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_text("[" * 100_000)
    (found,) = problems(str(tmp_path / "a.pkl"), cwd=tmp_path)
    assert found.startswith(f"{tmp_path}/golden.json: expected JSON, found an error: ")
