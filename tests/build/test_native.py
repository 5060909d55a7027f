"""The native builder: the image that comes out, whole and always the same."""

import io
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.images import (
    MINOR,
    MakeProject,
    built,
    contents_of,
    locked,
    make_wheel,
    planned,
    publish,
)

from boxship import lock
from boxship.build import plan as plans
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.native import Native
from boxship.cli import main
from boxship.errors import BuildError
from boxship.oci import descriptor, layout
from boxship.oci.contents import unpack, walk

MODEL = 'model = "churn.onnx"\n'


def test_what_is_in_it(make_project: MakeProject, cache: LayerCache) -> None:
    image = built(make_project(MODEL), cache)
    inside = contents_of(image, cache)
    site = "opt/boxship"
    assert f"{site}/onnxruntime/__init__.py" in inside
    assert f"{site}/onnxruntime/__pycache__/__init__.cpython-{MINOR.replace('.', '')}.pyc" in inside
    assert f"{site}/boxship/serve/processes/worker.py" in inside
    assert "models/churn.onnx" in inside
    assert {"app/boxship.toml", "app/boxship.lock"} <= inside.keys()
    # Nothing of the builder, no scripts of this machine, nothing that serving never reads.
    rooms = ("boxship/build", "boxship/oci", "boxship/convert", "boxship/cli/image_project.py")
    for left in (*rooms, "bin", "obstore", "sklearn"):
        assert f"{site}/{left}" not in inside
    for path in inside:
        assert "/tests/" not in path
        assert not path.endswith((".pyi", ".h", "/INSTALLER", "/direct_url.json"))
    assert not any("libonnxruntime.so" in path for path in inside)
    assert any(path.endswith("licenses/LICENSE.txt") for path in inside)
    # A heavy wheel has a layer of its own, so other images share it.
    words = [one["created_by"] for one in image.config["history"]]
    assert [word.partition(" ")[0] for word in words[1:4]] == ["onnxruntime", "numpy", "uvloop"]
    assert len(image.layers) < 100


def test_how_it_starts(make_project: MakeProject, cache: LayerCache) -> None:
    image = built(make_project(f'version = "7"\n{MODEL}'), cache)
    config = image.config["config"]
    assert config["User"] == "65532:65532"
    assert config["WorkingDir"] == "/app"
    assert config["Cmd"] == [f"/usr/local/bin/python{MINOR}", "-m", "boxship", "serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert config["Healthcheck"]["Test"][:2] == ["CMD", f"/usr/local/bin/python{MINOR}"]
    assert "Entrypoint" not in config
    variables = dict(one.split("=", 1) for one in config["Env"])
    assert variables["MODEL_PATH"] == "/models/churn.onnx"
    assert variables["PORT"] == "8080"
    assert variables["HOME"] == "/tmp"
    assert variables["LANG"] == "C.UTF-8", "what the base says stays"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == "7"
    assert labels["boxship.model.digest"].startswith("sha256:")
    assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")


def test_a_record_names_just_what_is_there(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    image = built(make_project(MODEL), cache)
    for layer in image.layers[1:]:
        unpack(layer.blob, cache.blobs, tmp_path / "root")
    site = tmp_path / "root" / "opt" / "boxship"
    records = list(site.glob("*.dist-info/RECORD"))
    assert len(records) > 5
    for record in records:
        for line in record.read_text().splitlines():
            path = line.rsplit(",", 2)[0].strip('"')
            assert (site / path).is_file(), f"{record.parent.name}: {path}"


def command(folder: Path, cache: Path, *, python: str = sys.executable, **environ: str) -> str:
    """Lock and build as a user does; the image's digest."""
    source = Path(__file__).resolve().parents[2] / "src"
    packages = [path for path in sys.path if path.endswith("site-packages")]
    settings = {**os.environ, "BOXSHIP_CACHE": str(cache), **environ}
    settings["PYTHONPATH"] = os.pathsep.join([str(source), *packages])
    done = subprocess.run(
        [python, "-m", "boxship", "build", str(folder), "-o", f"oci:{folder}/out.oci"],
        env=settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def differences(folder: Path, digest: str, cache: LayerCache) -> str:
    """Which layers of a layout differ from those of an image in the cache, and in which files."""
    top = layout.Layout(folder).top()
    pairs = []
    for blobs, name in ((cache.blobs, digest), (layout.Layout(folder).blobs, top.digest)):
        pairs.append((blobs, json.loads(blobs.path(name).read_bytes())["layers"]))
    configs = [
        json.loads(
            blobs.path(json.loads(blobs.path(name).read_bytes())["config"]["digest"]).read_bytes()
        )
        for blobs, name in ((cache.blobs, digest), (layout.Layout(folder).blobs, top.digest))
    ]
    found = [key for key in configs[0] if configs[0][key] != configs[1][key]]
    for one, two in zip(pairs[0][1], pairs[1][1], strict=True):
        if one["digest"] != two["digest"]:
            seen: list[dict[str, bytes]] = []
            for blobs, layer in ((pairs[0][0], one), (pairs[1][0], two)):
                files: dict[str, bytes] = {}
                walk(
                    descriptor.read(layer, ""),
                    blobs,
                    lambda entry, opened, files=files: files.update(  # type: ignore[misc]
                        {f"{entry.name} {entry.mode:o}": (opened() or io.BytesIO()).read()}
                    ),
                )
                seen.append(files)
            names = seen[0].keys() | seen[1].keys()
            found += [name for name in names if seen[0].get(name) != seen[1].get(name)]
    return f"differing: {sorted(found)[:20]}"


def other_pythons() -> list[str]:
    """Other releases of the same minor version that this machine has."""
    found = {
        shutil.which(f"python{MINOR}", path=folder) for folder in ("/usr/bin", "/usr/local/bin")
    }
    return sorted(
        one for one in found if one and Path(one).resolve() != Path(sys.executable).resolve()
    )


def test_the_same_inputs_are_the_same_image(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    """In another folder, with an empty cache, by another Python, at another time and place."""
    project = make_project(
        MODEL + 'app = "app:app"\n', app_py="app = None\nWORDS = {'a', 'b', 'c'}\n"
    )
    digest = built(project, cache).manifest.digest
    elsewhere = tmp_path / "else" / "where"
    shutil.copytree(project.folder, elsewhere)
    for file in elsewhere.rglob("*"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    pythons = other_pythons()
    mask = os.umask(0o077)
    try:
        found = command(
            elsewhere,
            tmp_path / "cold",
            python=pythons[0] if pythons else sys.executable,
            TZ="Pacific/Kiritimati",
            PYTHONHASHSEED="42",
            LC_ALL="C",
        )
    finally:
        os.umask(mask)
    assert found == digest, differences(elsewhere / "out.oci", digest, cache)


def test_a_line_of_code_changes_one_layer(make_project: MakeProject, cache: LayerCache) -> None:
    settings = f'{MODEL}app = "app:app"\n'
    first = built(make_project(settings, app_py="app = 1\n"), cache)
    second = built(make_project(settings, app_py="app = 2\n"), cache)
    before = {blob.digest for blob in first.blobs}
    changed = [blob for blob in second.blobs if blob.digest not in before]
    assert len(changed) == 2, "the layer and the configuration"
    assert sum(blob.size for blob in changed) < 100_000


def test_delivery_changes_no_other_layer(make_project: MakeProject, cache: LayerCache) -> None:
    baked = built(make_project(MODEL), cache)
    mounted = built(make_project(f'{MODEL}[image]\nweights = "mount"\n'), cache)
    assert mounted.layers[:-1] == baked.layers[: len(mounted.layers) - 1]
    assert len(mounted.layers) == len(baked.layers) - 1
    assert mounted.config["config"]["Env"] == baked.config["config"]["Env"]


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a \"b'", "ü"])
def test_a_module_of_any_name_is_compiled(
    make_project: MakeProject, cache: LayerCache, name: str
) -> None:
    project = make_project(f'{MODEL}code = ["lib"]\n', **{f"lib__{name}_py": "a = 1\n"})
    inside = contents_of(built(project, cache), cache)
    assert f"app/lib/{name}.py" in inside
    assert f"app/lib/__pycache__/{name}.cpython-{MINOR.replace('.', '')}.pyc" in inside


def test_a_build_ships_no_build(
    make_project: MakeProject, cache: LayerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Boxship writes into a project changes no image of it, nor is the model there twice."""
    project = make_project(f'{MODEL}code = ["."]\n', sub__keep_txt="", **{"my.cdx.json": "{}"})
    locked(project, cache)
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("BOXSHIP_CACHE", str(cache.folder.parent))
    first = plans.decide(project, lock.read(project.folder)).code
    assert [entry.path for entry in first] == [
        "app/boxship.toml", "app/my.cdx.json", "app/sub/keep.txt",
    ]  # fmt: skip
    for flags in ([], ["-o", "oci:sub/out"], ["-o", "docker-archive:sub/image.tar"]):
        assert main.main(["build", *flags]) == 0
    files = {name: Path(name).read_text() for name in ("boxship.toml", lock.FILE_NAME)}
    publish(project, cache)
    assert main.main(["dockerfile", "--write"]) == 0
    for name, text in files.items():
        Path(name).write_text(text)
    assert {"Dockerfile", ".dockerignore", ".boxship"} <= {one.name for one in Path().iterdir()}
    assert plans.decide(project, lock.read(project.folder)).code == first
    Path("Dockerfile").write_text("FROM mine\n")
    paths = [entry.path for entry in plans.decide(project, lock.read(project.folder)).code]
    assert "app/Dockerfile" in paths


def test_two_builds_at_once_make_a_layer_once(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    """The one that comes second waits, and takes what the first has made."""
    plan = planned(make_project('app = "app:app"\n', app_py="app = None\n"), cache)
    cold = LayerCache(tmp_path / "cold")
    said: list[str] = []
    builds = [Native(plan, cold, told=said.append) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda one: one.build(), builds)
    assert first == second
    assert sum("installing" in words for words in said) == 1
    assert list(cold.work.iterdir()) == []


def test_two_packages_with_one_path(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        file, data = make_wheel(name, "1.0", {"shared/__init__.py": f"NAME = {name!r}\n"})
        (tmp_path / file).write_bytes(data)
    wheels = [f"./../{file.name}" for file in tmp_path.glob("*.whl")]
    project = make_project(MODEL, requirements_txt="\n".join(wheels))
    with pytest.raises(BuildError, match=r"one and two: expected files of their own, found 1"):
        built(project, cache)


def test_an_import_that_fails_is_no_image(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    file, data = make_wheel("broken", "1.0", {"broken/__init__.py": "import nowhere\n"})
    (tmp_path / file).write_bytes(data)
    project = make_project(MODEL, requirements_txt=f"./../{file}\n")
    with pytest.raises(BuildError, match="broken: ModuleNotFoundError: No module named 'nowhere'"):
        built(project, cache)


def test_the_lock_inside_pins_the_model(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    image = built(make_project(MODEL), cache)
    for layer in image.layers[1:]:
        unpack(layer.blob, cache.blobs, tmp_path / "root")
    text = (tmp_path / "root/app/boxship.lock").read_text()
    assert 'location = "/models/churn.onnx"' in text
    assert "[requirements" not in text, json.dumps(text)
