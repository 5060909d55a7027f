"""A repository of a registry: what is in it, and what is put into it.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import httpx

from boxship.errors import DigestError, ImageError
from boxship.oci.blobs import Blobs, Incoming
from boxship.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from boxship.oci.patience import BUSY, TRIES
from boxship.oci.reference import Reference
from boxship.oci.registry_access import Access, retry_after

_CHUNK = 1 << 20
_ACCEPT = ", ".join((*INDEXES, *MANIFESTS))

_GONE = (404, 416)
"""An upload that the registry knows no more, or not as far."""

Told = Callable[[int], None]
"""Is told how many more bytes have moved; fewer than none, where some must move again."""


class Repository:
    """One repository. Safe for several threads; close it, or use it in a ``with``."""

    def __init__(self, reference: Reference, *, access: Access | None = None) -> None:
        self.reference = reference
        self._access = access or Access(reference)
        self._path = f"/v2/{reference.repository}"
        self._pull = (f"repository:{reference.repository}:pull",)
        self._push = (f"repository:{reference.repository}:pull,push",)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._access.close()

    def give_up(self) -> None:
        """Wait for the registry no more where it is busy: nobody needs the answer."""
        self._access.patience.give_up()

    def manifest(self, version: str) -> tuple[Descriptor, bytes]:
        """The manifest or index of a tag or a digest, checked.

        Raises ``ImageError``, also where there is none, and ``DigestError``.
        """
        found = self.find_manifest(version)
        if found is None:
            raise _missing(self.reference, f"no image {version!r} there")
        return found

    def find_manifest(self, version: str) -> tuple[Descriptor, bytes] | None:
        """The same, but None where there is none."""
        path = f"{self._path}/manifests/{version}"
        response = self._access.request("GET", path, scopes=self._pull, headers={"Accept": _ACCEPT})
        if response.status_code == 404:
            return None
        self._check(response)
        data = response.content
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if version.startswith("sha256:") and digest != version:
            raise DigestError(self.reference, version, digest)
        media_type = response.headers.get("content-type", "").partition(";")[0]
        try:
            told = json.loads(data).get("mediaType")
        except (ValueError, AttributeError):
            raise ImageError(f"{self.reference}: expected a manifest, found no JSON.") from None
        return Descriptor(told or media_type, digest, len(data)), data

    def has(self, blob: Descriptor) -> bool:
        """Whether the repository has a blob already. Raises ``ImageError``."""
        response = self._access.request(
            "HEAD", f"{self._path}/blobs/{blob.digest}", scopes=self._push
        )
        if response.status_code == 404:
            return False
        self._check(response)
        return True

    def fetch(self, blob: Descriptor, into: Blobs, told: Told | None = None) -> None:
        """Bring a blob here; a cut connection goes on where it was cut.

        Raises ``ImageError``, ``DigestError`` and ``OSError``.
        """
        if into.has(blob):
            return
        failures = 0  # in a row, without a byte that moved
        # Checked here, where the repository can be named.
        with into.adding() as incoming:
            while True:
                before = incoming.size
                try:
                    self._receive(blob, incoming, told)
                    break
                except httpx.TransportError as error:
                    failures = 1 if incoming.size > before else failures + 1
                    if incoming.size == blob.size:
                        break
                    if failures == TRIES:
                        raise ImageError(f"{self.reference}: cut off: {error}") from error
                    self._access.patience.pause(failures)
            if incoming.digest != blob.digest:
                raise DigestError(self.reference, blob.digest, incoming.digest)

    def _receive(self, blob: Descriptor, incoming: Incoming, told: Told | None) -> None:
        """Bring what is not here yet. Raises ``httpx.TransportError`` where that is cut off."""
        with self._access.streamed(
            f"{self._path}/blobs/{blob.digest}", scopes=self._pull, start=incoming.size
        ) as response:
            self._check(response, f"no blob {blob.digest}")
            skip = incoming.size if response.status_code != 206 else 0
            for chunk in response.iter_raw():
                kept = chunk[skip:]
                skip = max(0, skip - len(chunk))
                incoming.write(kept)
                if told:
                    told(len(kept))
                if incoming.size > blob.size:
                    raise ImageError(
                        f"{self.reference}: expected {blob.size} bytes of {blob.digest}, found more."
                    )

    def begin(self, blob: Descriptor, sources: Sequence[str] = ()) -> str | None:
        """Where a blob is to be sent; None where it was in one of ``sources`` and now is here too.

        Those are other repositories of the registry. Raises ``ImageError``.
        """
        for source in sources:
            pull = (f"repository:{source}:pull",)
            # Asked first: each attempt to mount what is not there would leave an upload open.
            there = self._access.request("HEAD", f"/v2/{source}/blobs/{blob.digest}", scopes=pull)
            if there.status_code >= 400:
                continue
            query = urlencode({"mount": blob.digest, "from": source})
            response = self._access.request(
                "POST", f"{self._path}/blobs/uploads/?{query}", scopes=(*self._push, *pull)
            )
            if response.status_code == 201:
                return None
            if response.status_code == 202:
                # A registry that does not mount has begun an upload instead.
                return self._place(response)
        return self._begun()

    def upload(
        self, blob: Descriptor, file: Path, told: Told | None = None, *, place: str = ""
    ) -> None:
        """Send a blob, piece by piece; a cut connection goes on where the registry says.

        Where it says nothing of use, everything is sent again. ``place`` is where the upload has
        begun, if it has. Raises ``ImageError`` and ``OSError``.
        """
        moved = _Moved(told)
        place = self._filled(blob, file, place or self._begun(), moved)
        mark = "&" if "?" in place else "?"
        response = self._access.request(
            "PUT",
            f"{place}{mark}digest={quote(blob.digest, safe='')}",
            scopes=self._push,
            headers={"Content-Length": "0"},
        )
        # The answer to a first try may have been lost.
        if response.status_code >= 400 and not self.has(blob):
            self._check(response, "the upload is gone")
        moved.to(blob.size)

    def _filled(self, blob: Descriptor, file: Path, place: str, moved: "_Moved") -> str:
        """Have the registry hold all bytes; where the upload then waits to be ended."""
        start, most, failures = 0, 0, 0
        while True:
            try:
                response = self._sent(place, file, start, blob.size, moved)
                if response.status_code not in (*BUSY, *_GONE):
                    self._check(response, "the upload is gone")
                    return self._place(response)
                reason, wanted = f"{response.status_code}{_said(response)}", retry_after(response)
            except httpx.TransportError as error:
                reason, wanted = str(error), ""
            failures += 1
            if failures == TRIES:
                raise ImageError(f"{self.reference}: cut off: {reason}")
            self._access.patience.pause(failures, wanted)
            place, start = self._resumed(place)
            if start and start == blob.size:
                return place
            if start > most:
                most, failures = start, 1

    def _begun(self) -> str:
        """Where a new upload goes."""
        response = self._access.request("POST", f"{self._path}/blobs/uploads/", scopes=self._push)
        self._check(response, "no such repository")
        return self._place(response)

    def _resumed(self, place: str) -> tuple[str, int]:
        """Where an upload goes on, and from which byte; a new one, where it cannot go on."""
        response = self._access.request("GET", place, scopes=self._push)
        received = _received(response) if response.status_code < 400 else 0
        # Of the first byte alone a registry says the same as of none.
        return (self._place(response), received) if received else (self._begun(), 0)

    def put_manifest(self, manifest: Descriptor, data: bytes, version: str) -> bool:
        """Name an image; whether the registry lists it with what it refers to.

        Raises ``ImageError``.
        """
        response = self._access.request(
            "PUT",
            f"{self._path}/manifests/{version}",
            scopes=self._push,
            headers={"Content-Type": manifest.media_type},
            content=lambda: data,
        )
        self._check(response, "no such repository")
        return "oci-subject" in response.headers

    def _sent(
        self, place: str, file: Path, start: int, size: int, moved: "_Moved"
    ) -> httpx.Response:
        def pieces() -> Iterator[bytes]:
            moved.to(start)
            with file.open("rb") as opened:
                opened.seek(start)
                while piece := opened.read(_CHUNK):
                    yield piece
                    moved.to(opened.tell())

        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size - start),
        }
        if start:
            headers["Content-Range"] = f"{start}-{size - 1}"
        return self._access.once("PATCH", place, scopes=self._push, headers=headers, content=pieces)

    def _place(self, response: httpx.Response) -> str:
        """Where an upload goes on: an address of its own, or a path of the registry."""
        place = response.headers.get("location", "")
        if not place:
            raise ImageError(f"{self.reference}: expected the place of the upload, found none.")
        return str(response.url.join(place))

    def _check(self, response: httpx.Response, missing: str = "nothing there") -> None:
        code = response.status_code
        if code < 400:
            return
        if code == 404:
            raise _missing(self.reference, missing)
        if code in (401, 403):
            raise ImageError(
                f"{self.reference}: the registry wants a login that may do this "
                f"({code}{_said(response)}).",
                tip=f"Log in first: docker login {self.reference.registry}",
            )
        raise ImageError(f"{self.reference}: the registry refuses: {code}{_said(response)}.")


def _missing(reference: Reference, what: str) -> ImageError:
    return ImageError(f"{reference}: {what}.", tip="Check its name and tag.")


class _Moved:
    """How far an upload is: what is sent again is taken back first."""

    def __init__(self, told: Told | None) -> None:
        self._told = told
        self._at = 0

    def to(self, place: int) -> None:
        if self._told and place != self._at:
            self._told(place - self._at)
        self._at = place


def _said(response: httpx.Response) -> str:
    """What the registry gave as its reason."""
    try:
        response.read()
        errors: Any = response.json().get("errors") or []
        words = ", ".join(str(error.get("message") or error.get("code")) for error in errors)
    except (ValueError, AttributeError, httpx.HTTPError):
        words = ""
    return f", {words}" if words else ""


def _received(response: httpx.Response) -> int:
    """How much of an upload the registry has: ``Range: 0-1023`` is 1,024 bytes."""
    last = response.headers.get("range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdigit() and int(last) else 0
