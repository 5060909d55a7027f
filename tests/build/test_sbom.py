"""What an image is made of, in words that others look things up by."""

import json
from dataclasses import replace
from typing import Any

import pytest
from support.images import MakeProject, planned
from support.registry import small_image

from boxship.build import sbom
from boxship.build.layers.cut import Cut
from boxship.build.layers.layer_cache import LayerCache
from boxship.lock import LockedWheel

DIGEST = f"sha256:{'0' * 64}"


def lies_at(url: str) -> dict[str, Any]:
    return {"externalReferences": [{"type": "distribution", "url": url}]}


@pytest.mark.parametrize(
    ("name", "place", "origin"),
    [
        ("Zope.Some__Thing", "", {"purl": "pkg:pypi/zope-some-thing@1.0%2Bcpu"}),
        ("own", "../our wheels/own.whl", lies_at("../our%20wheels/own.whl")),
        ("own", "https://example.com/a%20b/own.whl", lies_at("https://example.com/a%20b/own.whl")),
    ],
    ids=["of an index", "of a path", "of an address"],
)
def test_only_what_an_index_has_is_named_as_of_an_index(
    make_project: MakeProject, cache: LayerCache, name: str, place: str, origin: dict[str, Any]
) -> None:
    """Else a scanner would report the flaws of another package that has its name there."""
    plan = planned(make_project('model = "churn.onnx"\n'), cache)
    (platform,) = plan.platforms
    wheel = LockedWheel(name, "1.0+cpu", "own.whl", DIGEST, 1, place)
    plan = replace(plan, packages={platform: (Cut((wheel,)),)})
    image = small_image(cache.blobs, {"a": b""}, platform=platform)
    components = json.loads(sbom.make(plan, image))["components"]
    (found,) = (one for one in components if one["name"] == name)
    assert found == {
        "type": "library",
        "name": name,
        "version": "1.0+cpu",
        "hashes": [{"alg": "SHA-256", "content": "0" * 64}],
        **origin,
    }
