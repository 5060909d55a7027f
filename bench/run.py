"""Measure Boxship beside what people use instead; ``make bench`` runs it.

It needs Linux, wrk and nginx (on Debian: ``apt-get install wrk nginx-light``). A whole run takes
about half an hour on two cores and writes ``docs/benchmarks.md``; ``--quick`` and a choice of
cases or servers write to ``.bench/report`` instead.
"""

import argparse
import contextlib
import datetime as dt
import fcntl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import environments
import lineup
import machine
import report
from cases import overload, serving, single, tensors
from lineup import Peer
from places import ARTIFACTS, FOLDER, PAGE_FOLDER, ROOT
from plan import CASES, Plan
from results import Results
from samples import Samples

_SERVING = frozenset(("throughput", "latency", "start", "memory"))
_OWN = {"single": single.run, "tensors": tensors.run, "overload": overload.run}
_SHOWN = (
    *("boxship", "fastapi", "uvicorn", "litserve", "bentoml", "mlserver", "kserve"),
    *("scikit-learn", "onnxruntime", "numpy", "skl2onnx", "msgspec", "uvloop"),
)


def _arguments() -> argparse.Namespace:
    cases = "\n".join(f"  {name:<11} {what}" for name, what in CASES.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"cases:\n{cases}\n\npeers: {', '.join(lineup.BY_NAME)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one round of short loads")
    parser.add_argument("--only", metavar="CASE,...", help="some of the cases")
    parser.add_argument("--peers", metavar="NAME,...", help="some of the servers")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 5, with --quick 1")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the page goes")
    parser.add_argument("--lock", action="store_true", help="only compile the locks again")
    return parser.parse_args()


def _choice(text: str | None, known: list[str]) -> list[str]:
    if text is None:
        return known
    chosen = text.split(",")
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise SystemExit(f"expected some of {', '.join(known)}, found {', '.join(unknown)}")
    return chosen


def _needed(peers: tuple[Peer, ...], cases: frozenset[str]) -> list[str]:
    """The environments of all that is started; Boxship and the models are always among them."""
    needed = {environments.BOXSHIP, environments.MODELS}
    if cases & _SERVING:
        needed |= {peer.environment for peer in peers if peer.environment}
    if "tensors" in cases:
        needed.add("mlserver")
    return [name for name in environments.NAMES if name in needed]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two runs at once would spoil each other's numbers."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another run is under way here; wait for its end") from None
        yield


def _prepare(names: list[str]) -> None:
    environments.build(names)
    argv = [
        environments.python(environments.MODELS),
        str(ROOT / "bench" / "models.py"),
        str(ARTIFACTS),
    ]
    subprocess.run(argv, check=True)


def main() -> None:
    """Prepare, measure, write."""
    arguments = _arguments()
    if arguments.lock:
        environments.lock(environments.NAMES)
        return
    missing = machine.missing_programs()
    if missing:
        raise SystemExit(f"install {' and '.join(missing)} first (Debian: wrk, nginx-light)")
    plan = Plan(
        rounds=arguments.rounds or (1 if arguments.quick else 5),
        quick=arguments.quick,
        peers=tuple(lineup.BY_NAME[name] for name in _choice(arguments.peers, [*lineup.BY_NAME])),
        cases=frozenset(_choice(arguments.only, [*CASES])),
    )
    is_whole = not (arguments.quick or arguments.only or arguments.peers)
    folder = arguments.out or (PAGE_FOLDER if is_whole else FOLDER / "report")
    with _alone():
        report.write(_measured(plan), folder)
    print(f"\nwrote {folder / 'benchmarks.md'}")


def _measured(plan: Plan) -> Results:
    names = _needed(plan.peers, plan.cases)
    _prepare(names)
    began = time.monotonic()
    if plan.cases & _SERVING:
        serving.run(plan)
    for name, run in _OWN.items():
        if name in plan.cases:
            run(plan)
    return Results(
        date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        rounds=plan.rounds,
        quick=plan.quick,
        minutes=round((time.monotonic() - began) / 60, 1),
        machine=machine.describe(),
        versions={
            name: {
                package: version
                for package, version in environments.versions(name).items()
                if package in _SHOWN
            }
            for name in names
        },
        failures=tuple(plan.failures),
        samples=Samples(plan.samples),
    )


if __name__ == "__main__":
    main()
