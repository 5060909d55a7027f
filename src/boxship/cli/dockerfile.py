"""``boxship dockerfile``."""

import argparse
import sys

from boxship import lock
from boxship.cli import image_project, verbs

_EPILOG = """\
examples:
  boxship dockerfile            print it
  boxship dockerfile --write    write it into the project, with what it needs
  docker build -t churn .       and Boxship is needed no more
"""
_FLAGS = ("base", "requirements", "weights", "platforms")


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "dockerfile",
        summary="the Dockerfile that says the same as build",
        description="Print the multi-stage Dockerfile that makes what `boxship build` makes.",
        epilog=_EPILOG,
    )
    image_project.add_to(verb, _FLAGS)
    verb.add_argument(
        "--write",
        action="store_true",
        help="write Dockerfile, .dockerignore and .boxship/ into the project",
    )
    verb.add_argument(
        "--force", action="store_true", help="let --write replace a Dockerfile of your own"
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print or write it."""
    found = image_project.resolve(arguments, _FLAGS)
    from boxship.build.needs import check_packages

    check_packages()
    from boxship.build import context, dockerfile, plan as plans
    from boxship.build.code import own_outputs
    from boxship.build.layers import own_wheel

    plan = plans.decide(found, lock.read(found.folder))
    platform = plan.platforms[0]
    if len(plan.platforms) > 1:
        others = ", ".join(map(str, plan.platforms[1:]))
        print(
            f"boxship: the Dockerfile is for {platform} alone, and not for {others}: its base and "
            "its packages are those of one platform. [image] platforms names another first.",
            file=sys.stderr,
        )
    if not arguments.write:
        print(dockerfile.render(plan, platform, own_wheel.make().name), end="")
        return 0
    context.add(plan, platform, found.folder, force=arguments.force)
    print(f"written to {found.folder}: Dockerfile, .dockerignore, {own_outputs.ADDED}/")
    return 0
