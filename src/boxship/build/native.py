"""The native builder: an image without a daemon and without root, the same bits everywhere."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from boxship.build import labels, weights
from boxship.build.base import interpreter
from boxship.build.base.interpreter import Interpreter
from boxship.build.layers import bytecode, installed, own_wheel, slim
from boxship.build.layers.cut import Cut
from boxship.build.layers.installed import Distribution
from boxship.build.layers.layer_cache import LayerCache, Packed
from boxship.build.plan import PACKAGES, BuildPlan
from boxship.build.resolving import uv
from boxship.build.trial import try_imports
from boxship.lock import LockedWheel
from boxship.oci import compression
from boxship.oci.compression import Compression
from boxship.oci.image import Added, Image, Settings, put_together, scratch
from boxship.oci.layer import Entry, pack
from boxship.oci.platform import Platform
from boxship.oci.source import Source

Told = Callable[[str], None]


@dataclass(frozen=True)
class Native:
    """Builds ``plan``. ``told`` hears of each step in words."""

    plan: BuildPlan
    cache: LayerCache
    created: str = "1970-01-01T00:00:00Z"
    told: Told = lambda _: None

    def build(self) -> tuple[Image, ...]:
        """An image for each platform, all its blobs in the cache. Raises ``BoxshipError``."""
        with Source(self.plan.base.name, self.cache.blobs) as source:
            python = self._python(source)
            return tuple(self._image(source, platform, python) for platform in self.plan.platforms)

    def volumes(self) -> tuple[Image, ...]:
        """For each platform an image of the model alone, of one layer, to be mounted.

        It names no program, and could run nothing; but it is an image like any other, since
        containerd mounts no other. Raises ``OSError``.
        """
        layer = pack(self.plan.weights.volume, self.cache.blobs, self._compression)
        digest = self.plan.model.digest if self.plan.model else ""
        settings = Settings(labels={labels.MODEL_DIGEST: digest}, working_folder="/")
        return tuple(
            put_together(
                scratch(platform),
                [Added(layer, "model")],
                settings,
                self.created,
                self.cache.blobs,
            )
            for platform in self.plan.platforms
        )

    def _python(self, source: Source) -> Interpreter:
        """The base's own, if it has one for this machine; else one of this machine's."""
        locked = self.plan.base
        here = interpreter.here()
        digest = locked.platforms.get(str(here))
        if digest is None and here.system == "linux":
            offered = source.platforms()
            digest = next((one.digest for have, one in offered.items() if here.runs(have)), None)
        if digest is None:
            self.told(f"{locked.name} has no Python for {here}: this machine's compiles modules")
            return interpreter.of_this_machine(locked.python)
        image = source.pinned(digest)
        return interpreter.of_base(locked, image, self.cache.blobs, self.cache.roots)

    def _image(self, source: Source, platform: Platform, python: Interpreter) -> Image:
        plan = self.plan
        digest = plan.base.platforms[str(platform)]
        self.told(f"{platform}: base {plan.base.name}")
        base = source.pinned(digest)
        packages = self._packages(platform, python)
        own = self._own(python)
        added = [
            *(Added(packed.layer, words) for packed, words in packages),
            Added(own.layer, "boxship"),
            Added(self._code(python).layer, "code and settings"),
            *(
                Added(self._weights(layer).layer, f"weights {weights.named(layer)}")
                for layer in plan.weight_layers
            ),
        ]
        if python.own and interpreter.here().runs(platform):
            layers = [packed.layer for packed, _ in packages] + [own.layer]
            self.cache.once(
                lambda: try_imports(plan, python, layers, self.cache.blobs),
                digest,
                *(layer.blob.digest for layer in layers),
                of=plan.locked.digest,
            )
        settings = Settings(
            environment=plan.environment,
            labels={**plan.labels, labels.BASE_DIGEST: digest},
            user=plan.user,
            working_folder=plan.working_folder,
            command=plan.command,
            ports=(plan.port,),
            stop_signal=plan.stop_signal,
            health=plan.health,
        )
        return put_together(base, added, settings, self.created, self.cache.blobs)

    def _packages(self, platform: Platform, python: Interpreter) -> list[tuple[Packed, str]]:
        """The layers of what is installed; only those are installed that were not packed before."""
        cuts = self.plan.packages[platform]
        found = self._found(cuts)
        if missing := [cut for cut in cuts if cut not in found]:
            with self.cache.making(*(part for cut in missing for part in self._made_of(cut))):
                # Another build may have made them while this one waited.
                found |= self._found(missing)
                if left := [cut for cut in missing if cut not in found]:
                    found |= self._make(left, platform, python)
        packed = [(found[cut], _named(cut)) for cut in cuts]
        installed.check_conflicts([(name, one.files) for one, name in packed])
        return packed

    def _found(self, cuts: Sequence[Cut]) -> dict[Cut, Packed]:
        known = {cut: self.cache.find(*self._made_of(cut)) for cut in cuts}
        return {cut: packed for cut, packed in known.items() if packed is not None}

    def _make(
        self, cuts: Sequence[Cut], platform: Platform, python: Interpreter
    ) -> dict[Cut, Packed]:
        wheels = [wheel for cut in cuts for wheel in cut.wheels]
        made = {}
        with self._room() as room:
            self.told(f"{platform}: installing {len(wheels)} packages")
            distributions = self._install(wheels, platform, room)
            for cut in cuts:
                self.told(f"{platform}: packing {cut.title}")
                made[cut] = self._pack_cut(cut, distributions, room, python)
        return made

    def _install(
        self, wheels: Sequence[LockedWheel], platform: Platform, room: Path
    ) -> dict[str, Distribution]:
        uv.install(
            wheels,
            platform,
            self.plan.base,
            room / "site",
            folder=self.plan.folder,
            requirements=self.plan.requirements,
            indexes=self.plan.locked.indexes,
        )
        return installed.read(room / "site", wheels, slimmed=self.plan.settings.slim)

    def _pack_cut(
        self,
        cut: Cut,
        distributions: dict[str, Distribution],
        room: Path,
        python: Interpreter,
    ) -> Packed:
        inside = [distributions[wheel.name] for wheel in cut.wheels]
        installed.check_conflicts([(one.name, one.files) for one in inside])
        entries = []
        for one in inside:
            entries.append(Entry(f"{PACKAGES}/{one.record_path}", one.record))
            for file in one.files:
                source = room / "site" / file.path
                executable = bool(source.stat().st_mode & 0o100)
                entries.append(Entry(f"{PACKAGES}/{file.path}", source, executable=executable))
        files = tuple(file for one in inside for file in one.files)
        packed = Packed(self._pack(entries, room, python).layer, files)
        self.cache.keep(packed, *self._made_of(cut))
        return packed

    def _own(self, python: Interpreter) -> Packed:
        """Boxship itself."""
        wheel = own_wheel.make()
        made_of = ("boxship", wheel.digest, *self._context())
        if found := self.cache.find(*made_of):
            return found
        with self._room() as room:
            entries = []
            for path, content in wheel.files.items():
                file = room / "site" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                entries.append(Entry(f"{PACKAGES}/{path}", file))
            packed = self._pack(entries, room, python)
        self.cache.keep(packed, *made_of)
        return packed

    def _code(self, python: Interpreter) -> Packed:
        """The user's code and settings, and where Python finds all packages."""
        plan = self.plan
        with self._room() as room:
            return self._pack([*plan.code, plan.runtime_lock, plan.path_file], room, python)

    def _weights(self, entries: Sequence[Entry]) -> Packed:
        contents = []
        for entry in entries:
            assert isinstance(entry.content, Path)  # noqa: S101 (weights are files)
            with entry.content.open("rb") as file:
                contents += [entry.path, hashlib.file_digest(file, "sha256").hexdigest()]
        made_of = ("weights", *contents, compression.method(self._compression))
        if found := self.cache.find(*made_of):
            return found
        readable = [replace(entry, executable=False) for entry in entries]
        packed = Packed(pack(readable, self.cache.blobs, self._compression))
        self.cache.keep(packed, *made_of)
        return packed

    def _pack(self, entries: list[Entry], room: Path, python: Interpreter) -> Packed:
        """``entries`` and the bytecode of the modules among them, as a layer."""
        modules = [
            (entry.content, entry.path)
            for entry in entries
            if entry.path.endswith(".py") and isinstance(entry.content, Path)
        ]
        compiled = bytecode.compile_all(modules, python, self.plan.base.python, room / "bytecode")
        entries = [*entries, *(Entry(path, file) for path, file in compiled.items())]
        return Packed(pack(entries, self.cache.blobs, self._compression))

    def _made_of(self, cut: Cut) -> tuple[str, ...]:
        return (*(f"{wheel.name} {wheel.digest}" for wheel in cut.wheels), *self._context())

    def _context(self) -> tuple[str, ...]:
        """What a layer of packages depends on beside its wheels."""
        rules = slim.version() if self.plan.settings.slim else ""
        base = self.plan.base
        compiled_by = base.platforms.get(str(interpreter.here()), "")
        return (base.python, compiled_by, rules, compression.method(self._compression))

    @property
    def _compression(self) -> Compression:
        return self.plan.settings.compression

    @contextmanager
    def _room(self) -> Iterator[Path]:
        """A folder to work in, on the disk of the cache, that goes afterwards."""
        self.cache.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache.work) as folder:
            yield Path(folder)


def _named(cut: Cut) -> str:
    return cut.title if len(cut.wheels) == 1 else ", ".join(wheel.name for wheel in cut.wheels)
