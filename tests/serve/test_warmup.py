"""What is measured before the model is ready, and what is chosen from it."""

import asyncio
import re
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from boxship.errors import InputError
from boxship.runtimes.base import Tensors
from boxship.serve import warmup
from boxship.serve.codec.models import TensorModel
from boxship.serve.warmup import WarmUp
from boxship.signature import Signature, TensorSpec

SPEC = TensorSpec(name="x", datatype="FP64", shape=(-1, 1))


@dataclass
class Timed:
    """A runtime whose calls take as long as is said for their rows."""

    fixed_s: float = 0.0
    row_s: float = 0.0
    batchable: bool = True
    reentrant: bool = True
    name: str = "timed 1.0"
    signature: Signature = field(
        default_factory=lambda: Signature(
            inputs=(SPEC,), outputs=(SPEC,), columns=(SPEC,), matrix=SPEC
        )
    )
    sizes: list[int] = field(default_factory=list)

    def run(self, batch: Tensors) -> Tensors:
        rows = len(batch["x"])
        self.sizes.append(rows)
        until = time.perf_counter() + self.fixed_s + rows * self.row_s
        while time.perf_counter() < until:
            pass
        return {"x": batch["x"]}

    def sample(self, rows: int) -> Tensors:
        return {"x": np.zeros((rows, 1))}


def measured(runtime: Timed, max_batch_size: int = 64) -> WarmUp:
    return asyncio.run(
        warmup.measure(TensorModel(runtime, max_rows=100), max_batch_size=max_batch_size)
    )


def test_every_batch_size_is_timed() -> None:
    found = measured(Timed(fixed_s=0.002, row_s=0.0005), 24)
    assert list(found.call_s) == [1, 2, 4, 8, 16, 24]
    assert found.call_s[1] >= 0.0025
    assert found.call_s[24] >= 0.014


def test_a_call_that_is_cheaper_than_a_hop_runs_inline() -> None:
    found = measured(Timed())
    assert found.inline_rows == 64
    assert found.hop_s > max(found.call_s.values())
    assert found.sentence().startswith("requests of up to 64 rows are answered without a thread: ")


def test_a_call_that_is_dearer_runs_in_a_thread() -> None:
    found = measured(Timed(fixed_s=0.02))
    assert found.inline_rows == 0
    assert re.search(r"every call runs in a thread: a call takes \d+\.\d ms", found.sentence())


def test_where_rows_cost_much_only_few_run_inline() -> None:
    hop_s = measured(Timed()).hop_s
    found = measured(Timed(row_s=hop_s / 3), 64)
    assert found.inline_rows < 64
    assert found.inline_rows == max(
        (rows for rows, seconds in found.call_s.items() if seconds <= found.hop_s), default=0
    )


def test_single_rows_share_a_call_inline_that_takes_less_than_their_hops_and_is_brief() -> None:
    """For one of them alone a hop would be cheaper."""
    hop_s = measured(Timed()).hop_s
    found = measured(Timed(fixed_s=min(3 * hop_s, 0.001)))
    assert found.inline_rows == 0
    assert found.shared_rows == 64
    assert found.call_s[64] <= 0.002
    assert found.sentence().startswith("up to 64 requests of one row share a call without a thread")


def test_models_of_true_tensors_share_nothing_inline() -> None:
    """There are no single rows to lay side by side."""
    images = Signature(inputs=(SPEC,), outputs=(SPEC,))
    assert measured(Timed(signature=images)).shared_rows == 0


def test_the_sentence_names_both_choices_where_they_differ() -> None:
    found = WarmUp({1: 0.00001, 64: 0.0005}, 0.00005, inline_rows=4, shared_rows=64).sentence()
    assert found.startswith(
        "requests of up to 4 rows are answered without a thread, and up to 64 requests of one row "
        "share a call without a thread: a call takes 10 µs for 1 row and 500 µs for 64 rows"
    )


def test_a_shared_call_that_is_not_brief_runs_in_a_thread() -> None:
    """However many hops it would save: everybody else waits meanwhile."""
    assert measured(Timed(fixed_s=0.003)).shared_rows == 0


def test_without_batches_nothing_is_shared() -> None:
    hop_s = measured(Timed()).hop_s
    assert measured(Timed(fixed_s=5 * hop_s), 1).shared_rows == 0


def test_what_two_threads_may_not_call_at_once_never_runs_inline() -> None:
    found = measured(Timed(reentrant=False))
    assert (found.inline_rows, found.shared_rows) == (0, 0)


def test_a_model_without_batches_is_timed_once() -> None:
    assert list(measured(Timed(batchable=False)).call_s) == [1]


def test_a_slow_model_is_not_called_for_long() -> None:
    """What the second call has shown, the sixth would not show better."""
    runtime = Timed(fixed_s=0.6)
    found = measured(runtime)
    assert len(runtime.sizes) <= 3
    assert found.inline_rows == 0


def test_the_batcher_begins_with_what_was_measured() -> None:
    costs = WarmUp({1: 0.01, 64: 0.02}, 0.0001, 0).costs()
    assert costs.predict(1) == pytest.approx(0.01)
    assert 0.01 < costs.predict(32) < 0.02


def test_a_sample_that_the_model_refuses_is_told() -> None:
    class Refuses(Timed):
        def run(self, batch: Tensors) -> Tensors:
            raise InputError("not like this")

    with pytest.raises(InputError, match="not like this"):
        measured(Refuses())
