"""``boxship convert``."""

import argparse
import json
import math
import os
from pathlib import Path

from boxship import project
from boxship.cli import verbs
from boxship.errors import EXIT_FAILURE, UsageError

_EPILOG = """\
examples:
  boxship convert churn.pkl -o churn.onnx
  boxship convert churn.pkl -o churn.onnx --samples last_month.parquet
  boxship convert . -o churn.onnx             the project here (boxship.toml)

Both models are asked about the same rows. Only where they answer alike is the
file written, with the proof in it; else the exit code is 1, and a file that
was there before stays as it is.
"""


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "convert",
        summary="turn a model into ONNX, and prove that it answers alike",
        description="Turn a scikit-learn, XGBoost or LightGBM model into an ONNX file that is\n"
        "served with the same columns and the same answers.",
        epilog=_EPILOG,
    )
    verb.add_argument("model", metavar="MODEL", help="model file or project folder")
    verb.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT", help="the ONNX file to write"
    )
    verb.add_argument(
        "--samples",
        type=Path,
        metavar="FILE",
        help="rows to compare on: CSV, Parquet or npy (default: made from the model)",
    )
    verb.add_argument(
        "--tolerance",
        type=_tolerance,
        metavar="T",
        help="largest relative difference of two numbers (default: 0.0001)",
    )
    verb.add_argument("--float64", action="store_true", help="take float64 numbers from the start")
    verb.add_argument(
        "--format", choices=("text", "json"), default="text", help="of the report (default: text)"
    )
    verb.add_argument(
        "--trust", action="store_true", help="load a pickle whatever code it names (it can run any)"
    )
    verb.add_argument(
        "--allow-version-skew",
        action="store_true",
        help="convert a pickle made with another minor version of scikit-learn than is installed",
    )
    verb.set_defaults(run=run)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, found {text!r}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Convert, print the report, and say by the exit code whether a file was written."""
    resolved = project.resolve(
        arguments.model,
        flags={},
        environ=os.environ,
        cwd=Path.cwd(),
        trust_all=arguments.trust,
    )
    found = resolved.project
    if found.source is not None:
        raise UsageError(
            f"{found.source}: expected a model file on this machine, found an address.",
            tip=f"Bring it here first: boxship fetch {found.source}",
        )
    if found.model_path is None or found.service or found.app:
        what = found.service or found.app
        raise UsageError(
            f"{arguments.model}: expected a model file to convert, found {what}.",
            tip="Name the model file itself.",
        )
    # Imported late: `boxship --help` needs no model library.
    from boxship.convert.needs import check_packages

    check_packages()
    from boxship.artifact import model_file
    from boxship.convert import report as reports, words
    from boxship.convert.conversion import Order, convert
    from boxship.convert.parity import TOLERANCE

    if found.model_digest:
        model_file.examine(Path(found.model_path), expected=found.model_digest)
    report = convert(
        Order(
            source=Path(found.model_path),
            output=arguments.output,
            name=found.name,
            inputs=found.inputs,
            trust=found.trust,
            trust_all=found.trust_all,
            allow_skew=arguments.allow_version_skew or found.serve.allow_version_skew,
            search_path=found.search_path,
            samples=arguments.samples,
            tolerance=TOLERANCE if arguments.tolerance is None else arguments.tolerance,
            double=arguments.float64,
        )
    )
    if arguments.format == "json":
        print(json.dumps(reports.as_json(report), ensure_ascii=False, indent=2))
    else:
        for line in words.lines(report):
            print(line)
    return 0 if report.agrees else EXIT_FAILURE
