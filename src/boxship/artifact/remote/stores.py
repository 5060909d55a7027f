"""A location's store, opened with the credentials that its own tools would find.

obstore reads the environment of each cloud by itself, workload identities and instance
metadata included. What it does not know is added here: profiles, the names that the clouds'
command lines use, emulators, and certificates of one's own.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from boxship.artifact.remote import aws
from boxship.errors import FetchError
from boxship.location import AZURE, GCS, HTTP, S3, Location

HUB_VARIABLE = "HF_ENDPOINT"
HUB_ADDRESS = "https://huggingface.co"
_CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""The first that is set counts: what is meant for few tools before what is meant for all."""
_RETRIES: Any = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5)},
}
_SILENCE = timedelta(seconds=60)
"""A connection that says nothing for so long is given up."""
_REQUEST_TIMEOUT = timedelta(days=1)
_AZURE_NAMES = {
    "AZURE_STORAGE_ACCOUNT": "account_name",
    "AZURE_STORAGE_KEY": "account_key",
    "AZURE_STORAGE_SAS_TOKEN": "sas_key",
}
_CONNECTION_NAMES = {
    "AccountName": "account_name",
    "AccountKey": "account_key",
    "SharedAccessSignature": "sas_key",
    "BlobEndpoint": "endpoint",
}


@dataclass(frozen=True)
class Place:
    """A store and a key in it. A key that ends with ``/``, or is empty, is a prefix."""

    store: Any
    key: str


def open_place(location: Location, *, allow_http: bool = False) -> Place:
    """The store that ``location`` is in. Nothing is asked yet. Raises ``FetchError``."""
    parts = urlsplit(location.url)
    environ = os.environ
    options = _options(environ)
    key = location.key
    if location.store == S3:
        config = _s3(environ)
        return Place(S3Store(parts.netloc, config=config, **_with(options, config)), key)
    if location.store == GCS:
        config = _gcs(environ)
        return Place(GCSStore(parts.netloc, config=config, **_with(options, config)), key)
    if location.store == AZURE:
        config, container = _azure(parts, environ)
        return Place(AzureStore(container, config=config, **_with(options, config)), key)
    if location.store == HTTP:
        return _web(location, parts, options, allow_http=allow_http)
    raise ValueError(f"expected the location of a store, found {location}")


def hub_store() -> Any:
    """A model hub's web server, which lets in whoever has ``HF_TOKEN``, and all to what is public."""
    environ = os.environ
    address = environ.get(HUB_VARIABLE, HUB_ADDRESS).rstrip("/")
    options: Any = _options(environ)
    if token := environ.get("HF_TOKEN"):
        options["default_headers"] = {"authorization": f"Bearer {token}"}
    options["allow_http"] = address.startswith("http://")
    return HTTPStore.from_url(address, client_options=options, retry_config=_RETRIES)


def _web(location: Location, parts: SplitResult, options: Any, *, allow_http: bool) -> Place:
    if parts.scheme == "http" and not allow_http:
        raise FetchError(
            f"{location}: expected https://, found http://, which anybody on the way can change.",
            tip="Use https://, or allow it with --allow-http and a pinned digest.",
        )
    options["allow_http"] = parts.scheme == "http"
    login, _, host = parts.netloc.rpartition("@")
    if login:
        secret = base64.b64encode(unquote(login).encode()).decode()
        options["default_headers"] = {"authorization": f"Basic {secret}"}
    folder, _, name = parts.path.rpartition("/")
    # The query belongs to the address: a presigned one is nothing without it.
    base = urlunsplit((parts.scheme, host, folder, parts.query, ""))
    store = HTTPStore.from_url(base, client_options=options, retry_config=_RETRIES)
    return Place(store, unquote(name))


def _options(environ: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "timeout": _REQUEST_TIMEOUT,
        "read_timeout": _SILENCE,
        "user_agent": "boxship",
    }
    bundle = next(filter(None, map(environ.get, _CA_VARIABLES)), None)
    if bundle:
        try:
            options["root_certificate"] = Path(bundle).read_bytes()
        except OSError as error:
            raise FetchError(
                f"{bundle}: expected certificates in PEM form, found {error.strerror}.",
                tip=f"Mend or unset {' / '.join(_CA_VARIABLES)}.",
            ) from None
    return options


def _with(options: dict[str, Any], config: Mapping[str, str]) -> dict[str, Any]:
    """An endpoint that was configured as http is meant: an emulator, a store in the cluster."""
    endpoint = config.get("endpoint") or config.get("base_url") or ""
    if endpoint.startswith("http://"):
        options["allow_http"] = True
    return {"client_options": options, "retry_config": _RETRIES}


def _s3(environ: Mapping[str, str]) -> Any:
    config = aws.profile(environ)
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        config["endpoint"] = endpoint
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if region:
        config["region"] = region
    return config


def _gcs(environ: Mapping[str, str]) -> Any:
    emulator = environ.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return {}
    address = emulator if "://" in emulator else f"http://{emulator}"
    return {"base_url": address, "skip_signature": "true"}


def _azure(parts: SplitResult, environ: Mapping[str, str]) -> tuple[Any, str]:
    """The account's configuration, and the container."""
    config: dict[str, str] = {
        ours: environ[theirs] for theirs, ours in _AZURE_NAMES.items() if environ.get(theirs)
    }
    told = dict(
        pair.strip().partition("=")[::2]
        for pair in environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";")
    )
    config |= {ours: told[theirs] for theirs, ours in _CONNECTION_NAMES.items() if told.get(theirs)}
    suffix = told.get("EndpointSuffix", "")
    if told.get("UseDevelopmentStorage") == "true":
        config["use_emulator"] = "true"
    container, _, host = parts.netloc.rpartition("@")
    if container:
        # abfs://container@account.dfs.core.windows.net/path, as Hadoop and Spark write it.
        account, _, rest = host.partition(".")
        config["account_name"] = account
        suffix = rest.partition(".")[2] or suffix
    if suffix and "endpoint" not in config and config.get("account_name"):
        # The clouds of some states have names of their own.
        config["endpoint"] = f"https://{config['account_name']}.blob.{suffix}"
    return config, container or parts.netloc
