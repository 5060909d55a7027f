"""What somebody may have meant who wrote a word that is not known."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> list[str]:
    """A problem for each key that is not known, with the nearest one that is."""
    return [f"{where}: unknown key {key!r}{hint(key, known)}" for key in table if key not in known]


def hint(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The nearest known word; what all of them begin with makes none nearer."""
    rests = [other.removeprefix(prefix) for other in known if other.startswith(prefix)]
    close = difflib.get_close_matches(word.removeprefix(prefix), rests, n=1, cutoff=0.6)
    return f"; did you mean {prefix + close[0]!r}?" if close else ""
