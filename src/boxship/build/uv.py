"""uv: it resolves requirements for another machine than this one, and installs wheels for it."""

import contextlib
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name

from boxship.build import asked_toml, requirement_lines, uv_program, wheel_tags
from boxship.build.requirements import Requirements
from boxship.build.wheel_sizes import Sizes
from boxship.errors import BuildError
from boxship.lock import LockedBase, LockedWheel
from boxship.oci.platform import Platform

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# What uv has names for; a newer libc runs what was made for an older one.
_GLIBCS = (17, 28, *range(31, 41))
_INDEX = re.compile(r"(?P<option>-i|--index-url|--extra-index-url)(?:\s*=\s*|\s+)(?P<url>\S+)")
_PIN = re.compile(r"[\w.-]+==")
_OPTIONS = {"-i": "index-url"}
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
    needs. Raises ``BuildError`` with uv's own explanation.
    """
    with tempfile.TemporaryDirectory(prefix="boxship-lock-") as temporary:
        own = Path(temporary) / "boxship.txt"
        lines = [*requirements.lines, *(f"--extra-index-url {url}" for url in indexes)]
        files = [*_users(requirements, Path(temporary), lines), str(own)]
        own.write_text("\n".join(lines) + "\n", encoding="utf-8")
        output = Path(temporary) / "pylock.toml"
        argv = ["pip", "compile", "--quiet", "--no-header", "--no-config"]
        argv += target(platform, base)
        argv += [] if sources else ["--only-binary", ":all:"]
        if before:
            # In two steps: uv prefers what its output names already, in that very form alone.
            preferred = Path(temporary) / "preferred.txt"
            newer = {canonicalize_name(one) for one in upgrade}
            kept = [
                one for one in before if not one.place and canonicalize_name(one.name) not in newer
            ]
            lines = [f"{one.name}=={one.version}" for one in kept]
            preferred.write_text("\n".join(lines), encoding="utf-8")
            uv_program.run(
                [*argv, *files, "--no-annotate", "--output-file", str(preferred)], folder
            )
            # A wheel of the user's own is named by its path, which limits nothing.
            pins = [line for line in preferred.read_text().splitlines() if _PIN.match(line)]
            preferred.write_text("\n".join(pins), encoding="utf-8")
            files.append(f"--constraint={preferred}")
        uv_program.run(
            [*argv, *files, "--format", "pylock.toml", "--output-file", str(output)], folder
        )
        found = tomllib.loads(output.read_text(encoding="utf-8"))
        known = wheel_tags.ranks(_MACHINES[platform.architecture], base.python, base.glibc)
        urls = [url for _, url in all_indexes(requirements, indexes)]
        hashes = _hashes(requirements)
        packages = [
            _checked(package, hashes, requirements.file) for package in found.get("packages") or ()
        ]
        with Sizes(urls, before) as ask, ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            wheels = pool.map(
                lambda package: _locked(package, output.parent, folder, known, ask), packages
            )
            return tuple(wheels)


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
    lines = [f"--{option} {url}" for option, url in all_indexes(requirements, indexes)]
    for wheel in wheels:
        place = f" @ {_address(wheel, folder)}" if wheel.place else f"=={wheel.version}"
        lines.append(f"{wheel.name}{place} --hash={wheel.digest}")
    with tempfile.TemporaryDirectory(prefix="boxship-install-") as temporary:
        pins = Path(temporary) / "requirements.txt"
        pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
        argv = ["pip", "install", "--quiet", "--no-config", "--target", str(into)]
        argv += [*target(platform, base), "--only-binary", ":all:", "--no-deps"]
        # A name may be in several indexes: which of them has the file, its hash decides.
        argv += ["--require-hashes", "--index-strategy", "unsafe-first-match"]
        argv += ["--link-mode", "hardlink", "--requirement", str(pins)]
        uv_program.run(argv, folder)


def own_indexes(requirements: Requirements) -> list[tuple[str, str]]:
    """The indexes that the user's requirements name: the option, and the address with it."""
    # Of what only limits the others, uv takes no index.
    found = (_INDEX.match(line.text) for line in requirements.written if not line.limits)
    return [(_OPTIONS.get(one["option"], one["option"][2:]), one["url"]) for one in found if one]


def all_indexes(requirements: Requirements, locked: Sequence[str]) -> list[tuple[str, str]]:
    """What was locked, and what the user's own file names, with credentials that a lock has not."""
    own = own_indexes(requirements)
    named = {without_credentials(url) for _, url in own}
    return [*(("extra-index-url", url) for url in locked if url not in named), *own]


def without_credentials(url: str) -> str:
    """``url`` as it may be written down."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def index_urls(requirements: Requirements, given: Sequence[str]) -> tuple[str, ...]:
    """Every index but the usual one, without credentials: what was given, then the file's own."""
    named = [url for _, url in own_indexes(requirements)]
    return tuple(dict.fromkeys(without_credentials(url) for url in (*given, *named)))


def _users(requirements: Requirements, room: Path, options: list[str]) -> list[str]:
    """What tells uv what the user asks for: their file, or one in ``room`` that says the same.

    A default index that a lock has goes to ``options``, since it is asked for all else too.
    """
    if requirements.file is None:
        return []
    if not requirements.is_lock:
        return [str(requirements.file)]
    options += [f"--{key} {url}" for key, url in own_indexes(requirements) if key == "index-url"]
    file = room / "pyproject.toml"
    file.write_text(asked_toml.make(requirements.written), encoding="utf-8")
    return [str(file)]


def _hashes(requirements: Requirements) -> dict[str, set[str]]:
    """The digests that the user's file has for a distribution: uv compiles without a look at them."""
    found: dict[str, set[str]] = {}
    for line in requirements.written:
        asked, digests = requirement_lines.hashes(line.text)
        # A line may be an option by itself, or a path.
        with contextlib.suppress(InvalidRequirement):
            if digests:
                found.setdefault(canonicalize_name(Requirement(asked).name), set()).update(digests)
    return found


def _checked(
    package: dict[str, Any], hashes: Mapping[str, set[str]], file: Path | None
) -> dict[str, Any]:
    """The package with those of its files alone whose hashes the user has. Raises ``BuildError``."""
    name = str(package.get("name"))
    if name not in hashes:
        return package
    archive = package.get("archive")
    offered = [archive] if archive else package.get("wheels") or []
    kept = [one for one in offered if f"sha256:{one['hashes']['sha256']}" in hashes[name]]
    if offered and not kept:
        raise BuildError(
            f"{name} {package.get('version', '')}: expected a file with one of the hashes in {file}, "
            f"found others: {', '.join(map(_file, offered))}.",
            tip="These are other bytes than were locked there, or files for other machines. Check "
            "where they come from, and lock there anew.",
        )
    return package if archive else {**package, "wheels": kept}


def _locked(
    package: dict[str, Any], beside: Path, folder: Path, known: dict[Tag, int], ask: Sizes
) -> LockedWheel:
    """The best wheel of a package, or its source where uv was let choose that.

    uv names paths from ``beside``, the lock from ``folder``.
    """
    name, version = str(package.get("name")), str(package.get("version", ""))
    archive = package.get("archive")
    wheels = [archive] if isinstance(archive, dict) else package.get("wheels") or []
    chosen = wheel_tags.best([_file(wheel) for wheel in wheels], known)
    wheel = wheels[chosen] if chosen >= 0 else archive or package.get("sdist")
    if not isinstance(wheel, dict) or (chosen < 0 and _file(wheel).endswith(".whl")):
        raise BuildError(f"{name}: expected a wheel, found none.", tip=uv_program.MAKE_ONE)
    file = _file(wheel)
    url, path = str(wheel.get("url", "")), str(wheel.get("path", ""))
    place = ""
    if path:
        place = os.path.relpath((beside / path).resolve(), folder.resolve())
    elif archive is not None:
        place = without_credentials(url)
    digest = f"sha256:{wheel['hashes']['sha256']}"
    size = ask(folder / place if path else url, digest, int(wheel.get("size") or 0))
    version = version or file.split("-")[1]
    return LockedWheel(name, version, file, digest, size.whole, place, size.left_out)


def _file(wheel: dict[str, Any]) -> str:
    place = str(wheel.get("path") or urlsplit(str(wheel.get("url", ""))).path)
    return str(wheel.get("name") or unquote(place.rpartition("/")[2]))


def _address(wheel: LockedWheel, folder: Path) -> str:
    return wheel.place if "://" in wheel.place else (folder / wheel.place).resolve().as_uri()
