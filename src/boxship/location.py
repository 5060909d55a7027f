"""Where a model's bytes are: a path of this machine or an address in a store, and their digest."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PINNED = re.compile(r"(?P<place>.+)@(?P<digest>sha256:.*)", re.DOTALL)
_SIGNED = re.compile(r"\?.*(sig|signature|token|credential)=", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(:[0-9]*)?")
_LOGIN = re.compile(r"[^/]*:[^/]*@")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB = re.compile(r"(?P<repository>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(/(?P<file>.*))?")

S3, GCS, AZURE, HTTP, HUB = "s3", "gs", "az", "https", "hf"
_STORES = {
    "s3": S3,
    "s3a": S3,
    "gs": GCS,
    "gcs": GCS,
    "az": AZURE,
    "azure": AZURE,
    "abfs": AZURE,
    "abfss": AZURE,
    "https": HTTP,
    "http": HTTP,
    "hf": HUB,
}
SCHEMES = "a path, file:///…, s3://, gs://, az://, abfs://, https:// or hf://"


@dataclass(frozen=True)
class Location:
    """A model's place, as somebody wrote it.

    ``path`` is set for what lies on this machine; else ``store`` says what kind of store
    it is, and ``url`` where in it. ``url`` may hold credentials: ``str`` leaves them out.
    ``digest`` is that of the bytes that are meant, where it was said.
    """

    store: str = ""
    path: str = ""
    url: str = field(default="", repr=False)
    digest: str = ""

    def __str__(self) -> str:
        return shown(self.url) if self.url else self.path

    @property
    def name(self) -> str:
        """What the file or folder is called there; a repository of models by its own name."""
        if self.store == HUB:
            hub = hub_place(self.url)
            return PurePosixPath(hub.file).name or PurePosixPath(hub.repository).name
        place = self.path or self.key
        return PurePosixPath(place).name or urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def key(self) -> str:
        """What follows the host: a store's key as it is, a web server's path decoded."""
        if self.store == HTTP:
            return unquote(urlsplit(self.url).path).lstrip("/")
        return _after_host(self.url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parts of ``url`` that no message may repeat."""
        parts = urlsplit(self.url)
        if self.store != HTTP:
            return ()
        user, _, _ = parts.netloc.rpartition("@")
        password = parts.password or ""
        values = [value for _, value in parse_qsl(parts.query, keep_blank_values=True)]
        raw = [pair.partition("=")[2] for pair in parts.query.split("&")]
        found = [user, unquote(user), password, unquote(password), parts.query, *values, *raw]
        # One or two letters are no secret, and stand in every sentence.
        return tuple(sorted({one for one in found if len(one) > 2}, key=len, reverse=True))


def shown(text: str) -> str:
    """``text`` without the credentials that it may hold: before an ``@``, and in a query."""
    match = _URL.match(text)
    if match is None:
        # A path, or a URL with a slash too few, whose login is one all the same.
        return _LOGIN.sub("…@", text)
    pinned = _PINNED.fullmatch(text)
    place, digest = (pinned["place"], f"@{pinned['digest']}") if pinned else (text, "")
    scheme = match[1].lower()
    netloc, slash, rest = place.partition("://")[2].partition("/")
    user, _, host = netloc.rpartition("@")
    if not _HOST.fullmatch(host) and _STORES.get(scheme) != AZURE:
        # What should have been a host: as likely the first half of a password.
        return f"{match[1]}://…"
    if ":" in user or _STORES.get(scheme) != AZURE:
        netloc = host
    if _STORES.get(scheme) == HTTP or _SIGNED.search(rest):
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{match[1]}://{netloc}{slash}{rest}{digest}"


def _after_host(url: str) -> str:
    return url.partition("://")[2].partition("/")[2]


@dataclass(frozen=True)
class HubPlace:
    """``org/name`` of a model hub, one of its revisions, and a file in it; "" for all of them."""

    repository: str
    revision: str
    file: str


def hub_place(url: str) -> HubPlace:
    """What an ``hf://`` address names. Raises ``ValueError``."""
    match = _HUB.fullmatch(url.partition("://")[2].rstrip("/"))
    if match is None:
        raise ValueError("expected hf://org/name, hf://org/name@revision or hf://org/name/file")
    return HubPlace(match["repository"], match["revision"] or "main", match["file"] or "")


def parse(text: str) -> Location:
    """What ``text`` names. Raises ``ValueError`` that says what was expected, and found."""
    place, digest = text, ""
    if pinned := _PINNED.fullmatch(text):
        place, digest = pinned["place"], pinned["digest"]
        if not _DIGEST.fullmatch(digest):
            raise ValueError("expected @sha256: and 64 hex digits after it, found something else")
    match = _URL.match(place)
    if match is None:
        return Location(path=place, digest=digest)
    scheme = match[1].lower()
    if scheme == "file":
        host, slash, path = place[len("file://") :].partition("/")
        if host not in ("", "localhost") or not slash:
            raise ValueError(f"expected file:///… with three slashes, found {shown(place)!r}")
        return Location(path=f"/{path}", digest=digest)
    if scheme not in _STORES:
        raise ValueError(f"expected {SCHEMES}, found {scheme}://")
    location = Location(store=_STORES[scheme], url=place, digest=digest)
    _check(location, scheme)
    return location


def _check(location: Location, scheme: str) -> None:
    """Raises ``ValueError`` where the address is one that no store could have."""
    place = location.url
    if location.store == HTTP and shown(place).endswith("://…"):
        raise ValueError(
            f"expected {scheme}://host/path, found no host; write %2F, %3A and %40 for '/', ':' "
            "and '@' in a password"
        )
    if location.store != HTTP and shown(place) != place:
        raise ValueError(
            "expected no credentials in the address, found some: a store's come from the "
            "environment"
        )
    if location.store == HUB:
        hub_place(place)
    elif not urlsplit(place).hostname:
        raise ValueError(f"expected a bucket or a host after {scheme}://, found none")
