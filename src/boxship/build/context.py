"""The folder that a Dockerfile is built in: the project's files, and what Boxship adds."""

import shutil
from pathlib import Path

from boxship.build import dockerfile, own_wheel, slim
from boxship.build.dockerfile import ADDED
from boxship.build.plan import BuildPlan
from boxship.oci.platform import Platform


def add(plan: BuildPlan, platform: Platform, folder: Path) -> None:
    """Put the Dockerfile, and what it needs beside the project's own files, into ``folder``.

    Raises ``OSError``.
    """
    wheel = own_wheel.make()
    added = folder / ADDED
    shutil.rmtree(added, ignore_errors=True)
    added.mkdir(parents=True)
    (added / wheel.name).write_bytes(wheel.content)
    for cut in plan.packages[platform]:
        text = dockerfile.hashed(cut.wheels)
        (added / dockerfile.requirements_name(cut)).write_text(text, encoding="utf-8")
    for name in ("prepare.py", "slim.py"):
        shutil.copyfile(Path(slim.__file__).with_name(name), added / name)
    (added / slim.DATA.parent.name).mkdir()
    shutil.copyfile(slim.DATA, added / slim.DATA.parent.name / slim.DATA.name)
    for entry in (plan.path_file, plan.runtime_lock):
        if isinstance(entry.content, bytes):
            (added / Path(entry.path).name).write_bytes(entry.content)
    for entry in plan.weights.files:
        if isinstance(entry.content, Path) and not entry.content.is_relative_to(plan.folder):
            _copy(entry.content, folder / dockerfile.source(entry, plan.folder))
    text = dockerfile.render(plan, platform, wheel.name)
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    (folder / ".dockerignore").write_text(dockerfile.ignore(plan), encoding="utf-8")


def fill(plan: BuildPlan, platform: Platform, folder: Path) -> None:
    """The same into an empty folder, with the project's own files. Raises ``OSError``."""
    add(plan, platform, folder)
    for entry in (*plan.code, *plan.weights.files):
        if isinstance(entry.content, Path):
            _copy(entry.content, folder / dockerfile.source(entry, plan.folder))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
