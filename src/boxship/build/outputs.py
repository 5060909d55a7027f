"""Where an image goes once it is made: folders, archives, engines, registries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from boxship.build import sbom
from boxship.build.plan import BuildPlan
from boxship.errors import UsageError
from boxship.files import write_whole
from boxship.lock import FILE_NAME
from boxship.oci import archive, engine, layout, push, reference
from boxship.oci.attach import attach
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import Descriptor
from boxship.oci.engine import Engine
from boxship.oci.image import Image
from boxship.oci.push import Progress
from boxship.oci.reference import Reference
from boxship.oci.registry import Repository

Told = Callable[[Progress], None]
Builder = Literal["native", "docker", "podman"]


@dataclass(frozen=True)
class Written:
    """Where the image is now; ``sent`` says what moved, where it went to a registry."""

    place: str
    sent: Progress | None = None


@dataclass(frozen=True)
class Outputs:
    """What was asked for; whether it makes sense is known before anything is built."""

    tag: Reference
    folder: Path | None = None
    archive: Path | None = None
    engine: Engine | None = None
    push: bool = False

    def of_model(self) -> "Outputs":
        """Where an image of the model alone goes: beside this one."""
        return replace(
            self,
            tag=replace(self.tag, tag=f"{self.tag.tag}-model"),
            folder=self.folder and self.folder.with_name(f"model-{self.folder.name}"),
            archive=self.archive and self.archive.with_name(f"model-{self.archive.name}"),
        )

    def check(self) -> None:
        """Raise ``ImageError`` where it would replace what is no image, ``UsageError`` for a name."""
        if self.folder is not None:
            layout.check(self.folder)
        if self.archive is not None:
            archive.check(self.archive)
        try:
            reference.parse(str(self.tag))
        except ValueError as error:
            raise UsageError(f"--tag: {error}", tip="Choose a shorter one.") from None

    def write(
        self,
        top: Descriptor,
        images: Sequence[Image],
        blobs: Blobs,
        *,
        contents: Sequence[bytes],
        beside: Sequence[str],
        told: Told,
    ) -> list[Written]:
        """Put the image everywhere, and what each is made of with it: ``contents``.

        ``beside`` are images that its registry may have layers of.

        Raises ``BoxshipError`` and ``OSError``.
        """
        done = []
        if self.folder is not None:
            layout.write(self.folder, top, images, blobs, name=str(self.tag))
            for image, document in zip(images, contents, strict=bool(contents)):
                which = f".{image.platform.architecture}" if len(images) > 1 else ""
                file = self.folder.with_name(f"{self.folder.name}{which}.cdx.json")
                write_whole(file, document.decode())
            done.append(Written(str(self.folder)))
        if self.archive is not None:
            archive.write(self.archive, images[0], blobs, str(self.tag))
            done.append(Written(str(self.archive)))
        if self.engine is not None:
            self.engine.load(images[0], blobs, str(self.tag))
            done.append(Written(f"{self.tag} in {self.engine.kind}"))
        if self.push:
            # By its digest first: it has its name once all that is said of it is there too.
            nameless = replace(self.tag, tag="", digest=top.digest)
            sent = push.push(nameless, top, images, blobs, bases=beside, told=told)
            for image, document in zip(images, contents, strict=bool(contents)):
                attach(nameless, image.manifest, document, sbom.MEDIA_TYPE, blobs)
            with Repository(self.tag) as repository:
                repository.put_manifest(top, blobs.read(top), self.tag.version)
            done.append(Written(str(self.tag), sent))
        return done


def decide(
    plan: BuildPlan,
    *,
    builder: Builder = "native",
    tag: str | None = None,
    output: str | None = None,
    load: bool = False,
    pushed: bool = False,
    network: str = "",
    dated: bool = False,
) -> Outputs:
    """From flags to outputs, for every builder; without any, a layout beside the project.

    ``dated`` says that SOURCE_DATE_EPOCH is set. Raises ``UsageError`` for what the builder cannot
    do, and ``ImageError`` where an engine is wanted and none answers.
    """
    kind, place = _output(output)
    if builder == "native":
        _check_native(plan, network=network)
        if not (kind or load or pushed):
            kind, place = "oci", f"{plan.name}.oci"
    else:
        _check_engine(plan, builder, kind, dated=dated)
    several = len(plan.platforms)
    if several > 1 and (load or kind == "docker-archive"):
        raise UsageError(
            f"{'--load' if load else kind}: expected one platform, found {several}.",
            tip="Several go into oci:DIR, or to a registry with --push.",
        )
    # The engine is asked last: what is refused is so without any.
    named = _named(plan, tag, pushed=pushed)
    found = None
    if builder != "native":
        found = engine.find(builder)
    elif load:
        found = engine.find()
    wanted = Outputs(
        named,
        folder=Path(place) if kind == "oci" else None,
        archive=Path(place) if kind == "docker-archive" else None,
        engine=found,
        push=pushed,
    )
    wanted.check()
    if plan.weights.volume:
        wanted.of_model().check()
    return wanted


def _output(text: str | None) -> tuple[str, str]:
    kind, _, place = (text or "").partition(":")
    # A folder that somebody is in would be moved away under them.
    nameless = Path(place).name in ("", "..")
    if text is not None and (kind not in ("oci", "docker-archive") or nameless):
        raise UsageError(
            f"--output: expected oci:DIR or docker-archive:FILE, with a name, found {text!r}."
        )
    return kind, place


def _check_native(plan: BuildPlan, *, network: str) -> None:
    for key in ("system_packages", "build_packages", "run"):
        if getattr(plan.settings, key):
            raise UsageError(
                f"[image] {key}: expected none for --builder native, which runs nothing.",
                tip="Build with --builder docker or podman.",
            )
    sources = {one.name for platform in plan.platforms for one in plan.sources(platform)}
    if sources:
        raise UsageError(
            f"{plan.folder / FILE_NAME}: expected wheels for --builder native, found the source of "
            f"{', '.join(sorted(sources))}.",
            tip="Build with --builder docker or podman, or lock again without --builder and follow "
            "what is said then.",
        )
    if network:
        raise UsageError(
            f"--network: expected none for --builder native, found {network!r}.",
            tip="Leave it out: what is fetched comes by this machine's own network.",
        )


def _check_engine(plan: BuildPlan, builder: engine.Kind, kind: str, *, dated: bool) -> None:
    """What a Dockerfile cannot say, or an engine not do."""
    several = len(plan.platforms)
    problems = [
        (kind == "oci", "--output", "docker-archive:FILE", "oci:DIR"),
        (several > 1, "[image] platforms", "one", f"{several}"),
        (bool(plan.weights.volume), "[image] weights", "bake, mount or fetch", "image-volume"),
        (plan.settings.compression != "gzip", "[image] compression", "gzip", "zstd"),
        (dated, "environment variable SOURCE_DATE_EPOCH", "none", "one"),
    ]
    lines = [
        f"{where}: expected {expected} for --builder {builder}, found {found}."
        for wrong, where, expected, found in problems
        if wrong
    ]
    if lines:
        raise UsageError("\n".join(lines), tip="Change that, or build with --builder native.")


def _named(plan: BuildPlan, text: str | None, *, pushed: bool) -> Reference:
    """The image's name, which one that is ``pushed`` must have been given."""
    if not text and pushed:
        raise UsageError("--push: expected the image's name, found none.", tip="Add -t REF.")
    try:
        found = reference.parse(text or plan.name.lower())
    except ValueError as error:
        raise UsageError(f"--tag: {error}", tip="" if text else "Add -t REF.") from None
    if found.digest:
        raise UsageError(f"--tag: expected a name and a tag, found a digest: {text!r}.")
    return found
