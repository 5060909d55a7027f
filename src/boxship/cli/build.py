"""``boxship build``."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from boxship import lock
from boxship.cli import ending, image_project, sizes, verbs
from boxship.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxship.build.layers.layer_cache import LayerCache
    from boxship.build.outputs import Outputs
    from boxship.build.plan import BuildPlan
    from boxship.oci.image import Image
    from boxship.oci.push import Progress

_EPILOG = """\
examples:
  boxship build                                the project here, into ./NAME.oci
  boxship build --plan                         only say what it would be
  boxship build -t registry:5000/churn:7 --push
  boxship build -t churn:7 --load              into Docker or Podman
  boxship build -o docker-archive:churn.tar
"""
_WIDEST = 38
"""Columns for what a layer is, so that size and reason fit 80; longer names have their own line."""
_FLAGS = ("base", "requirements", "weights", "budget", "platforms", "compression")


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "build",
        summary="make a project's container image",
        description="Make the image that serves a project: small, reproducible, non-root, with\n"
        "or without Docker. Only what `boxship lock` has written down goes in.",
        epilog=_EPILOG,
    )
    image_project.add_to(verb, _FLAGS)
    verb.add_argument("-t", "--tag", metavar="REF", help="the image's name, such as churn:7")
    verb.add_argument("-o", "--output", metavar="OUT", help="oci:DIR or docker-archive:FILE")
    verb.add_argument("--push", action="store_true", help="send it to the registry of its name")
    verb.add_argument("--load", action="store_true", help="hand it to Docker or Podman")
    verb.add_argument("--plan", action="store_true", help="say what the image would be, and stop")
    image_project.add_builder(
        verb, "native needs no engine; docker and podman go through the Dockerfile"
    )
    verb.add_argument(
        "--network", default="", metavar="NET", help="of the builds of docker and podman, as host"
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Plan, build, and say what came of it."""
    found = image_project.resolve(arguments, _FLAGS)
    # Imported late: whoever only serves has none of what this needs.
    from boxship.build.needs import check_packages

    check_packages()
    from boxship.build import plan as plans

    plan = plans.decide(found, lock.read(found.folder))
    if arguments.plan:
        return _say(plan)
    from boxship.build import outputs, words

    wanted = outputs.decide(
        plan,
        builder=arguments.builder,
        tag=arguments.tag,
        output=arguments.output,
        load=arguments.load,
        pushed=arguments.push,
        network=arguments.network,
        dated="SOURCE_DATE_EPOCH" in os.environ,
    )
    with ending.tidily():
        if arguments.builder == "native":
            _native(plan, wanted)
        else:
            _with_engine(plan, wanted, arguments.network)
    if note := words.note(plan):
        print(f"boxship: {note}", file=sys.stderr)
    return 0


def _say(plan: "BuildPlan") -> int:
    from boxship.build import words

    for platform in plan.platforms:
        layers = words.weigh(plan, platform)
        print(f"{platform}, about {sizes.shown(sum(one.size for one in layers))}")
        width = min(max(len(one.what) for one in layers), _WIDEST)
        for one in layers:
            what = one.what if len(one.what) <= width else f"{one.what}\n  {'':<{width}}"
            print(f"  {what:<{width}}  {sizes.shown(one.size):>9}  {one.why}")
        words.check_budget(plan, platform, sum(one.size for one in layers))
    print(f"weights: {plan.weights.delivery} ({plan.weights.why})")
    print(f"user {plan.user}, port {plan.port}: {' '.join(plan.command)}")
    return 0


def _native(plan: "BuildPlan", wanted: "Outputs") -> None:
    from boxship.build.layers.layer_cache import LayerCache
    from boxship.build.layers.layer_folder import default_place

    created = _created()
    cache = LayerCache(default_place())
    with cache.hold():
        _build(plan, wanted, cache, created)


def _build(plan: "BuildPlan", wanted: "Outputs", cache: "LayerCache", created: str) -> None:
    from boxship.build import sbom, words
    from boxship.build.native import Native

    native = Native(plan, cache, created=created, told=_tell)
    images = native.build()
    for one in images:
        words.check_budget(plan, one.platform, one.size)
    documents = [sbom.make(plan, one) for one in images]
    if plan.weights.volume:
        # First: without it, the image would serve nothing.
        _write(wanted.of_model(), plan, native.volumes(), cache, [])
    _write(wanted, plan, images, cache, documents)


class _Sending:
    """How far a push is: one line that is written over, on a terminal alone."""

    def __init__(self) -> None:
        self._percent = -1

    def __call__(self, progress: "Progress") -> None:
        done = progress.sent + progress.saved
        percent = 100 * done // max(progress.size, 1)
        if percent != self._percent and sys.stderr.isatty():
            self._percent = percent
            end = "\033[K" if percent < 100 else "\r\033[K"
            print(f"\r{percent:3} % {_sent(progress)}", end=end, file=sys.stderr, flush=True)


def _write(
    wanted: "Outputs",
    plan: "BuildPlan",
    images: "Sequence[Image]",
    cache: "LayerCache",
    contents: "Sequence[bytes]",
) -> None:
    """Put images where they were asked for, and say where they are."""
    from boxship.oci import image

    top = images[0].manifest if len(images) == 1 else image.index(images, cache.blobs)
    weight = ", ".join(
        f"{one.platform} {sizes.shown(one.size)}" if len(images) > 1 else sizes.shown(one.size)
        for one in images
    )
    for written in wanted.write(
        top,
        images,
        cache.blobs,
        contents=contents,
        beside=[plan.base.name, *cache.pushed()],
        told=_Sending(),
    ):
        if written.sent is not None:
            cache.note_push(written.place)
        print(f"{written.place}  {weight if written.sent is None else _sent(written.sent)}")
    print(f"  {top.digest}")


def _sent(progress: "Progress") -> str:
    saved = f", {sizes.shown(progress.saved)} were there already" if progress.saved else ""
    return f"{sizes.shown(progress.sent)} sent{saved}"


def _with_engine(plan: "BuildPlan", wanted: "Outputs", network: str) -> None:
    """Built by an engine, the image is in the engine; from there it may go on."""
    from boxship.build import with_engine, words

    words.check_planned(plan)
    for place in with_engine.build(plan, wanted, network=network):
        print(place)


def _created() -> str:
    """Long ago, so that the same image is the same; or what SOURCE_DATE_EPOCH says.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    from datetime import UTC, datetime

    given = os.environ.get("SOURCE_DATE_EPOCH", "0")
    try:
        return datetime.fromtimestamp(int(given), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"environment variable SOURCE_DATE_EPOCH: expected seconds since 1970, found {given!r}."
        ) from None


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
