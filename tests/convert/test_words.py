"""The report in words and as JSON."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boxship.convert.parity import Comparison, Fault
from boxship.convert.report import Attempt, Report, as_json
from boxship.convert.words import lines
from boxship.proof import Proof

jsonschema = pytest.importorskip("jsonschema")

GOOD = Comparison(
    rows=4096,
    refused=0,
    undecided=0,
    largest_absolute=6.6e-7,
    largest_relative=6.6e-7,
    labels_that_differ=0,
    faulty=0,
    faults=(),
)
FAULT = Fault(
    row=12,
    values={"age": 42.0, "a rather long name of a column": float("nan"), "city": None},
    original={"score": 0.25, "label": "no"},
    converted="the node refuses it",
)
BAD = replace(GOOD, faulty=1907, labels_that_differ=64, largest_relative=8.0, faults=(FAULT,))
PROOF = Proof(
    source="churn.pkl",
    source_digest="sha256:ab",
    graph="sha256:cd",
    samples="generated from the model",
    rows=4096,
    refused=0,
    undecided=0,
    largest_absolute=6.6e-7,
    largest_relative=6.6e-7,
    labels_that_differ=0,
    tolerance=1e-4,
    datatype="FP32",
    versions={"boxship": "0.1.0"},
)
AGREED = Report(
    source=Path("models/churn.pkl"),
    source_bytes=376_000,
    model="RandomForestClassifier",
    samples="generated from the model",
    tolerance=1e-4,
    attempts=(Attempt("FP32", GOOD),),
    chosen=Attempt("FP32", GOOD),
    versions={"boxship": "0.1.0"},
    output=Path("churn.onnx"),
    output_bytes=1_610_000,
    proof=PROOF,
    notes=("a note that is long enough to be broken into two lines, since it goes on and on",),
)
REFUSED = replace(
    AGREED,
    attempts=(Attempt("FP32", BAD), Attempt("FP64", None, "onnxruntime cannot run it")),
    chosen=None,
    output=None,
    output_bytes=0,
    proof=None,
    notes=(),
)


def text(report: Report) -> str:
    return "\n".join(lines(report)) + "\n"


def test_agreement() -> None:
    assert text(AGREED) == (
        "churn.pkl -> churn.onnx (RandomForestClassifier, 376 kB -> 1.6 MB)\n"
        "\n"
        "  samples             generated from the model\n"
        "  rows compared       4,096\n"
        "  largest difference  6.6e-07 absolute, 6.6e-07 relative (allowed: 0.0001)\n"
        "  labels that differ  none\n"
        "  numbers             float32\n"
        "\n"
        "Both models answer alike. The proof is written into the file, and `boxship serve\n"
        "churn.onnx` shows it at its start.\n"
        "note: a note that is long enough to be broken into two lines, since it goes on\n"
        "      and on\n"
    )


def test_agreement_with_something_to_add() -> None:
    first = Attempt("FP32", replace(GOOD, undecided=1, labels_that_differ=1))
    chosen = Attempt("FP64", replace(GOOD, refused=31, undecided=2, labels_that_differ=2))
    told = text(replace(AGREED, attempts=(first, chosen), chosen=chosen))
    assert (
        "  rows compared       4,096, 31 of them refused by both, 2 on which the original\n"
        "                      itself is undecided\n"
    ) in told
    assert "  labels that differ  2\n" in told
    assert "  numbers             float64: with float32, 1 row would differ\n" in told


def test_refusal() -> None:
    assert text(REFUSED) == (
        "churn.pkl (RandomForestClassifier) was not converted: no ONNX file answers as it\n"
        "does, and none was written.\n"
        "\n"
        "  samples             generated from the model\n"
        "  float32             1,907 of 4,096 rows at fault; largest difference 6.6e-07\n"
        "                      absolute, 8 relative (allowed: 0.0001); 64 labels differ\n"
        "  float64             onnxruntime cannot run it\n"
        "\n"
        "The first rows at fault, with float32:\n"
        "  row 12: age=42.0, a rather long name of a column=missing, city=missing\n"
        '    original   score=0.25, label="no"\n'
        "    converted  refuses: the node refuses it\n"
        "\n"
        "Serve the file itself with `boxship serve`, or compare rows of your own with\n"
        "--samples if such rows never come to you.\n"
    )


def advice(**found: Any) -> str:
    comparison = replace(BAD, labels_that_differ=0, **found)
    report = replace(REFUSED, attempts=(Attempt("FP32", comparison),))
    return " ".join(text(report).split())


def test_a_tolerance_is_advised_where_it_can_help() -> None:
    """Labels, and infinite or missing numbers, are equal or not."""
    assert "allow more with --tolerance" in advice()
    infinite = advice(largest_relative=3e-5)
    assert "--tolerance" not in infinite
    assert "numbers are infinite or missing, or rows refused, by one model only" in infinite
    own = replace(REFUSED, samples="rows.csv")
    assert text(own).endswith("Serve the file itself with `boxship serve`.\n")


def test_a_comparison_of_nothing_proves_nothing() -> None:
    nothing = replace(GOOD, rows=3, refused=2, undecided=1)
    assert not nothing.agrees
    assert replace(nothing, rows=4).agrees
    told = text(replace(REFUSED, attempts=(Attempt("FP32", nothing),)))
    assert "of 3 rows none has an answer that could be compared" in told
    assert "The first rows at fault" not in told


def test_a_wide_row_is_cut() -> None:
    wide = replace(FAULT, values={f"column_{at}": float(at) for at in range(40)})
    told = text(replace(REFUSED, attempts=(Attempt("FP32", replace(BAD, faults=(wide,))),)))
    assert "column_11=11.0, and 28 more\n" in told
    assert "column_12" not in told


@pytest.mark.parametrize("report", [AGREED, REFUSED], ids=["agreed", "refused"])
def test_it_fits_a_terminal_of_80_columns(report: Report) -> None:
    assert [line for line in lines(report) if len(line) > 80] == []


COUNT = {"type": "integer", "minimum": 0}
SIZE: dict[str, Any] = {"type": ["number", "string"]}
ANSWER = {"type": ["object", "string"]}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


COMPARISON = closed(
    rows=COUNT,
    refused=COUNT,
    undecided=COUNT,
    largest_absolute=SIZE,
    largest_relative=SIZE,
    labels_that_differ=COUNT,
    faulty=COUNT,
    faults={
        "type": "array",
        "items": closed(row=COUNT, values={"type": "object"}, original=ANSWER, converted=ANSWER),
    },
)
DATATYPE = {"enum": ["FP32", "FP64"]}
SCHEMA = closed(
    version={"const": 1},
    agrees={"type": "boolean"},
    source={"type": "string"},
    model={"type": "string"},
    output={"type": ["string", "null"]},
    samples={"type": "string"},
    tolerance={"type": "number"},
    datatype={"enum": ["FP32", "FP64", None]},
    attempts={
        "type": "array",
        "items": closed(
            datatype=DATATYPE,
            agrees={"type": "boolean"},
            obstacle={"type": ["string", "null"]},
            comparison={"anyOf": [COMPARISON, {"type": "null"}]},
        ),
    },
    proof={"type": ["object", "null"]},
    versions={"type": "object", "additionalProperties": {"type": "string"}},
    notes={"type": "array", "items": {"type": "string"}},
)


@pytest.mark.parametrize("report", [AGREED, REFUSED], ids=["agreed", "refused"])
def test_json_has_its_schema(report: Report) -> None:
    """And nothing in it that JSON does not have."""
    content = json.loads(json.dumps(as_json(report), allow_nan=False))
    jsonschema.validate(content, SCHEMA)
    assert content["agrees"] is (report is AGREED)
    if report is REFUSED:
        values = content["attempts"][0]["comparison"]["faults"][0]["values"]
        assert values == {"age": 42.0, "a rather long name of a column": "nan", "city": None}
