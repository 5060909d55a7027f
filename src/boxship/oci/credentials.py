"""Logins for registries, from where ``docker login`` and ``podman login`` keep them."""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxship import process
from boxship.errors import BoxshipError, ImageError
from boxship.oci.reference import DOCKER_HUB

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB)
_TOKEN_USER = "<token>"  # noqa: S105 (how helpers mark a token, not one)


@dataclass(frozen=True)
class Login:
    """A user and a password, or a token that stands for both."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def find(registry: str, environ: Mapping[str, str] = os.environ) -> Login | None:
    """The login that was kept for ``registry``; None where there is none.

    A helper for this registry comes first, then a helper for all, then what the file itself
    holds, as Docker does it. Raises ``ImageError`` for a file or a helper that is broken.
    """
    for file in _files(environ):
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ImageError(f"{file}: expected JSON with logins, found: {error}.") from None
        try:
            login = _in_file(config, registry, file, environ)
        except (AttributeError, TypeError):
            raise ImageError(f"{file}: expected JSON with logins, found other JSON.") from None
        if login is not None:
            return login
    return None


def _files(environ: Mapping[str, str]) -> list[Path]:
    home = Path(environ.get("HOME") or "/nonexistent")
    docker = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    found = [docker / "config.json"]
    if given := environ.get("REGISTRY_AUTH_FILE"):
        found.insert(0, Path(given))
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime) / "containers" / "auth.json")
    return found


def _in_file(
    config: dict[str, Any], registry: str, file: Path, environ: Mapping[str, str]
) -> Login | None:
    keys = _HUB_KEYS if registry == DOCKER_HUB else (registry, f"https://{registry}")
    helpers = config.get("credHelpers") or {}
    for key in keys:
        helper = helpers.get(key) or config.get("credsStore")
        if helper and (login := _ask(str(helper), key, environ)):
            return login
    for key in keys:
        entry = (config.get("auths") or {}).get(key) or {}
        if entry.get("identitytoken"):
            return Login(token=str(entry["identitytoken"]))
        if entry.get("auth"):
            try:
                text = base64.b64decode(entry["auth"]).decode()
            except (binascii.Error, ValueError, TypeError):
                raise ImageError(f"{file}: expected base64 in the login of {key}.") from None
            user, _, password = text.partition(":")
            return Login(user, password)
        if entry.get("username"):
            return Login(str(entry["username"]), str(entry.get("password") or ""))
    return None


def _ask(helper: str, key: str, environ: Mapping[str, str]) -> Login | None:
    """https://github.com/docker/docker-credential-helpers."""
    try:
        done = process.run([f"docker-credential-{helper}", "get"], environ=environ, stdin=key)
    except BoxshipError as error:
        tip = "Install it, or log in anew: docker login"
        raise ImageError(f"The login of {key}: {error.message}", tip=tip) from None
    if done.code != 0:
        if "credentials not found" in done.stdout + done.stderr:
            return None
        raise ImageError(
            f"docker-credential-{helper}: could not give the login of {key}: {done.said()}"
        )
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise ImageError(f"docker-credential-{helper}: expected JSON with a login.") from None
    return Login(token=secret) if user == _TOKEN_USER else Login(user, secret)
