"""Logging in to real registries, by password and by token; no password is ever shown."""

import http.server
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Need
from support.registry import PASSWORD, USER, Registry, keep_login, registry, small_image
from support.stores import threaded
from support.tokens import IDENTITY_TOKEN, Tokens, tokens

from boxship.errors import ImageError
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image
from boxship.oci.push import Progress, push
from boxship.oci.reference import parse
from boxship.oci.registry import Repository
from boxship.oci.source import Source


@pytest.fixture
def closed(need: Need, tmp_path: Path) -> Iterator[Registry]:
    """A registry that wants a password."""
    with registry(need.program("docker-registry"), tmp_path / "closed", login=True) as found:
        yield found


@pytest.fixture
def giver(tmp_path: Path) -> Iterator[Tokens]:
    with tokens(tmp_path / "tokens") as found:
        yield found


@pytest.fixture
def by_token(need: Need, tmp_path: Path, giver: Tokens) -> Iterator[Registry]:
    """A registry that wants tokens of ``giver``."""
    program = need.program("docker-registry")
    with registry(program, tmp_path / "by-token", auth=giver.auth) as found:
        yield found


@dataclass
class Ours:
    image: Image
    blobs: Blobs

    def push(self, host: str, name: str = "churn:7", bases: Sequence[str] = ()) -> Progress:
        image = self.image
        reference = parse(f"{host}/{name}")
        return push(reference, image.manifest, [image], self.blobs, bases=bases)


@pytest.fixture
def ours(tmp_path: Path) -> Ours:
    blobs = Blobs(tmp_path / "blobs")
    return Ours(small_image(blobs, {"a": b"1"}, base=small_image(blobs, {"b": b"2"})), blobs)


def pulled(host: str, folder: Path, name: str = "churn:7") -> Image:
    with Source(f"{host}/{name}", Blobs(folder)) as source:
        (manifest,) = source.platforms().values()
        return source.image(manifest)


def keep(folder: Path, config: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))


def check_refused(caught: pytest.ExceptionInfo[ImageError], host: str) -> None:
    assert f"{host}/churn:7: the registry wants a login that may do this (" in str(caught.value)
    assert caught.value.tip == f"Log in first: docker login {host}"
    assert PASSWORD not in caught.value.paragraph()


def test_without_a_login_the_next_step_is_named(
    closed: Registry, ours: Ours, tmp_path: Path
) -> None:
    with pytest.raises(ImageError) as caught:
        ours.push(closed.host)
    check_refused(caught, closed.host)
    with pytest.raises(ImageError) as caught:
        pulled(closed.host, tmp_path / "cache")
    check_refused(caught, closed.host)


def test_a_kept_login_is_used(closed: Registry, ours: Ours, tmp_path: Path, logins: Path) -> None:
    keep_login(logins, closed.host)
    done = ours.push(closed.host)
    assert (done.sent, closed.tags("churn")) == (done.size, ["7"])
    assert pulled(closed.host, tmp_path / "cache").layers == ours.image.layers


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_helper_is_asked(
    closed: Registry, ours: Ours, logins: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    program = logins.with_name("bin") / "docker-credential-test"
    program.parent.mkdir()
    answer = json.dumps({"ServerURL": closed.host, "Username": USER, "Secret": PASSWORD})
    program.write_text(
        f"#!/bin/sh\n[ \"$1 $(cat)\" = 'get {closed.host}' ] || exit 1\necho '{answer}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    keep(logins, {key: {closed.host: "test"} if key == "credHelpers" else "test"})
    assert ours.push(closed.host).saved == 0
    assert closed.tags("churn") == ["7"]


def test_a_wrong_password_is_never_shown(
    closed: Registry, ours: Ours, logins: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    wrong = f"{PASSWORD} no more"
    keep_login(logins, closed.host, password=wrong)
    with pytest.raises(ImageError) as caught:
        ours.push(closed.host)
    check_refused(caught, closed.host)
    assert wrong not in caplog.text
    assert closed.tags("churn") == []


def test_a_login_for_another_registry_is_not_sent(
    closed: Registry, tmp_path: Path, logins: Path
) -> None:
    keep_login(logins, "127.0.0.1:1")
    with pytest.raises(ImageError) as caught:
        pulled(closed.host, tmp_path / "cache")
    check_refused(caught, closed.host)


def test_tokens_are_asked_for_what_is_done(
    by_token: Registry, giver: Tokens, ours: Ours, tmp_path: Path, logins: Path
) -> None:
    keep_login(logins, by_token.host)
    ours.push(by_token.host)
    assert set(giver.requests) == {("GET", "repository:churn:pull,push")}
    assert len(giver.requests) == 1, "one token does for all four threads"
    giver.requests.clear()
    assert pulled(by_token.host, tmp_path / "cache").layers == ours.image.layers
    assert giver.requests == [("GET", "repository:churn:pull")]


def test_tokens_may_allow_two_repositories(
    by_token: Registry, giver: Tokens, ours: Ours, logins: Path
) -> None:
    keep_login(logins, by_token.host)
    ours.push(by_token.host, "base:1")
    done = ours.push(by_token.host, bases=[f"{by_token.host}/base:1"])
    assert (done.sent, done.saved) == (0, done.size)
    assert ("GET", "repository:churn:pull,push repository:base:pull") in giver.requests


def test_an_identity_token_is_a_login(
    by_token: Registry, giver: Tokens, ours: Ours, logins: Path
) -> None:
    keep(logins, {"auths": {by_token.host: {"identitytoken": IDENTITY_TOKEN}}})
    ours.push(by_token.host)
    assert giver.requests[0] == ("POST", "repository:churn:pull,push")
    keep(logins, {"auths": {by_token.host: {"identitytoken": f"not {IDENTITY_TOKEN}"}}})
    with pytest.raises(ImageError) as caught:
        ours.push(by_token.host)
    check_refused(caught, by_token.host)
    assert IDENTITY_TOKEN not in caught.value.paragraph()


def test_what_is_public_needs_no_login(
    by_token: Registry, ours: Ours, tmp_path: Path, logins: Path
) -> None:
    keep_login(logins, by_token.host)
    for name in ("public:1", "churn:7"):
        ours.push(by_token.host, name)
    (logins / "config.json").unlink()
    assert pulled(by_token.host, tmp_path / "cache", "public:1").layers == ours.image.layers
    with pytest.raises(ImageError) as caught:
        pulled(by_token.host, tmp_path / "other")
    check_refused(caught, by_token.host)


def test_a_token_that_has_expired_is_replaced(
    by_token: Registry, giver: Tokens, ours: Ours, logins: Path
) -> None:
    keep_login(logins, by_token.host)
    giver.lasting_s = -120
    with Repository(parse(f"{by_token.host}/churn:7")) as there:
        with pytest.raises(ImageError):
            there.has(ours.image.config_blob)
        giver.lasting_s = 300
        assert not there.has(ours.image.config_blob)


def test_a_token_server_that_is_busy_is_waited_for(
    by_token: Registry, giver: Tokens, ours: Ours, logins: Path
) -> None:
    keep_login(logins, by_token.host)
    giver.busy = 2
    ours.push(by_token.host)
    assert by_token.tags("churn") == ["7"]
    giver.busy = 1000
    with pytest.raises(ImageError, match=r"cannot be reached: http://.*/token answers 503"):
        ours.push(by_token.host)


def test_a_token_server_is_asked_again_when_it_says(
    by_token: Registry, giver: Tokens, ours: Ours, logins: Path
) -> None:
    keep_login(logins, by_token.host)
    giver.busy, giver.retry_after = 1, "1"
    earliest = time.monotonic() + 1
    ours.push(by_token.host)
    assert time.monotonic() >= earliest


class Leading(http.server.BaseHTTPRequestHandler):
    """A registry that wants a password and has uploads go to ``place``."""

    place: str
    seen: list[tuple[str, str]]

    def do_POST(self) -> None:
        given = self.headers.get("authorization", "")
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append((self.command, given))
        self.send_response(202 if given or not self.place else 401)
        self.send_header("www-authenticate", "Basic")
        self.send_header("location", self.place or "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PATCH = do_PUT = do_POST  # noqa: N815 (what the server looks for)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_no_other_host_is_told_the_password(ours: Ours, logins: Path) -> None:
    blob = ours.image.config_blob
    seen: list[tuple[str, str]] = []
    with threaded(type("Other", (Leading,), {"seen": seen, "place": ""})) as other:
        place = f"http://127.0.0.1:{other}/u"
        with threaded(type("First", (Leading,), {"seen": [], "place": place})) as first:
            keep_login(logins, f"127.0.0.1:{first}")
            with Repository(parse(f"127.0.0.1:{first}/churn:7")) as there:
                there.upload(blob, ours.blobs.path(blob.digest))
    assert seen == [("PATCH", ""), ("PUT", "")]
