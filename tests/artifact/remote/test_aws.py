"""Profiles of the AWS command line."""

from pathlib import Path

import pytest

from boxship.artifact.remote.aws import profile
from boxship.errors import FetchError

CREDENTIALS = """
[default]
aws_access_key_id = one
aws_secret_access_key = two

[team]
aws_access_key_id = three
aws_secret_access_key = f%ur
aws_session_token = five
"""
CONFIG = """
[default]
region = eu-north-1

[profile team]
region = eu-west-1
endpoint_url = https://s3.team.test
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(CREDENTIALS)
    (folder / "config").write_text(CONFIG)
    return {"HOME": str(tmp_path)}


def test_the_profile_that_is_asked_for(home: dict[str, str]) -> None:
    assert profile({**home, "AWS_PROFILE": "team"}) == {
        "access_key_id": "three",
        "secret_access_key": "f%ur",
        "session_token": "five",
        "region": "eu-west-1",
        "endpoint": "https://s3.team.test",
    }


def test_the_default_profile(home: dict[str, str]) -> None:
    assert profile(home) == {
        "access_key_id": "one",
        "secret_access_key": "two",
        "region": "eu-north-1",
    }


def test_keys_of_the_environment_come_first(home: dict[str, str]) -> None:
    """They say who asks, and the profile still where."""
    mine = {**home, "AWS_ACCESS_KEY_ID": "mine"}
    assert profile(mine) == {"region": "eu-north-1"}
    assert profile({**mine, "AWS_PROFILE": "team"}) == {
        "region": "eu-west-1",
        "endpoint": "https://s3.team.test",
    }
    assert profile({**home, "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}) == {"region": "eu-north-1"}


def test_a_profile_that_logs_in_otherwise(home: dict[str, str], tmp_path: Path) -> None:
    """Another identity must not be taken in its place."""
    with (tmp_path / ".aws" / "config").open("a") as file:
        file.write("[profile sso]\nsso_session = work\nregion = eu-west-1\n")
    with pytest.raises(FetchError, match="profile 'sso' logs in by sso_session") as caught:
        profile({**home, "AWS_PROFILE": "sso"})
    assert "aws configure export-credentials --profile sso" in caught.value.tip


def test_files_may_lie_elsewhere(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = elsewhere\n")
    found = profile({**home, "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")})
    assert found["access_key_id"] == "elsewhere"


def test_without_files_there_is_no_profile(tmp_path: Path) -> None:
    assert profile({"HOME": str(tmp_path)}) == {}


def test_a_profile_that_is_missing(home: dict[str, str]) -> None:
    with pytest.raises(FetchError, match=r"expected a profile 'other' in .*credentials"):
        profile({**home, "AWS_PROFILE": "other"})


def test_a_file_that_is_none(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".aws" / "credentials").write_text("no section = here")
    with pytest.raises(FetchError, match="expected AWS profiles"):
        profile(home)
