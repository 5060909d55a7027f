"""What a Dockerfile's build stage makes of packages that pip has put into a folder."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.images import make_wheel

from boxship.build.layers import slim


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer's root with one package, installed by pip itself."""
    file, content = make_wheel(
        "tool", "1.0",
        {
            "tool/__init__.py": "def main() -> None: ...\n",
            "tool/tests/test_tool.py": "",
            "tool-1.0.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n",
        },
    )  # fmt: skip
    (tmp_path / file).write_bytes(content)
    root = tmp_path / "layer"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--no-compile", "--target", root / "opt/boxship", tmp_path / file],
        check=True,
    )  # fmt: skip
    return root


def prepared(root: Path, tmp_path: Path, *flags: str) -> set[str]:
    """The files that are left, and those that RECORD names, which are the same."""
    folder, added = root / "opt/boxship", tmp_path / "added"
    added.mkdir()
    for name in ("prepare.py", "slim.py"):
        shutil.copy(Path(slim.__file__).with_name(name), added)
    (added / "data").mkdir()
    shutil.copy(slim.DATA, added / "data")
    # Nothing of Boxship is there in a build stage.
    argv = [sys.executable, "-I", "-S", "-c", _RUN, str(added), str(root), str(folder), *flags]
    subprocess.run(argv, check=True)
    found = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    record = (folder / "tool-1.0.dist-info/RECORD").read_text().splitlines()
    named = {line.split(",")[0] for line in record}
    assert found - named == {str(Path(importlib.util.cache_from_source(one))) for one in found
                             if one.endswith(".py")}  # fmt: skip
    return named


_RUN = """
import runpy, sys
folder = sys.argv.pop(1)
sys.path.insert(0, folder)
sys.argv[0] = folder + "/prepare.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_scripts_notes_and_tests_are_left_out(layer: Path, tmp_path: Path) -> None:
    assert (layer / "opt/boxship/bin/tool").is_file(), "pip made a script"
    info = "tool-1.0.dist-info"
    assert prepared(layer, tmp_path) == {
        "tool/__init__.py",
        *(f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")),
    }


def test_all_but_scripts_and_notes_can_be_kept(layer: Path, tmp_path: Path) -> None:
    named = prepared(layer, tmp_path, "--keep-all")
    assert "tool/tests/test_tool.py" in named
    assert not any("bin/" in one for one in named)
