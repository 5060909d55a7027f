"""A run's numbers as a file, from which the page can be written again."""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from samples import Sample, Samples

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that the page shows."""

    date: str
    rounds: int
    quick: bool
    minutes: float
    machine: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    """By environment and distribution; only what a reader asks for."""
    failures: tuple[str, ...]
    samples: Samples

    def save(self, path: Path) -> None:
        """One sample on a line, so that a new run's changes can be read."""
        facts = {key: value for key, value in vars(self).items() if key != "samples"}
        head = json.dumps({"version": VERSION, **facts}, indent=1)
        lines = ",\n  ".join(json.dumps(astuple(one)) for one in self.samples.all)
        path.write_text(f'{head[:-2]},\n "samples": [\n  {lines}\n ]\n}}\n')

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read a file that ``save`` wrote."""
        found = json.loads(path.read_text())
        if found.pop("version") != VERSION:
            raise SystemExit(f"{path} is of another version; run 'make bench' again")
        samples = Samples(Sample(*one) for one in found.pop("samples"))
        return cls(**{**found, "failures": tuple(found["failures"])}, samples=samples)
