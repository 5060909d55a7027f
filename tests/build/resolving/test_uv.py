"""Requirements are resolved for the image, and the very files that were locked are installed."""

import configparser
import hashlib
from pathlib import Path

import pytest
from support.images import (
    Index,
    MakeProject,
    built,
    contents_of,
    locked,
    make_source,
    make_wheel,
    serving_index,
)

from boxship.build import plan as plans, sbom, with_engine
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.locking import lock_image
from boxship.build.native import Native
from boxship.errors import BuildError, UsageError
from boxship.lock import FILE_NAME

MODEL = 'model = "churn.onnx"\n'


def names(found: object) -> dict[str, str]:
    (wheels,) = found.requirements.wheels.values()  # type: ignore[attr-defined]
    return {wheel.name: wheel.version for wheel in wheels}


def test_the_first_index_that_has_a_name_wins(make_project: MakeProject, cache: LayerCache) -> None:
    """Else whoever registers an internal name elsewhere would be installed."""
    ours = make_wheel("acme-features", "1.0", {"acme_features/__init__.py": "OURS = True\n"})
    theirs = make_wheel("acme-features", "9.0", {"acme_features/__init__.py": "OURS = False\n"})
    with (
        serving_index(Index(dict([ours]))) as first,
        serving_index(Index(dict([theirs]))) as second,
    ):
        lines = f"--extra-index-url {first.url}\n--extra-index-url {second.url}\nacme-features\n"
        project = make_project(MODEL, requirements_txt=lines)
        whole = locked(project, cache)
        assert names(whole)["acme-features"] == "1.0"
        assert whole.requirements is not None
        assert whole.requirements.indexes == (first.url, second.url)
        assert "opt/boxship/acme_features/__init__.py" in contents_of(built(project, cache), cache)


def test_credentials_of_an_index_are_written_nowhere(
    make_project: MakeProject, cache: LayerCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    wheel = make_wheel("acme-secret", "1.0", {"acme_secret/__init__.py": ""})
    with serving_index(Index(dict([wheel]), login="bob:pass-word-1")) as index:
        address = f"http://bob:pass-word-1@127.0.0.1:{index.port}/simple"
        project = make_project(
            MODEL, requirements_txt=f"--extra-index-url {address}\nacme-secret\n"
        )
        image = built(project, cache)
        assert any(index.requests)
    written = (project.folder / FILE_NAME).read_text()
    assert f"http://127.0.0.1:{index.port}/simple" in written
    assert "pass-word-1" not in written + caplog.text + str(image.config)
    for layer in image.layers[1:]:
        assert b"pass-word-1" not in cache.blobs.path(layer.blob.digest).read_bytes()


def test_a_token_in_a_direct_address_is_written_nowhere(
    make_project: MakeProject,
    cache: LayerCache,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Yet it is sent: when the file is weighed, and when it is installed."""
    caplog.set_level("DEBUG", "boxship")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("ACME_TOKEN", "TOK3N")
    file, data = make_wheel("acme-signed", "1.0", {"acme_signed/__init__.py": ""})
    with serving_index(Index({f"{file}?sig=TOK3N": data}, login="bob:p@ss")) as index:
        address = f"http://bob:p%40ss@127.0.0.1:{index.port}/files/{file}?sig=${{ACME_TOKEN}}"
        project = make_project(MODEL, requirements_txt=f"acme-signed @ {address}\n")
        plan = plans.decide(project, locked(project, cache))
        (image,) = Native(plan, cache).build()
        assert "opt/boxship/acme_signed/__init__.py" in contents_of(image, cache)
        index.wheels.clear()
        with pytest.raises(BuildError) as caught:
            locked(project, cache)
    (wheels,) = plan.locked.wheels.values()
    (wheel,) = [one for one in wheels if one.name == "acme-signed"]
    assert (wheel.place, wheel.size) == (index.address(file), len(data))
    written = (project.folder / FILE_NAME).read_text() + sbom.make(plan, image).decode()
    for secret in ("TOK3N", "p@ss", "p%40ss"):
        assert secret not in written + caplog.text + str(image.config) + caught.value.message


def test_what_cannot_be_resolved_is_explained(make_project: MakeProject, cache: LayerCache) -> None:
    with serving_index(Index({}, login="bob:pass-word-1")) as index:
        lines = f"--extra-index-url http://bob:pass-word-1@127.0.0.1:{index.port}/simple\n"
        project = make_project(MODEL, requirements_txt=f"{lines}numpy<1\nnumpy>2\n")
        with pytest.raises(BuildError, match="numpy") as caught:
            locked(project, cache)
    assert "pass-word-1" not in caught.value.message
    assert len(caught.value.message.splitlines()) < 30


def test_a_wheel_for_another_machine_is_named(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    file, data = make_wheel("acme-native", "1.0", {"a.py": ""}, tag="cp311-cp311-win_amd64")
    with serving_index(Index({file: data})) as index:
        lines = f"--extra-index-url {index.url}\nacme-native\n"
        with pytest.raises(BuildError, match="acme-native"):
            locked(make_project(MODEL, requirements_txt=lines), cache)


def test_what_was_locked_stays_until_it_is_upgraded(
    make_project: MakeProject, cache: LayerCache
) -> None:
    old = make_wheel("acme-a", "1.0", {"acme_a.py": ""})
    other = make_wheel("acme-b", "1.0", {"acme_b.py": ""})
    with serving_index(Index(dict([old, other]))) as index:
        lines = f"--extra-index-url {index.url}\nacme-a\nacme-b\n"
        project = make_project(MODEL, requirements_txt=lines)
        first = locked(project, cache)
        for name in ("acme-a", "acme-b"):
            file, data = make_wheel(name, "2.0", {f"{name.replace('-', '_')}.py": ""})
            index.wheels[file] = data
        kept = lock_image(project, first, blobs=cache.blobs)
        assert (names(kept)["acme-a"], names(kept)["acme-b"]) == ("1.0", "1.0")
        one = lock_image(project, first, blobs=cache.blobs, upgrade=["acme_A"])
        assert (names(one)["acme-a"], names(one)["acme-b"]) == ("2.0", "1.0")
        with pytest.raises(UsageError, match=r"found 'acme-aa'; did you mean 'acme-a'\?"):
            lock_image(project, first, blobs=cache.blobs, upgrade=["acme-aa"])
        both = lock_image(project, first, blobs=cache.blobs, upgrade=None)
        assert (names(both)["acme-a"], names(both)["acme-b"]) == ("2.0", "2.0")


def test_another_file_under_a_locked_name_is_refused(
    make_project: MakeProject, cache: LayerCache
) -> None:
    file, data = make_wheel("acme-moved", "1.0", {"acme_moved.py": "A = 1\n"})
    with serving_index(Index({file: data})) as index:
        lines = f"--extra-index-url {index.url}\nacme-moved\n"
        project = make_project(MODEL, requirements_txt=lines)
        whole = locked(project, cache)
        index.wheels[file] = make_wheel("acme-moved", "1.0", {"acme_moved.py": "A = 2\n"})[1]
        with pytest.raises(BuildError, match="acme-moved"):
            Native(plans.decide(project, whole), cache).build()


def test_an_index_that_the_lock_was_given_is_asked_again(
    make_project: MakeProject, cache: LayerCache
) -> None:
    """Whoever builds need not name it a second time; of one with a login, the file has it."""
    given = make_wheel("acme-given", "1.0", {"acme_given.py": ""})
    own = make_wheel("acme-own", "1.0", {"acme_own.py": ""})
    with (
        serving_index(Index(dict([given]))) as first,
        serving_index(Index(dict([own]), login="bob:pass-word-1")) as second,
    ):
        address = f"http://bob:pass-word-1@127.0.0.1:{second.port}/simple"
        lines = f"--extra-index-url {address}\nacme-given\nacme-own\n"
        project = make_project(MODEL, requirements_txt=lines)
        plan = plans.decide(project, locked(project, cache, indexes=[first.url]))
        (image,) = Native(plan, cache).build()
        settings = configparser.ConfigParser(interpolation=None)
        settings.read_string(with_engine.pip_settings(plan, {"PIP_INDEX_URL": "https://a.test"}))
    inside = contents_of(image, cache)
    assert {"opt/boxship/acme_given.py", "opt/boxship/acme_own.py"} <= inside.keys()
    assert settings["global"]["index-url"] == "https://a.test"
    assert settings["global"]["extra-index-url"].split() == [first.url, address]


def test_an_engine_gets_the_logins_of_uvs_variables(
    make_project: MakeProject, cache: LayerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("acme-engine", "1.0", {"acme_engine.py": ""})
    environ = {
        "UV_DEFAULT_INDEX": "usual=https://usual.test/simple",
        "UV_INDEX_USUAL_USERNAME": "ann",
        "UV_INDEX_CORP_USERNAME": "bob",
        "UV_INDEX_CORP_PASSWORD": "p@ss",
        "ACME_USER": "eve",
        "ACME_PASSWORD": "w%40rd",
    }
    with (
        serving_index(Index(dict([wheel]), login="bob:p@ss")) as corp,
        serving_index(Index({}, login="eve:w@rd")) as other,
    ):
        mine = other.url.replace("//", "//${ACME_USER}:${ACME_PASSWORD}@")
        project = make_project(MODEL, requirements_txt=f"--extra-index-url {mine}\nacme-engine\n")
        environ["UV_INDEX"] = f"corp={corp.url}"
        for name in environ.keys() - {"UV_DEFAULT_INDEX"}:
            monkeypatch.setenv(name, environ[name])
        plan = plans.decide(project, locked(project, cache))
    settings = configparser.RawConfigParser()
    settings.read_string(with_engine.pip_settings(plan, environ))
    assert settings["global"]["index-url"] == "https://ann:@usual.test/simple"
    assert settings["global"]["extra-index-url"].split() == [
        corp.url.replace("//", "//bob:p%40ss@"),
        other.url.replace("//", "//eve:w%40rd@"),
    ]


def test_an_index_without_sizes_is_asked_for_the_file(
    make_project: MakeProject, cache: LayerCache
) -> None:
    """With the login of that index, where it has one."""
    file, data = make_wheel("acme-heavy", "1.0", {"acme_heavy/__init__.py": "# heavy\n" * 999})
    with serving_index(Index({file: data}, login="bob:pass-word-1")) as index:
        address = f"http://bob:pass-word-1@127.0.0.1:{index.port}/simple"
        lines = f"--extra-index-url {address}\nacme-heavy\n"
        whole = locked(make_project(MODEL, requirements_txt=lines), cache)
    assert whole.requirements is not None
    (wheels,) = whole.requirements.wheels.values()
    assert [one.size for one in wheels if one.name == "acme-heavy"] == [len(data)]


def test_locking_again_asks_the_same_indexes(make_project: MakeProject, cache: LayerCache) -> None:
    """Else a name of one's own would be taken from the public index, where anybody may have it."""
    ours = make_wheel("six", "0.5", {"six.py": "OURS = True\n"})
    with serving_index(Index(dict([ours]))) as index:
        project = make_project(MODEL, requirements_txt="six\n")
        first = locked(project, cache, indexes=[index.url])
        assert names(first)["six"] == "0.5"
        for upgrade in ((), ("six",), None):
            again = lock_image(project, first, blobs=cache.blobs, upgrade=upgrade)
            assert names(again)["six"] == "0.5"
            assert again.requirements is not None
            assert again.requirements.indexes == (index.url,)


def test_an_index_of_a_variable_is_asked_again_without_it(
    make_project: MakeProject, cache: LayerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make_wheel("six", "0.5", {"six.py": "OURS = True\n"})
    with serving_index(Index(dict([ours]))) as index:
        project = make_project(MODEL, requirements_txt="six\n")
        monkeypatch.setenv("UV_INDEX", f"corp={index.url}")
        first = locked(project, cache)
        monkeypatch.delenv("UV_INDEX")
        assert names(lock_image(project, first, blobs=cache.blobs, upgrade=None))["six"] == "0.5"


def test_a_build_that_has_no_login_says_where_to_put_it(
    make_project: MakeProject, cache: LayerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_CACHE", "1")
    wheel = make_wheel("acme-login", "1.0", {"acme_login.py": ""})
    with serving_index(Index(dict([wheel]), login="bob:p@ss")) as index:
        project = make_project(MODEL, requirements_txt="acme-login\n")
        given = index.url.replace("//", "//bob:p%40ss@")
        plan = plans.decide(project, locked(project, cache, indexes=[given]))
        with pytest.raises(BuildError, match="acme-login was not found") as caught:
            Native(plan, cache).build()
        assert f"from {index.url}. A lock has no logins. Put that of" in caught.value.tip
        project = make_project(
            MODEL, requirements_txt=f"acme-login @ {index.address(next(iter(index.wheels)))}"
        )
        with pytest.raises(BuildError, match="401 Unauthorized") as caught:
            locked(project, cache)
        assert "~/.netrc" in caught.value.tip


def test_a_wheel_of_ones_own_is_locked_again(make_project: MakeProject, cache: LayerCache) -> None:
    file, data = make_wheel("acme-own", "1.0", {"acme_own/__init__.py": ""})
    project = make_project(MODEL, requirements_txt=f"./{file}\n")
    (project.folder / file).write_bytes(data)
    first = locked(project, cache)
    again = lock_image(project, first, blobs=cache.blobs)
    assert again == first
    assert "opt/boxship/acme_own/__init__.py" in contents_of(built(project, cache), cache)


def test_what_has_no_wheel_is_named_with_the_way_out(
    make_project: MakeProject, cache: LayerCache
) -> None:
    with serving_index(Index({"acme_source-1.0.tar.gz": b"only sources"})) as index:
        lines = f"--extra-index-url {index.url}\nacme-source\n"
        with pytest.raises(BuildError, match="acme-source") as caught:
            locked(make_project(MODEL, requirements_txt=lines), cache)
    assert "pip wheel --no-deps" in caught.value.tip
    assert "--builder docker, of lock and of build" in caught.value.tip


def test_a_source_is_locked_where_an_engine_builds(
    make_project: MakeProject, cache: LayerCache
) -> None:
    """By its hash, as all else; wheels are still taken where there are any."""
    file, data = make_source("acme-source", "1.0", {"acme_source.py": "SAID = 'hello'\n"})
    with serving_index(Index({file: data})) as index:
        lines = f"--extra-index-url {index.url}\nacme-source\n"
        project = make_project(MODEL, requirements_txt=lines)
        whole = locked(project, cache, sources=True)
    assert whole.requirements is not None
    (wheels,) = whole.requirements.wheels.values()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert [(one.name, one.version, one.file, one.digest) for one in wheels if one.is_source] == [
        ("acme-source", "1.0", file, digest)
    ]
    assert "numpy" in names(whole)
