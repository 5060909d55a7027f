from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import report
from results import Results
from samples import Sample, Samples

RATES = {
    ("boxship-onnx", "rf"): 8000.0,
    ("boxship-onnx", "lr"): 8000.0,
    ("fastapi-pickle", "rf"): 100.0,
    ("fastapi-pickle", "lr"): 2000.0,
    ("litserve", "rf"): 800.0,
    ("nginx", "lr"): 100_000.0,
}


@pytest.fixture
def results() -> Results:
    return Results(
        date="2026-01-02",
        rounds=2,
        quick=False,
        minutes=1.0,
        machine={"cores": "2", "processor": "a test"},
        versions={"boxship": {"numpy": "2.4"}, "litserve": {"numpy": "2.3"}},
        failures=(),
        samples=Samples(
            Sample(number, server, model, "rate", rate * (1 + number / 10))
            for (server, model), rate in RATES.items()
            for number in range(2)
        ),
    )


def rows_of(page: str, start: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_miss_is_shown_as_a_miss(results: Results) -> None:
    page = report.page(results, ())
    forest = rows_of(page, "throughput, random forest of 100 trees, converted")
    assert forest[0][1:] == ["FastAPI + pickle", "≥ 70.0x", "80.0x", "met"]
    assert forest[1][1:] == ["the best framework", "≥ 20.0x", "10.0x", "**missed**"]
    linear = rows_of(page, "throughput, logistic regression, converted")
    assert linear[0][3:] == ["4.0x", "**missed**"]
    assert linear[1][3:] == ["not measured", "not measured"]
    assert "1 were met, 2 missed" in page


def test_the_spread_of_the_rounds_is_shown(results: Results) -> None:
    assert rows_of(report.page(results, ()), "Boxship, converted")[0][1] == "8,400 (8,000 to 8,800)"


def test_a_failure_is_on_the_page(results: Results) -> None:
    failed = replace(
        results, failures=("litserve, rf: 3 wrong answers", "litserve, rf: 3 wrong answers")
    )
    assert report.page(failed, ()).count("- litserve, rf: 3 wrong answers") == 1
    assert "every server started" not in report.page(failed, ())


def test_the_page_can_be_written_again_from_its_numbers(results: Results, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    report.write(results, first)
    report.write(Results.load(first / "benchmarks" / "results.json"), second)
    for name in ("benchmarks.md", "benchmarks/results.json", "benchmarks/throughput.svg"):
        assert (first / name).read_text() == (second / name).read_text()


def test_a_picture_holds_every_bar_and_nothing_that_was_not_measured(
    results: Results, tmp_path: Path
) -> None:
    report.write(results, tmp_path)
    assert [path.name for path in (tmp_path / "benchmarks").glob("*.svg")] == ["throughput.svg"]
    picture = ET.fromstring((tmp_path / "benchmarks" / "throughput.svg").read_text())
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"8,400", "105", "2,100", "840", "105,000"} <= set(texts)
    assert texts.count("not measured") == 2 * 11 - len(RATES)
    bars = [
        float(element.attrib["width"])
        for element in picture.iter("{http://www.w3.org/2000/svg}rect")
        if element.attrib["class"] == "own"
    ]
    assert len(bars) == 2
    assert bars[0] == pytest.approx(bars[1])
