"""Strings for a column: the categories or words that the model knows, and others."""

from typing import Final

import numpy as np

_UNSEEN: Final = (
    "",
    " ",
    "unseen",
    "0",
    "-1.5",
    "nan",
    "None",
    "naïve café",
    "日本語",
    "Ωμέγα ß",
    "👍🏽 ok",
    "e\u0301",
    "a\tb\nc",
    "'quoted', \"twice\"; <b>&amp;</b>",
    "x" * 300,
)
"""What no training data is likely to have had."""
_COMMON: Final = ["one", "two", "three", "good", "bad", "the", "of", "and", "not"]
_PUNCTUATION: Final = (". ", ", ", "! ", "? ", "; ", " - ", "... ", "'s ", " (", ") ", "\n", "/")
_DOCUMENTS: Final = 300


def around_categories(categories: list[str]) -> list[str]:
    """Strings that differ a little from ``categories``, and some that differ altogether."""
    changed = [
        variant
        for category in categories[:20]
        for variant in (category.upper(), category.lower(), f" {category}", f"{category}x")
    ]
    known = set(categories)
    return [text for text in dict.fromkeys([*_UNSEEN, *changed]) if text not in known]


def documents(vocabulary: list[str], rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Texts of the words that a vectorizer knows, and texts that should puzzle it."""
    words = np.array(vocabulary or _COMMON, dtype=object)
    known: list[str] = rng.permutation(words)[: _DOCUMENTS // 3].tolist()
    puzzling: list[str] = list(_UNSEEN)
    while len(known) < _DOCUMENTS:
        text = " ".join(rng.choice(words, int(rng.integers(2, 25))))
        known.append(text)
        variant = len(known) % 6
        if variant == 0:
            puzzling.append(text.upper())
        elif variant == 1:
            puzzling.append(text.title())
        elif variant == 2:
            puzzling.append(f"{text} {rng.choice(_UNSEEN)} {rng.choice(words)}")
        elif variant == 3:
            parts = [part for word in text.split(" ") for part in (word, rng.choice(_PUNCTUATION))]
            puzzling.append("".join(parts))
    return list(dict.fromkeys(known)), list(dict.fromkeys(puzzling))
