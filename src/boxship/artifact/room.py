"""Whether there is room for a model, before the first byte of it is written."""

import shutil
from pathlib import Path, PurePosixPath

from boxship import contract
from boxship.cgroups import Cgroups, KernelFiles
from boxship.errors import FetchError

_IN_MEMORY = {"tmpfs", "ramfs"}


def expect_room(folder: Path, needed: int, *, root: Path = Path("/")) -> None:
    """Raise ``FetchError`` where ``needed`` bytes do not fit into ``folder``.

    A file system in memory counts against the container's memory limit: a model that does
    not fit there would have the process killed, and not the write refused. ``root`` is where
    ``/proc`` and ``/sys`` are found.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FetchError(
            f"{folder}: expected room for {needed} bytes more, found {free}.",
            tip=f"Make room, or set {contract.CACHE_VARIABLE} to a larger volume.",
        )
    files = KernelFiles(root)
    if _file_system(folder, files) not in _IN_MEMORY:
        return
    left = Cgroups.of_this_process(files).memory_left()
    if left is not None and needed > left:
        raise FetchError(
            f"{folder}: expected memory for {needed} bytes more, found {left} until the "
            "container's limit: this folder is a file system in memory.",
            tip=f"Set {contract.CACHE_VARIABLE} to a volume on disk (an emptyDir without "
            "medium: Memory), or raise the memory limit.",
        )


def _file_system(folder: Path, files: KernelFiles) -> str:
    """The type of what is mounted where ``folder`` lies."""
    place = PurePosixPath(folder.resolve())
    found = (-1, "")
    for line in files.text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if len(words) < 5 or not kind:
            continue
        # Spaces in it are written as \040.
        mount = PurePosixPath(words[4].encode().decode("unicode_escape"))
        if place.is_relative_to(mount) and len(mount.parts) >= found[0]:
            found = (len(mount.parts), kind[0])
    return found[1]
