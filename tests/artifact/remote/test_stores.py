"""What a location's store is opened with, of Azure: its clouds have hosts of their own."""

from urllib.parse import urlsplit

import pytest

from boxship.artifact.remote.stores import _azure

KEYS = "AccountName=acct;AccountKey=QUJD"


@pytest.mark.parametrize(
    ("connection", "url", "config"),
    [
        (f"DefaultEndpointsProtocol=https;{KEYS}", "az://models/m", {}),
        (
            f"{KEYS};EndpointSuffix=core.chinacloudapi.cn",
            "az://models/m",
            {"endpoint": "https://acct.blob.core.chinacloudapi.cn"},
        ),
        (
            f"{KEYS};EndpointSuffix=core.windows.net;BlobEndpoint=http://127.0.0.1:1/acct",
            "az://models/m",
            {"endpoint": "http://127.0.0.1:1/acct"},
        ),
        (
            KEYS,
            "abfs://models@other.dfs.core.usgovcloudapi.net/m",
            {"account_name": "other", "endpoint": "https://other.blob.core.usgovcloudapi.net"},
        ),
    ],
)
def test_the_cloud_that_is_meant_is_asked(
    connection: str, url: str, config: dict[str, str]
) -> None:
    environ = {"AZURE_STORAGE_CONNECTION_STRING": connection}
    found = {"account_name": "acct", "account_key": "QUJD", **config}
    assert _azure(urlsplit(url), environ) == (found, "models")


def test_the_emulator() -> None:
    environ = {"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}
    assert _azure(urlsplit("az://models/m"), environ) == ({"use_emulator": "true"}, "models")
