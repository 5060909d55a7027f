"""A plan in words, and what it would weigh."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxship.build import weights
from boxship.build.layers import own_wheel
from boxship.build.plan import BuildPlan
from boxship.errors import BuildError
from boxship.oci.platform import Platform

_DEFLATED = 3
"""Code is about as many times larger than what it is compressed to."""
_CHEAPER = {
    "torch": "its CPU build (--extra-index-url …/whl/cpu) leaves CUDA out",
    "scikit-learn": "boxship convert makes a model that needs none",
    "scipy": "boxship convert makes a model that needs none",
    "pandas": "a model fitted on an array, or converted, needs none",
}


@dataclass(frozen=True)
class Weighed:
    """One layer: what is in it, why it is one, and its bytes, compressed, about."""

    what: str
    why: str
    size: int


def weigh(plan: BuildPlan, platform: Platform) -> tuple[Weighed, ...]:
    """Every layer of an image, from the lowest up; nothing is downloaded for it."""
    return tuple(_layers(plan, platform))


def _layers(plan: BuildPlan, platform: Platform) -> Iterator[Weighed]:
    yield Weighed(f"base {plan.base.name}", "locked by digest", plan.base.sizes[str(platform)])
    for cut in plan.packages[platform]:
        why = "heavy: shared across images" if cut.is_heavy else "they change together"
        yield Weighed(cut.title, why, cut.size(slimmed=plan.settings.slim))
    own = sum(len(content) for content in own_wheel.make().files.values()) // _DEFLATED
    yield Weighed("boxship", "serves the model", own)
    code = sum(entry.size for entry in plan.code)
    yield Weighed("code and settings", "changes most often", code // _DEFLATED)
    for layer in plan.weight_layers:
        name = Path(weights.named(layer)).name
        yield Weighed(f"weights {name}", plan.weights.why, sum(entry.size for entry in layer))


def check_budget(plan: BuildPlan, platform: Platform, size: int) -> None:
    """Raises ``BuildError`` that names the heaviest parts where ``size`` is over the budget."""
    budget = plan.settings.budget
    if not budget or size <= budget:
        return
    heaviest = sorted(weigh(plan, platform), key=lambda one: -one.size)[:3]
    lines = [
        f"\n  {one.what}: about {one.size / 1e6:.1f} MB{_cheaper(one.what)}" for one in heaviest
    ]
    raise BuildError(
        f"{platform}: expected at most {budget / 1e6:.1f} MB, found {size / 1e6:.1f} MB."
        f"{''.join(lines)}",
        tip="Leave some of it out, or raise [image] budget.",
    )


def check_planned(plan: BuildPlan) -> None:
    """The same of what the plan would weigh, before anything is built."""
    for platform in plan.platforms:
        check_budget(plan, platform, sum(one.size for one in weigh(plan, platform)))


def note(plan: BuildPlan) -> str:
    """What is left to do once the image is there, if anything is."""
    if plan.weights.delivery == "mount":
        return f"the model is not in it: mount it at {plan.weights.location}"
    if plan.weights.volume:
        return f"the model is an image of its own: mount it at /{weights.FOLDER}"
    return ""


def _cheaper(what: str) -> str:
    hint = _CHEAPER.get(what.partition(" ")[0])
    return f"; {hint}" if hint else ""
