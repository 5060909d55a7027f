"""Where another tool has locked, its pins are what is asked for, each from where it has it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.images import Index, MakeProject, contents_of, locked, make_wheel, serving_index
from uv import find_uv_bin

from boxship.build import plan as plans, with_engine
from boxship.build.asked import named_indexes, requirement_lines, requirements, uv_indexes
from boxship.build.asked.requirements import Requirements
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.native import Native
from boxship.errors import BuildError, UsageError
from boxship.lock import FILE_NAME, Lock
from boxship.project import Project

MODEL = 'model = "churn.onnx"\n'
LOGIN = "bob:pass-word-1"
LOCAL = '[project]\nname = "{0}"\nversion = "1"\n'
BUILT = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def said(depends: list[str], more: str = "") -> dict[str, str]:
    """The pyproject.toml of a project that depends on these."""
    text = f'[project]\nname = "ours"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = {json.dumps(depends)}\n'
    return {"pyproject.toml": f"{text}{more}"}


def named_index(url: str, *of: str) -> str:
    """The table of an index that is asked for these names alone."""
    sources = "".join(f'{name} = {{ index = "acme" }}\n' for name in of)
    return f'[[tool.uv.index]]\nname = "acme"\nurl = "{url}"\nexplicit = true\n[tool.uv.sources]\n{sources}'


def run_uv(project: Project, *argv: str) -> None:
    argv = (find_uv_bin(), *argv, "--python", sys.executable)
    done = subprocess.run(argv, cwd=project.folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def versions(whole: Lock) -> dict[str, str]:
    assert whole.requirements is not None
    (wheels,) = whole.requirements.wheels.values()
    return {wheel.name: wheel.version for wheel in wheels}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def acme() -> dict[str, bytes]:
    """An index with what a project needs, and other versions of what is elsewhere too."""
    return dict(
        [
            make_wheel("acme-one", "1.0", {"acme_one.py": ""}, requires=("acme-along",)),
            make_wheel("acme-along", "1.0", {"acme_along.py": "import nowhere\n"}),
            make_wheel("six", "0.5", {"six.py": "OURS = True\n"}),
        ]
    )


@pytest.mark.parametrize("form", ["uv.lock", "pylock.toml"])
def test_a_lock_is_built_as_it_is(
    make_project: MakeProject, cache: LayerCache, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    """Its versions, and each from its own index, where another has the name too.

    What comes along need not be fit to be imported by itself.
    """
    caplog.set_level("DEBUG")
    with serving_index(Index(acme(), login=LOGIN)) as index:
        address = f"http://{LOGIN}@127.0.0.1:{index.port}/simple"
        table = named_index(address, "acme-one", "acme-along")
        project = make_project(MODEL, **said(["acme-one", "acme-along", "six<1.17"], table))
        run_uv(project, "lock")
        for name in ("acme-one", "acme-along"):
            file, data = make_wheel(name, "2.0", {f"{name.replace('-', '_')}.py": ""})
            index.wheels[file] = data
        if form == "pylock.toml":
            run_uv(project, "export", "--frozen", "--no-emit-project", "--format", form, "-o", form)
            (project.folder / "uv.lock").unlink()
        before = everything(project.folder)
        whole = locked(project, cache)
        after = everything(project.folder)
        assert after.pop(str(project.folder / FILE_NAME))
        assert after == before
        assert whole.requirements is not None
        assert whole.requirements.indexes == (index.url,)
        found = versions(whole)
        assert (found["acme-one"], found["acme-along"]) == ("1.0", "1.0")
        assert found["six"] == "1.16.0"
        assert {"onnxruntime", "msgspec"} <= found.keys()
        again = locked(project, cache)
        assert again == whole
        plan = plans.decide(project, whole)
        assert address in with_engine.pip_settings(plan, {})
        if form == "pylock.toml":
            (project.folder / "pyproject.toml").unlink()
            named = make_project(f'{MODEL}[image]\nrequirements = "pylock.toml"\n')
            assert requirements.find(named, whole.model).named == ()
            return
        with pytest.raises(BuildError, match="acme_along: ModuleNotFoundError: No module named"):
            Native(plan, cache).build()
        text = (project.folder / "pyproject.toml").read_text()
        (project.folder / "pyproject.toml").write_text(text.replace('"acme-along", ', ""))
        (image,) = Native(plans.decide(project, whole), cache).build()
    inside = contents_of(image, cache)
    assert {"opt/boxship/acme_one.py", "opt/boxship/acme_along.py"} <= inside.keys()
    written = (project.folder / FILE_NAME).read_text()
    assert "pass-word-1" not in written + caplog.text


def test_another_uv_lock_makes_ours_stale(make_project: MakeProject, cache: LayerCache) -> None:
    with serving_index(Index(acme())) as index:
        table = named_index(index.url, "acme-along")
        project = make_project(MODEL, **said(["acme-along"], table))
        run_uv(project, "lock")
        whole = locked(project, cache)
        run_uv(project, "lock")
        plans.decide(project, whole)
        file, data = make_wheel("acme-along", "1.5", {"acme_along.py": ""})
        index.wheels[file] = data
        run_uv(project, "lock", "--upgrade")
        with pytest.raises(UsageError, match="found that of others"):
            plans.decide(project, whole)
        assert versions(locked(project, cache))["acme-along"] == "1.5"


def test_a_pin_that_serving_cannot_have_is_explained(
    make_project: MakeProject, cache: LayerCache
) -> None:
    project = make_project(MODEL, **said(["msgspec<0.19"]))
    run_uv(project, "lock")
    with pytest.raises(BuildError, match=r"msgspec==0\.18\.6"):
        locked(project, cache)


@pytest.mark.parametrize("form", ["uv.lock", "requirements.txt"])
def test_other_bytes_than_were_locked_are_refused(
    make_project: MakeProject, cache: LayerCache, form: str
) -> None:
    with serving_index(Index(acme())) as index:
        table = named_index(index.url, "acme-along")
        project = make_project(MODEL, **said(["acme-along"], table))
        if form == "uv.lock":
            run_uv(project, "lock")
        else:
            flags = ("--generate-hashes", "--emit-index-url", "--index", index.url)
            run_uv(project, "pip", "compile", "-q", "pyproject.toml", *flags, "-o", form)
            assert "--hash=sha256:" in (project.folder / form).read_text()
        assert versions(locked(project, cache))["acme-along"] == "1.0"
        (project.folder / FILE_NAME).unlink()
        # One more file that fits is none of those that were locked.
        file, data = make_wheel(
            "acme-along", "1.0", {"acme_along.py": "MORE = 1\n"}, tag="py311-none-any"
        )
        index.wheels[file] = data
        whole = locked(project, cache)
        assert whole.requirements is not None
        (wheels,) = whole.requirements.wheels.values()
        assert "acme_along-1.0-py3-none-any.whl" in [wheel.file for wheel in wheels]
        file, data = make_wheel("acme-along", "1.0", {"acme_along.py": "OTHER = 1\n"})
        index.wheels[file] = data
        with pytest.raises(
            BuildError, match=r"acme-along 1\.0: expected a file with one of the hash"
        ) as caught:
            locked(project, cache)
    assert form in caught.value.message


def test_the_usual_files_in_their_order(make_project: MakeProject) -> None:
    project = make_project(MODEL)
    for name in ("pylock.toml", "uv.lock"):
        (project.folder / name).write_text("")
        assert requirements.find(project, None).file is None, "they are of no project"
    (project.folder / "pyproject.toml").write_text("[project]\n")
    for name in ("uv.lock", "pylock.toml", "pyproject.toml"):
        assert requirements.find(project, None).file == project.folder / name
        (project.folder / name).rename(project.folder / "gone")
        (project.folder / "pyproject.toml").write_text("[project]\n")
    (project.folder / "uv.lock").write_text("")
    (project.folder / "requirements.txt").write_text("")
    assert requirements.find(project, None).file == project.folder / "requirements.txt"


def test_what_would_have_to_be_built(make_project: MakeProject) -> None:
    wheel, data = make_wheel("acme-along", "1.0", {"acme_along.py": ""})
    sources = (
        '[tool.uv.sources]\nacme-lib = { path = "lib/acme lib" }\n'
        f'acme-along = {{ path = "{wheel}" }}\nacme-edited = {{ path = "edited", editable = true }}\n'
    )
    files = {
        "lib__acme lib__pyproject.toml": LOCAL.format("acme-lib") + BUILT,
        "edited__pyproject.toml": LOCAL.format("acme-edited") + BUILT,
        "edited__acme_edited_py": "",
    }
    depends = ["acme-lib", "acme-edited", "acme-along; sys_platform == 'linux'"]
    project = make_project(MODEL, **said(depends, sources), **files)
    (project.folder / wheel).write_bytes(data)
    run_uv(project, "lock")
    with pytest.raises(UsageError, match=r"uv\.lock: expected wheels") as caught:
        requirements.find(project, None).written  # noqa: B018 (it is read when it is asked for)
    assert "./edited, ./lib/acme lib." in caught.value.message
    assert "`code`" in caught.value.tip
    project = make_project(f'{MODEL}code = ["edited/acme_edited.py", "lib/acme lib"]\n')
    (line,) = requirements.find(project, None).written
    asked, digests = requirement_lines.hashes(line.text)
    assert Requirement(asked).url == (project.folder / wheel).as_uri()
    assert str(Requirement(asked).marker) == 'sys_platform == "linux"'
    assert digests == {f"sha256:{hashlib.sha256(data).hexdigest()}"}


def test_repositories_and_folders_of_wheels_are_no_index(make_project: MakeProject) -> None:
    project = make_project(MODEL, **said(["acme-lib", "acme-along"]))
    folder = project.folder / "lib"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(LOCAL.format("acme-lib") + BUILT)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@a.test"]
    for argv in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *argv], cwd=folder, check=True)
    wheel, data = make_wheel("acme-along", "1.0", {"acme_along.py": ""})
    (project.folder / "wheels").mkdir()
    (project.folder / "wheels" / wheel).write_bytes(data)
    more = named_index("wheels", "acme-along").replace("explicit", 'format = "flat"\nexplicit')
    more += f'acme-lib = {{ git = "{folder.as_uri()}" }}\n'
    (project.folder / "pyproject.toml").write_text(
        said(["acme-lib", "acme-along"], more)["pyproject.toml"]
    )
    run_uv(project, "lock")
    with pytest.raises(UsageError, match=r"uv\.lock: expected wheels") as caught:
        requirements.find(project, None).written  # noqa: B018
    assert "acme-along==1.0 of the folder wheels, git+file://" in caught.value.message


def test_a_uv_lock_without_its_project(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    with pytest.raises(UsageError, match=r"uv\.lock: expected the pyproject\.toml that it is of"):
        Requirements(tmp_path / "uv.lock", ()).written  # noqa: B018


def test_a_uv_lock_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(said([])["pyproject.toml"])
    (tmp_path / "uv.lock").write_text("version = 1\npackage = [1]\n")
    with pytest.raises(BuildError, match=r"uv\.lock"):
        Requirements(tmp_path / "uv.lock", ()).written  # noqa: B018


HASHES = f'hashes = {{ sha256 = "{"1" * 64}" }}'
HEAD = 'lock-version = "1.0"\ncreated-by = "tests"\ndefault-groups = ["serve"]\n'


def pylock(folder: Path, *packages: str) -> Requirements:
    text = HEAD + "".join(f"[[packages]]\n{package}\n" for package in packages)
    (folder / "pylock.prod.toml").write_text(text)
    return Requirements(folder / "pylock.prod.toml", (), (folder / "src",))


def test_what_a_pylock_may_hold(tmp_path: Path) -> None:
    wheel = f"[[packages.wheels]]\n{HASHES}\n"
    found = pylock(
        tmp_path,
        f'name = "a"\nversion = "1.0"\nmarker = "python_version < \'3\'"\n{wheel}url = "https://h.test/a-1.0-py3-none-any.whl"',
        f'name = "b"\n{wheel}url = "https://h.test/b-2.0-py3-none-any.whl"',
        f'name = "c"\nversion = "1"\nindex = "https://i.test/simple"\nsdist = {{ url = "https://h.test/c-1.tar.gz", {HASHES} }}',
        f'name = "d"\narchive = {{ url = "https://h.test/d.zip", {HASHES} }}',
        f'name = "e"\n{wheel}path = "w/e-1.0-py3-none-any.whl"',
        'name = "f"\ndirectory = { path = "." }',
    )
    digest = f" --hash=sha256:{'1' * 64}"
    assert [line.text for line in found.written] == [
        "--extra-index-url https://i.test/simple",
        f'a==1.0 ; python_version < "3"{digest}',
        f"b==2.0{digest}",
        f"c==1{digest}",
        f"d @ https://h.test/d.zip{digest}",
        f"e @ {tmp_path.as_uri()}/w/e-1.0-py3-none-any.whl{digest}",
    ]


@pytest.mark.parametrize(
    ("marker", "wanted"),
    [
        ("'serve' in dependency_groups", True),
        ("'dev' in dependency_groups", False),
        ("'dev' not in dependency_groups and python_version >= '3'", True),
        ("'gpu' in extras or 'dev' in dependency_groups", False),
    ],
)
def test_what_nobody_chose_is_not_asked_for(tmp_path: Path, marker: str, wanted: bool) -> None:  # noqa: FBT001
    wheel = f'url = "https://h.test/a-1.0-py3-none-any.whl"\n{HASHES}'
    found = pylock(
        tmp_path, f'name = "a"\nversion = "1.0"\nmarker = "{marker}"\n[[packages.wheels]]\n{wheel}'
    )
    (line,) = found.written
    asked = Requirement(requirement_lines.hashes(line.text)[0]).marker
    assert asked is not None
    assert asked.evaluate() is wanted


@pytest.mark.parametrize(
    ("package", "found"),
    [
        ('name = "a"\nvcs = { type = "git", url = "https://bob:pass@h.test/a", commit-id = "1" }', "a of https://h.test/a"),
        ('name = "a"\ndirectory = { path = "lib" }', "found lib"),
        (f'name = "a"\narchive = {{ path = "a.zip", {HASHES} }}', "found a.zip"),
        (f'name = "a"\nwheels = [{{ path = "a-1-py3-none-any.whl", {HASHES} }}, {{ path = "a-1-py2-none-any.whl", {HASHES} }}]', "several wheels of a in a folder"),
        (f'name = "a"\nsdist = {{ path = "a-1.tar.gz", {HASHES} }}', "a without a version"),
        ('name = "a"', "an error: Exactly one of"),
    ],
)  # fmt: skip
def test_what_a_pylock_may_not_hold(tmp_path: Path, package: str, found: str) -> None:
    with pytest.raises(UsageError, match=r"pylock\.prod\.toml: expected ") as caught:
        pylock(tmp_path, package).written  # noqa: B018
    assert found in caught.value.message
    assert "pass" not in caught.value.message


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.toml"])
def test_the_indexes_of_a_project(tmp_path: Path, file: str) -> None:
    prefix = "tool.uv." if file == "pyproject.toml" else ""
    head = "[tool.uv]\n" if prefix else ""
    (tmp_path / "pyproject.toml").write_text("[tool.uv]\nindex-url = 'https://not.test'\n")
    (tmp_path / file).write_text(
        f'{head}extra-index-url = ["https://bob:a@old.test/simple/"]\n'
        f'[[{prefix}index]]\nname = "acme-1"\nurl = "https://a.test/simple"\n'
        f'[[{prefix}index]]\nurl = "https://mirror.test/simple"\ndefault = true\n'
    )
    environ = {"UV_INDEX_ACME_1_USERNAME": "bob", "UV_INDEX_ACME_1_PASSWORD": "p@ss"}
    found = uv_indexes.find(tmp_path, environ)
    assert found.default == "https://mirror.test/simple"
    assert found.beside_default("https://mirror.test/simple/") == ""
    assert found.beside_default("https://a.test/simple") == "https://bob:p%40ss@a.test/simple"
    assert found.beside_default("https://old.test/simple") == "https://bob:a@old.test/simple/"
    assert found.beside_default("https://other.test/simple") == "https://other.test/simple"


def test_a_mirror_is_the_default_of_a_lock_too(make_project: MakeProject, tmp_path: Path) -> None:
    with serving_index(Index(acme())) as index:
        more = f'[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n'
        project = make_project(MODEL, **said(["acme-along"], more))
        run_uv(project, "lock")
        found = requirements.find(project, None)
        assert named_indexes.own(found) == [("index-url", index.url)]
        assert [line.index for line in found.written] == ["", ""]
