"""The plan as a multi-stage Dockerfile, for those who want to own it."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from boxship.build import labels
from boxship.build.code.own_outputs import ADDED, DOCKERFILE_HEAD, IGNORE_HEAD
from boxship.build.layers.cut import Cut
from boxship.build.plan import PACKAGES, BuildPlan
from boxship.errors import BuildError
from boxship.lock import LockedWheel
from boxship.oci import reference
from boxship.oci.layer import Entry
from boxship.oci.platform import Platform

WHEELS = "wheels"
"""In it, the folder of those that the user's requirements name by their path."""

_MOST_COPIES = 110
"""An engine takes 127 layers; the base, system packages and commands have some too."""
_UNSAYABLE = re.compile(r"""[*?\[\]\\"'$\x00-\x1f\x7f]|^\s|\s$""")
"""To COPY, patterns, variables and quotes; and .dockerignore reads no spaces around a name."""
_MOUNTS = (
    "--mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=ca \\\n"
    "    --mount=type=secret,id=pip,target=/etc/pip.conf "
    "--mount=type=secret,id=netrc,target=/root/.netrc"
)


def render(plan: BuildPlan, platform: Platform, wheel: str) -> str:
    """The Dockerfile; ``wheel`` is the file name of Boxship's own in ``ADDED``.

    It needs no frontend of its own, and takes three secrets where they are given: ``ca``, a file
    of certificates, ``pip``, pip's settings, and ``netrc``, logins for package indexes. Raises
    ``BuildError`` where it would have more layers than an engine takes, where files have names that
    it cannot say, and for a base that no engine finds.
    """
    _check_names(plan)
    base = _base(plan, platform)
    cuts = plan.packages[platform]
    return "\n".join(
        [
            f"{DOCKERFILE_HEAD} Yours from here on.",
            f"FROM {base} AS build",
            *_system((*plan.settings.system_packages, *plan.settings.build_packages)),
            *_install(plan, cuts, wheel),
            "",
            f"FROM {base}",
            *_system(plan.settings.system_packages),
            *_copies(plan, cuts),
            *(f"RUN {command}" for command in plan.settings.run),
            *_settings(plan, platform),
            "",
        ]
    )


def _check_names(plan: BuildPlan) -> None:
    names = {source(entry, plan.folder) for entry in (*plan.code, *plan.weights.files)}
    strange = sorted(filter(_UNSAYABLE.search, names))
    if strange:
        raise BuildError(
            f"{plan.folder}: expected names that a Dockerfile can say, found "
            f"{', '.join(map(repr, strange))}.",
            tip="Rename them, without quotes, wildcards, $ and \\, or build with --builder native.",
        )


def _base(plan: BuildPlan, platform: Platform) -> str:
    """The base image as engines name it."""
    name = plan.base.name
    if name.startswith("oci:"):
        raise BuildError(
            f"{name}: expected a base image in a registry, where engines find it, found a layout.",
            tip="Push it and name it so: [image] base. Or build with --builder native.",
        )
    found = reference.parse_image(name)
    return str(replace(found, digest=plan.base.platforms[str(platform)]))


def ignore(plan: BuildPlan) -> str:
    """The ``.dockerignore``: nothing but what the Dockerfile copies."""
    kept = sorted({source(entry, plan.folder) for entry in (*plan.code, *plan.weights.files)})
    return IGNORE_HEAD + "".join(f"!{path}\n" for path in kept)


def asked(indexes: Sequence[str]) -> str:
    """Options that name package indexes; which of them has a file, its hash decides."""
    # What a variable stands for, only pip's settings have, which are a secret.
    return "".join(f"--extra-index-url {url}\n" for url in indexes if "${" not in url)


def hashed(wheels: Sequence[LockedWheel]) -> str:
    """Requirements that fit these very files."""
    return "".join(f"{_pinned(wheel)} --hash={wheel.digest}\n" for wheel in wheels)


def _pinned(wheel: LockedWheel) -> str:
    if not wheel.place:
        return f"{wheel.name}=={wheel.version}"
    if "://" in wheel.place:
        return f"{wheel.name} @ {wheel.place}"
    return f"{wheel.name} @ file:///{ADDED}/{WHEELS}/{wheel.file}"


def requirements_name(cut: Cut) -> str:
    """The file of a layer's hashed requirements, in ``ADDED``."""
    return f"{cut.wheels[0].name if len(cut.wheels) == 1 else 'others'}.txt"


def _system(packages: Sequence[str]) -> list[str]:
    names = " ".join(sorted(map(shlex.quote, packages)))
    if not names:
        return []
    install = "apt-get install --yes --no-install-recommends"
    # Which versions, if any, is for whoever names the packages to say.
    ignored = [] if all("=" in name for name in packages) else ["# hadolint ignore=DL3008"]
    return [
        *ignored,
        f"RUN apt-get update && {install} {names} && rm -rf /var/lib/apt/lists/*",
    ]


def _install(plan: BuildPlan, cuts: Sequence[Cut], wheel: str) -> list[str]:
    """A layer's packages each in a folder that is copied on its own."""
    python = plan.base.executable
    lines = [f"COPY {ADDED} /{ADDED}"]
    for cut in cuts:
        name = requirements_name(cut)
        root = f"/layers/{name.removesuffix('.txt')}"
        lines.append(
            f"RUN {_MOUNTS} \\\n"
            "    if [ -e /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \\\n"
            f"    {python} -m pip install --no-deps --no-compile --require-hashes "
            f"--target {root}/{PACKAGES} -r /{ADDED}/{name}"
        )
    own = f"/layers/boxship/{PACKAGES}"
    lines.append(
        f"RUN {python} -m pip install --no-cache-dir --no-deps --no-compile --no-index "
        f"--target {own} /{ADDED}/{wheel}"
    )
    keep = "" if plan.settings.slim else " --keep-all"
    lines.append(
        f"RUN for layer in /layers/*; do \\\n"
        f'    {python} /{ADDED}/prepare.py "$layer" "$layer/{PACKAGES}"{keep} || exit 1; done'
    )
    return lines


def _copies(plan: BuildPlan, cuts: Sequence[Cut]) -> list[str]:
    names = [requirements_name(cut).removesuffix(".txt") for cut in cuts]
    lines = [f"COPY --from=build /layers/{name} /" for name in (*names, "boxship")]
    lines += [
        f"COPY {ADDED}/{PurePosixPath(entry.path).name} /{entry.path}"
        for entry in (plan.path_file, plan.runtime_lock)
    ]
    # The layers of the code are few, since an engine takes not many; those of the model are as
    # where no engine builds.
    lines += _by_folder(plan, plan.code)
    for layer in plan.weight_layers:
        if len(layer) == 1:
            (entry,) = layer
            lines.append(_copy(_mode(entry), [source(entry, plan.folder)], f"/{entry.path}"))
        else:
            lines += _by_folder(plan, layer)
    if len(lines) > _MOST_COPIES:
        raise BuildError(
            f"{plan.folder}: expected at most {_MOST_COPIES} layers for an engine, found "
            f"{len(lines)}: one for each folder of code or of the model.",
            tip="Build with --builder native, which makes one layer of all code, or make a package "
            "of it that the requirements name.",
        )
    return lines


def _by_folder(plan: BuildPlan, entries: Sequence[Entry]) -> list[str]:
    """Copies of ``entries``, one for each folder that they go to and mode that they have."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        target = f"/{PurePosixPath(entry.path).parent}/"
        grouped.setdefault((target, _mode(entry)), []).append(source(entry, plan.folder))
    return [_copy(mode, sources, target) for (target, mode), sources in grouped.items()]


def _copy(mode: str, sources: Sequence[str], target: str) -> str:
    words = ", \\\n    ".join(map(json.dumps, (*sources, target)))
    return f"COPY --chmod={mode} [{words}]"


def _mode(entry: Entry) -> str:
    return "0755" if entry.executable else "0644"


def _settings(plan: BuildPlan, platform: Platform) -> list[str]:
    told = {**plan.labels, labels.BASE_DIGEST: plan.base.platforms[str(platform)]}
    variables = " ".join(f"{key}={_quoted(value)}" for key, value in plan.environment.items())
    named = " \\\n      ".join(f"{key}={_quoted(value)}" for key, value in told.items())
    health = plan.health
    seconds = {
        flag: health[key] // 10**9
        for flag, key in (
            ("interval", "Interval"), ("timeout", "Timeout"), ("start-period", "StartPeriod"),
        )
    }  # fmt: skip
    times = " ".join(f"--{flag}={count}s" for flag, count in seconds.items())
    probe = f"HEALTHCHECK {times} --retries={health['Retries']} \\\n"
    probe += f"    CMD {json.dumps(health['Test'][1:])}"
    return [
        f"ENV {variables}",
        f"LABEL {named}",
        f"WORKDIR {plan.working_folder}",
        f"USER {plan.user}",
        f"EXPOSE {plan.port}",
        f"STOPSIGNAL {plan.stop_signal}",
        probe,
        "ENTRYPOINT []",
        f"CMD {json.dumps(list(plan.command))}",
    ]


def _quoted(text: str) -> str:
    """A Dockerfile's word: its variables are no variables here."""
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")


def source(entry: Entry, folder: Path) -> str:
    """Where a file lies in the build context: where it lies in the project, if it does."""
    if isinstance(entry.content, Path) and is_in(entry, folder):
        return entry.content.relative_to(folder).as_posix()
    return f"{ADDED}/{entry.path}"


def is_in(entry: Entry, folder: Path) -> bool:
    """Whether a file lies in the project itself.

    One that a link leads to does not: an engine has what is in the context, and follows no link
    out of it, nor one to a folder.
    """
    content = entry.content
    return (
        isinstance(content, Path)
        and content.is_relative_to(folder)
        and content.resolve() == folder.resolve() / content.relative_to(folder)
    )
