"""The user's own files that go into an image: their modules, settings, and nothing secret."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from boxship import lock
from boxship.artifact.external_data import files_beside
from boxship.build.code import code_files, logins
from boxship.build.code.code_files import Found
from boxship.errors import BuildError, UsageError
from boxship.oci.layer import Entry
from boxship.project import Project

FOLDER = "app"

_UNDECODED = re.compile("[\\ud800-\\udfff]")

_LEAVE_OUT = (
    "Leave them out of `code` in boxship.toml, or allow each by its name: [image] allow = […]"
)
_LOGIN_ELSEWHERE = (
    ". A login for an index may come from UV_INDEX_NAME_USERNAME and …_PASSWORD, keyring or "
    "~/.netrc, and one for a model from MODEL_PATH"
)


def entries(project: Project) -> tuple[Entry, ...]:
    """The files of the project that are shipped, under ``app/``.

    Raises ``UsageError`` where one is missing or elsewhere, and ``BuildError`` with every file that
    looks like a secret, or has a login in its settings, and that the project does not allow by its
    name, or has a name that is no text.
    """
    found: dict[str, Entry] = {}
    secrets: list[str] = []
    for file in _files(project):
        path = _inside(file.path, project)
        if file.secret:
            secrets.append(path)
        else:
            found[path] = Entry(f"{FOLDER}/{path}", file.path, executable=_executable(file.path))
    for written in project.written:
        path = _inside(written, project)
        found[path] = Entry(f"{FOLDER}/{path}", written)
    # The image has a lock of its own there.
    found.pop(lock.FILE_NAME, None)
    _check_names(found)
    ordered = tuple(found[path] for path in sorted(found))
    _check_no_secrets(secrets, _logins(project, ordered))
    return ordered


def _check_names(paths: Iterable[str]) -> None:
    # What is no UTF-8 is a lone surrogate here.
    strange = [path for path in paths if _UNDECODED.search(path)]
    if strange:
        raise BuildError(
            "Expected names in UTF-8 among the files to ship, found: "
            f"{', '.join(map(ascii, sorted(strange)))}.",
            tip="Rename them, or leave them out of `code` in boxship.toml.",
        )


def _check_no_secrets(files: Sequence[str], logins: Sequence[str]) -> None:
    if files or logins:
        raise BuildError(
            "Expected no secrets among the files to ship, found: "
            f"{', '.join([*sorted(files), *logins])}.",
            tip=_LEAVE_OUT + (_LOGIN_ELSEWHERE if logins else ""),
        )


def _logins(project: Project, entries: Iterable[Entry]) -> list[str]:
    """Where addresses have logins in files that are settings, by name or since Boxship reads them."""
    may_have = allowed(project)
    files = (entry.content for entry in entries)
    return [
        f"a login in {file.relative_to(project.folder).as_posix()}, line {line}"
        for file in files
        if isinstance(file, Path) and file not in may_have
        if file in project.written or logins.may_have_some(file.name)
        for line in logins.lines(file)
    ]


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


def roots(project: Project) -> tuple[PurePosixPath, ...]:
    """Where the image looks for modules, as paths in the project.

    There itself, in what is named as code, and where that lies.
    """
    code = [PurePosixPath(posixpath.normpath(name)) for name in project.code]
    return tuple(dict.fromkeys([PurePosixPath(), *code, *(name.parent for name in code)]))


def allowed(project: Project) -> frozenset[Path]:
    """What the project says is no secret, whatever it is called."""
    return frozenset(_normal(project.folder / name) for name in project.image.allow)


def _files(project: Project) -> Iterator[Found]:
    model = _model_files(project)
    for name in named(project):
        path = _normal(project.folder / name)
        if Path(name).is_absolute() or not path.is_relative_to(project.folder):
            raise UsageError(
                f"code: expected paths in {project.folder}, found {name!r}, which an image does "
                "not have.",
                tip="Move it into the project, or make it a package that the requirements name.",
            )
        if not path.exists():
            raise UsageError(
                f"{path}: expected code to ship, found nothing there.",
                tip="Mend `code` in boxship.toml.",
            )
        yield from code_files.find(path, allowed(project), model)


def _model_files(project: Project) -> tuple[Path, ...]:
    """The model, which is no code: it comes by itself, and lies elsewhere. Links are resolved.

    An application may look for its model at that very place.
    """
    if project.model_path is None or project.app is not None:
        return ()
    path = Path(project.model_path)
    files = files_beside(path) if path.is_file() else ()
    return (path, *(file.resolve() for file in files))


def _normal(path: Path) -> Path:
    """Links stay: an image has a file where it is named."""
    return Path(os.path.normpath(path))


def _inside(file: Path, project: Project) -> str:
    """Where it lies in the project, and in the image too."""
    if not file.is_relative_to(project.folder):
        raise UsageError(
            f"{file}: expected a file in {project.folder}, found one elsewhere, which would not "
            "be in the image.",
            tip="Move it into the project, and name it there.",
        )
    return file.relative_to(project.folder).as_posix()


def _executable(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)
