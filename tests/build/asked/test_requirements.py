"""One reader knows what requirements say: for the lock's digest, for indexes and for the trial."""

import importlib.metadata
from pathlib import Path

import pytest
from support.images import Index, MakeProject, locked, make_wheel, serving_index

from boxship.build import plan as plans
from boxship.build.asked import named_indexes, requirement_lines, requirements
from boxship.build.asked.requirements import Requirements
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.native import Native
from boxship.errors import BuildError, UsageError

MODEL = 'model = "churn.onnx"\n'
COMPILED = """\
# This file was made with -r requirements.in
numpy==2.2.0 \\
    --hash=sha256:1111 \\
    --hash=sha256:2222
    # via -r requirements.in
click==8.1.8  # via -c limits.txt
acme @ https://h.test/acme-1.0-py3-none-any.whl#sha256=3333
"""


def written(tmp_path: Path, **files: str) -> Requirements:
    """Requirements of ``main``; the file ``deep__more`` is ``deep/more.txt``."""
    for name, text in files.items():
        file = tmp_path / f"{name.replace('__', '/')}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return Requirements(tmp_path / "main.txt", ())


def texts(found: Requirements) -> list[str]:
    return [" ".join(line.text.split()) for line in found.written]


def test_comments_are_no_includes(tmp_path: Path) -> None:
    """Every compiled file has such comments, and what they name need not be there."""
    found = written(tmp_path, main=COMPILED)
    assert texts(found) == [
        "numpy==2.2.0 --hash=sha256:1111 --hash=sha256:2222",
        "click==8.1.8",
        "acme @ https://h.test/acme-1.0-py3-none-any.whl#sha256=3333",
    ]
    assert found.digest() == written(tmp_path, main=f"# anew\n\n{COMPILED}").digest()


def test_included_files_are_followed_from_where_they_lie(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        main="-r deep/more.txt  # ours\n--constraint=deep/most.txt\nclick\n",
        deep__more="--extra-index-url=https://a.test/simple\n-r 'last.txt'\nnumpy\n",
        deep__last="--requirement ../main.txt\nscipy",
        deep__most="--index-url https://b.test/simple\nnumpy<3\n",
    )
    assert texts(found) == [
        "--extra-index-url=https://a.test/simple", "scipy", "numpy",
        "--index-url https://b.test/simple", "numpy<3", "click",
    ]  # fmt: skip
    assert [line.text for line in found.written if line.limits][-1] == "numpy<3"
    # uv takes none from constraints.
    assert named_indexes.own(found) == [("extra-index-url", "https://a.test/simple")]


@pytest.mark.parametrize("change", [{"deep__more": "numpy<2\n"}, {"main": "-c deep/more.txt\n"}])
def test_a_change_of_an_included_file_is_one(tmp_path: Path, change: dict[str, str]) -> None:
    before = written(tmp_path, main="-r deep/more.txt\n", deep__more="numpy\n").digest()
    assert written(tmp_path, **change).digest() != before


@pytest.mark.parametrize("name", ["gone.txt", "https://h.test/requirements.txt"])
def test_an_include_that_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"main\.txt: expected a file to include") as caught:
        written(tmp_path, main=f"-r {name}\n").digest()
    assert name in caught.value.message


def test_requirements_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected requirements, found: Is a directory"):
        requirement_lines.read(tmp_path)


def test_a_pyproject_that_is_no_toml(make_project: MakeProject) -> None:
    project = make_project(MODEL)
    (project.folder / "pyproject.toml").write_text("[project\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml: expected valid TOML, found"):
        requirements.find(project, None)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('[project]\ndependencies = ["numpy>=2", "click"]\n', ["numpy>=2", "click"]),
        ('[project]\nname = "a"\n', []),
        ('[project]\ndependencies = "numpy"\n', []),
        ("project = 1\n", []),
    ],
)
def test_a_pyproject_names_what_its_project_depends_on(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    assert [line.text for line in requirement_lines.read(file)] == lines


def test_a_pyproject_that_the_system_refuses(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(MODEL)
    file = project.folder / "pyproject.toml"
    file.write_text("[project]\n")

    def refused(path: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(UsageError, match=r"pyproject\.toml: cannot be read: Permission denied"):
        requirements.find(project, None)


@pytest.mark.parametrize(
    "files",
    [
        {"requirements_txt": "-r more.txt\n", "more_txt": "acme-broken  # ours\n"},
        {
            "pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = ["acme-broken"]\n'
        },
    ],
    ids=["included", "pyproject"],
)
def test_what_is_asked_for_anywhere_is_tried(
    make_project: MakeProject, cache: LayerCache, files: dict[str, str]
) -> None:
    file, data = make_wheel("acme-broken", "1.0", {"acme_broken.py": "import nowhere\n"})
    with serving_index(Index({file: data})) as index:
        project = make_project(MODEL, **files)
        plan = plans.decide(project, locked(project, cache, indexes=[index.url]))
        with pytest.raises(BuildError, match="acme_broken: ModuleNotFoundError"):
            Native(plan, cache).build()


@pytest.mark.parametrize("form", ["requirements.txt", "pyproject.toml"])
def test_boxship_itself_is_asked_of_nobody(
    make_project: MakeProject, cache: LayerCache, form: str
) -> None:
    """An image has it: what its extras need is added, and a stranger's package is not taken."""
    stranger = make_wheel("boxship", importlib.metadata.version("boxship"), {"evil.py": ""})
    along = make_wheel("acme-along", "1.0", {"acme_along.py": ""}, requires=("boxship>0",))
    with serving_index(Index(dict([stranger, along]))) as index:
        asked = "boxship[sklearn]>0"
        text = f"--extra-index-url {index.url}\n{asked}\nacme-along\n"
        if form == "pyproject.toml":
            text = (
                f'[project]\nname = "a"\nversion = "1"\ndependencies = ["{asked}", "acme-along"]\n'
            )
        project = make_project(MODEL, **{form: text})
        whole = locked(project, cache, indexes=[index.url])
    assert whole.requirements is not None
    (wheels,) = whole.requirements.wheels.values()
    found = {one.name for one in wheels}
    assert {"scikit-learn", "acme-along"} <= found
    assert "boxship" not in found


def test_another_version_of_boxship_is_refused(make_project: MakeProject) -> None:
    project = make_project(MODEL, requirements_txt="boxship[serve]==99.0\n")
    with pytest.raises(UsageError, match=r"requirements\.txt: .*found 'boxship\[serve\]==99\.0'"):
        requirements.find(project, None)
