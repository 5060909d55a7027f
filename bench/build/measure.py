"""What is done in which order: the sides take turns, and begin in turn."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from build import churn, heavy, images
from build.commands import Ran
from build.ours import Ours
from build.parts import Parts
from build.tutorial import Tutorial
from build.wanted import OURS, TUTORIAL
from build.wire import Wire
from samples import Sample

_CLOSE = 1e-5
_PORTS = {OURS: 8080, TUTORIAL: 8000}


class Bench:
    """A run; ``samples`` and ``packages`` fill up. Its names are its own, so nothing is there yet."""

    def __init__(self, parts: Parts, wire: Wire, room: Path, rounds: int) -> None:
        self.samples: list[Sample] = []
        self.packages: dict[str, dict[str, str]] = {}
        self._parts, self._wire, self._room, self._rounds = parts, wire, room, rounds
        # In the changed lines too: else the engine would know them from the last run.
        self._token = secrets.token_hex(4)
        self._prefix = f"{wire.address}/boxship-bench-{self._token}"
        self._base = self._name("python", "3.11-slim")
        self._tags: set[str] = set()

    def run(self, *, with_heavy: bool) -> None:
        """Everything; ends the program where an image answers something else than its model."""
        _tell("preparing models, base image, wheels")
        model, others = churn.make(self._room / "models", self._rounds)
        self._tags.add(self._base)
        self._parts.put_base(self._base)
        self._ours = self._make_ours("churn", model)
        self._ours.build()
        self._tutorial = self._make_tutorial("churn", model)
        self._push_first()
        self._changed_line()
        self._check(model.score)
        self._second_model(others)
        self._built_anew()
        if with_heavy:
            self._heavy(model)

    def clean(self) -> None:
        """Remove the images that were made here, but for the base; the registry keeps its own."""
        for tag in self._tags:
            self._parts.engine("rmi", tag, may_fail=True)

    def _make_ours(self, name: str, model: churn.Model) -> Ours:
        folder = self._room / "ours" / name
        made = Ours.make(folder, self._room, self._wire, model, self._base)
        made.boxship("lock")
        return made

    def _make_tutorial(self, name: str, model: churn.Model) -> Tutorial:
        folder = self._room / "tutorial" / name
        return Tutorial.make(folder, self._parts, self._wire, model, self._base)

    def _push_first(self) -> None:
        """The images that the following changes are measured against."""
        _tell("the first push of each side; pip may have to download")
        for side, push in ((OURS, self._ours.push), (TUTORIAL, self._tutorial.push)):
            name = self._name(side, "0")
            ran = push(name)
            self._keep(1, side, "churn", "first_push_mb", ran.sent / 1e6)
            added = images.added_bytes(name, self._base)
            self._keep(1, side, "churn", "added_mb", added / 1e6)

    def _changed_line(self) -> None:
        def ours(number: int) -> Ran:
            self._ours.change(self._version(number))
            return self._ours.push(self._name(OURS, f"{number}"))

        def tutorial(number: int) -> Ran:
            self._tutorial.change(self._version(number))
            return self._tutorial.push(self._name(TUTORIAL, f"{number}"))

        for number, side, ran in self._turns("one line of code changed", ours, tutorial):
            self._keep(number, side, "churn", "line_s", ran.seconds)
            self._keep(number, side, "churn", "line_kb", ran.sent / 1e3)

    def _check(self, score: float) -> None:
        """The last images of both sides, as a node would pull them."""
        _tell("asking both images")
        for side, port in _PORTS.items():
            name = self._name(side, f"{self._rounds}")
            with images.running(self._parts, name) as container:
                answer = container.ask(port)
                self.packages[side] = container.packages()
            wanted = {"score": score, "version": self._version(self._rounds)}
            right = abs(answer["score"] - score) <= _CLOSE
            if not right or answer["version"] != wanted["version"]:
                raise SystemExit(f"{side}: expected {wanted}, found {answer}")

    def _second_model(self, others: list[churn.Model]) -> None:
        """Another one in each round: the registry has just the packages of the first."""
        ours = [self._make_ours(one.onnx.stem, one) for one in others]
        tutorial = [self._make_tutorial(one.onnx.stem, one) for one in others]
        for number, side, ran in self._turns(
            "a second model into another repository",
            lambda number: ours[number - 1].push(self._name(f"{OURS}-other-{number}", "1")),
            lambda number: tutorial[number - 1].push(self._name(f"{TUTORIAL}-other-{number}", "1")),
        ):
            model = others[number - 1]
            size = (model.onnx if side == OURS else model.pickled).stat().st_size
            self._keep(number, side, "other", "beside_model_kb", (ran.sent - size) / 1e3)
            self._keep(number, side, "other", "push_s", ran.seconds)

    def _built_anew(self) -> None:
        cached = self._name(TUTORIAL, "cached")

        def ours(_: int) -> Ran:
            self._ours.forget_layers()
            return self._ours.build()

        def tutorial(number: int) -> Ran:
            return self._tutorial.build(self._name(TUTORIAL, f"anew-{number}"), anew=True)

        for number, side, ran in self._turns("built anew, with wheels cached", ours, tutorial):
            self._keep(number, side, "churn", "anew_s", ran.seconds)
            again = self._ours.build() if side == OURS else self._tutorial.build(cached)
            self._keep(number, side, "churn", "cached_s", again.seconds)

    def _heavy(self, model: churn.Model) -> None:
        _tell("a dependency of 2 GB")
        folder = self._room / "ours" / "heavy"
        project = Ours.make(folder, self._room, self._wire, model, self._base)
        heavy.make(folder)
        with (folder / "requirements.txt").open("a") as file:
            file.write(f"./{heavy.FILE}\n")
        project.boxship("lock")
        ran = project.build(watched=True)
        self._keep(1, OURS, "heavy", "memory_mb", ran.memory / 1e6)
        self._keep(1, OURS, "heavy", "build_s", ran.seconds)

    def _turns(
        self, words: str, ours: Callable[[int], Ran], tutorial: Callable[[int], Ran]
    ) -> Iterator[tuple[int, str, Ran]]:
        for number in range(1, self._rounds + 1):
            sides = [(OURS, ours), (TUTORIAL, tutorial)]
            for side, act in sides if number % 2 else sides[::-1]:
                ran = act(number)
                _tell(f"{words}, round {number}: {side} {ran.seconds:.1f} s, {ran.sent:,} bytes")
                yield number, side, ran

    def _name(self, repository: str, tag: str) -> str:
        name = f"{self._prefix}/{repository}:{tag}"
        if repository.startswith((OURS, TUTORIAL)):
            self._tags.add(name)
        return name

    def _version(self, number: int) -> str:
        return f"{self._token}-{number}"

    def _keep(self, number: int, side: str, model: str, metric: str, value: float) -> None:
        self.samples.append(Sample(number, side, model, metric, round(value, 4)))


def _tell(words: str) -> None:
    print(words, flush=True)
