"""The user's own files that go into an image: their modules, settings, and nothing secret."""

import re
from collections.abc import Iterator
from pathlib import Path

from boxship.errors import BuildError, UsageError
from boxship.oci.layer import Entry
from boxship.project import Project

FOLDER = "app"
_NEVER = frozenset({"__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache",
                    ".ruff_cache", ".ipynb_checkpoints", ".DS_Store"})  # fmt: skip
_SECRET = re.compile(
    r"\.env(\..+)?|.*\.(pem|key|p12|pfx|keystore|jks)|id_(rsa|dsa|ecdsa|ed25519)(\.pub)?"
    r"|\.git|\.netrc|\.pypirc|\.npmrc|\.aws|\.ssh|\.docker|\.kube|\.htpasswd|credentials(\.json)?"
)
_EXAMPLES = re.compile(r".*\.(example|sample|template)")


def entries(project: Project) -> tuple[Entry, ...]:
    """The files of the project that are shipped, under ``app/``.

    Raises ``UsageError`` where one is missing, and ``BuildError`` with every file that looks like a
    secret and that the project does not allow by its name.
    """
    found: dict[str, Entry] = {}
    secrets: list[str] = []
    for name in named(project):
        for file in _files(project.folder / name):
            path = file.relative_to(project.folder).as_posix()
            if _is_secret(file, project):
                secrets.append(path)
            else:
                found[path] = Entry(f"{FOLDER}/{path}", file, executable=_executable(file))
    if secrets:
        raise BuildError(
            f"Expected no secrets among the files to ship, found: {', '.join(sorted(secrets))}.",
            tip="Leave them out of `code` in boxship.toml, or allow each by its name: [image] "
            "allow = […]",
        )
    for file in project.written:
        path = _inside(file, project)
        found[path] = Entry(f"{FOLDER}/{path}", file)
    return tuple(found[path] for path in sorted(found))


def named(project: Project) -> tuple[str, ...]:
    """What of the project's folder is code: what it says, else the module that is served."""
    if project.code:
        return project.code
    target = project.app or project.service
    if target is None:
        return ()
    top = target.partition(":")[0].partition(".")[0]
    folder = project.folder
    if (folder / top).is_dir():
        return (top,)
    return (f"{top}.py",) if (folder / f"{top}.py").is_file() else ()


def _inside(file: Path, project: Project) -> str:
    """Where it lies in the project, and in the image too."""
    if not file.is_relative_to(project.folder):
        raise UsageError(
            f"{file}: expected a file in {project.folder}, found one elsewhere, which would not "
            "be in the image.",
            tip="Move it into the project, and name it there.",
        )
    return file.relative_to(project.folder).as_posix()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise UsageError(
            f"{path}: expected code to ship, found nothing there.",
            tip="Mend `code` in boxship.toml.",
        )
    for entry in sorted(path.iterdir()):
        if entry.name in _NEVER or entry.suffix == ".pyc":
            continue
        if entry.is_dir() and not _SECRET.fullmatch(entry.name):
            yield from _files(entry)
        elif entry.exists():
            yield entry


def _is_secret(file: Path, project: Project) -> bool:
    if not _SECRET.fullmatch(file.name) or _EXAMPLES.fullmatch(file.name):
        return False
    return file.relative_to(project.folder).as_posix() not in project.image.allow


def _executable(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)
