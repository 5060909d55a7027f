"""``boxship dockerfile``: the user's own from then on, and never written over unasked."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.images import PUBLISHED, MakeProject, publish

from boxship import lock
from boxship.build.layers.layer_cache import LayerCache
from boxship.cli import main

MODEL = 'model = "churn.onnx"\n'


@pytest.fixture
def folder(make_project: MakeProject, cache: LayerCache) -> Path:
    """A project, locked."""
    project = make_project(MODEL)
    publish(project, cache)
    return project.folder


def test_it_is_written_with_all_that_it_needs_and_may_be_again(folder: Path) -> None:
    for _ in range(2):
        assert main.main(["dockerfile", str(folder), "--write"]) == 0
        added = {path.name for path in (folder / ".boxship").iterdir()}
        assert {"boxship.pth", "boxship.lock", "prepare.py", "numpy.txt"} <= added
        assert "FROM " in (folder / "Dockerfile").read_text()
        assert {path.name for path in folder.iterdir()} == {
            ".boxship", ".dockerignore", "Dockerfile", "boxship.lock", "boxship.toml", "churn.onnx",
        }  # fmt: skip


def test_what_links_lead_to_is_written_too(make_project: MakeProject, cache: LayerCache) -> None:
    """An engine has what lies in the context alone; it follows no link out, nor to a folder."""
    files = {"lib__one_py": "1", "../common__two_py": "2", "../common__in__three_py": "3",
             "other__four_py": "4"}  # fmt: skip
    project = make_project(f'{MODEL}code = ["lib"]\n', **files)
    folder = project.folder
    links = {"two.py": "../../common/two.py", "in": "../../common/in", "other": "../other",
             "same.py": "one.py"}  # fmt: skip
    for name, target in links.items():
        (folder / "lib" / name).symlink_to(target)
    publish(project, cache)
    assert main.main(["dockerfile", str(folder), "--write"]) == 0
    text = (folder / "Dockerfile").read_text()
    ignored = (folder / ".dockerignore").read_text().splitlines()
    assert '"lib/one.py"' in text
    wanted = {"two.py": "2", "in/three.py": "3", "other/four.py": "4", "same.py": "1"}
    for name, content in wanted.items():
        copied = f".boxship/app/lib/{name}"
        assert f'"{copied}"' in text
        assert f"!{copied}" in ignored
        assert (folder / copied).read_text() == content
        assert not (folder / copied).is_symlink()


def test_the_users_own_files_are_left_unless_they_say_otherwise(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are named at once, and nothing beside them is written either."""
    mine = {"Dockerfile": "FROM mine\n", ".dockerignore": "*\n"}
    for name, text in mine.items():
        (folder / name).write_text(text)
    before = sorted(folder.iterdir())
    assert main.main(["dockerfile", str(folder), "--write"]) == 2
    error = capsys.readouterr().err
    assert (
        f"{folder}: expected no .dockerignore and no Dockerfile or the very same, found yours."
        in error
    )
    assert "--force" in error
    assert sorted(folder.iterdir()) == before
    assert {name: (folder / name).read_text() for name in mine} == mine
    assert main.main(["dockerfile", str(folder), "--write", "--force"]) == 0
    assert "FROM mine" not in (folder / "Dockerfile").read_text()


def test_a_folder_that_cannot_be_written_is_told_without_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "Dockerfile").mkdir()
    assert main.main(["dockerfile", str(folder), "--write"]) == 1
    error = capsys.readouterr().err
    assert f"boxship: {folder}/Dockerfile: expected to read and write, found: Is a dir" in error
    assert not (folder / ".boxship").exists()


def test_warnings_and_the_platform_that_was_taken_are_told(
    folder: Path,
    make_project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = lock.read(folder)
    assert whole.base is not None
    assert whole.requirements is not None
    ((here, digest),) = whole.base.platforms.items()
    platforms = {here: digest, "linux/s390x": "sha256:" + "5" * 64}
    wheels = dict.fromkeys(platforms, whole.requirements.wheels[here])
    make_project(f'{MODEL}[image]\nbase = "{PUBLISHED}"\nplatforms = ["linux/s390x", "{here}"]\n')
    base, requirements = replace(whole.base, platforms=platforms), whole.requirements
    lock.write(folder, replace(whole, base=base, requirements=replace(requirements, wheels=wheels)))
    monkeypatch.setenv("BOXSHIP_PROT", "1")
    assert main.main(["dockerfile", str(folder)]) == 0
    told = capsys.readouterr()
    assert f"for linux/s390x alone, and not for {here}:" in told.err
    assert "environment variable BOXSHIP_PROT is unknown" in told.err
    assert f"@{platforms['linux/s390x']} AS build" in told.out
