"""What an image is made of, from its lock: a CycloneDX document.

https://cyclonedx.org/docs/1.6/json/
"""

import uuid
from typing import Any, Final
from urllib.parse import quote

from packaging.utils import canonicalize_name

import boxship
from boxship.build import labels
from boxship.build.plan import BuildPlan
from boxship.lock import LockedWheel
from boxship.oci.descriptor import canonical
from boxship.oci.image import Image

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"


def make(plan: BuildPlan, image: Image) -> bytes:
    """The document; the same image always has the same."""
    components = [_base(plan, image)]
    for cut in plan.packages[image.platform]:
        components += [_library(wheel) for wheel in cut.wheels]
    components.append({"type": "library", "name": "boxship", "version": boxship.__version__})
    if plan.model is not None:
        components.append(
            {
                "type": "machine-learning-model",
                "name": plan.model.location,
                "hashes": [_hash(plan.model.digest)],
            }
        )
    components.sort(key=lambda one: (str(one["type"]), str(one["name"])))
    return canonical(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image.manifest.digest)}",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "container",
                    # Not the folder's name: the same image has the same document anywhere.
                    "name": plan.labels.get(labels.TITLE, "image"),
                    "version": image.manifest.digest,
                }
            },
            "components": components,
        }
    )


def _base(plan: BuildPlan, image: Image) -> dict[str, Any]:
    digest = plan.base.platforms[str(image.platform)]
    return {
        "type": "container",
        "name": plan.base.name,
        "version": digest,
        "hashes": [_hash(digest)],
    }


def _library(wheel: LockedWheel) -> dict[str, Any]:
    return {
        "type": "library",
        "name": wheel.name,
        "version": wheel.version,
        **_origin(wheel),
        "hashes": [_hash(wheel.digest)],
    }


def _origin(wheel: LockedWheel) -> dict[str, Any]:
    """A name in an index; of a wheel that is in none, where it lies: another may have its name."""
    if not wheel.place:
        name = canonicalize_name(wheel.name)
        return {"purl": f"pkg:pypi/{name}@{quote(wheel.version)}"}
    url = wheel.place if "://" in wheel.place else quote(wheel.place)
    return {"externalReferences": [{"type": "distribution", "url": url}]}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest.partition(":")[2]}
