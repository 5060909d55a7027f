"""uv: it resolves requirements for another machine than this one, and installs wheels for it."""

import os
import re
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.utils import canonicalize_name

from boxship.build import address, uv_program
from boxship.build.asked import direct_addresses, folders, named_indexes, own_extras
from boxship.build.asked.requirements import Requirements
from boxship.build.resolving import asked_toml, wheel_tags
from boxship.build.resolving.chosen_file import Chooser
from boxship.build.resolving.logins import Logins
from boxship.build.resolving.wheel_sizes import Sizes
from boxship.errors import BuildError
from boxship.lock import LockedBase, LockedWheel
from boxship.oci.platform import Platform

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# What uv has names for; a newer libc runs what was made for an older one.
_GLIBCS = (17, 28, *range(31, 41))
_PIN = re.compile(r"[\w.-]+==")
_MISSING = "not found in the package registry"
_ASKED_AT_ONCE = 8


def target(platform: Platform, base: LockedBase) -> list[str]:
    """The flags that describe the image's machine. Raises ``BuildError``."""
    machine = _MACHINES.get(platform.architecture)
    minor = int(base.glibc.partition(".")[2])
    fitting = [one for one in _GLIBCS if one <= minor]
    if platform.system != "linux" or machine is None or not fitting:
        raise BuildError(
            f"{platform} with glibc {base.glibc}: expected linux/amd64 or linux/arm64 with "
            "glibc 2.17 or later."
        )
    named = f"{machine}-manylinux_2_{max(fitting)}"
    return ["--python-platform", named, "--python-version", base.python]


def resolve(
    requirements: Requirements,
    platform: Platform,
    base: LockedBase,
    *,
    folder: Path,
    indexes: Sequence[str],
    upgrade: Sequence[str],
    before: Sequence[LockedWheel],
    sources: bool = False,
) -> tuple[LockedWheel, ...]:
    """Choose a wheel of every distribution that ``requirements`` come to.

    What was locked ``before`` stays, where it still fits and ``upgrade`` does not name it. With
    ``sources``, what has no wheel comes as its source, whose setup uv may run to learn what it
    needs. Raises ``UsageError``, and ``BuildError`` with uv's own explanation.
    """
    folders.check(requirements, folder, sources=sources)
    with tempfile.TemporaryDirectory(prefix="boxship-lock-") as temporary:
        room = Path(temporary)
        argv = ["pip", "compile", "--quiet", "--no-header", "--no-config"]
        argv += [*target(platform, base), *([] if sources else ["--only-binary", ":all:"])]
        argv += [*_overrides(room), *_asked(requirements, room, indexes)]
        if before:
            argv.append(f"--constraint={_kept(argv, before, upgrade, room, folder)}")
        output = room / "pylock.toml"
        uv_program.run([*argv, "--format", "pylock.toml", "--output-file", str(output)], folder)
        found = tomllib.loads(output.read_text(encoding="utf-8"))
        known = wheel_tags.ranks(_MACHINES[platform.architecture], base.python, base.glibc)
        urls = named_indexes.reached(requirements, indexes, os.environ)
        with (
            Sizes(Logins(urls, os.environ), before) as ask,
            ThreadPoolExecutor(_ASKED_AT_ONCE) as pool,
        ):
            chooser = Chooser(requirements, folder, room, known, ask)
            return tuple(pool.map(chooser.choose, found.get("packages") or ()))


def _overrides(room: Path) -> list[str]:
    """Boxship goes into an image by itself: whoever else has its name is not asked."""
    nothing = room / "overrides.txt"
    nothing.write_text(f'{own_extras.OWN} ; python_version < "0"\n', encoding="utf-8")
    return ["--override", str(nothing)]


def _asked(requirements: Requirements, room: Path, indexes: Sequence[str]) -> list[str]:
    """The files that tell uv what the user asks for, and what Boxship adds to it.

    Of a lock, one in ``room`` says the same, but for its default index: that is asked for all else
    too.
    """
    lines = [*requirements.lines, *(f"--extra-index-url {url}" for url in indexes)]
    files = []
    if requirements.file is not None and requirements.is_lock:
        own = named_indexes.own(requirements)
        lines += [f"--{key} {url}" for key, url in own if key == "index-url"]
        file = room / "pyproject.toml"
        file.write_text(asked_toml.make(requirements.written), encoding="utf-8")
        files.append(str(file))
    elif requirements.file is not None:
        files.append(str(requirements.file))
    added = room / "boxship.txt"
    added.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [*files, str(added)]


def _kept(
    argv: Sequence[str],
    before: Sequence[LockedWheel],
    upgrade: Sequence[str],
    room: Path,
    folder: Path,
) -> Path:
    """What of ``before`` stays, as limits.

    uv prefers the versions that its output names already, in this very form alone.
    """
    file = room / "preferred.txt"
    newer = {canonicalize_name(one) for one in upgrade}
    stay = [one for one in before if not one.place and canonicalize_name(one.name) not in newer]
    file.write_text("\n".join(f"{one.name}=={one.version}" for one in stay), encoding="utf-8")
    uv_program.run([*argv, "--no-annotate", "--output-file", str(file)], folder)
    # A wheel of the user's own is named by its path, which limits nothing.
    pins = [line for line in file.read_text(encoding="utf-8").splitlines() if _PIN.match(line)]
    file.write_text("\n".join(pins), encoding="utf-8")
    return file


def install(
    wheels: Sequence[LockedWheel],
    platform: Platform,
    base: LockedBase,
    into: Path,
    *,
    folder: Path,
    requirements: Requirements,
    indexes: Sequence[str],
) -> None:
    """Install the very files that were locked into a folder. Raises ``BuildError``."""
    named = named_indexes.every(requirements, indexes, os.environ)
    lines = [f"--{option} {url}" for option, url in named]
    direct = direct_addresses.find(requirements, os.environ)
    for wheel in wheels:
        place = f"=={wheel.version}"
        if wheel.place:
            place = f" @ {direct.get(wheel.place) or _address(wheel, folder)}"
        lines.append(f"{wheel.name}{place} --hash={wheel.digest}")
    with tempfile.TemporaryDirectory(prefix="boxship-install-") as temporary:
        pins = Path(temporary) / "requirements.txt"
        pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
        argv = ["pip", "install", "--quiet", "--no-config", "--target", str(into)]
        argv += [*target(platform, base), "--only-binary", ":all:", "--no-deps"]
        # A name may be in several indexes: which of them has the file, its hash decides.
        argv += ["--require-hashes", "--index-strategy", "unsafe-first-match"]
        argv += ["--link-mode", "hardlink", "--requirement", str(pins)]
        try:
            uv_program.run(argv, folder)
        except BuildError as error:
            # Of an index that refuses, uv says here no more than that it has nothing.
            if indexes and not error.tip and _MISSING in error.message:
                asked = ", ".join(map(address.bare, indexes))
                tip = f"It was locked from the usual index, or from {asked}. {uv_program.LOG_IN}"
                raise BuildError(error.message, tip=tip) from None
            raise


def _address(wheel: LockedWheel, folder: Path) -> str:
    return wheel.place if "://" in wheel.place else (folder / wheel.place).resolve().as_uri()
