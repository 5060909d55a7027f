"""Logins, found where docker login, podman login and their helpers keep them."""

import base64
import json
from pathlib import Path

import pytest

from boxship.errors import ImageError
from boxship.oci.credentials import Login, find

HOST = "registry.example:5000"
SECRET = "correct:horse"
KEPT = Login("ann", SECRET)


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENTRY = {"auth": coded(f"ann:{SECRET}")}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


def keep(file: Path, config: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(config if isinstance(config, str) else json.dumps(config))


def helper(tmp_path: Path, script: str, name: str = "test") -> None:
    file = tmp_path / "bin" / f"docker-credential-{name}"
    file.write_text(f"#!/bin/sh\nkey=$(cat)\n{script}\n")
    file.chmod(0o755)


def answers(user: str = "ann", secret: str = SECRET, key: str = HOST) -> str:
    """A helper that knows one login."""
    answer = json.dumps({"ServerURL": key, "Username": user, "Secret": secret})
    missing = "echo credentials not found in native keychain; exit 1"
    return f"[ \"$1/$key\" = 'get/{key}' ] || {{ {missing}; }}\necho '{answer}'"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("HOME", "home/.docker/config.json"),
        ("DOCKER_CONFIG", "docker/config.json"),
        ("REGISTRY_AUTH_FILE", "auth.json"),
        ("XDG_RUNTIME_DIR", "run/containers/auth.json"),
    ],
)
def test_where_logins_are_kept(
    tmp_path: Path, environ: dict[str, str], name: str, place: str
) -> None:
    given = {
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    environ |= {name: given[name]} if name in given else {}
    assert find(HOST, environ) is None
    keep(tmp_path / place, {"auths": {HOST: ENTRY}})
    assert find(HOST, environ) == KEPT
    assert find("other.example", environ) is None


def test_podmans_file_comes_first_where_it_is_named(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    keep(tmp_path / "home/.docker/config.json", {"auths": {HOST: ENTRY}})
    keep(tmp_path / "auth.json", {"auths": {HOST: {"auth": coded("eve:x")}}})
    assert find(HOST, {**environ, "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}) == Login(
        "eve", "x"
    )


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        (HOST, f"https://{HOST}"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("docker.io", "docker.io"),
    ],
)
def test_a_registry_has_several_names(
    tmp_path: Path, environ: dict[str, str], registry: str, key: str
) -> None:
    keep(tmp_path / "home/.docker/config.json", {"auths": {key: ENTRY}})
    assert find(registry, environ) == KEPT


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"auth": "", "identitytoken": "token"}, Login(token="token")),
        ({**ENTRY, "identitytoken": "token"}, Login(token="token")),
        ({"username": "ann", "password": SECRET}, KEPT),
        ({"auth": coded("ann")}, Login("ann", "")),
        ({}, None),
    ],
    ids=["a token", "a token before a password", "in plain words", "no password", "nothing"],
)
def test_what_a_file_says_of_a_login(
    tmp_path: Path, environ: dict[str, str], entry: dict[str, str], login: Login | None
) -> None:
    """A Kubernetes secret of kind dockerconfigjson may have it in plain words."""
    keep(tmp_path / "home/.docker/config.json", {"auths": {HOST: entry}})
    assert find(HOST, environ) == login


def test_a_helper_comes_before_the_file(tmp_path: Path, environ: dict[str, str]) -> None:
    helper(tmp_path, answers("eve", "x"))
    config = {"credHelpers": {HOST: "test"}, "credsStore": "none", "auths": {HOST: ENTRY}}
    keep(tmp_path / "home/.docker/config.json", config)
    assert find(HOST, environ) == Login("eve", "x")


def test_a_helper_for_all_is_asked_where_none_is_named(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    helper(tmp_path, answers(key="https://index.docker.io/v1/"))
    keep(tmp_path / "home/.docker/config.json", {"credsStore": "test"})
    assert find("docker.io", environ) == KEPT
    assert find(HOST, environ) is None


def test_a_helper_may_give_a_token(tmp_path: Path, environ: dict[str, str]) -> None:
    helper(tmp_path, answers("<token>", "token"))
    keep(tmp_path / "home/.docker/config.json", {"credsStore": "test"})
    assert find(HOST, environ) == Login(token="token")


def test_where_a_helper_knows_nothing_the_file_is_read(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    helper(tmp_path, answers(key="other.example"))
    keep(tmp_path / "home/.docker/config.json", {"credsStore": "test", "auths": {HOST: ENTRY}})
    assert find(HOST, environ) == KEPT


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo the keychain is locked >&2; exit 1",
            "registry.example:5000: the keychain is locked",
        ),
        ("exit 3", "could not give the login of registry.example:5000: exit code 3"),
        (f"echo {SECRET}", "docker-credential-test: expected JSON with a login"),
        (f"echo '[\"{SECRET}\"]'", "docker-credential-test: expected JSON with a login"),
        (None, "docker-credential-test: expected a program"),
    ],
    ids=["it says why", "it says nothing", "no JSON", "other JSON", "no helper"],
)
def test_a_helper_that_is_broken(
    tmp_path: Path, environ: dict[str, str], script: str | None, message: str
) -> None:
    if script is not None:
        helper(tmp_path, script)
    keep(tmp_path / "home/.docker/config.json", {"credHelpers": {HOST: "test"}})
    with pytest.raises(ImageError) as caught:
        find(HOST, environ)
    assert message in caught.value.message
    assert SECRET not in caught.value.paragraph()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (f"{{{SECRET}", "expected JSON with logins"),
        ({"auths": {HOST: {"auth": f"{SECRET}é"}}}, f"expected base64 in the login of {HOST}"),
        ({"auths": {HOST: {"auth": 7}}}, f"expected base64 in the login of {HOST}"),
        ({"auths": {HOST: SECRET}}, "expected JSON with logins"),
        ({"auths": [SECRET]}, "expected JSON with logins"),
        ({"credHelpers": [SECRET]}, "expected JSON with logins"),
        ([SECRET], "expected JSON with logins"),
    ],
    ids=["no JSON", "no base64", "a number", "a text", "a list", "a list of helpers", "no object"],
)
def test_a_file_that_is_broken(
    tmp_path: Path, environ: dict[str, str], config: object, message: str
) -> None:
    file = tmp_path / "home/.docker/config.json"
    keep(file, config)
    with pytest.raises(ImageError) as caught:
        find(HOST, environ)
    assert caught.value.message.startswith(f"{file}: {message}")
    assert SECRET not in caught.value.paragraph()


def test_a_login_that_is_printed_shows_no_secret() -> None:
    shown = repr(Login("ann", SECRET, "token-of-ann"))
    assert "ann" in shown
    assert SECRET not in shown
    assert "token-of-ann" not in shown
