"""What is said of an image, attached to it in its registry: as a referrer.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

import json
from dataclasses import replace
from typing import Any

from boxship.oci import descriptor
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import EMPTY, INDEX, MANIFEST, Descriptor, canonical
from boxship.oci.reference import Reference
from boxship.oci.registry import Repository


def attach(
    reference: Reference, subject: Descriptor, data: bytes, media_type: str, blobs: Blobs
) -> Descriptor:
    """Put ``data`` beside the image ``subject``, once; its own manifest.

    A registry that keeps no list of referrers gets one as a tag. Raises ``ImageError`` and
    ``OSError``.
    """
    empty = blobs.add(b"{}", EMPTY)
    layer = blobs.add(data, media_type)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": media_type,
        "config": empty.as_json(),
        "layers": [layer.as_json()],
        "subject": replace(subject, platform=None).as_json(),
    }
    written = canonical(manifest)
    own = replace(blobs.add(written, MANIFEST), artifact_type=media_type)
    with Repository(reference) as repository:
        for blob in (empty, layer):
            if not repository.has(blob):
                repository.upload(blob, blobs.path(blob.digest))
        if not repository.put_manifest(own, written, own.digest):
            _list(repository, subject, own, blobs)
    return own


def _list(repository: Repository, subject: Descriptor, own: Descriptor, blobs: Blobs) -> None:
    """The referrers tag: an index of all that refers to ``subject``."""
    tag = subject.digest.replace(":", "-", 1)
    before = repository.find_manifest(tag)
    named: list[Any] = json.loads(before[1]).get("manifests", []) if before else []
    listed = [descriptor.read(one, tag) for one in named]
    if own.digest in {one.digest for one in listed}:
        return
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [*named, own.as_json()],
    }
    data = canonical(index)
    repository.put_manifest(blobs.add(data, INDEX), data, tag)
