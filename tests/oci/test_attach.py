"""What is said of an image lies beside it in its registry, and is found from it."""

import json

from support.registry import Registry, small_image

from boxship.oci.attach import attach
from boxship.oci.blobs import Blobs
from boxship.oci.push import push
from boxship.oci.reference import parse
from boxship.oci.registry import Repository

KIND = "application/vnd.example+json"


def test_it_is_found_from_the_image(running: Registry, blobs: Blobs) -> None:
    """By the tag that stands for a list of referrers, where a registry keeps none."""
    name = parse(f"{running.host}/team/churn:7")
    made = small_image(blobs, {"a": b"1"})
    push(name, made.manifest, [made], blobs)
    for data in (b'{"one": 1}', b'{"two": 2}', b'{"one": 1}'):
        attach(name, made.manifest, data, KIND, blobs)
    with Repository(name) as repository:
        listed = repository.manifest(made.manifest.digest.replace(":", "-"))
        entries = json.loads(listed[1])["manifests"]
        assert [one["artifactType"] for one in entries] == [KIND, KIND]
        found = repository.manifest(entries[0]["digest"])
        manifest = json.loads(found[1])
        assert manifest["subject"]["digest"] == made.manifest.digest
        assert manifest["layers"][0]["mediaType"] == KIND
        assert repository.manifest("7") is not None
