"""Descriptors: what images point at their parts with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from boxship.errors import ImageError
from boxship.oci.platform import Platform

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
EMPTY: Final = "application/vnd.oci.empty.v1+json"

DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES: Final = (INDEX, DOCKER_INDEX)
MANIFESTS: Final = (MANIFEST, DOCKER_MANIFEST)

_DOCKER_LAYERS: Final = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Descriptor:
    """Some bytes by digest, how many they are and what they hold.

    https://github.com/opencontainers/image-spec/blob/main/descriptor.md
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As manifests and indexes write it."""
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.platform is not None:
            found["platform"] = self.platform.as_json()
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found


def read(value: Any, where: str) -> Descriptor:
    """The descriptor that somebody else wrote, Docker's layers named as OCI names them.

    Raises ``ImageError``, naming ``where``.
    """
    try:
        digest, size = str(value["digest"]), int(value["size"])
        media_type = str(value.get("mediaType", ""))
        found = value.get("platform")
        platform = (
            Platform(str(found["os"]), str(found["architecture"]), str(found.get("variant", "")))
            if found
            else None
        )
        annotations = {
            str(key): str(text) for key, text in (value.get("annotations") or {}).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ImageError(f"{where}: expected a descriptor, found {value!r}.") from None
    if not _DIGEST.fullmatch(digest) or size < 0:
        raise ImageError(f"{where}: expected a sha256 digest and a size, found {digest}, {size}.")
    return Descriptor(
        _DOCKER_LAYERS.get(media_type, media_type),
        digest,
        size,
        platform,
        str(value.get("artifactType") or ""),
        annotations,
    )


def canonical(value: Any) -> bytes:
    """JSON with one way to write it, so that equal images have equal digests."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
