"""Where an image goes once it is made: folders, archives, engines, registries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boxship.build import sbom
from boxship.errors import UsageError
from boxship.files import write_whole
from boxship.oci import archive, engine, layout, push, reference
from boxship.oci.attach import attach
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import Descriptor
from boxship.oci.engine import Engine
from boxship.oci.image import Image
from boxship.oci.push import Progress
from boxship.oci.reference import Reference

Told = Callable[[Progress], None]


@dataclass(frozen=True)
class Written:
    """Where the image is now; ``sent`` says what moved, where it went to a registry."""

    place: str
    sent: Progress | None = None


@dataclass(frozen=True)
class Outputs:
    """What was asked for; whether it makes sense is known before anything is built."""

    tag: Reference | None
    folder: Path | None = None
    archive: Path | None = None
    engine: Engine | None = None
    push: bool = False

    def of_model(self) -> "Outputs":
        """Where an image of the model alone goes: beside this one."""
        return replace(
            self,
            tag=replace(self.tag, tag=f"{self.tag.tag}-model") if self.tag else None,
            folder=self.folder and self.folder.with_name(f"model-{self.folder.name}"),
            archive=self.archive and self.archive.with_name(f"model-{self.archive.name}"),
        )

    def write(
        self,
        name: str,
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
            layout.write(self.folder, top, images, blobs, name=str(self.tag or name))
            for image, document in zip(images, contents, strict=bool(contents)):
                system = f".{image.platform.architecture}" if len(images) > 1 else ""
                beside_it = self.folder.with_name(f"{self.folder.name}{system}.cdx.json")
                write_whole(beside_it, document.decode())
            done.append(Written(f"{self.folder}"))
        if self.archive is not None:
            archive.write(self.archive, images[0], blobs, self._local(name))
            done.append(Written(f"{self.archive}"))
        if self.engine is not None:
            self.engine.load(images[0], blobs, self._local(name))
            done.append(Written(f"{self._local(name)} in {self.engine.kind}"))
        if self.push and self.tag is not None:
            sent = push.push(self.tag, top, images, blobs, bases=beside, told=told)
            for image, document in zip(images, contents, strict=bool(contents)):
                attach(self.tag, image.manifest, document, sbom.MEDIA_TYPE, blobs)
            done.append(Written(str(self.tag), sent))
        return done

    def _local(self, name: str) -> str:
        return str(self.tag or f"{name.lower()}:latest")


def decide(
    name: str, *, tag: str | None, output: str | None, load: bool, pushed: bool, platforms: int
) -> Outputs:
    """From flags to outputs; without any, a layout beside the project. Raises ``UsageError``."""
    tagged = named(tag, pushed=pushed)
    text = output or ("" if load or pushed else f"oci:{name}.oci")
    kind, _, place = text.partition(":")
    if text and (kind not in ("oci", "docker-archive") or not place):
        raise UsageError(f"--output: expected oci:DIR or docker-archive:FILE, found {text!r}.")
    if platforms > 1 and (load or kind == "docker-archive"):
        raise UsageError(
            f"{'--load' if load else kind}: expected one platform, found {platforms}.",
            tip="Several go into oci:DIR, or to a registry with --push.",
        )
    return Outputs(
        tagged,
        folder=Path(place) if kind == "oci" else None,
        archive=Path(place) if kind == "docker-archive" else None,
        engine=engine.find() if load else None,
        push=pushed,
    )


def named(text: str | None, *, pushed: bool) -> Reference | None:
    """The name that an image is given, which one that is ``pushed`` needs. Raises ``UsageError``."""
    if not text:
        if pushed:
            raise UsageError("--push: expected the image's name, found none.", tip="Add -t REF.")
        return None
    try:
        found = reference.parse(text)
    except ValueError as error:
        raise UsageError(f"--tag: {error}") from None
    if found.digest:
        raise UsageError(f"--tag: expected a name and a tag, found a digest: {text!r}.")
    return found
