"""``boxship serve``."""

import argparse
import os
from pathlib import Path
from typing import Any

from boxship import project, settings
from boxship.cli import verbs

_EPILOG = """\
examples:
  boxship serve churn.pkl                     a scikit-learn pickle or joblib
  boxship serve churn.onnx --workers 2        an ONNX model, two processes
  boxship serve service:Churn                 your Service class or ASGI app
  boxship serve .                             the project here (boxship.toml)
  MODEL_PATH=/models/churn.pkl boxship serve  as a container says it

Every flag from --host on is a key of [serve] in boxship.toml too, with _ for -
and _s after times (request_timeout_s), and an environment variable
(BOXSHIP_SERVE_REQUEST_TIMEOUT_S; the port's is PORT).
"""


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "serve",
        summary="serve a model over HTTP",
        description="Serve a trained model over HTTP, with probes, metrics and a clean drain.",
        epilog=_EPILOG,
    )
    verb.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="model file, project folder or module:attr; default: MODEL_PATH, or the project here",
    )
    verb.add_argument("--name", default=argparse.SUPPRESS, help="the model's name in the API")
    verb.add_argument(
        "--model-version",
        dest="version",
        default=argparse.SUPPRESS,
        metavar="VERSION",
        help="the model's version in the API; default: the start of its digest",
    )
    verb.add_argument(
        "--trust", action="store_true", help="load a pickle whatever code it names (it can run any)"
    )
    for option in settings.options():
        _add_option(verb, option)
    verb.set_defaults(run=run)


def _add_option(verb: argparse.ArgumentParser, option: settings.Option) -> None:
    shown = f"{option.help} (default: {_shown(option)})"
    if isinstance(option.default, bool):
        verb.add_argument(
            option.flag,
            dest=option.key,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=shown.replace("%", "%%"),
        )
    else:
        verb.add_argument(
            option.flag,
            dest=option.key,
            metavar=option.kind.metavar,
            default=argparse.SUPPRESS,
            help=shown.replace("%", "%%"),
        )


def _shown(option: settings.Option) -> str:
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    return str(option.default)


def run(arguments: argparse.Namespace) -> int:
    """Resolve the project and serve it until told to stop."""
    flags: dict[str, Any] = {
        key: value
        for key, value in vars(arguments).items()
        if key not in ("run", "verb", "target", "trust")
    }
    resolved = project.resolve(
        arguments.target,
        flags=flags,
        environ=os.environ,
        cwd=Path.cwd(),
        trust_all=arguments.trust,
    )
    # Imported late: `boxship --help` needs no server.
    from boxship.serve.processes import server

    return server.serve(resolved.project, resolved.warnings)
