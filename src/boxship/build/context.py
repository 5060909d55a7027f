"""The folder that a Dockerfile is built in: the project's files, and what Boxship adds."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from boxship.build import dockerfile
from boxship.build.code.own_outputs import ADDED
from boxship.build.layers import own_wheel, slim
from boxship.build.layers.own_wheel import OwnWheel
from boxship.build.plan import BuildPlan
from boxship.errors import UsageError
from boxship.files import put_in_place, write_whole
from boxship.oci.platform import Platform


def add(plan: BuildPlan, platform: Platform, folder: Path, *, force: bool = False) -> None:
    """Put the Dockerfile, and what it needs beside the project's own files, into ``folder``.

    A Dockerfile that says something else is the user's own, and is replaced by ``force`` alone.
    Raises ``UsageError`` before anything is written, and ``OSError``.
    """
    wheel = own_wheel.make()
    texts = {
        # The Dockerfile last: where it is new, so is all that it needs.
        ".dockerignore": dockerfile.ignore(plan),
        "Dockerfile": dockerfile.render(plan, platform, wheel.name),
    }
    if not force:
        _check_not_theirs(folder, texts)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"{ADDED}-") as room:
        _fill_added(plan, platform, Path(room), wheel)
        put_in_place(Path(room, ADDED), folder / ADDED)
    for name, text in texts.items():
        write_whole(folder / name, text)


def fill(plan: BuildPlan, platform: Platform, folder: Path) -> None:
    """The same into an empty folder, with the project's own files. Raises ``OSError``."""
    add(plan, platform, folder)
    for entry in (*plan.code, *plan.weights.files):
        if isinstance(entry.content, Path):
            _copy(entry.content, folder / dockerfile.source(entry, plan.folder))


def _check_not_theirs(folder: Path, texts: Mapping[str, str]) -> None:
    theirs = [
        name
        for name, text in texts.items()
        if (folder / name).exists() and (folder / name).read_bytes() != text.encode()
    ]
    if theirs:
        raise UsageError(
            f"{folder}: expected no {' and no '.join(theirs)} or the very same, found yours.",
            tip="Nothing was written. Replace what is yours with --force, or leave --write out to "
            "see what would be.",
        )


def _fill_added(plan: BuildPlan, platform: Platform, folder: Path, wheel: OwnWheel) -> None:
    """What the Dockerfile copies beside the project's own files, in ``ADDED`` of ``folder``."""
    added = folder / ADDED
    added.mkdir()
    (added / wheel.name).write_bytes(wheel.content)
    for cut in plan.packages[platform]:
        text = dockerfile.asked(plan.locked.indexes) + dockerfile.hashed(cut.wheels)
        (added / dockerfile.requirements_name(cut)).write_text(text, encoding="utf-8")
        for one in cut.wheels:
            if one.place and "://" not in one.place:
                _copy(plan.folder / one.place, added / dockerfile.WHEELS / one.file)
    for name in ("prepare.py", "slim.py"):
        shutil.copyfile(Path(slim.__file__).with_name(name), added / name)
    (added / slim.DATA.parent.name).mkdir()
    shutil.copyfile(slim.DATA, added / slim.DATA.parent.name / slim.DATA.name)
    for entry in (plan.path_file, plan.runtime_lock):
        if isinstance(entry.content, bytes):
            (added / Path(entry.path).name).write_bytes(entry.content)
    for entry in (*plan.code, *plan.weights.files):
        if isinstance(entry.content, Path) and not dockerfile.is_in(entry, plan.folder):
            _copy(entry.content, folder / dockerfile.source(entry, plan.folder))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
