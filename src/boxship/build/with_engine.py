"""The builders that use an engine: the same plan through its Dockerfile, in Docker or Podman."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from boxship.build import address, context
from boxship.build.asked import index_variables, named_indexes
from boxship.build.outputs import Outputs
from boxship.build.plan import BuildPlan
from boxship.oci.engine import Engine
from boxship.oci.reference import is_loopback, parse_image

_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def build(plan: BuildPlan, wanted: Outputs, *, network: str = "") -> Iterator[str]:
    """Have the engine build the image and keep it; then every place where it is, as it gets there.

    Certificates and indexes of this machine reach the build as secrets, and no layer. Raises
    ``ImageError`` with what the engine said, and ``OSError``.
    """
    engine, name = wanted.engine, str(wanted.tag)
    assert engine is not None  # noqa: S101 (decided so)
    _build(plan, engine, name, network)
    yield f"{name} in {engine.kind}"
    if wanted.archive is not None:
        # Podman writes into no file that is there.
        with tempfile.TemporaryDirectory(dir=wanted.archive.parent, prefix=".boxship-") as room:
            part = Path(room) / wanted.archive.name
            engine.run("save", "--output", str(part), name)
            part.replace(wanted.archive)
        yield str(wanted.archive)
    if wanted.push:
        engine.run("push", name)
        yield f"{name} pushed"


def _build(plan: BuildPlan, engine: Engine, name: str, network: str) -> None:
    (platform,) = plan.platforms
    with tempfile.TemporaryDirectory(prefix="boxship-context-") as temporary:
        folder = Path(temporary) / "context"
        folder.mkdir()
        context.fill(plan, platform, folder)
        flags = _secrets(plan, Path(temporary))
        if network:
            flags += ["--network", network]
        if engine.kind == "podman":
            # Podman leaves a health check out of OCI images.
            flags += ["--format", "docker"]
            if _on_this_machine(plan.base.name):
                # As Docker does by itself.
                flags.append("--tls-verify=false")
        engine.run("build", *flags, "--tag", name, str(folder))


def pip_settings(plan: BuildPlan, environ: Mapping[str, str]) -> str:
    """A ``pip.conf`` with this machine's indexes, the lock's and the requirements' own."""
    pips = {key: environ.get(f"PIP_{key}", "").split() for key in ("INDEX_URL", "EXTRA_INDEX_URL")}
    found = {
        "index-url": pips["INDEX_URL"] or index_variables.default(environ),
        "extra-index-url": pips["EXTRA_INDEX_URL"] or index_variables.beside(environ),
    }
    # The lock's addresses have no logins.
    known = {address.bare(url) for url in found["extra-index-url"]}
    for key, url in named_indexes.every(plan.requirements, plan.locked.indexes, environ):
        # The usual index is one; of the others there may be several.
        if key == "index-url":
            found[key] = [url]
        elif url not in known:
            found[key].append(url)
    lines = [" ".join([key, "=", "\n    ".join(urls)]) for key, urls in found.items() if urls]
    return "\n".join(["[global]", *lines, ""])


def _on_this_machine(name: str) -> bool:
    try:
        return is_loopback(parse_image(name).registry)
    except ValueError:
        return False


def _secrets(plan: BuildPlan, folder: Path) -> list[str]:
    """Flags that hand over pip's settings, which are written into ``folder``, certificates, logins."""
    settings = folder / "pip.conf"
    settings.touch(mode=0o600)
    settings.write_text(pip_settings(plan, os.environ), encoding="utf-8")
    found = ["--secret", f"id=pip,src={settings}"]
    certificates = next(filter(None, map(os.environ.get, _CERTIFICATES)), "")
    if certificates:
        found += ["--secret", f"id=ca,src={certificates}"]
    logins = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if logins.is_file():
        found += ["--secret", f"id=netrc,src={logins}"]
    return found
