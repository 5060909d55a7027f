"""Write the page from a run's numbers; ``python bench/report.py`` does so without measuring.

A file of results may be named: ``python bench/report.py .bench/report/benchmarks/results.json``.
"""

import sys
from pathlib import Path

import plots
import tables
from cases import overload, serving, single, tensors
from chart import draw
from goals import MODEL_TITLES, goals
from lineup import NGINX
from places import PAGE_FOLDER
from results import Results
from samples import Samples, Spread

_PICTURES = {
    "throughput": "Requests per second of every server, for a random forest and a logistic regression",
    "latency": "Median and 99th percentile of latency at a steady rate",
    "footprint": "Time from start to the first answer, and memory",
}


def write(results: Results, folder: Path) -> None:
    """The page, its pictures and its numbers."""
    pictures = folder / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    results.save(pictures / "results.json")
    drawn = plots.plots(results)
    for name, chart in drawn.items():
        (pictures / f"{name}.svg").write_text(draw(chart))
    (folder / "benchmarks.md").write_text(page(results, tuple(drawn)))


def page(results: Results, drawn: tuple[str, ...]) -> str:
    """The whole page in Markdown; ``drawn`` names the pictures that there are."""
    samples = results.samples

    def picture(name: str) -> list[str]:
        return [f"![{_PICTURES[name]}](benchmarks/{name}.svg)"] if name in drawn else []

    steady = serving.STEADY
    parts = [
        "# Benchmarks",
        "This page is written by `make bench`. Do not edit it.",
        _summary(results),
        *picture("throughput"),
        "## What was wanted, and what was found",
        (
            "Each figure is a ratio of two servers in the same round: the median of the rounds, with "
            "the lowest and the highest in brackets. The median decides."
        ),
        tables.goal_table(samples),
        _failures(results),
        "## Throughput",
        (
            f"`wrk` over {serving.CONNECTIONS} connections for {serving.LOAD_S} s, one row in each "
            "request."
        ),
    ]
    for model in reversed(serving.MODELS):
        parts += [f"### {MODEL_TITLES[model].capitalize()}", tables.throughput(samples, model)]
    parts += ["## Latency at a steady rate", *picture("latency")]
    for model in reversed(serving.MODELS):
        title = f"### {MODEL_TITLES[model].capitalize()}, {steady[model]} requests/s"
        parts += [title, tables.latency(samples, model, "steady")]
    for model in reversed(serving.MODELS):
        brisk = f"### {MODEL_TITLES[model].capitalize()}, {serving.BRISK:,} requests/s"
        parts += [brisk, tables.latency(samples, model, "brisk")]
    parts += [
        (
            f"The {serving.BRISK:,} requests/s are asked of those whose throughput is more than twice "
            "that."
        ),
        "## Start and memory",
        *picture("footprint"),
        tables.footprint(samples),
        _orphans(samples),
        "## Images as tensors",
        (
            "1x3x224x224 float32 through an ONNX model that answers its input: 602,112 bytes as binary "
            f"tensors ({tensors.BINARY_CONNECTIONS} connections), or as JSON "
            f"({tensors.JSON_CONNECTIONS} connections)."
        ),
        tables.images(samples),
        "## Overload",
        (
            f"{overload.MANY:,} connections against {overload.FEW}, with a request timeout of "
            f"{overload.TIMEOUT_S} s:"
        ),
        tables.crowd(samples),
        (
            f"The random forest's pickle, offered {overload.TIMES_CAPACITY} times what it can answer, "
            f"by an open-loop generator (`bench/flood.lua`) whose requests say `X-Request-Timeout-Ms: "
            f"{overload.DEADLINE_MS}`. Latency counts from when a request was due, so the generator's "
            "own lag is held against the server:"
        ),
        tables.flood(samples),
        _method(results),
        _machine(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(results: Results) -> str:
    found = [one.verdict for one in goals(results.samples)]
    met, missed = found.count("met"), found.count("**missed**")
    rest = len(found) - met - missed
    tail = f", {rest} not measured" if rest else ""
    machine = results.machine
    quick = " It was a quick run: its figures are only for trying out." if results.quick else ""
    return (
        f"{results.date}, {machine['cores']} cores ({machine['processor']}), "
        f"{results.rounds} round{'s' * (results.rounds != 1)}: of {len(found)} goals {met} were "
        f"met, {missed} missed{tail}.{quick}"
    )


def _failures(results: Results) -> str:
    if not results.failures:
        return "Every answer that was checked was right, and every server started in every round."
    lines = [f"- {line}" for line in dict.fromkeys(results.failures)]
    return "\n".join(["What went wrong in this run:", "", *lines])


def _orphans(samples: Samples) -> str:
    found = tables.orphaned(samples)
    if not found:
        return ""
    return (
        f"After SIGTERM to the process that was started, children of {' and '.join(found)} went on "
        "and had to be killed."
    )


def _checked(samples: Samples) -> str:
    rows = sum(one.value for one in samples.all if one.metric == "checked")
    checking = sum(samples.rounds(NGINX.name, serving.MODELS[0], "checked").values())
    timed = sum(samples.rounds(NGINX.name, serving.MODELS[0], "rate").values())
    if not timed:
        return f"{rows:,.0f} answers were checked in this way."
    share = checking / serving.CHECK_S / timed
    return (
        f"{rows:,.0f} answers were checked in this way. The hook is not free: with it, `wrk` drove "
        f"nginx at {share:.0%} of the rate without it, so the timed load has no hook."
    )


def _others(samples: Samples) -> str:
    found = Spread.of(one.value for one in samples.all if one.metric == "others")
    return tables.spread(found, "{:.0%}")


def _method(results: Results) -> str:
    return f"""## How it is measured

`make bench` does all of it. It needs Linux, `wrk` and nginx (Debian: `apt-get install wrk nginx-light`), a network the first time, and about half an hour with nothing else running. `python bench/run.py --help` lists the cases and servers to choose from; `--quick` takes a few minutes. `python bench/report.py` writes this page again from [benchmarks/results.json](benchmarks/results.json), which holds every number of every round.

- **Servers.** Each has an environment of its own, made from a lock with hashes in `bench/peers/`, and is started as its own guide to production says: two workers, one BLAS thread in each, no access log. `bench/lineup.py` holds the commands, `bench/peers/` the services. LitServe and MLServer batch up to 64 rows within 2 ms, BentoML up to 64 rows; its latency limit is left at its default, because it refuses what would take longer. Boxship is installed as a wheel of the checkout and runs with its defaults; its metrics and its log of failures and slow requests are on.
- **Models.** scikit-learn's breast cancer data, first two columns; one scikit-learn for all. `bench/models.py` trains and converts them, always the same.
- **Rounds.** {results.rounds} of them. In each, every server is started, warmed for {serving.WARM_S} s, measured and stopped; nobody else is running meanwhile. Each round begins with another server. Ratios are taken inside a round.
- **Load.** The client shares the cores with the server. `wrk` has one thread and sends {serving.CONNECTIONS} connections as fast as they are answered, with 16 different rows in turn. Requests without a 2xx status do not count as throughput.
- **Checks.** Before and after the load, each row is sent once and its answer compared with scikit-learn's own score, within 0.00001. In a pass of its own at full load, just before the timed one, `wrk` keeps every distinct answer with its count, and all must be right ones. {_checked(results.samples)} The open-loop generator compares every answer with the one that belongs to its own request.
- **Steady rate.** `wrk` waits for an answer before it sends the next request, so latency is measured by a generator (`bench/openloop.py`) that sends at random moments at a fixed mean rate, whatever the server does. Latency counts from when a request was sent, or, where all 64 connections were busy, from when it was due. How late the generator itself was is in the tables.
- **Other work.** Before each start, the share of the processor that other programs used was {_others(results.samples)}.
- **Ceilings.** Boxship's own HTTP server with two processes on one socket: it parses the body into a typed object and answers a constant, on the path that `/predict` takes, and again as an ASGI application. And nginx with two processes, which returns a constant and parses nothing.
- **Start.** From the start of the process to the first right answer to a request.
- **Memory.** Proportional set size of all the server's processes, after the load.
- **One connection.** Two servers stand side by side and are asked in turns: {single.TURNS} times for a second each, in every round."""


def _machine(results: Results) -> str:
    machine = tables.table(
        ["what", "which"], ([key, value] for key, value in results.machine.items())
    )
    packages = sorted({name for found in results.versions.values() for name in found})
    own = list(results.versions)
    rows = (
        [package, *(results.versions[name].get(package, "") for name in own)]
        for package in packages
    )
    versions = tables.table(["package", *own], rows)
    return f"## The machine and the versions\n\n{machine}\n\n{versions}"


if __name__ == "__main__":
    given = Path(sys.argv[1]) if sys.argv[1:] else PAGE_FOLDER / "benchmarks" / "results.json"
    write(Results.load(given), given.parent.parent)
