"""From what a project asks for to what it gets, by digest: base image, requirements, model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from boxship import suggestions
from boxship.build import plan
from boxship.build.asked import index_variables, named_indexes, requirements
from boxship.build.base import base_python
from boxship.build.resolving import uv
from boxship.errors import BuildError, UsageError
from boxship.lock import Lock, LockedBase, LockedRequirements, LockedWheel
from boxship.oci.blobs import Blobs
from boxship.oci.platform import Platform
from boxship.oci.source import Source
from boxship.project import Project


def lock_image(
    project: Project,
    before: Lock,
    *,
    blobs: Blobs,
    indexes: Sequence[str] = (),
    upgrade: Sequence[str] | None = (),
    sources: bool = False,
) -> Lock:
    """``before``, which has the model already, with base image and requirements as they are now.

    What was locked stays where it still fits, but for the distributions in ``upgrade``; None
    stands for all, and for the base image. With ``sources``, what has no wheel is locked too, for
    an engine to make one. Raises ``BoxshipError``.
    """
    platforms = plan.platforms(project)
    base = _base(project, before, platforms, blobs, anew=upgrade is None)
    wanted = requirements.find(project, before.model)
    # Without the index that a name came from, the usual one would be asked for it.
    known = before.requirements.indexes if before.requirements else ()
    indexes = [*indexes, *index_variables.beside(os.environ)]
    named = named_indexes.addresses(wanted, indexes)
    indexes += [url for url in known if url not in named]
    old = before.requirements.wheels if before.requirements and upgrade is not None else {}
    wheels = {
        str(platform): uv.resolve(
            wanted,
            platform,
            base,
            folder=project.folder,
            indexes=indexes,
            upgrade=upgrade or (),
            before=old.get(str(platform), ()),
            sources=sources,
        )
        for platform in platforms
    }
    _check_found(upgrade or (), wheels)
    digest = wanted.digest(base.python, base.glibc)
    locked = LockedRequirements(digest, named_indexes.addresses(wanted, indexes), wheels)
    return replace(before, base=base, requirements=locked)


def _check_found(upgrade: Sequence[str], wheels: Mapping[str, Sequence[LockedWheel]]) -> None:
    """A name with a typing error would otherwise leave everything as it is, in silence."""
    known = {canonicalize_name(one.name) for found in wheels.values() for one in found}
    for name in upgrade:
        if canonicalize_name(name) not in known:
            raise UsageError(
                f"--upgrade: expected a package that the requirements come to, found {name!r}"
                f"{suggestions.hint(canonicalize_name(name), known) or '.'}"
            )


def _base(
    project: Project, before: Lock, platforms: Sequence[Platform], blobs: Blobs, *, anew: bool
) -> LockedBase:
    name = plan.base_name(project)
    old = before.base
    if not anew and old and old.name == name and {*map(str, platforms)} <= old.platforms.keys():
        return old
    digests, sizes, pythons = {}, {}, set()
    with Source(name, blobs) as source:
        offered = source.platforms()
        for platform in platforms:
            fitting = [one for have, one in offered.items() if platform.runs(have)]
            if not fitting:
                raise BuildError(
                    f"{name}: expected an image for {platform}, found "
                    f"{', '.join(map(str, offered)) or 'none'}.",
                    tip="Choose another base image, or leave the platform out.",
                )
            image = source.image(fitting[0])
            pythons.add(base_python.find(image, blobs, name))
            digests[str(platform)] = image.manifest.digest
            sizes[str(platform)] = image.size
    if len(pythons) > 1:
        found = ", ".join(sorted(f"{one.executable} with glibc {one.glibc}" for one in pythons))
        raise BuildError(f"{name}: expected one Python on all platforms, found {found}.")
    (python,) = pythons
    return LockedBase(
        name, python.minor, python.executable, python.glibc, python.site_packages, digests, sizes
    )
