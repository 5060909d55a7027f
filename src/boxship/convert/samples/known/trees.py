"""The decision trees inside an estimator, whoever grew them, in one form."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxship.convert.samples.codes import Floats

Integers = npt.NDArray[np.int64]

_MOST_CATEGORIES: Final = 1000


@dataclass(frozen=True)
class Tree:
    """One tree: arrays ``[nodes]``, the root first.

    ``feature`` is negative at a leaf and where a split compares no number. Left is
    where the smaller values go; whether the threshold itself does depends on who grew
    the tree.
    """

    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers

    def parents(self) -> Integers:
        """The parent of each node, -1 for the root."""
        parents = np.full(len(self.feature), -1, dtype=np.int64)
        for children in (self.left, self.right):
            inner = np.flatnonzero(children >= 0)
            parents[children[inner]] = inner
        return parents


@dataclass(frozen=True)
class Grown:
    """What an estimator says about its trees.

    ``categories`` are those of the columns that are split by category, ``ranges`` values
    that training data had, by column.
    """

    trees: tuple[Tree, ...]
    categories: tuple[tuple[int, Floats], ...] = ()
    ranges: tuple[tuple[int, Floats], ...] = ()


def grown(estimator: Any) -> Grown:
    """The trees of ``estimator`` itself; not those of the estimators inside it."""
    if hasattr(estimator, "get_booster"):
        return _xgboost(estimator.get_booster())
    if hasattr(estimator, "booster_"):
        return _lightgbm(estimator.booster_)
    if hasattr(estimator, "_predictors"):
        return Grown(tuple(_histogram(estimator)))
    tree: Any = getattr(estimator, "tree_", None)
    if not hasattr(tree, "children_left"):
        return Grown(())
    return Grown((_tree(tree.feature, tree.threshold, tree.children_left, tree.children_right),))


def _tree(feature: Any, threshold: Any, left: Any, right: Any) -> Tree:
    feature = np.where(np.asarray(left) < 0, -1, feature)
    return Tree(
        feature.astype(np.int64),
        np.asarray(threshold, dtype=np.float64),
        np.asarray(left, dtype=np.int64),
        np.asarray(right, dtype=np.int64),
    )


def _histogram(estimator: Any) -> Iterator[Tree]:
    for predictor in (one for stage in estimator._predictors for one in stage):  # noqa: SLF001 (the only place where they are)
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        numeric = inner & (nodes["is_categorical"] == 0)
        yield Tree(
            np.where(numeric, nodes["feature_idx"], -1).astype(np.int64),
            nodes["num_threshold"].astype(np.float64),
            np.where(inner, nodes["left"].astype(np.int64), -1),
            np.where(inner, nodes["right"].astype(np.int64), -1),
        )


def _xgboost(booster: Any) -> Grown:
    """https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html has the form."""
    document = json.loads(bytes(booster.save_raw("json")))
    model = document["learner"]["gradient_booster"]
    model = model.get("gbtree", model)["model"]
    trees: list[Tree] = []
    categories: list[tuple[int, Floats]] = []
    for tree in model.get("trees", ()):
        by_category = np.asarray(tree["split_type"]) == 1
        feature = np.where(by_category, -1, tree["split_indices"])
        # The shortest decimals that name a float32 stand there, and a float32 is compared.
        threshold = np.asarray(tree["split_conditions"], dtype=np.float32)
        trees.append(_tree(feature, threshold, tree["left_children"], tree["right_children"]))
        # A tree lists its categories end to end, and for each node its stretch of them.
        for node, start, size in zip(
            tree["categories_nodes"],
            tree["categories_segments"],
            tree["categories_sizes"],
            strict=True,
        ):
            chosen = max(tree["categories"][start : start + size])
            # They are numbered from 0, and a node names only those that go one way.
            every = np.arange(min(chosen, _MOST_CATEGORIES) + 1.0)
            categories.append((int(tree["split_indices"][node]), every))
    return Grown(tuple(trees), tuple(categories))


def _lightgbm(booster: Any) -> Grown:
    document = booster.dump_model()
    categories: list[tuple[int, Floats]] = []
    ranges: list[tuple[int, Floats]] = []
    for column, name in enumerate(document["feature_names"]):
        # A column that was constant in training has no such entry.
        info = document["feature_infos"].get(name, {"values": [], "min_value": 0, "max_value": 0})
        known = np.array(info["values"], dtype=np.float64)
        if len(known):
            # -1 stands there for a missing value.
            categories.append((column, known[known >= 0]))
        else:
            ranges.append((column, np.array([info["min_value"], info["max_value"]], dtype=float)))
    trees = [_lightgbm_tree(info["tree_structure"]) for info in document["tree_info"]]
    return Grown(tuple(trees), tuple(categories), tuple(ranges))


def _lightgbm_tree(root: dict[str, Any]) -> Tree:
    features: list[int] = []
    thresholds: list[float] = []
    children: tuple[list[int], list[int]] = ([], [])
    waiting: list[tuple[dict[str, Any], int, int]] = [(root, -1, 0)]
    while waiting:
        node, parent, side = waiting.pop()
        number = len(features)
        if parent >= 0:
            children[side][parent] = number
        for child in children:
            child.append(-1)
        # A split by category has "==" and its categories there.
        numeric = node.get("decision_type") == "<="
        features.append(int(node["split_feature"]) if numeric else -1)
        thresholds.append(float(node["threshold"]) if numeric else np.nan)
        if "left_child" in node:
            waiting += [(node["left_child"], number, 0), (node["right_child"], number, 1)]
    return _tree(np.array(features), thresholds, children[0], children[1])
