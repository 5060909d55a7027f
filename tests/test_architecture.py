"""The rules of the house that no linter knows."""

import ast
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))

MAX_LINES = 400

PROGRAM_MODULES = {"subprocess", "multiprocessing", "pty"}
PROGRAM_STARTS = ("create_subprocess_", "subprocess_exec", "subprocess_shell")
OS_STARTS = ("exec", "spawn", "posix_spawn", "fork", "system", "popen")

HEAVY = ("numpy", "sklearn", "onnxruntime", "pandas", "fastapi", "pydantic")
LIGHT_MODULES = (
    "boxship",
    "boxship.contract",
    "boxship.cli.main",
    "boxship.serve.processes.supervisor",
)

# In pieces, so that this file does not hold them itself.
FORBIDDEN_WORDS = (
    "/wo" + "rk/",
    "/fa" + "rm/",
    "fa" + "rm-bench",
    "fa" + "rm-studio",
    ".lib" + "rary",
    "../sha" + "red",
    "suba" + "gent",
    "Co-Auth" + "ored-By",
    "DEVELOPERS" + ".md",
    "pypi" + ".org",
    "python" + "hosted",
    "deb." + "debian",
    "registry." + "npmjs",
)


def test_every_folder_of_tests_is_collected(pytestconfig: pytest.Config) -> None:
    """Folders of some names are passed by without a word, `build` among them."""
    passed_by = pytestconfig.getini("norecursedirs")
    rooms = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    names = {part for room in rooms for part in room.relative_to(ROOT).parts}
    assert [name for name in names if any(fnmatch(name, glob) for glob in passed_by)] == []


def test_import_layers() -> None:
    """Everything imports downwards; [tool.importlinter] has the layers."""
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [lint_imports, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def starts_programs(tree: ast.AST) -> set[str]:
    """What in a module could start another program, as written there."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names if name.name in PROGRAM_MODULES}
            case ast.ImportFrom(module=str(module), names=names):
                members = OS_STARTS if module == "os" else PROGRAM_STARTS
                found |= {name.name for name in names if name.name.startswith(members)}
                found |= {module} & PROGRAM_MODULES
            case ast.Attribute(value=ast.Name(id="os"), attr=attr) if attr.startswith(OS_STARTS):
                found.add(f"os.{attr}")
            case ast.Attribute(attr=attr) if attr.startswith(PROGRAM_STARTS):
                found.add(attr)
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess",
        "from subprocess import run",
        "import multiprocessing",
        "import os\nos.execv('/bin/sh', [])",
        "from os import system",
        "import asyncio\nasyncio.create_subprocess_exec('sh')",
        "from asyncio import create_subprocess_shell",
        "loop.subprocess_exec(protocol, 'sh')",
    ],
)
def test_starts_programs_sees(code: str) -> None:
    """The next test is worth something only if this function sees every way."""
    assert starts_programs(ast.parse(code))


def test_one_module_starts_programs() -> None:
    """Only boxship/process.py starts programs, so each start is logged and none uses a shell."""
    found = {
        str(path.relative_to(SOURCE)): names
        for path in MODULES
        if (names := starts_programs(ast.parse(path.read_text())))
    }
    assert set(found) == {"boxship/process.py"}, found


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_modules(module: str) -> None:
    """The command line and the supervisor answer before any model library is imported."""
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file_length(path: Path) -> None:
    """A file is one noun; one that grows past this has become two."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_forbidden_words() -> None:
    """The project names no place that only one machine has, and no registry's host."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [Path(os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name]
    assert Path("pyproject.toml") in names
    found = [
        (str(name), word)
        for name in names
        if (ROOT / name).is_file()
        for text in [str(name) + "\n" + (ROOT / name).read_text(errors="replace")]
        for word in FORBIDDEN_WORDS
        if word in text
    ]
    assert found == []
