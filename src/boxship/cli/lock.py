"""``boxship lock``."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from boxship import lock
from boxship.artifact import model_file
from boxship.artifact.cache import Cache, default_folder, default_limit
from boxship.artifact.fetch import Fetch
from boxship.cli import image_project, sizes, verbs
from boxship.cli.meter import Meter
from boxship.errors import BoxshipError, UsageError
from boxship.lock import Lock, LockedModel
from boxship.project import Project

_EPILOG = """\
examples:
  boxship lock                   all that the project here is made of
  boxship lock --only model      the model alone: nothing is resolved
  boxship lock --upgrade numpy   the newest numpy that fits; all else stays
  boxship lock churn --trust     these bytes may be a pickle of any names
"""
_FLAGS = ("base", "requirements", "platforms")


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "lock",
        summary="pin base image, requirements and model by digest",
        description="Write boxship.lock: the digests of the base image, of every package that\n"
        "the requirements come to, and of the model. Nothing else is built or served.",
        epilog=_EPILOG,
    )
    image_project.add_to(verb, _FLAGS)
    verb.add_argument(
        "--only", choices=("model", "image"), help="leave the rest of the lock as it is"
    )
    verb.add_argument(
        "--upgrade",
        action="append",
        nargs="?",
        const="",
        metavar="NAME",
        help="take the newest of a package; without a name, of all, and of the base image",
    )
    image_project.add_builder(
        verb, "who builds; docker and podman make wheels too, of packages that have none"
    )
    verb.add_argument(
        "--extra-index-url",
        action="append",
        default=[],
        metavar="URL",
        help="another package index, asked before the usual one",
    )
    verb.add_argument(
        "--trust", action="store_true", help="vouch for whatever code the model's pickle names"
    )
    verb.add_argument(
        "--allow-http", action="store_true", help="take http:// too, which anybody can change"
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find everything's digest and write it down."""
    found = image_project.resolve(arguments, _FLAGS, locked=False)
    whole = _before(found)
    if arguments.only == "model" and not found.model_location:
        raise UsageError(
            f"{found.folder}: expected a project with a model, found none in it.",
            tip='Name it in boxship.toml: model = "…"',
        )
    if arguments.only != "image":
        model = _model(found, arguments) if found.model_location else None
        whole = replace(whole, model=_vouched(model, whole.model) if model else None)
    if arguments.only != "model":
        whole = _image(found, whole, arguments)
    try:
        file = lock.write(found.folder, whole)
    except OSError as error:
        raise UsageError(
            f"{found.folder}: expected a folder that can be written, found {error.strerror}."
        ) from error
    _say(whole)
    print(f"written to {file}")
    return 0


def _before(found: Project) -> Lock:
    """What was locked; a lock that cannot be read is written anew."""
    try:
        return lock.read(found.folder)
    except UsageError as error:
        print(f"boxship: {error.message}", file=sys.stderr)
        return Lock()


def _model(found: Project, arguments: argparse.Namespace) -> LockedModel:
    if found.source is None:
        examined = model_file.examine(Path(str(found.model_path)), expected=found.model_digest)
        # What serves it is asked of the file itself, whenever it matters.
        return LockedModel(
            found.model_location, examined.digest, examined.size, trusted=arguments.trust
        )
    with Meter() as meter:
        fetch = Fetch(
            cache=Cache(default_folder()),
            most_bytes=default_limit(),
            allow_http=arguments.allow_http or found.serve.allow_http,
            told=meter,
        )
        model = fetch(found.source).model
    # Imported late: no other verb waits for what reads pickles.
    from boxship.build.asked import model_needs

    needs = model_needs.find(found, model.path)
    return LockedModel(
        found.model_location, model.digest, model.size, trusted=arguments.trust, needs=needs
    )


def _vouched(model: LockedModel, before: LockedModel | None) -> LockedModel:
    """Who vouched for these very bytes once need not do it again."""
    if model.trusted or before is None or not before.trusted:
        return model
    if model.digest == before.digest:
        return replace(model, trusted=True)
    print(
        f"boxship: {model.location}: expected the bytes that --trust vouched for, "
        f"{before.digest}, found {model.digest}; they are not trusted. To vouch for these too: "
        "boxship lock --trust",
        file=sys.stderr,
    )
    return model


def _image(found: Project, before: Lock, arguments: argparse.Namespace) -> Lock:
    # Imported late: whoever only serves has none of what this needs.
    from boxship.build.needs import check_packages

    try:
        check_packages()
        from boxship.build.layers.layer_folder import LayerFolder, default_place
        from boxship.build.locking import lock_image

        names = arguments.upgrade or []
        layers = LayerFolder(default_place())
        with layers.hold():
            return lock_image(
                found,
                before,
                blobs=layers.blobs,
                indexes=arguments.extra_index_url,
                upgrade=None if "" in names else names,
                sources=arguments.builder != "native",
            )
    except BoxshipError as error:
        if not error.tip and found.model_location and arguments.only is None:
            error.tip = "To lock the model alone: boxship lock --only model"
        raise


def _say(whole: Lock) -> None:
    if whole.base is not None:
        print(f"{whole.base.name}, Python {whole.base.python}")
        for platform, digest in whole.base.platforms.items():
            print(f"  {digest}  {platform}")
    if whole.requirements is not None:
        for platform, wheels in whole.requirements.wheels.items():
            size = sizes.shown(sum(wheel.size for wheel in wheels))
            print(f"{len(wheels)} packages, {size}  {platform}")
    if whole.model is not None:
        print(f"{whole.model.location}  {sizes.shown(whole.model.size)}")
        print(f"  {whole.model.digest}")
