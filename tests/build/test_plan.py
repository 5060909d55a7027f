"""What an image will be is decided once, from the project and its lock."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from support import models
from support.images import MakeProject, contents_of, in_registry, locked, planned

from boxship import lock
from boxship.build import dockerfile, plan as plans, words
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.native import Native
from boxship.cli import main
from boxship.errors import BuildError, DigestError, ImageError, UsageError
from boxship.lock import Lock

MODEL = 'model = "churn.onnx"\n'


def test_a_project_that_is_not_locked(make_project: MakeProject) -> None:
    with pytest.raises(UsageError, match="expected base image and requirements") as caught:
        plans.decide(make_project(MODEL), Lock())
    assert caught.value.tip == "Lock them first: boxship lock"


@pytest.mark.parametrize(
    ("settings", "files", "message"),
    [
        (MODEL, {"requirements_txt": "click\n"}, "found that of others"),
        (
            f'{MODEL}[image]\nbase = "python:3.12-slim"\n',
            {},
            "expected the base 'python:3.12-slim'",
        ),
        (
            f'{MODEL}[image]\nplatforms = ["linux/arm64"]\n',
            {},
            "expected linux/arm64, found it not",
        ),
        (f'{MODEL}[image]\nplatforms = ["Linux"]\n', {}, "expected a platform such as"),
        (f"{MODEL}[image]\nplatforms = []\n", {}, "expected at least one"),
    ],
)
def test_a_lock_of_something_else_is_stale(
    make_project: MakeProject,
    cache: LayerCache,
    settings: str,
    files: dict[str, str],
    message: str,
) -> None:
    before = locked(make_project(MODEL), cache)
    with pytest.raises(UsageError, match=message):
        plans.decide(make_project(settings, **files), before)


def test_a_locked_model_that_has_gone_is_named(
    make_project: MakeProject, cache: LayerCache
) -> None:
    before = locked(make_project(MODEL), cache)
    with pytest.raises(UsageError, match=r"expected the model churn\.onnx, found none"):
        plans.decide(make_project(MODEL), replace(before, model=None))


def test_a_model_that_has_changed_since_is_refused(
    make_project: MakeProject, cache: LayerCache
) -> None:
    project = make_project(MODEL)
    before = locked(project, cache)
    other = models.save_identity(project.folder, [("pixels", "FP32", (None, 3))])
    other.replace(project.folder / "churn.onnx")
    with pytest.raises(DigestError, match="expected the digest sha256:"):
        plans.decide(project, before)


def test_what_it_would_weigh_is_known_from_the_lock(
    make_project: MakeProject, cache: LayerCache
) -> None:
    plan = planned(make_project(f'{MODEL}[image]\nbudget = "50MB"\n'), cache)
    (platform,) = plan.platforms
    layers = words.weigh(plan, platform)
    assert layers[0].what.startswith("base oci:")
    assert [one.what.partition(" ")[0] for one in layers[1:3]] == ["onnxruntime", "numpy"]
    assert layers[-1].what == "weights churn.onnx"
    size = sum(one.size for one in layers)
    assert 60e6 < size < 150e6
    words.check_budget(plan, platform, 50_000_000)
    with pytest.raises(BuildError, match=r"expected at most 50\.0 MB, found") as caught:
        words.check_budget(plan, platform, size)
    assert "onnxruntime" in caught.value.message


def test_a_layer_weighs_about_what_was_said_before(
    make_project: MakeProject, cache: LayerCache, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of onnxruntime is left out; a budget that the image fits in is no obstacle."""
    project = make_project(MODEL)
    plan = planned(project, cache)
    (platform,) = plan.platforms
    (image,) = Native(plan, cache).build()
    said = words.weigh(plan, platform)
    for one, layer in zip(said[1:3], image.layers[1:3], strict=True):
        assert layer.blob.size == pytest.approx(one.size, rel=0.15)
    whole = replace(plan, settings=replace(plan.settings, slim=False))
    kept = words.weigh(whole, platform)
    assert [one.what for one in kept] == [one.what for one in said]
    sizes = [sum(one.size for one in layers) for layers in (said, kept)]
    assert sizes[1] - sizes[0] > 10e6
    command = ["build", str(project.folder), "--plan", "--budget", f"{sum(sizes) // 2_000_000}MB"]
    assert main.main(command) == 0
    with (project.folder / "boxship.toml").open("a") as file:
        file.write("slim = false\n")
    assert main.main(command) == 9
    assert "expected at most" in capsys.readouterr().err


@pytest.mark.parametrize(
    "named",
    ["python:3.11-slim-bookworm", "registry.test:5000/team/images/python:3.11-slim-bookworm"],
)
def test_a_plan_fits_a_terminal(
    make_project: MakeProject,
    cache: LayerCache,
    capsys: pytest.CaptureFixture[str],
    named: str,
) -> None:
    found = locked(make_project(MODEL), cache)
    assert found.base is not None
    assert found.requirements is not None
    project = make_project(f'{MODEL}[image]\nbase = "{named}"\n')
    names = {"nvidia-cudnn-cu12": "9.1.0.70", "nvidia-cuda-nvrtc-cu12": "12.4.127",
             "a-name-of-a-distribution-nobody-would-type": "2026.10.1"}  # fmt: skip
    wheels = {
        platform: (*some, *(replace(some[0], name=name, version=version, size=999_900_000)
                            for name, version in names.items()))
        for platform, some in found.requirements.wheels.items()
    }  # fmt: skip
    lock.write(
        project.folder,
        replace(
            found,
            base=replace(found.base, name=named),
            requirements=replace(found.requirements, wheels=wheels),
        ),
    )
    assert main.main(["build", str(project.folder), "--plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    told = " ".join(" ".join(lines).split())
    assert f"base {named} " in told
    for name, version in names.items():
        assert f"{name} {version} 999.9 MB heavy: shared across images" in told


def test_secrets_are_refused_unless_they_are_named(
    make_project: MakeProject, cache: LayerCache
) -> None:
    settings = f'{MODEL}app = "src.serve:app"\n'
    files = {"src__serve_py": "app = None\n", "src__.env": "KEY=1\n", "src__deep__id_rsa": "x\n",
             "src__.env.example": "KEY=\n"}  # fmt: skip
    before = locked(make_project(settings, **files), cache)
    with pytest.raises(BuildError, match=r"found: src/\.env, src/deep/id_rsa\.") as caught:
        plans.decide(make_project(settings, **files), before)
    assert "allow" in caught.value.tip
    allowed = f'{settings}[image]\nallow = ["src/.env", "src/deep/id_rsa"]\n'
    plan = plans.decide(make_project(allowed, **files), before)
    assert {"app/src/.env", "app/src/.env.example"} <= {entry.path for entry in plan.code}


def test_code_that_is_not_there(make_project: MakeProject, cache: LayerCache) -> None:
    before = locked(make_project(MODEL), cache)
    with pytest.raises(UsageError, match="expected code to ship, found nothing there"):
        plans.decide(make_project(f'{MODEL}code = ["lib"]\n'), before)


def test_the_dockerfile_says_the_same(make_project: MakeProject, cache: LayerCache) -> None:
    project = make_project(f'{MODEL}app = "src.serve:app"\n', src__serve_py="app = None\n")
    plan = planned(project, cache)
    text = dockerfile.render(in_registry(plan), plan.platforms[0], "boxship.whl")
    lines = text.splitlines()
    assert sum(line.startswith("FROM ") and "@sha256:" in line for line in lines) == 2
    assert "USER 65532:65532" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert lines[-1].startswith('CMD ["/usr/local/bin/python3.')
    assert not any(line.startswith("# syntax") for line in lines)
    order = [text.index(part) for part in ("/layers/numpy /", "/layers/boxship /", "src/serve.py", "/models/churn.onnx")]  # fmt: skip
    assert order == sorted(order)
    ignored = dockerfile.ignore(plan).splitlines()
    assert ignored[0] == "*"
    assert {"!.boxship", "!churn.onnx", "!src/serve.py", "!boxship.toml"} <= set(ignored)
    hashed = dockerfile.hashed(plan.packages[plan.platforms[0]][0].wheels)
    assert hashed.startswith("numpy==")
    assert "--hash=sha256:" in hashed


def test_a_folder_of_code_is_one_layer_of_the_dockerfile(
    make_project: MakeProject, cache: LayerCache
) -> None:
    """An engine takes no image of more than 127 layers."""
    modules = {f"src__part_{number}_py": "" for number in range(150)}
    settings = f'{MODEL}app = "src.serve:app"\n'
    project = make_project(settings, src__serve_py="app = None\n", src__in__a_py="", **modules)
    (project.folder / "src" / "start").touch(mode=0o755)
    plan = planned(project, cache)
    (platform,) = plan.platforms
    text = dockerfile.render(in_registry(plan), platform, "boxship.whl").rpartition("FROM ")[2]
    assert sum(line.startswith("COPY ") for line in text.splitlines()) < 15
    assert all(f'"src/part_{number}.py"' in text for number in range(150))
    assert 'COPY --chmod=0644 ["src/in/a.py", \\\n    "/app/src/in/"]' in text
    assert 'COPY --chmod=0755 ["src/start", \\\n    "/app/src/"]' in text
    assert 'COPY --chmod=0644 ["churn.onnx", \\\n    "/models/churn.onnx"]' in text
    digest = plan.base.platforms[str(platform)]
    assert f'org.opencontainers.image.base.digest="{digest}"' in text


@pytest.mark.parametrize(
    "name",
    ["a*", "a?", "a[1].txt", "a]", "a\\b", 'a"b', "it's", "$HOME", "a\tb", "a\nb.py", "a ", " a"],
)
def test_a_name_that_a_dockerfile_cannot_say(
    make_project: MakeProject, cache: LayerCache, name: str
) -> None:
    project = make_project(f'{MODEL}code = ["."]\n', **{"a plain, (fine) name": ""})
    (project.folder / name).write_text("")
    plan = planned(project, cache)
    with pytest.raises(BuildError, match="names that a Dockerfile can say") as caught:
        dockerfile.render(in_registry(plan), plan.platforms[0], "boxship.whl")
    assert caught.value.message.endswith(f"found {name!r}.")
    assert "--builder native" in caught.value.tip


def test_a_model_of_many_files(make_project: MakeProject, cache: LayerCache) -> None:
    """No image has more than 100 layers: the smaller files share one, whoever builds it."""
    project = make_project(MODEL)
    names = [f"w{number:03}" for number in range(120)]
    model = onnx.load(project.folder / "churn.onnx")
    for number, name in enumerate(names):
        (project.folder / name).write_bytes(bytes(1 + number % 90))
        model.graph.initializer.add().external_data.add(key="location", value=name)
    (project.folder / "churn.onnx").write_bytes(model.SerializeToString())
    plan = planned(project, cache)
    (platform,) = plan.platforms
    *alone, shared = plan.weight_layers
    paths = [entry.path for (entry,) in alone]
    assert paths[1:] == sorted(paths[1:]), "in the order of the files"
    together = [entry.path for entry in shared]
    assert together == sorted(together)
    assert sorted(paths + together) == sorted(f"models/{one}" for one in [*names, "churn.onnx"])
    assert {"models/churn.onnx", "models/w089"} <= set(paths)
    assert {"models/w000", "models/w090"} <= set(together)
    (image,) = Native(plan, cache).build()
    assert 50 < len(image.layers) <= 100
    assert {f"models/{name}" for name in names} <= contents_of(image, cache).keys()
    assert words.weigh(plan, platform)[-1].what == f"weights of {len(shared)} smaller files"
    assert image.config["history"][-2]["created_by"].startswith(f"weights {paths[-1]}")
    assert len(words.weigh(plan, platform)) == len(image.layers)
    text = dockerfile.render(in_registry(plan), platform, "boxship.whl").rpartition("FROM ")[2]
    assert text.count("\nCOPY ") == len(image.layers) + 1, "the lock and the path have one each"
    assert text.count('"/models/"]') == 1


@pytest.mark.parametrize("prefix", ["docker://", ""])
def test_a_base_has_one_digest_in_the_dockerfile(
    make_project: MakeProject, cache: LayerCache, prefix: str
) -> None:
    """However the project names it; what no engine finds is refused."""
    plan = planned(make_project(MODEL), cache)
    (platform,) = plan.platforms
    with pytest.raises(BuildError, match="expected a base image in a registry") as caught:
        dockerfile.render(plan, platform, "boxship.whl")
    assert "--builder native" in caught.value.tip
    named = f"{prefix}registry.test/python:3.11@sha256:{'0' * 64}"
    plan = replace(plan, base=replace(plan.base, name=named))
    text = dockerfile.render(plan, platform, "boxship.whl")
    digest = plan.base.platforms[str(platform)]
    assert text.count(f"FROM registry.test/python:3.11@{digest}") == 2


def test_more_folders_of_code_than_an_engine_has_layers(
    make_project: MakeProject, cache: LayerCache
) -> None:
    """They are refused for an engine alone."""
    project = make_project(f'{MODEL}code = ["lib"]\n')
    for number in range(120):
        (project.folder / "lib" / f"p{number}").mkdir(parents=True)
        (project.folder / "lib" / f"p{number}" / "one.py").write_text("")
    plan = planned(project, cache)
    with pytest.raises(
        BuildError, match="expected at most 110 layers for an engine, found 1"
    ) as it:
        dockerfile.render(in_registry(plan), plan.platforms[0], "boxship.whl")
    assert "--builder native" in it.value.tip


@pytest.mark.parametrize(
    "more",
    [
        "",
        'system_packages = ["libgomp1=12.2.0-14+deb12u1"]\nrun = ["ldconfig"]\n',
        'system_packages = ["libgomp1"]\nbuild_packages = ["gcc"]\n',
        'weights = "mount"\nslim = false\n',
    ],
)
def test_hadolint_finds_nothing_in_the_dockerfile(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path, more: str
) -> None:
    settings = f'{MODEL}app = "src.serve:app"\n[image]\n{more}'
    plan = planned(make_project(settings, src__serve_py="", src__other_py=""), cache)
    file = tmp_path / "Dockerfile"
    file.write_text(dockerfile.render(in_registry(plan), plan.platforms[0], "boxship.whl"))
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, file], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_lock_is_read_as_it_was_written(make_project: MakeProject, cache: LayerCache) -> None:
    project = make_project(MODEL)
    whole = locked(project, cache)
    assert lock.read(project.folder) == whole


def test_a_base_that_is_none(make_project: MakeProject, cache: LayerCache, tmp_path: Path) -> None:
    project = make_project(f'{MODEL}[image]\nbase = "oci:{tmp_path}/nowhere"\n')
    with pytest.raises(ImageError, match="expected an OCI image layout, found none"):
        locked(project, cache)
