"""Where an image goes, and what goes with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Need
from support.images import MakeProject, built, contents_of, planned, publish
from support.registry import registry, small_image

from boxship.build import context, outputs, sbom, with_engine
from boxship.build.asked.requirements import Requirements
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.native import Native
from boxship.build.outputs import Outputs
from boxship.build.plan import BuildPlan
from boxship.build.weights import Weights
from boxship.cli import main
from boxship.errors import ImageError, UsageError
from boxship.image_settings import ImageSettings
from boxship.lock import LockedBase, LockedRequirements, LockedWheel
from boxship.oci import engine, layout
from boxship.oci.blobs import Blobs
from boxship.oci.contents import walk
from boxship.oci.engine import Engine, Kind
from boxship.oci.layer import Entry
from boxship.oci.platform import Platform
from boxship.oci.reference import Reference, parse
from boxship.oci.registry import Repository

MODEL = 'model = "churn.onnx"\n'
HERE = Platform("linux", "amd64")
SOURCE = LockedWheel("docopt", "0.6.2", "docopt-0.6.2.tar.gz", "sha256:49b3", 25901)
VOLUME = Weights("image-volume", "", "/models/churn.onnx", volume=(Entry("churn.onnx", b""),))


def a_plan(
    *,
    weights: Weights | None = None,
    several: bool = False,
    wheels: tuple[LockedWheel, ...] = (),
    **settings: Any,
) -> BuildPlan:
    """A plan, as far as what becomes of its image depends on it."""
    return BuildPlan(
        name="Churn",
        folder=Path(),
        base=LockedBase("python:3.11-slim", "3.11", "/python", "2.36", "/site-packages"),
        platforms=(HERE, Platform("linux", "arm64")) if several else (HERE,),
        requirements=Requirements(None, ()),
        locked=LockedRequirements("", wheels={"linux/amd64": wheels, "linux/arm64": ()}),
        packages={},
        model=None,
        code=(),
        weights=weights or Weights("none", ""),
        settings=ImageSettings(**settings),
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"pushed": True}, "--push: expected the image's name"),
        (
            {"output": "tar:x"},
            "expected oci:DIR or docker-archive:FILE, with a name, found 'tar:x'",
        ),
        ({"output": "oci:"}, "expected oci:DIR or docker-archive:FILE"),
        ({"output": ""}, "expected oci:DIR or docker-archive:FILE"),
        ({"output": "oci:."}, "expected oci:DIR or docker-archive:FILE, with a name"),
        ({"output": "oci:a/.."}, "expected oci:DIR or docker-archive:FILE, with a name"),
        ({"tag": "Churn"}, "--tag: expected a name such as"),
        ({"tag": "churn@sha256:" + "0" * 64}, "found a digest"),
        ({"network": "host"}, "--network: expected none for --builder native, found 'host'"),
        ({"builder": "docker", "pushed": True}, "--push: expected the image's name"),
        ({"builder": "docker", "output": "docker-archive:"}, "expected oci:DIR or docker-archive"),
        ({"builder": "podman", "output": "oci:x"}, "docker-archive:FILE for --builder podman"),
        ({"builder": "docker", "dated": True}, "SOURCE_DATE_EPOCH: expected none"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_a_build(
    flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        outputs.decide(a_plan(), **flags)


@pytest.mark.parametrize(
    ("plan", "flags", "message"),
    [
        (a_plan(several=True), {"output": "docker-archive:x"}, "expected one platform, found 2"),
        (a_plan(several=True), {"load": True}, "--load: expected one platform, found 2"),
        (a_plan(several=True), {"builder": "docker"}, "platforms: expected one for"),
        (a_plan(weights=VOLUME), {"builder": "docker"}, "bake, mount or fetch"),
        (a_plan(compression="zstd"), {"builder": "podman"}, "expected gzip for --builder podman"),
        (a_plan(run=("true",)), {}, "run: expected none for --builder native"),
        (a_plan(build_packages=("gcc",)), {}, "build_packages: expected none for --builder native"),
        (a_plan(wheels=(SOURCE,)), {}, "expected wheels .* found the source of docopt"),
    ],
)
def test_settings_that_a_builder_cannot_obey_are_refused_with_a_next_step(
    plan: BuildPlan, flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        outputs.decide(plan, **flags)
    assert caught.value.tip


def test_all_that_an_engine_cannot_do_is_said_at_once() -> None:
    plan = a_plan(weights=VOLUME, compression="zstd")
    with pytest.raises(UsageError) as caught:
        outputs.decide(plan, builder="docker", output="oci:x")
    assert len(caught.value.message.splitlines()) == 3


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_an_engine_that_builds_is_the_one_that_keeps_the_image(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "find", lambda wanted=None: Engine(wanted or "docker", "it"))
    for load in (False, True):
        wanted = outputs.decide(a_plan(run=("true",)), builder=kind, load=load)
        assert wanted == Outputs(parse("churn"), engine=Engine(kind, "it"))
    wanted = outputs.decide(a_plan(), load=True)
    assert wanted == Outputs(parse("churn"), engine=Engine("docker", "it"))


def test_an_image_and_its_models_never_have_the_same_name() -> None:
    """Without -t too, with --load and in archives."""
    wanted = outputs.decide(a_plan(weights=VOLUME), output="docker-archive:a.tar")
    assert (str(wanted.tag), wanted.archive) == ("churn:latest", Path("a.tar"))
    model = wanted.of_model()
    assert (str(model.tag), model.archive) == ("churn:latest-model", Path("model-a.tar"))
    assert outputs.decide(a_plan()).folder == Path("Churn.oci")


def test_where_a_models_image_cannot_go_is_known_before_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the other image would be there, and serve nothing."""
    monkeypatch.chdir(tmp_path)
    plan = a_plan(weights=VOLUME)
    with pytest.raises(UsageError, match="--tag: expected a tag of letters"):
        outputs.decide(plan, tag="a:" + "b" * 123, pushed=True)
    assert outputs.decide(plan, tag="a:" + "b" * 122, pushed=True).push
    (tmp_path / "model-out").mkdir()
    (tmp_path / "model-out" / "notes.txt").touch()
    with pytest.raises(ImageError, match="model-out: expected no file, an empty folder"):
        outputs.decide(plan, output="oci:out")
    with pytest.raises(ImageError, match="model-out: expected a file or nothing"):
        outputs.decide(plan, output="docker-archive:out")


def test_what_is_too_large_is_so_before_an_engine_builds(
    make_project: MakeProject,
    cache: LayerCache,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The plan itself is weighed; and what is left to do is said alike for every builder."""
    project = make_project(f'{MODEL}[image]\nweights = "mount"\n')
    publish(project, cache)
    asked: list[str] = []
    monkeypatch.setattr(engine, "find", lambda _: Engine("docker", "docker"))
    monkeypatch.setattr(Engine, "run", lambda _, *arguments: asked.append(arguments[0]))
    command = ["build", str(project.folder), "--builder", "docker"]
    assert main.main([*command, "--budget", "50MB"]) == 9
    assert "expected at most 50.0 MB, found" in capsys.readouterr().err
    assert asked == []
    assert main.main([*command, "--budget", "500MB"]) == 0
    told = capsys.readouterr()
    assert (asked, told.out) == (["build"], "churn:latest in docker\n")
    assert told.err == "boxship: the model is not in it: mount it at /models/churn.onnx\n"


def test_an_engine_hands_its_image_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that is there already is replaced, which Podman does not do by itself."""
    program = tmp_path / "podman"
    program.write_text('#!/bin/sh\n[ "$1" = save ] && [ ! -e "$3" ] && echo new > "$3"; true\n')
    program.chmod(0o755)
    monkeypatch.setattr(context, "fill", lambda *_: None)
    archive = tmp_path / "a.tar"
    archive.write_text("old")
    podman = Engine("podman", str(program))
    wanted = Outputs(parse("h.test/churn:7"), archive=archive, engine=podman, push=True)
    assert list(with_engine.build(a_plan(), wanted)) == [
        "h.test/churn:7 in podman", str(archive), "h.test/churn:7 pushed",
    ]  # fmt: skip
    assert archive.read_text() == "new\n"


def test_an_image_has_its_name_once_its_document_is_there(
    need: Need, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    made = small_image(blobs, {"a": b"1"})

    def send(reference: Reference) -> None:
        Outputs(reference, push=True).write(
            made.manifest, [made], blobs, contents=[b"{}"], beside=[], told=lambda _: None
        )

    def fail(*_: object) -> None:
        raise ImageError("The registry takes no document.")

    with registry(need.program("docker-registry"), tmp_path / "registry") as running:
        name = parse(f"{running.host}/churn:7")
        with Repository(name) as repository:
            with monkeypatch.context() as patched:
                patched.setattr(outputs, "attach", fail)
                with pytest.raises(ImageError, match="takes no document"):
                    send(name)
            assert repository.find_manifest("7") is None
            send(name)
            assert repository.manifest("7")[0].digest == made.manifest.digest
            assert repository.find_manifest(made.manifest.digest.replace(":", "-")) is not None


def test_a_layout_with_what_it_is_made_of(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    plan = planned(make_project(MODEL), cache)
    images = Native(plan, cache).build()
    wanted = outputs.decide(plan, output=f"oci:{tmp_path}/out.oci")
    documents = [sbom.make(plan, one) for one in images]
    (written,) = wanted.write(
        images[0].manifest, images, cache.blobs,
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
    wanted = outputs.decide(a_plan(), output=f"docker-archive:{tmp_path}/a.tar")
    wanted.write(image.manifest, [image], cache.blobs, contents=[], beside=[], told=lambda _: None)
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
    tag = outputs.decide(plan, tag="acme/churn:7", pushed=True)
    assert str(tag.of_model().tag) == "acme/churn:7-model"
