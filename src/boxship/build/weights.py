"""How the model gets into the container, and where it lies there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boxship import golden
from boxship.artifact.external_data import files_beside
from boxship.build.code import code_files, own_code
from boxship.errors import BuildError
from boxship.image_settings import LARGE_BYTES, Weights as WantedWeights
from boxship.lock import LockedModel
from boxship.oci.layer import Entry
from boxship.project import Project

FOLDER = "models"

Delivery = Literal["none", "bake", "mount", "fetch", "image-volume"]


@dataclass(frozen=True)
class Weights:
    """``files`` are baked in, as ``layers`` says; ``location`` is what ``MODEL_PATH`` says.

    ``volume`` is what an image of the model alone holds, to be mounted at ``/models``. ``why`` is
    the reason for the ``delivery``, in words.
    """

    delivery: Delivery
    why: str
    location: str = ""
    files: tuple[Entry, ...] = ()
    volume: tuple[Entry, ...] = ()


def decide(project: Project, locked: LockedModel | None) -> Weights:
    """Bake what is small, fetch what has an address, and say so.

    Raises ``BuildError``, for files of the model too that look like secrets and that the project
    does not allow by their names; ``ModelError`` where it names files outside its folder.
    """
    wanted = project.image.weights
    if locked is None:
        return Weights("none", "the project names no model")
    if project.source is not None:
        if wanted in ("bake", "mount", "image-volume"):
            raise BuildError(
                f"{locked.location}: expected a model file to {wanted}, found an address.",
                tip=f"Bring it here first: boxship fetch {locked.location}",
            )
        location = f"{locked.location}@{locked.digest}"
        return Weights("fetch", "the project names an address", location)
    path = Path(str(project.model_path))
    place = f"/{FOLDER}/{path.name}"
    if wanted == "fetch":
        raise BuildError(
            f"{path}: expected an address to fetch the model from, found a file.",
            tip='Put it into a store, and name that in boxship.toml: model = "s3://…"',
        )
    delivery, why = _delivery(wanted, locked.size)
    files = _files(path, f"{FOLDER}/") if delivery == "bake" else ()
    volume = _files(path, "") if delivery == "image-volume" else ()
    _check_no_secrets(project, path, (*files, *volume))
    return Weights(delivery, why, place, files=files, volume=volume)


def layers(files: Sequence[Entry], most: int) -> tuple[tuple[Entry, ...], ...]:
    """The files of each layer: one each, where that makes no more than ``most`` layers.

    Else the largest are so, and the others, by their names, are the last layer together.
    """
    if len(files) <= most:
        return tuple((entry,) for entry in files)
    ordered = sorted(files, key=lambda entry: (-entry.size, entry.path))
    alone = ordered[: most - 1]
    rest = sorted(ordered[most - 1 :], key=lambda entry: entry.path)
    return (*((entry,) for entry in files if entry in alone), tuple(rest))


def named(layer: Sequence[Entry]) -> str:
    """What is in a layer, in a few words."""
    return layer[0].path if len(layer) == 1 else f"of {len(layer)} smaller files"


def _check_no_secrets(project: Project, path: Path, entries: Sequence[Entry]) -> None:
    allowed = own_code.allowed(project)
    files = [entry.content for entry in entries if isinstance(entry.content, Path)]
    found = {code_files.secret_above(file, path.parent, allowed) for file in files}
    secrets = [str(one) for one in found if one is not None]
    if secrets:
        raise BuildError(
            f"Expected no secrets among the model's files, found: {', '.join(sorted(secrets))}.",
            tip="Take them out of the model, or allow each by its name: [image] allow = […]",
        )


def _delivery(wanted: WantedWeights, size: int) -> tuple[Delivery, str]:
    if wanted != "auto":
        return wanted, "as the project says"
    large = f"{LARGE_BYTES // 10**6} MB"
    if size < LARGE_BYTES:
        return "bake", f"it is under {large}"
    return "mount", f"it is not under {large}: mount it at /{FOLDER}"


def _files(path: Path, below: str) -> tuple[Entry, ...]:
    """The model's files, below a folder; a golden request that lies beside it comes along."""
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        return tuple(
            Entry(f"{below}{path.name}/{file.relative_to(path).as_posix()}", file)
            for file in inside
        )
    files = [path, *files_beside(path), *filter(Path.is_file, [path.parent / golden.FILE_NAME])]
    return tuple(
        Entry(f"{below}{file.relative_to(path.parent).as_posix()}", file) for file in files
    )
