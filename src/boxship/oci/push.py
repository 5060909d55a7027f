"""Images into a registry: what it has already is not sent again, and its name comes last."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock

from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import Descriptor
from boxship.oci.image import Image
from boxship.oci.reference import Reference, parse_image
from boxship.oci.registry import Repository

_AT_ONCE = 4


@dataclass(frozen=True)
class Progress:
    """Bytes that were sent, that the registry had somewhere already, and all of them."""

    sent: int
    saved: int
    size: int


def push(
    reference: Reference,
    top: Descriptor,
    images: Sequence[Image],
    blobs: Blobs,
    *,
    bases: Sequence[str] = (),
    told: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Send ``images`` and name them; ``bases`` are images whose layers may lie beside.

    Nothing is named before everything is there. Raises ``ImageError`` and ``OSError``.
    """
    wanted = {blob.digest: blob for image in images for blob in image.blobs}
    meter = _Meter(sum(blob.size for blob in wanted.values()), told)
    beside = _beside(reference, bases)
    with Repository(reference) as repository, ThreadPoolExecutor(_AT_ONCE) as pool:

        def bring(blob: Descriptor) -> None:
            place = None if repository.has(blob) else repository.begin(blob, beside)
            if place is None:
                meter.add(saved=blob.size)
            else:
                file = blobs.path(blob.digest)
                repository.upload(blob, file, lambda more: meter.add(sent=more), place=place)

        # The largest first: the last one to end decides how long it takes.
        largest_first = sorted(wanted.values(), key=lambda blob: blob.size, reverse=True)
        brought = [pool.submit(bring, blob) for blob in largest_first]
        try:
            done, _ = wait(brought, return_when=FIRST_EXCEPTION)
            for one in done:
                one.result()
        except BaseException:
            repository.give_up()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for image in images:
            repository.put_manifest(
                image.manifest, blobs.read(image.manifest), image.manifest.digest
            )
        repository.put_manifest(top, blobs.read(top), reference.version)
    return meter.progress


def _beside(reference: Reference, bases: Sequence[str]) -> list[str]:
    """Repositories of the same registry that may have layers of the image."""
    found = []
    for name in bases:
        try:
            base = parse_image(name)
        except ValueError:
            continue
        if base.registry == reference.registry and base.repository != reference.repository:
            found.append(base.repository)
    return found


class _Meter:
    """Adds up what moves, from several threads."""

    def __init__(self, size: int, told: Callable[[Progress], None]) -> None:
        self.progress = Progress(0, 0, size)
        self._told = told
        self._lock = Lock()

    def add(self, *, sent: int = 0, saved: int = 0) -> None:
        with self._lock:
            old = self.progress
            self.progress = Progress(old.sent + sent, old.saved + saved, old.size)
            self._told(self.progress)
