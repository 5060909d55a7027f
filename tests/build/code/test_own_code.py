"""What of a project's own files an image has: what serves it there, and nothing else."""

import os
from pathlib import Path

import onnx
import pytest
from support.images import MakeProject, planned

from boxship import project
from boxship.build.asked import requirements
from boxship.build.code import own_code, own_module
from boxship.build.layers.layer_cache import LayerCache
from boxship.errors import BuildError, UsageError
from boxship.lock import LockedRequirements, LockedWheel
from boxship.project import Project

MODEL = 'model = "churn.onnx"\n'
GOLDEN = '{"inputs": {}, "outputs": {}}'


def shipped(found: Project) -> list[str]:
    return [entry.path for entry in own_code.entries(found)]


def checked(found: Project, *wheels: LockedWheel) -> None:
    """Look for its module as a plan does, with these locked."""
    paths = [path.removeprefix("app/") for path in shipped(found)]
    locked = LockedRequirements("sha256:", wheels={"linux/amd64": wheels})
    own_module.check(found, paths, requirements.find(found, None), locked)


def in_pyproject(found: Project, settings: str) -> Project:
    """The same project with its settings in pyproject.toml alone."""
    folder = found.folder
    (folder / "boxship.toml").unlink()
    table = settings.replace("[image]", "[tool.boxship.image]")
    (folder / "pyproject.toml").write_text(f"[tool.boxship]\n{table}")
    return project.resolve(None, flags={}, environ={}, cwd=folder).project


def test_settings_in_pyproject_are_shipped(
    make_project: MakeProject, cache: LayerCache, base: Path
) -> None:
    settings = f'{MODEL}[image]\nbase = "oci:{base}"\n'
    plan = planned(in_pyproject(make_project(MODEL), settings), cache)
    assert [entry.path for entry in plan.code] == ["app/pyproject.toml"]


def test_a_pyproject_without_settings_is_not(make_project: MakeProject) -> None:
    found = make_project(MODEL, **{"pyproject.toml": "[project]\n"})
    assert shipped(found) == ["app/boxship.toml"]


def test_settings_that_do_not_hold_are_not_shipped(make_project: MakeProject) -> None:
    """A model by itself has no settings, whatever lies where it was named."""
    folder = make_project(MODEL).folder
    found = project.resolve("churn.onnx", flags={}, environ={}, cwd=folder).project
    assert shipped(found) == []


@pytest.mark.parametrize("name", ["g/golden.json", "./x/../g/golden.json"])
def test_a_golden_request_is_shipped_where_it_is_named(
    make_project: MakeProject, cache: LayerCache, name: str
) -> None:
    found = make_project(f'{MODEL}golden = "{name}"\n', **{"g__golden.json": GOLDEN})
    plan = planned(found, cache)
    assert [entry.path for entry in plan.code] == ["app/boxship.toml", "app/g/golden.json"]
    assert plan.code[1].content == found.folder / "g/golden.json"


def test_a_golden_request_beside_the_model_goes_with_it(
    make_project: MakeProject, cache: LayerCache
) -> None:
    plan = planned(make_project(MODEL, **{"golden.json": GOLDEN}), cache)
    assert [entry.path for entry in plan.code] == ["app/boxship.toml"]
    assert "models/golden.json" in [entry.path for entry in plan.weights.files]


def test_a_golden_request_of_a_model_that_is_elsewhere(make_project: MakeProject) -> None:
    found = make_project('model = "s3://models/churn.onnx"\n', **{"golden.json": GOLDEN})
    assert shipped(found) == ["app/boxship.toml", "app/golden.json"]


def test_a_golden_request_outside_of_the_project(make_project: MakeProject) -> None:
    (make_project(MODEL).folder.parent / "golden.json").write_text(GOLDEN)
    found = make_project(f'{MODEL}golden = "../golden.json"\n')
    with pytest.raises(UsageError, match=r"golden\.json: expected a file in .*project, found one"):
        own_code.entries(found)


@pytest.mark.parametrize("name", ["../lib", "src/../../lib", "{absolute}"])
def test_code_outside_of_the_project(make_project: MakeProject, name: str) -> None:
    lib = make_project(MODEL, **{"../lib__a_py": ""}).folder / "src"
    lib.mkdir()
    found = make_project(f'{MODEL}code = ["{name.format(absolute=lib)}"]\n')
    with pytest.raises(UsageError, match=r"code: expected paths in .*project, found '"):
        own_code.entries(found)


def test_code_lies_where_its_name_leads(make_project: MakeProject) -> None:
    files = {"src__a_py": "", "boxship.lock": "version = 1\n"}
    assert shipped(make_project(f'{MODEL}code = ["./lib/../src/"]\n', **files)) == [
        "app/boxship.toml",
        "app/src/a.py",
    ]
    whole = shipped(make_project(f'{MODEL}code = ["."]\n'))
    assert "app/src/a.py" in whole
    assert "app/boxship.lock" not in whole, "the image has its own"


@pytest.mark.parametrize("allowed", ["src/.aws", "./src/.aws/"])
def test_a_folder_that_is_allowed_is_shipped_whole(make_project: MakeProject, allowed: str) -> None:
    files = {"src__.aws__credentials": "", "src__.aws__config": "", "src__.env": ""}
    settings = f'{MODEL}code = ["src"]\n[image]\nallow = ["{allowed}"]\n'
    with pytest.raises(BuildError, match=r"found: src/\.env\."):
        own_code.entries(make_project(settings, **files))
    settings = settings.replace("allow = [", 'allow = ["src/.env", ')
    assert [path for path in shipped(make_project(settings)) if ".aws" in path] == [
        "app/src/.aws/config",
        "app/src/.aws/credentials",
    ]


def test_links_to_folders_above_end_somewhere(make_project: MakeProject) -> None:
    found = make_project(f'{MODEL}code = ["a"]\n', a__one_py="", b__two_py="", c__three_py="")
    for link, target in (("a/up", ".."), ("a/self", "."), ("a/b", "../b"), ("b/a", "../a"),
                         ("a/gone", "nowhere"), ("a/c", "../c")):  # fmt: skip
        (found.folder / link).symlink_to(target)
    assert shipped(found) == ["app/a/b/two.py", "app/a/c/three.py", "app/a/one.py",
                              "app/boxship.toml"]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "files", "tip"),
    [
        ("", {"src__mypkg__api_py": ""}, 'Name it in boxship.toml: code = ["src/mypkg"]'),
        ("", {"src__mypkg__api_py": "", "requirements_txt": "click\n"}, 'code = ["src/mypkg"]'),
        ("", {"src__mypkg_py": "", "requirements_txt": "-c a.txt\n", "a_txt": ""}, "Name it in"),
        ("", {}, "Name what has it: a folder"),
        ('code = ["lib"]\n', {"mypkg__api_py": "", "lib__a_py": ""}, "Name what has it: a folder"),
        ('code = ["lib"]\n', {"lib__mypkg.txt": ""}, "Name what has it: a folder"),
    ],
)
def test_a_module_that_no_image_would_have(
    make_project: MakeProject, more: str, files: dict[str, str], tip: str
) -> None:
    found = make_project(f'app = "mypkg.api:app"\n{more}', **files)
    with pytest.raises(UsageError, match=r"mypkg\.api:app: expected the module 'mypkg'") as caught:
        checked(found)
    assert tip in caught.value.tip


@pytest.mark.parametrize(
    ("more", "files", "wheels"),
    [
        ("", {"mypkg__api_py": ""}, []),
        ("", {"mypkg_py": ""}, []),
        ('code = ["./lib/../src/"]\n', {"src__mypkg__api_py": ""}, []),
        ('code = ["src"]\n', {"src__mypkg__api_py": ""}, []),
        ('code = ["src/mypkg"]\n', {"src__mypkg__api_py": ""}, []),
        ('code = ["mypkg/api.py"]\n', {"mypkg__api_py": ""}, []),
        ('code = ["src/mypkg.so"]\n', {"src__mypkg.so": ""}, []),
        ("", {"requirements_txt": "acme-mypkg\n"}, []),
        ("", {"src__mypkg__api_py": ""}, [LockedWheel("MyPkg", "1", "m.whl", "sha256:", 1)]),
        ("", {"src__mypkg__api_py": ""}, [LockedWheel("acme", "1", "a.whl", "sha256:", 1, "a.whl")]),
    ],
)  # fmt: skip
def test_a_module_that_an_image_has_or_may_have(
    make_project: MakeProject, more: str, files: dict[str, str], wheels: list[LockedWheel]
) -> None:
    checked(make_project(f'app = "mypkg.api:app"\n{more}', **files), *wheels)


def test_a_plan_without_its_module_is_none(make_project: MakeProject, cache: LayerCache) -> None:
    with pytest.raises(UsageError, match="expected the module 'mypkg'"):
        planned(make_project('app = "mypkg.api:app"\n'), cache)


@pytest.mark.parametrize(
    "name",
    [".env", "prod.env", ".envrc", "server.PEM", "ID_RSA", "id_rsa.bak", ".git-credentials",
     "service-account.json"],
)  # fmt: skip
def test_what_is_secret_by_its_name(make_project: MakeProject, name: str) -> None:
    project = make_project(f'app = "src.api:app"\n{MODEL}', src__api_py="")
    (project.folder / "src" / name).write_text("TOKEN=hunter2")
    with pytest.raises(BuildError, match="Expected no secrets") as caught:
        own_code.entries(project)
    assert f"src/{name}" in caught.value.message


def test_a_link_is_as_secret_as_what_it_leads_to(make_project: MakeProject) -> None:
    project = make_project(f'app = "src.api:app"\n{MODEL}', src__api_py="")
    (project.folder / ".env").write_text("TOKEN=hunter2")
    (project.folder / "src" / "settings").symlink_to(project.folder / ".env")
    with pytest.raises(BuildError, match=r"found: src/settings\."):
        own_code.entries(project)


def test_a_secret_folder_is_one_where_it_is_named_too(make_project: MakeProject) -> None:
    project = make_project(f'app = "api:app"\ncode = ["api.py", ".ssh"]\n{MODEL}', api_py="")
    (project.folder / ".ssh").mkdir()
    (project.folder / ".ssh" / "config").write_text("")
    with pytest.raises(BuildError, match=r"found: \.ssh\."):
        own_code.entries(project)


def test_a_login_in_settings(make_project: MakeProject) -> None:
    """Each is named by its file and line, and no message repeats it."""
    index = 'index-url = "https://build:hunter2@h.test/simple"'
    project = make_project(
        'model = "https://bob:hunter2@h.test/churn.onnx"\ncode = ["lib"]\n',
        **{"lib__pip.conf": f"[global]\n{index}\n", "lib__ok.ini": "a = https://h.test/simple\n",
           "lib__one_py": "URL = 'https://a:hunter2@h.test'\n"},
    )  # fmt: skip
    with pytest.raises(BuildError, match="Expected no secrets") as caught:
        own_code.entries(project)
    assert "found: a login in boxship.toml, line 1, a login in lib/pip.conf, line 2." in str(
        caught.value
    )
    assert "hunter2" not in caught.value.paragraph()
    assert "UV_INDEX_NAME_PASSWORD" not in caught.value.message
    settings = f'{MODEL}[[tool.uv.index]]\nurl = "https://build:hunter2@h.test/simple"\n'
    with pytest.raises(BuildError, match=r"found: a login in pyproject\.toml, line 4\.") as caught:
        own_code.entries(in_pyproject(project, settings))
    assert "UV_INDEX_NAME_USERNAME" in caught.value.tip


def test_a_login_that_is_allowed(make_project: MakeProject) -> None:
    settings = f'{MODEL}code = ["lib"]\n[image]\nallow = ["lib/pip.conf"]\n'
    project = make_project(settings, **{"lib__pip.conf": "a = https://build:hunter2@h.test/\n"})
    assert "app/lib/pip.conf" in shipped(project)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("--extra-index-url https://u:hunter2@h.test/simple", True),
        ("a @ git+https://ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.test/a.git", True),
        ("https://16C7e42F292c6912E771:@h.test/", True),
        ("redis://:hunter2@h.test:6379/0", True),
        ("https://me@corp.test:hun@ter2@h.test/", True),
        ("https://u:${PASSWORD}@h.test/ and https://b:hunter2@h.test/", True),
        ("https://${USER}:${PASSWORD}@h.test/", False),
        ("https://u:$PASSWORD@h.test/", False),
        ("https://<user>:<password>@h.test/", False),
        ("a @ git+ssh://git@github.test/a.git@v1.0", False),
        ("https://build@h.test/simple", False),
        ("docker://python:3.11-slim@sha256:1111", False),
        ("http://h.test:8080/a@b", False),
        ("mail: me@h.test", False),
    ],
)
def test_what_a_login_looks_like(make_project: MakeProject, line: str, is_one: bool) -> None:  # noqa: FBT001
    project = make_project(f'{MODEL}code = ["."]\n', requirements_txt=f"numpy\n{line}\n")
    if is_one:
        with pytest.raises(BuildError, match=r"a login in requirements\.txt, line 2"):
            own_code.entries(project)
    else:
        assert "app/requirements.txt" in shipped(project)


def test_the_model_is_no_code(make_project: MakeProject) -> None:
    """Nor is its external data, nor a link to either."""
    project = make_project(f'{MODEL}code = ["."]\n', w__data="", w__other="")
    model = onnx.load(project.folder / "churn.onnx")
    model.graph.initializer.add().external_data.add(key="location", value="w/data")
    (project.folder / "churn.onnx").write_bytes(model.SerializeToString())
    (project.folder / "w" / "link").symlink_to(project.folder / "churn.onnx")
    assert shipped(project) == ["app/boxship.toml", "app/w/other"]


def test_an_application_may_look_for_its_model_at_its_place(make_project: MakeProject) -> None:
    project = make_project(f'app = "app:app"\n{MODEL}code = ["."]\n', app_py="")
    assert shipped(project) == ["app/app.py", "app/boxship.toml", "app/churn.onnx"]


def test_a_name_that_is_no_text(make_project: MakeProject) -> None:
    project = make_project(f'{MODEL}code = ["."]\n')
    (project.folder / os.fsdecode(b"caf\xe9.py")).write_text("")
    with pytest.raises(BuildError, match="Expected names in UTF-8") as caught:
        own_code.entries(project)
    assert caught.value.message.endswith(r"found: 'caf\udce9.py'.")
