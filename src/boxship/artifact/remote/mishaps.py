"""What goes wrong between here and a store, in words, and without anybody's secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from boxship.errors import FetchError
from boxship.location import AZURE, GCS, HTTP, HUB, S3, Location

_CREDENTIALS = {
    S3: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a web identity "
    "(AWS_WEB_IDENTITY_TOKEN_FILE), and the instance's or container's own role",
    GCS: "GOOGLE_APPLICATION_CREDENTIALS, gcloud's own login, and the instance's metadata",
    AZURE: "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or "
    "AZURE_STORAGE_SAS_TOKEN, a service principal (AZURE_CLIENT_ID), a workload identity "
    "(AZURE_FEDERATED_TOKEN_FILE), and the managed identity",
    HTTP: "user:password@ in the address",
    HUB: "HF_TOKEN",
}
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
# Where obstore asks last, after everything else has given no credentials.
_METADATA = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")
_LONGEST = 300


class ReplacedError(Exception):
    """The object is another one than it was when its first byte was read."""


class MissingError(Exception):
    """There is no such object."""


@contextmanager
def asking() -> Iterator[None]:
    """Obstore says that an object is missing as the disk says it of a file."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingError from error


def in_words(error: Exception, location: Location) -> FetchError:
    """The error for what ``error`` is about."""
    if isinstance(error, FetchError):
        return error
    if isinstance(error, MissingError) or _NO_BUCKET.search(str(error)):
        return FetchError(
            f"{location}: expected a model there, found nothing.",
            tip="Check the bucket, the name and the region or endpoint.",
        )
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return FetchError(
            f"{location}: access denied.",
            tip="Credentials are looked for in " + _CREDENTIALS[location.store] + ".",
        )
    if isinstance(error, ReplacedError):
        return FetchError(
            f"{location}: it was replaced while it was read, again and again.",
            tip="Fetch it once whoever writes it has finished, or pin its digest.",
        )
    if _METADATA.search(str(error)):
        return FetchError(
            f"{location}: expected credentials, found none.",
            tip="They are looked for in " + _CREDENTIALS[location.store] + ".",
        )
    return FetchError(
        f"{location}: it could not be read: {_said(error, location)}",
        tip="Check the address, the endpoint and the network; what has arrived is kept.",
    )


def _said(error: Exception, location: Location) -> str:
    """The library's own words, in one line."""
    text = str(error).partition("\n\nDebug source:")[0]
    # S3 and Azure repeat the token that they refuse, beside their code and message.
    if told := re.findall(r"<(?:Code|Message)>([^<]*)", text):
        text = ": ".join(told)
    for secret in location.secrets:
        text = text.replace(secret, "…")
    # Addresses in it may be presigned by the library itself.
    text = re.sub(r"\?[^\s\"')]+", "?…", text)
    return " ".join(text.split())[:_LONGEST]
