"""From what a project asks for to what it gets, by digest: base image, requirements, model."""

from collections.abc import Sequence
from dataclasses import replace

from boxship.build import base_python, plan, requirements, uv
from boxship.errors import BuildError
from boxship.lock import Lock, LockedBase, LockedRequirements
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
) -> Lock:
    """``before``, which has the model already, with base image and requirements as they are now.

    What was locked stays where it still fits, but for the distributions in ``upgrade``; None
    stands for all, and for the base image. Raises ``BoxshipError``.
    """
    platforms = plan.platforms(project)
    base = _base(project, before, platforms, blobs, anew=upgrade is None)
    wanted = requirements.find(project, before.model)
    # Without the index that a name came from, the usual one would be asked for it.
    known = before.requirements.indexes if before.requirements else ()
    indexes = [*indexes, *(url for url in known if url not in uv.index_urls(wanted, indexes))]
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
        )
        for platform in platforms
    }
    digest = wanted.digest(base.python, base.glibc)
    locked = LockedRequirements(digest, uv.index_urls(wanted, indexes), wheels)
    return replace(before, base=base, requirements=locked)


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
