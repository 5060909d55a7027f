"""Finished images: their bytes in the registry, their packages, and what they answer."""

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from build.churn import ROW
from build.parts import Parts

_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_PATIENCE_S = 60.0
_ASK = """
import sys, urllib.request as u
sent = u.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
print(u.urlopen(sent, timeout=5).read().decode())
"""
_LIST = """
import importlib.metadata as m, json
print(json.dumps({one.name.lower(): one.version for one in m.distributions()}))
"""


def added_bytes(name: str, base: str) -> int:
    """The layers of ``name`` that ``base`` has not, as the registry keeps them."""
    below = {layer["digest"] for layer in _layers(base)}
    return sum(layer["size"] for layer in _layers(name) if layer["digest"] not in below)


def _layers(name: str) -> list[dict[str, Any]]:
    registry, _, rest = name.partition("/")
    repository, _, tag = rest.partition(":")
    asked = urllib.request.Request(
        f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": _MANIFESTS}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)["layers"]
    return found


@dataclass(frozen=True)
class Running:
    """A container with no network but its own."""

    parts: Parts
    name: str

    def ask(self, port: int) -> dict[str, Any]:
        """Its answer about ``churn.ROW``, once it is up."""
        row = json.dumps({f"feature_{index}": value for index, value in enumerate(ROW, 1)})
        url = f"http://127.0.0.1:{port}/predict"
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            said = self._python(_ASK, url, row)
            if said:
                found: dict[str, Any] = json.loads(said)
                return found
            time.sleep(0.2)
        logs = self.parts.engine("logs", "--tail", "20", self.name, may_fail=True)
        raise SystemExit(f"{self.name} did not answer within {_PATIENCE_S:.0f} s:\n{logs}")

    def packages(self) -> dict[str, str]:
        """What is installed in it."""
        found: dict[str, str] = json.loads(self._python(_LIST))
        return found

    def _python(self, *arguments: str) -> str:
        return self.parts.engine("exec", self.name, "python3", "-c", *arguments, may_fail=True)


@contextmanager
def running(parts: Parts, image: str) -> Iterator[Running]:
    """A container of ``image``, as the registry has it, with its own command."""
    parts.engine("pull", "--quiet", image)
    name = f"boxship-bench-{uuid.uuid4().hex[:8]}"
    parts.engine("run", "--detach", "--network", "none", "--name", name, image)
    try:
        yield Running(parts, name)
    finally:
        parts.engine("rm", "--force", name, may_fail=True)
