"""Names of images."""

import pytest

from boxship.oci.reference import parse

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "version", "shown"),
    [
        ("python", "docker.io", "library/python", "latest", "python:latest"),
        ("python:3.11-slim", "docker.io", "library/python", "3.11-slim", "python:3.11-slim"),
        ("acme/churn:7", "docker.io", "acme/churn", "7", "acme/churn:7"),
        ("localhost/churn", "localhost", "churn", "latest", "localhost/churn:latest"),
        ("registry:5000/team/churn", "registry:5000", "team/churn", "latest", None),
        ("ghcr.io/acme/a__b-c.d:v1", "ghcr.io", "acme/a__b-c.d", "v1", "ghcr.io/acme/a__b-c.d:v1"),
        (f"[::1]:5000/a@{DIGEST}", "[::1]:5000", "a", DIGEST, f"[::1]:5000/a@{DIGEST}"),
        (f"a:1@{DIGEST}", "docker.io", "library/a", DIGEST, f"a:1@{DIGEST}"),
    ],
)
def test_a_name(text: str, registry: str, repository: str, version: str, shown: str | None) -> None:
    found = parse(text)
    assert (found.registry, found.repository, found.version) == (registry, repository, version)
    assert str(found) == (shown or f"{text}:latest")


def test_docker_hub_answers_elsewhere() -> None:
    assert parse("python").host == "registry-1.docker.io"
    assert parse("ghcr.io/a/b").host == "ghcr.io"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Churn", "expected a name such as"),
        ("churn:", "expected a tag"),
        ("churn:a b", "expected a tag"),
        ("churn:" + "a" * 129, "expected a tag"),
        ("churn@sha256:1", "expected @sha256:"),
        ("", "expected a name such as"),
        ("a//b", "expected a name such as"),
        ("ho$t.example/a", "expected a registry's host"),
    ],
)
def test_no_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)
