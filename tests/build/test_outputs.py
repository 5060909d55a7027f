"""Where an image goes, and what goes with it."""

import json
from pathlib import Path

import pytest
from support.images import MakeProject, built, contents_of, planned

from boxship.build import outputs, sbom
from boxship.build.layer_cache import LayerCache
from boxship.build.native import Native
from boxship.errors import UsageError
from boxship.oci import layout
from boxship.oci.contents import walk

MODEL = 'model = "churn.onnx"\n'
NOTHING = {"tag": None, "output": None, "load": False, "pushed": False, "platforms": 1}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"pushed": True}, "--push: expected the image's name"),
        ({"output": "tar:x"}, "expected oci:DIR or docker-archive:FILE, found 'tar:x'"),
        ({"output": "oci:"}, "expected oci:DIR or docker-archive:FILE"),
        ({"tag": "Churn"}, "--tag: expected a name such as"),
        ({"tag": "churn@sha256:" + "0" * 64}, "found a digest"),
        ({"output": "docker-archive:x", "platforms": 2}, "expected one platform, found 2"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_a_build(
    flags: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        outputs.decide("churn", **{**NOTHING, **flags})  # type: ignore[arg-type]


def test_a_layout_with_what_it_is_made_of(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    plan = planned(make_project(MODEL), cache)
    images = Native(plan, cache).build()
    wanted = outputs.decide("churn", **{**NOTHING, "output": f"oci:{tmp_path}/out.oci"})  # type: ignore[arg-type]
    documents = [sbom.make(plan, one) for one in images]
    (written,) = wanted.write(
        "churn", images[0].manifest, images, cache.blobs,
        contents=documents, beside=[], told=lambda _: None,
    )  # fmt: skip
    assert written.place == f"{tmp_path}/out.oci"
    assert layout.verify(tmp_path / "out.oci") > images[0].size
    found = json.loads((tmp_path / "out.oci.cdx.json").read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found["metadata"]["component"]["version"] == images[0].manifest.digest
    named = {one["name"]: one for one in found["components"]}
    assert named["numpy"]["purl"].startswith("pkg:pypi/numpy@")
    assert len(named["numpy"]["hashes"][0]["content"]) == 64
    assert {"boxship", "onnxruntime", "/models/churn.onnx"} <= named.keys()
    assert sbom.make(plan, images[0]) == documents[0]


def test_an_archive_can_be_read(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    image = built(make_project(MODEL), cache)
    wanted = outputs.decide("churn", **{**NOTHING, "output": f"docker-archive:{tmp_path}/a.tar"})  # type: ignore[arg-type]
    wanted.write(
        "churn", image.manifest, [image], cache.blobs, contents=[], beside=[], told=lambda _: None
    )
    assert (tmp_path / "a.tar").stat().st_size > image.size


def test_a_model_as_an_image_of_its_own(make_project: MakeProject, cache: LayerCache) -> None:
    """One layer with the model at its top, ready to be mounted at /models."""
    plan = planned(make_project(f'{MODEL}[image]\nweights = "image-volume"\n'), cache)
    native = Native(plan, cache)
    (image,) = native.build()
    assert "models/churn.onnx" not in contents_of(image, cache)
    (volume,) = native.volumes()
    assert native.volumes() == (volume,)
    (layer,) = volume.layers
    seen: list[str] = []
    walk(layer.blob, cache.blobs, lambda entry, _: seen.append(entry.name))
    assert seen == ["churn.onnx"]
    assert volume.config["architecture"] == plan.platforms[0].architecture
    tag = outputs.decide("churn", **{**NOTHING, "tag": "acme/churn:7", "pushed": True})  # type: ignore[arg-type]
    assert str(tag.of_model().tag) == "acme/churn:7-model"
