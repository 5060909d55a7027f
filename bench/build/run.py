"""Measure Boxship's builder beside the Dockerfile of tutorials; ``make bench-build`` runs it.

It needs a Docker engine, a registry and a base image: as root, ``tools/parts.sh install`` and
``tools/parts.sh up FOLDER``; then ``PARTS_FOLDER=FOLDER make bench-build``. It takes six to ten
minutes on two cores, 10 GB of disk, and the network. Every byte that is sent to the registry is
counted on its way there, the same for both sides.
"""

import argparse
import datetime as dt
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import machine
from build.measure import Bench
from build.parts import Parts
from build.wanted import OURS, TUTORIAL, table, wanted
from build.wire import Wire
from places import FOLDER, PAGE_FOLDER
from results import Results
from samples import Samples

_OUT = PAGE_FOLDER / "benchmarks" / "build.json"
_SHOWN = (
    *("boxship", "onnxruntime", "numpy", "msgspec", "uvloop"),
    *("fastapi", "uvicorn", "scikit-learn", "scipy", "boto3"),
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--light", action="store_true", help="without the dependency of 2 GB")
    parser.add_argument(
        "--out", type=Path, default=_OUT, metavar="FILE", help="default: %(default)s"
    )
    return parser.parse_args()


def main() -> None:
    """Prepare, measure, write, print."""
    arguments = _arguments()
    parts = Parts.find()
    room = FOLDER / "build"
    shutil.rmtree(room, ignore_errors=True)
    began = time.monotonic()
    with Wire(parts.registry) as wire:
        bench = Bench(parts, wire, room, arguments.rounds)
        try:
            bench.run(with_heavy=not arguments.light)
        finally:
            bench.clean()
            shutil.rmtree(room, ignore_errors=True)
    found = Samples(bench.samples)
    described = machine.describe()
    engine = parts.engine("version", "--format", "{{.Server.Version}}")
    described = {key: one for key, one in described.items() if key not in ("wrk", "nginx")}
    Results(
        date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        rounds=arguments.rounds,
        quick=arguments.light or arguments.rounds < 3,
        minutes=round((time.monotonic() - began) / 60, 1),
        machine={**described, "Docker": engine},
        versions={
            side: {name: one for name, one in bench.packages[side].items() if name in _SHOWN}
            for side in (OURS, TUTORIAL)
        },
        failures=(),
        samples=found,
    ).save(arguments.out)
    print(f"\n{table(list(wanted(found)))}\n\nBoth images answer alike. Wrote {arguments.out}")


if __name__ == "__main__":
    main()
