"""What an image will be: decided here, once; builders and the Dockerfile only render it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from boxship import contract
from boxship.artifact import model_file
from boxship.build import labels, weights
from boxship.build.asked import requirements
from boxship.build.asked.requirements import Requirements
from boxship.build.code import own_code, own_module, siblings
from boxship.build.layers.cut import Cut, cut
from boxship.build.weights import Weights
from boxship.errors import DigestError, UsageError
from boxship.image_settings import ImageSettings
from boxship.lock import (
    AGAIN,
    FILE_NAME,
    Lock,
    LockedBase,
    LockedModel,
    LockedRequirements,
    LockedWheel,
    as_text,
)
from boxship.oci import platform
from boxship.oci.layer import Entry
from boxship.oci.platform import Platform
from boxship.project import Project

PACKAGES: Final = "opt/boxship"
"""Where everything that is installed lies, without the leading slash."""
_MOST_LAYERS = 100
"""An engine takes 127 at most, of which whoever builds on the image may want some."""
_BASE_LAYERS = 25
"""Room for the base's own: few have as many, and that a plan does not know."""
_OWN_LAYERS = 2
"""Boxship, and the code and settings."""
_PTH = "boxship.pth"
_PROBE = (
    "import http.client as h,os,sys;"
    f"c=h.HTTPConnection('127.0.0.1',int(os.environ.get('{contract.PORT_VARIABLE}',{contract.PORT})),timeout=3);"
    f"c.request('GET','{contract.HEALTH}');"
    "sys.exit(c.getresponse().status!=200)"
)


@dataclass(frozen=True)
class BuildPlan:
    """Everything about an image that is a decision.

    ``packages`` has the layers of what is installed for each platform, the lowest first; above
    them lie Boxship itself, ``code`` and the ``weight_layers``.
    """

    name: str
    folder: Path
    base: LockedBase
    platforms: tuple[Platform, ...]
    requirements: Requirements
    locked: LockedRequirements
    packages: Mapping[Platform, tuple[Cut, ...]]
    model: LockedModel | None
    code: tuple[Entry, ...]
    weights: Weights
    settings: ImageSettings
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = f"{contract.UID}:{contract.GID}"
    working_folder: str = f"/{own_code.FOLDER}"
    command: tuple[str, ...] = ()
    port: int = contract.PORT
    stop_signal: str = "SIGTERM"

    def sources(self, platform: Platform) -> tuple[LockedWheel, ...]:
        """What is installed from its source, of which only an engine makes a wheel."""
        return tuple(one for one in self.locked.wheels[str(platform)] if one.is_source)

    @property
    def weight_layers(self) -> tuple[tuple[Entry, ...], ...]:
        """The files of the model that are baked in, layer by layer."""
        others = _BASE_LAYERS + max(map(len, self.packages.values()), default=0) + _OWN_LAYERS
        return weights.layers(self.weights.files, _MOST_LAYERS - others)

    @property
    def health(self) -> Mapping[str, Any]:
        """The image's own health check, which needs no curl."""
        second = 1_000_000_000
        return {
            "Test": ["CMD", self.base.executable, "-I", "-S", "-c", _PROBE],
            "Interval": 10 * second,
            "Timeout": 5 * second,
            "StartPeriod": 5 * second,
            "Retries": 3,
        }

    @property
    def path_file(self) -> Entry:
        """Tells the base's Python where the packages are; theirs come before the base's own."""
        path = f"/{PACKAGES}"
        text = (
            f"import sys, site; sys.path.insert(len(sys.path) - 1, {path!r}); "
            f"site.addsitedir({path!r})\n"
        )
        return Entry(f"{self.base.site_packages.lstrip('/')}/{_PTH}", text.encode())

    @property
    def runtime_lock(self) -> Entry:
        """The lock as the container reads it: other bytes of the model are never served."""
        return Entry(f"{own_code.FOLDER}/{FILE_NAME}", as_text(Lock(self.model)).encode())


def decide(project: Project, lock: Lock) -> BuildPlan:
    """The plan for ``project`` as it was locked.

    Raises ``UsageError`` where the lock is missing or stale, or code that is served is not shipped;
    ``DigestError`` where the model is another than was locked, ``ModelError`` where it is none; and
    ``BuildError`` for secrets, and a model that cannot come as the settings say.
    """
    wanted = platforms(project)
    if lock.base is None or lock.requirements is None:
        raise UsageError(
            f"{project.folder / FILE_NAME}: expected base image and requirements, found none.",
            tip="Lock them first: boxship lock",
        )
    found = requirements.find(project, lock.model)
    _check_fresh(project, lock, found)
    delivered = weights.decide(project, lock.model)
    if lock.model is not None and (delivered.files or delivered.volume):
        # Other bytes would go in, and never be served.
        try:
            model_file.examine(Path(str(project.model_path)), expected=lock.model.digest)
        except DigestError as error:
            error.tip = "It is another model than the one in boxship.lock. If you meant it to be: boxship lock"
            raise
    model = lock.model
    if model is not None and delivered.delivery != "fetch":
        model = LockedModel(delivered.location, model.digest, model.size, trusted=model.trusted)
    code = own_code.entries(project)
    shipped = [entry.path.removeprefix(f"{own_code.FOLDER}/") for entry in code]
    own_module.check(project, shipped, found, lock.requirements)
    siblings.check(project, shipped, lock.requirements)
    environment = {contract.PORT_VARIABLE: str(contract.PORT), "HOME": "/tmp"}  # noqa: S108 (any user may write there)
    if delivered.location:
        environment[contract.MODEL_PATH_VARIABLE] = delivered.location
    return BuildPlan(
        name=project.name,
        folder=project.folder,
        base=lock.base,
        platforms=wanted,
        requirements=found,
        locked=lock.requirements,
        packages={one: cut(lock.requirements.wheels[str(one)]) for one in wanted},
        model=model,
        code=code,
        weights=delivered,
        settings=project.image,
        environment=environment,
        labels=labels.of(project, lock, lock.base),
        command=(lock.base.executable, "-m", "boxship", "serve"),
    )


def platforms(project: Project) -> tuple[Platform, ...]:
    """What the image is for. Raises ``UsageError``."""
    try:
        found = tuple(dict.fromkeys(platform.parse(text) for text in project.image.platforms))
    except ValueError as error:
        raise UsageError(f"[image] platforms: {error}") from None
    if not found:
        raise UsageError("[image] platforms: expected at least one, found none.")
    return found


def _check_fresh(project: Project, lock: Lock, found: Requirements) -> None:
    base, locked = lock.base, lock.requirements
    assert base is not None  # noqa: S101 (looked at before)
    assert locked is not None  # noqa: S101
    where = project.folder / FILE_NAME
    named = base_name(project)
    if base.name != named:
        raise UsageError(f"{where}: expected the base {named!r}, found {base.name!r}.", tip=AGAIN)
    for one in platforms(project):
        if str(one) not in base.platforms or str(one) not in locked.wheels:
            raise UsageError(
                f"{where}: expected {one}, found it not locked.",
                tip='Name it under [image] in boxship.toml, platforms = ["…"]. ' + AGAIN,
            )
    if found.digest(base.python, base.glibc) != locked.digest:
        raise UsageError(
            f"{where}: expected the lock of the requirements as they are, found that of others.",
            tip=AGAIN,
        )
    if project.model_location and lock.model is None:
        raise UsageError(
            f"{where}: expected the model {project.model_location}, found none.", tip=AGAIN
        )


def base_name(project: Project) -> str:
    """The base image: what the project says, else a slim one of this very Python."""
    if project.image.base:
        return project.image.base
    return f"python:3.{sys.version_info.minor}-slim-bookworm"
