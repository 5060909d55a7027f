"""The CPU and memory limits that control groups set: version 1, version 2, or both at once.

Format: https://docs.kernel.org/admin-guide/cgroup-v2.html and ``cgroups(7)``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_UNLIMITED_BYTES = 1 << 60
"""Version 1 writes "no limit" as the largest page-aligned 64-bit number."""


@dataclass
class KernelFiles:
    """Reads small kernel files below ``root``; what cannot be used becomes a note, not an error."""

    root: Path
    notes: list[str] = field(default_factory=list)

    def text(self, path: PurePosixPath | str) -> str:
        """The file's text without outer space, empty where it is missing."""
        try:
            return (self.root / str(path).lstrip("/")).read_text("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            self.notes.append(f"ignored {path}: {error.strerror}")
            return ""

    def integers(self, path: PurePosixPath, *, unlimited: str, count: int) -> list[int]:
        """The file's numbers; none where it is missing, unlimited or malformed."""
        text = self.text(path)
        words = text.split()
        if not words or words[0] == unlimited:
            return []
        if len(words) == count and all(word.isdecimal() and int(word) > 0 for word in words):
            return [int(word) for word in words]
        expected = "a number" if count == 1 else f"{count} numbers"
        self.notes.append(f"ignored {path}: expected {expected} above 0, found {text[:40]!r}")
        return []

    def words(self, text: str) -> str:
        """``text`` with the notes so far, which then start anew."""
        words = "; ".join([text, *self.notes])
        self.notes.clear()
        return words


@dataclass(frozen=True)
class _Hierarchy:
    """One mounted tree of groups; ``visible`` is the part of the tree that is mounted."""

    controllers: frozenset[str]
    mount: PurePosixPath
    visible: PurePosixPath
    unified: bool


@dataclass(frozen=True)
class Cgroups:
    """This process's groups, and where their trees are mounted."""

    files: KernelFiles
    hierarchies: tuple[_Hierarchy, ...]
    groups: dict[str, PurePosixPath]

    @classmethod
    def of_this_process(cls, files: KernelFiles) -> "Cgroups":
        """Read ``/proc/self``; where it says nothing, version 2 in its usual place is assumed."""
        return cls(files, _hierarchies(files), _own_groups(files))

    def cpu_limit(self) -> tuple[float, str] | None:
        """The smallest CPU quota from this group up to the mount, in cores, and its source."""
        limits: list[tuple[float, str]] = []
        for folder, unified in self._folders("cpu"):
            if unified:
                numbers = self.files.integers(folder / "cpu.max", unlimited="max", count=2)
                name = "cpu.max"
            else:
                numbers = self.files.integers(
                    folder / "cpu.cfs_quota_us", unlimited="-1", count=1
                ) + self.files.integers(folder / "cpu.cfs_period_us", unlimited="-1", count=1)
                name = "cpu.cfs_quota_us/cpu.cfs_period_us"
            if len(numbers) == 2:
                quota, period = numbers
                limits.append((quota / period, f"cgroup {name} {quota}/{period}"))
        return min(limits, default=None)

    def memory_limit(self) -> tuple[int, str] | None:
        """The smallest memory limit from this group up to the mount, in bytes, and its source."""
        limits: list[tuple[int, str]] = []
        for folder, unified in self._folders("memory"):
            name = "memory.max" if unified else "memory.limit_in_bytes"
            limits.extend(
                (limit, f"cgroup {name} {limit}")
                for limit in self.files.integers(folder / name, unlimited="max", count=1)
                if limit < _UNLIMITED_BYTES
            )
        return min(limits, default=None)

    def memory_left(self) -> int | None:
        """Bytes until the first of these limits is reached; None where there is none.

        What the kernel would drop by itself, pages of files on a disk, counts as free.
        """
        left: list[int] = []
        for folder, unified in self._folders("memory"):
            names = (
                ("memory.max", "memory.current")
                if unified
                else ("memory.limit_in_bytes", "memory.usage_in_bytes")
            )
            found = [
                number
                for name in names
                for number in self.files.integers(folder / name, unlimited="max", count=1)
            ]
            if len(found) == 2 and found[0] < _UNLIMITED_BYTES:
                used = found[1] - self._file_pages(folder, unified=unified)
                left.append(max(0, found[0] - max(0, used)))
        return min(left, default=None)

    def _file_pages(self, folder: PurePosixPath, *, unified: bool) -> int:
        prefix = "" if unified else "total_"
        names = {f"{prefix}inactive_file", f"{prefix}active_file"}
        lines = [line.split() for line in self.files.text(folder / "memory.stat").splitlines()]
        return sum(int(words[1]) for words in lines if len(words) == 2 and words[0] in names)

    def _folders(self, controller: str) -> Iterator[tuple[PurePosixPath, bool]]:
        """The group's folder and every parent up to the mount, and whether they are version 2.

        A group outside the visible part (a container that shares the host's names)
        is seen at the mount itself.
        """
        for tree in self.hierarchies:
            if not tree.unified and controller not in tree.controllers:
                continue
            group = self.groups.get("" if tree.unified else controller, PurePosixPath("/"))
            inside = PurePosixPath()
            if ".." not in group.parts and group.is_relative_to(tree.visible):
                inside = group.relative_to(tree.visible)
            for part in (inside, *inside.parents):
                yield tree.mount / part, tree.unified


def _hierarchies(files: KernelFiles) -> tuple[_Hierarchy, ...]:
    found = []
    for line in files.text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        place, kind = before.split(), after.split()
        if len(place) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        found.append(
            _Hierarchy(
                controllers=frozenset(kind[2].split(",")),
                mount=PurePosixPath(place[4]),
                visible=PurePosixPath(place[3]),
                unified=kind[0] == "cgroup2",
            )
        )
    usual = _Hierarchy(
        frozenset(), PurePosixPath("/sys/fs/cgroup"), PurePosixPath("/"), unified=True
    )
    return tuple(found) or (usual,)


def _own_groups(files: KernelFiles) -> dict[str, PurePosixPath]:
    """This process's group by controller; that of version 2 has the name ``""``."""
    groups = {}
    for line in files.text("/proc/self/cgroup").splitlines():
        parts = line.split(":", 2)
        if len(parts) < 3:
            files.notes.append(f"ignored a line of /proc/self/cgroup: {line[:40]!r}")
            continue
        for controller in parts[1].split(","):
            groups[controller] = PurePosixPath(parts[2])
    return groups
