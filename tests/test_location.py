"""What a place of a model is called, and what no message may repeat of it."""

import pytest

from boxship.location import AZURE, GCS, HTTP, HUB, S3, HubPlace, Location, hub_place, parse, shown

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "store", "name"),
    [
        ("s3://bucket/models/churn.pkl", S3, "churn.pkl"),
        ("S3://bucket/a%20b#1?.pkl", S3, "a%20b#1?.pkl"),
        ("https://models.test/a%20b.pkl", HTTP, "a b.pkl"),
        ("gs://bucket/saved/", GCS, "saved"),
        ("gcs://bucket", GCS, "bucket"),
        ("az://container/churn.onnx", AZURE, "churn.onnx"),
        ("abfs://container@account.dfs.core.windows.net/churn.onnx", AZURE, "churn.onnx"),
        ("https://models.test/churn.onnx?signature=abc", HTTP, "churn.onnx"),
        ("hf://org/name", HUB, "name"),
        ("hf://org/name@v1.2/onnx/model.onnx", HUB, "model.onnx"),
    ],
)
def test_an_address(text: str, store: str, name: str) -> None:
    location = parse(text)
    assert (location.store, location.url, location.path, location.digest) == (store, text, "", "")
    assert location.name == name


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("models/churn.pkl", "models/churn.pkl"),
        ("/models/churn@2.pkl", "/models/churn@2.pkl"),
        ("file:///models/a%20b#1?.pkl", "/models/a%20b#1?.pkl"),
        ("file://localhost/models/churn.pkl", "/models/churn.pkl"),
    ],
)
def test_a_path(text: str, path: str) -> None:
    assert parse(text) == Location(path=path)
    assert parse(f"{text}@{DIGEST}") == Location(path=path, digest=DIGEST)


@pytest.mark.parametrize("text", ["s3://bucket/churn.pkl", "hf://org/name@main/churn.onnx"])
def test_a_digest_is_no_part_of_the_address(text: str) -> None:
    location = parse(f"{text}@{DIGEST}")
    assert (location.url, location.digest) == (text, DIGEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file://host/churn.pkl", "expected file:///… with three slashes"),
        ("ftp://host/churn.pkl", "expected a path, file:///…, s3://"),
        ("https://user:half/other@host/churn.pkl", "write %2F"),
        ("s3:///churn.pkl", "expected a bucket or a host after s3://, found none"),
        ("hf://name", "expected hf://org/name"),
        ("s3://bucket/churn.pkl@sha256:abc", "expected @sha256: and 64 hex digits"),
        (f"s3://bucket/churn.pkl@{DIGEST.upper().replace('SHA', 'sha')}", "64 hex digits"),
    ],
)
def test_what_is_no_location(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse(text)


def test_the_hub_has_revisions_and_files() -> None:
    assert hub_place("hf://org/name") == HubPlace("org/name", "main", "")
    assert hub_place("hf://org/name/") == HubPlace("org/name", "main", "")
    assert hub_place("hf://org/name@abc/onnx/m.onnx") == HubPlace("org/name", "abc", "onnx/m.onnx")


@pytest.mark.parametrize(
    "text",
    [
        "https://user:pa%20ss@models.test/churn.pkl?token=pass",
        "https://pass@models.test/churn.pkl",
    ],
)
def test_credentials_are_not_shown(text: str) -> None:
    location = parse(text)
    for said in (str(location), repr(location)):
        assert "pass" not in said
        assert "pa%20ss" not in said
    assert str(location) == "https://models.test/churn.pkl"
    assert location.secrets
    assert shown(text) == "https://models.test/churn.pkl"
    assert shown(f"{text}@{DIGEST}") == f"https://models.test/churn.pkl@{DIGEST}"


def test_a_container_is_no_password() -> None:
    text = "abfs://container@account.dfs.core.windows.net/churn.onnx"
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("s3://key:hidden@models/x", "s3://models/x"),
        ("gs://hidden@models/x", "gs://models/x"),
        ("hf://me:hidden@org/name", "hf://org/name"),
        ("abfs://container:hidden@account/x", "abfs://account/x"),
        ("az://container/x?sv=1&sig=hidden", "az://container/x"),
    ],
)
def test_a_stores_credentials_are_not_in_its_address(text: str, plain: str) -> None:
    """And where somebody puts them there, no message repeats them."""
    assert shown(text) == plain
    with pytest.raises(ValueError, match="expected no credentials in the address") as caught:
        parse(text)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "abfs://container@account.dfs.core.windows.net/x",
        "s3://models/x?version=1",
        "hf://org/name@main/model.onnx",
        f"s3://models/x@sha256:{'0' * 64}",
        f"s3://models@sha256:{'0' * 64}",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert shown(text) == text
    parse(text)


def test_a_login_is_not_shown_where_the_url_is_mistyped() -> None:
    assert shown("https:/ada:hunter2@models.test/churn.pkl") == "https:/…@models.test/churn.pkl"
    assert shown("//ada:hunter2@models.test/churn.pkl") == "//…@models.test/churn.pkl"
