"""Where an image comes from: a registry, or a layout in a folder."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from boxship.errors import DigestError, ImageError
from boxship.oci import descriptor, reference
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import INDEXES, MANIFEST, MANIFESTS, Descriptor
from boxship.oci.image import Image
from boxship.oci.layer import Layer
from boxship.oci.layout import Layout
from boxship.oci.platform import Platform
from boxship.oci.registry import Repository, Told

_AT_ONCE = 4


class Source:
    """An image as somebody named it, read through ``cache``. Close it, or use it in a ``with``.

    ``oci:DIR`` and ``oci:DIR:NAME`` are layouts; ``docker://REF`` and a bare ``REF`` are in
    registries.
    """

    def __init__(self, name: str, cache: Blobs) -> None:
        self.name = name
        self._cache = cache
        self._stack = ExitStack()
        self._origin: Layout | Repository
        if name.startswith("oci:"):
            place = name.removeprefix("oci:")
            # A name has colons of its own, a folder hardly ever: oci:base:python:3.11
            folder, _, tag = (place, "", "") if Path(place).is_dir() else place.partition(":")
            self._origin, self._tag = Layout(Path(folder)), tag
            return
        try:
            parsed = reference.parse_image(name)
        except ValueError as error:
            raise ImageError(f"{name}: {error}") from None
        self._origin = self._stack.enter_context(Repository(parsed))
        self._tag = parsed.version

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def platforms(self) -> dict[Platform, Descriptor]:
        """The manifest of each platform that the image is for. Raises ``ImageError``."""
        top, data = self._top()
        value = _json(data, self.name)
        if top.media_type in INDEXES:
            entries = self._descriptors(value.get("manifests"))
            return {
                one.platform: one
                for one in entries
                if one.platform is not None and one.platform.system != "unknown"
            }
        if top.media_type not in MANIFESTS:
            raise ImageError(
                f"{self.name}: expected an image, found {top.media_type or 'nothing'}."
            )
        config = self._config(value)
        return {_platform(config): top}

    def image(self, manifest: Descriptor, told: Told | None = None) -> Image:
        """An image with all its layers in the cache. Raises ``ImageError`` and ``OSError``."""
        value = _json(self._manifest(manifest), self.name)
        config = self._config(value)
        blobs = self._descriptors(value.get("layers"))
        rootfs = config.get("rootfs")
        diff_ids = _list((rootfs if isinstance(rootfs, dict) else {}).get("diff_ids"), self.name)
        if len(diff_ids) != len(blobs):
            raise ImageError(f"{self.name}: expected {len(blobs)} diff_ids, found {len(diff_ids)}.")
        once = {blob.digest: blob for blob in blobs}
        _all_at_once(lambda blob: self._bring(blob, told), list(once.values()))
        return Image(
            manifest,
            descriptor.read(value["config"], self.name),
            tuple(Layer(blob, str(diff)) for blob, diff in zip(blobs, diff_ids, strict=True)),
            config,
            _platform(config),
        )

    def pinned(self, digest: str, told: Told | None = None) -> Image:
        """The image of a manifest by its digest, out of the cache where it is there."""
        if not self._cache.path(digest).exists():
            self._bring_manifest(digest)
        data = self._cache.path(digest).read_bytes()
        media_type = _json(data, self.name).get("mediaType") or MANIFEST
        return self.image(Descriptor(str(media_type), digest, len(data)), told)

    def _top(self) -> tuple[Descriptor, bytes]:
        if isinstance(self._origin, Layout):
            top = self._origin.top(self._tag)
            return top, self._manifest(top)
        return self._fetched(self._origin, self._tag)

    def _manifest(self, manifest: Descriptor) -> bytes:
        """A manifest's bytes, out of the cache where they are there."""
        if not self._cache.has(manifest):
            self._bring_manifest(manifest.digest)
        return self._cache.read(manifest)

    def _bring_manifest(self, digest: str) -> None:
        if isinstance(self._origin, Layout):
            self._take(digest, self._origin)
        else:
            self._fetched(self._origin, digest)

    def _fetched(self, repository: Repository, version: str) -> tuple[Descriptor, bytes]:
        """A manifest or an index, kept in the cache."""
        found, data = repository.manifest(version)
        self._cache.add(data, found.media_type)
        return found, data

    def _config(self, manifest: dict[str, Any]) -> dict[str, Any]:
        blob = descriptor.read(manifest.get("config"), self.name)
        self._bring(blob, None)
        return _json(self._cache.read(blob), self.name)

    def _bring(self, blob: Descriptor, told: Told | None) -> None:
        if self._cache.has(blob):
            return
        if isinstance(self._origin, Layout):
            self._take(blob.digest, self._origin)
        else:
            self._origin.fetch(blob, self._cache, told)

    def _take(self, digest: str, layout: Layout) -> None:
        try:
            with (
                layout.blobs.path(digest).open("rb") as file,
                self._cache.adding(digest) as incoming,
            ):
                while chunk := file.read(1 << 20):
                    incoming.write(chunk)
        except FileNotFoundError:
            raise ImageError(f"{self.name}: expected the blob {digest}, found none.") from None
        except DigestError as error:
            raise ImageError(f"{self.name}: a blob is broken: {error.message}") from None

    def _descriptors(self, values: Any) -> list[Descriptor]:
        return [descriptor.read(one, self.name) for one in _list(values, self.name)]


def _all_at_once(act: Callable[[Descriptor], None], blobs: list[Descriptor]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(act, blobs))


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _no_image(where)
    return value


def _list(value: Any, where: str) -> list[Any]:
    """What JSON gives as a list; one that is not there is empty."""
    if value is not None and not isinstance(value, list):
        raise _no_image(where)
    return value or []


def _no_image(where: str) -> ImageError:
    return ImageError(f"{where}: expected JSON that describes an image, found something else.")


def _platform(config: dict[str, Any]) -> Platform:
    return Platform(
        str(config.get("os") or "linux"),
        str(config.get("architecture") or ""),
        str(config.get("variant") or ""),
    )
