"""What Boxship is meant to reach, as ratios inside one run, and whether it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cases import overload, serving, single, tensors
from lineup import CEILING, FRAMEWORKS, ONNX, PICKLE, PLAIN, PLAIN_ONNX
from samples import Samples, Spread, ratio

MODEL_TITLES = {"rf": "random forest of 100 trees", "lr": "logistic regression"}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of the table: what is compared, what is wanted, what was found."""

    what: str
    than: str
    sense: Literal["≥", "≤"]
    limit: float
    found: Spread | None
    form: str = "{:.2f}"

    @property
    def verdict(self) -> str:
        """The median decides."""
        if self.found is None:
            return "not measured"
        if self.sense == "≥":
            return "met" if self.found.median >= self.limit else "**missed**"
        return "met" if self.found.median <= self.limit else "**missed**"


def goals(samples: Samples) -> list[Goal]:
    """All of them, in the page's order."""
    found = [*_throughput(samples), *_serving(samples)]
    return [*found, *_special(samples), *_overload(samples)]


_WANTED = (
    ("rf", ONNX.name, "converted", 70, 20),
    ("lr", ONNX.name, "converted", 7, 20),
    ("rf", PICKLE.name, "the pickle itself", 7, 2),
    ("lr", PICKLE.name, "the pickle itself", 4, 12),
)


def _throughput(samples: Samples) -> Iterator[Goal]:
    for model, server, how, plain, framework in _WANTED:
        own = samples.rounds(server, model, "rate")
        best = samples.best([one.name for one in FRAMEWORKS], model, "rate", max)
        what = f"throughput, {MODEL_TITLES[model]}, {how}"
        beside = samples.rounds(PLAIN.name, model, "rate")
        for than, limit, other in (
            ("FastAPI + pickle", plain, beside),
            ("the best framework", framework, best),
        ):
            found = ratio(own, other)
            yield Goal(what=what, than=than, sense="≥", limit=limit, found=found, form="{:.1f}x")


def _serving(samples: Samples) -> Iterator[Goal]:
    names = [one.name for one in FRAMEWORKS]
    for model in reversed(serving.MODELS):
        own = {m: samples.rounds(ONNX.name, model, m) for m in ("rate", "ready_s", "memory_mb")}
        title = f"{MODEL_TITLES[model]}, converted"
        yield Goal(
            what=f"throughput, {title}",
            than="FastAPI + the same ONNX file",
            sense="≥",
            limit=2.5,
            found=ratio(own["rate"], samples.rounds(PLAIN_ONNX.name, model, "rate")),
            form="{:.1f}x",
        )
        yield Goal(
            what=f"throughput, {title}",
            than="the ceiling: the same server, a constant",
            sense="≥",
            limit=0.75,
            found=ratio(own["rate"], samples.rounds(CEILING.name, model, "rate")),
        )
        yield Goal(
            what=f"start to first answer, {title}",
            than="FastAPI + pickle",
            sense="≤",
            limit=1 / 5,
            found=ratio(own["ready_s"], samples.rounds(PLAIN.name, model, "ready_s")),
        )
        yield Goal(
            what=f"start to first answer, {title}",
            than="the best framework",
            sense="≤",
            limit=1 / 7,
            found=ratio(own["ready_s"], samples.best(names, model, "ready_s", min)),
        )
        yield Goal(
            what=f"memory of two workers, {title}",
            than="FastAPI + pickle",
            sense="≤",
            limit=0.6,
            found=ratio(own["memory_mb"], samples.rounds(PLAIN.name, model, "memory_mb")),
        )


def _special(samples: Samples) -> Iterator[Goal]:
    yield Goal(
        what="median latency at one connection, batching on",
        than="batching off",
        sense="≤",
        limit=1.10,
        found=ratio(
            samples.rounds(single.BATCHING.name, single.MODEL, "single_p50_ms"),
            samples.rounds(single.ALONE.name, single.MODEL, "single_p50_ms"),
        ),
    )
    rates = {
        peer.name: samples.rounds(peer.name, tensors.MODEL, "rate")
        for peer in (
            *(tensors.BOXSHIP_BINARY, tensors.ECHO),
            *(tensors.BOXSHIP_JSON, tensors.MLSERVER_JSON),
        )
    }
    yield Goal(
        what="1x3x224x224 float32, V2 binary",
        than="the same server echoing the body",
        sense="≥",
        limit=0.6,
        found=ratio(rates[tensors.BOXSHIP_BINARY.name], rates[tensors.ECHO.name]),
    )
    yield Goal(
        what="1x3x224x224 float32, V2 JSON",
        than="MLServer",
        sense="≥",
        limit=1.0,
        found=ratio(rates[tensors.BOXSHIP_JSON.name], rates[tensors.MLSERVER_JSON.name]),
    )


def _overload(samples: Samples) -> Iterator[Goal]:
    model = overload.MODEL
    for peer in overload.CROWDED:
        own = {
            metric: samples.rounds(peer.name, model, metric)
            for metric in ("few_rate", "many_rate", "many_p99_ms")
        }
        title = f"{overload.MANY:,} connections, {peer.suffix}"
        yield Goal(
            what=f"successful throughput at {title}",
            than=f"{overload.FEW} connections",
            sense="≥",
            limit=0.9,
            found=ratio(own["many_rate"], own["few_rate"]),
        )
        yield Goal(
            what=f"p99 at {title}",
            than="the request timeout",
            sense="≤",
            limit=overload.TIMEOUT_S * 1e3,
            found=Spread.of(own["many_p99_ms"].values()),
            form="{:,.0f} ms",
        )
    flood = {
        metric: samples.rounds(overload.FLOODED.name, model, metric)
        for metric in ("goodput", "capacity", "neither", "no_retry_after", "refused_p99_ms")
    }
    title = f"offered {overload.TIMES_CAPACITY}x its capacity, {overload.DEADLINE_MS} ms deadline"
    yield Goal(
        what=f"goodput of the pickle, {title}",
        than="its capacity",
        sense="≥",
        limit=0.8,
        found=ratio(flood["goodput"], flood["capacity"]),
    )
    yield Goal(
        what="of these, neither answered nor refused with `Retry-After`",
        than="requests",
        sense="≤",
        limit=0,
        found=Spread.of(
            count + flood["no_retry_after"][number] for number, count in flood["neither"].items()
        ),
        form="{:,.0f}",
    )
    yield Goal(
        what="p99 of a refusal",
        than="the deadline",
        sense="≤",
        limit=overload.DEADLINE_MS,
        found=Spread.of(flood["refused_p99_ms"].values()),
        form="{:,.0f} ms",
    )
