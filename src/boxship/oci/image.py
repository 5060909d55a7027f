"""Images: a configuration and layers, put together into a manifest; manifests into an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, canonical
from boxship.oci.layer import Layer
from boxship.oci.platform import Platform


@dataclass(frozen=True)
class Image:
    """One image for one platform: the descriptor of its manifest, and what the manifest names."""

    manifest: Descriptor
    config_blob: Descriptor
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]
    platform: Platform

    @property
    def size(self) -> int:
        """Bytes that a registry keeps and a node pulls."""
        return sum(layer.blob.size for layer in self.layers)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything that the manifest names, once."""
        found = (self.config_blob, *(layer.blob for layer in self.layers))
        return tuple({blob.digest: blob for blob in found}.values())


@dataclass(frozen=True)
class Added:
    """A layer that is put onto others, and how its line in the history reads."""

    layer: Layer
    words: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a container of the image is started with; names as in the image's configuration."""

    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_folder: str = ""
    command: Sequence[str] = ()
    ports: Sequence[int] = ()
    stop_signal: str = ""
    health: Mapping[str, Any] | None = None


def scratch(platform: Platform) -> Image:
    """An image with nothing in it, to put layers onto; it is in no registry."""
    nothing = Descriptor("", "", 0)
    return Image(nothing, nothing, (), {}, platform)


def put_together(
    base: Image, added: Sequence[Added], settings: Settings, created: str, blobs: Blobs
) -> Image:
    """``base`` with layers on top of its own and other settings, kept in ``blobs``.

    The base's entry point goes: what it would wrap is not known. Raises ``OSError``.
    """
    old = base.config.get("config") or {}
    container = {
        key: value
        for key, value in old.items()
        if key not in ("Entrypoint", "Healthcheck", "Image", "Hostname", "OnBuild", "ArgsEscaped")
    }
    environment = dict(line.partition("=")[::2] for line in old.get("Env") or ())
    environment.update(settings.environment)
    container |= {
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": {**(old.get("Labels") or {}), **settings.labels},
        "User": settings.user,
        "WorkingDir": settings.working_folder,
        "Cmd": list(settings.command),
        "ExposedPorts": {f"{port}/tcp": {} for port in settings.ports},
        "StopSignal": settings.stop_signal,
    }
    if settings.health is not None:
        container["Healthcheck"] = dict(settings.health)
    layers = (*base.layers, *(one.layer for one in added))
    config = {
        **base.platform.as_json(),
        "created": created,
        "config": container,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            *(base.config.get("history") or ()),
            *({"created": created, "created_by": one.words, "comment": "boxship"} for one in added),
        ],
    }
    config_blob = blobs.add(canonical(config), CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config_blob.as_json(),
        "layers": [layer.blob.as_json() for layer in layers],
    }
    blob = blobs.add(canonical(manifest), MANIFEST)
    return Image(replace(blob, platform=base.platform), config_blob, layers, config, base.platform)


def index(images: Sequence[Image], blobs: Blobs) -> Descriptor:
    """One name for an image on several platforms, kept in ``blobs``. Raises ``OSError``."""
    value = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [image.manifest.as_json() for image in images],
    }
    return blobs.add(canonical(value), INDEX)
