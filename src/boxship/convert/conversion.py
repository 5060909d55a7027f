"""``boxship convert``: a model file into an ONNX file that answers alike, or no file."""

import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from threadpoolctl import threadpool_limits

from boxship import proof as proofs
from boxship.artifact import formats, pickles
from boxship.artifact.digest import digest
from boxship.convert import converters
from boxship.convert.errors import INSTEAD, ConversionError
from boxship.convert.finish import finished
from boxship.convert.inputs import plan_inputs
from boxship.convert.output import check_output, part_of
from boxship.convert.outputs import PROBE_ROWS
from boxship.convert.parity import TOLERANCE, compare
from boxship.convert.prepare import blur, prepared
from boxship.convert.report import Attempt, Report
from boxship.convert.samples import Samples, generate, read
from boxship.convert.served import distinct_rows, served_rows
from boxship.errors import ModelError, UsageError
from boxship.proof import Proof
from boxship.runtimes.onnx.runtime import OnnxRuntime
from boxship.runtimes.sklearn.runtime import SklearnRuntime
from boxship.signature import Datatype, TensorSpec

_DATATYPES: Final[tuple[Datatype, ...]] = ("FP32", "FP64")
_FEW: Final = 100
"""Rows of the user's own that are fewer deserve a word."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be converted, into which file, and how strictly it is proven.

    ``inputs``, ``trust``, ``trust_all``, ``allow_skew`` and ``search_path`` are the project's, as for
    serving. ``samples`` is a file of rows; without one they are made from the model.
    ``double`` has the ONNX file take float64 numbers from the start.
    """

    source: Path
    output: Path
    name: str = "model"
    inputs: tuple[TensorSpec, ...] = ()
    trust: tuple[str, ...] = ()
    trust_all: bool = False
    allow_skew: bool = False
    search_path: tuple[Path, ...] = ()
    samples: Path | None = None
    tolerance: float = TOLERANCE
    double: bool = False


@dataclass(frozen=True)
class _Original:
    """The model as it is served now, the copy for the converter, and the rows to compare on.

    ``blur`` is how far a value may move before the original's answer must stand.
    """

    runtime: SklearnRuntime
    model: Any
    samples: Samples
    blur: float


def convert(order: Order) -> Report:
    """Convert, prove, and write ``order.output`` where the proof holds.

    Where it does not with float32 numbers, float64 is tried. A file that was there before
    is replaced in one step, and only by a proven one. Raises ``UsageError`` for an output
    that cannot be written or samples that do not fit, ``ModelError`` for a model that
    cannot be loaded, ``ConversionError`` for one that cannot be converted.
    """
    check_output(order.output, order.source)
    if formats.detect(order.source) is formats.Format.ONNX:
        raise UsageError(
            f"{order.source} is an ONNX model already.",
            tip="Serve it as it is: boxship serve " + str(order.source),
        )
    if order.trust or order.trust_all:
        # Only now may the file name modules that are the project's own.
        sys.path[:] = [*map(str, order.search_path), *sys.path]
    loaded = pickles.load(
        order.source,
        trusted_modules=order.trust,
        trust_all=order.trust_all,
        allow_skew=order.allow_skew,
    )
    # One thread: many add in another order each time, and the figures would not repeat.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # What a model says to whoever calls it, such as about overflows, is no news here.
        warnings.simplefilter("ignore")
        return _converted(order, loaded)


def _converted(order: Order, loaded: pickles.LoadedPickle) -> Report:
    runtime = SklearnRuntime(loaded.model, inputs=order.inputs)
    signature = runtime.signature
    samples, notes = served_rows(
        read(order.samples, signature)
        if order.samples
        else distinct_rows(generate(loaded.model, signature, run=runtime.run)),
        signature,
    )
    model = prepared(loaded.model)
    original = _Original(runtime, model, samples, blur(model))
    report = Report(
        source=order.source,
        source_bytes=order.source.stat().st_size,
        model=type(loaded.model).__name__,
        samples=samples.origin,
        tolerance=order.tolerance,
        attempts=(),
        versions=converters.versions(loaded.model),
        notes=(*loaded.warnings, *samples.notes, *notes, *_few(samples)),
    )
    with part_of(order.output) as part:
        best: tuple[Attempt, bytes] | None = None
        for datatype in _DATATYPES[order.double :]:
            report = _attempt(order, original, report, datatype, part)
            last = report.attempts[-1]
            if last.agrees and (best is None or last.exact):
                best = last, part.read_bytes()
            if last.exact:
                break
        return report if best is None else _written(order, report, best, part)


def _few(samples: Samples) -> tuple[str, ...]:
    if samples.rows >= _FEW:
        return ()
    rows = f"{samples.rows:,} row{'s prove' if samples.rows != 1 else ' proves'} little"
    return (f"{rows}; without --samples, thousands are made from what the model knows.",)


def _attempt(
    order: Order,
    original: _Original,
    report: Report,
    datatype: Datatype,
    part: Path,
) -> Report:
    """``report`` with one more attempt, whose graph is in the file ``part``."""
    signature = original.runtime.signature
    inputs = plan_inputs(signature, datatype)
    try:
        converted = converters.to_graph(
            original.model,
            inputs,
            name=order.name,
            decision=any(spec.name == "decision" for spec in signature.outputs),
        )
        content = finished(converted, inputs, signature, original.runtime.sample(PROBE_ROWS))
        part.write_bytes(content)
        comparison = compare(
            original.runtime,
            _served(part, order.output),
            original.samples.batch,
            narrowed=inputs.narrowed,
            tolerance=order.tolerance,
            blur=original.blur,
        )
    except ConversionError as error:
        if not report.attempts:
            raise
        # The first attempt is what there is to tell; that this one came to nothing belongs to it.
        return replace(report, attempts=(*report.attempts, Attempt(datatype, None, error.message)))
    return replace(
        report,
        attempts=(*report.attempts, Attempt(datatype, comparison)),
        notes=tuple(dict.fromkeys((*report.notes, *converted.warnings))),
    )


def _served(part: Path, output: Path) -> OnnxRuntime:
    try:
        return OnnxRuntime(part)
    except ModelError as error:
        raise ConversionError(
            f"What the converter made cannot be served: {error.message}".replace(
                str(part), output.name
            ),
            tip=INSTEAD.format("replace the part that it names"),
        ) from error


def _written(order: Order, report: Report, best: tuple[Attempt, bytes], part: Path) -> Report:
    """Put the best attempt and its proof into ``part``, and that into the place of the output."""
    chosen, content = best
    found = chosen.comparison
    assert found is not None  # noqa: S101 (an attempt that agrees was compared)
    proof = Proof(
        source=order.source.name,
        source_digest=digest(order.source),
        graph=proofs.digest(content),
        samples=report.samples,
        rows=found.rows,
        refused=found.refused,
        undecided=found.undecided,
        largest_absolute=found.largest_absolute,
        largest_relative=found.largest_relative,
        labels_that_differ=found.labels_that_differ,
        tolerance=order.tolerance,
        datatype=chosen.datatype,
        versions=report.versions,
    )
    content += proofs.entry(proofs.to_json(proof))
    part.write_bytes(content)
    part.replace(order.output)
    return replace(
        report, chosen=chosen, output=order.output, output_bytes=len(content), proof=proof
    )
