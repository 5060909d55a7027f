"""Rows from a user's file: what was written comes back, what does not fit is named."""

import csv
import gzip
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from boxship.convert.samples import read
from boxship.errors import UsageError
from boxship.runtimes.sklearn.runtime import SklearnRuntime
from boxship.signature import Datatype, Signature, TensorSpec

PERSON: dict[str, Datatype] = {"age": "FP64", "city": "BYTES", "vip": "BOOL", "children": "INT64"}


def named(columns: dict[str, Datatype]) -> Signature:
    specs = tuple(TensorSpec(name=name, datatype=datatype) for name, datatype in columns.items())
    return Signature(inputs=specs, outputs=(), columns=specs)


def numbered(count: int, *, prefix: str = "feature_") -> Signature:
    matrix = TensorSpec(name="input", datatype="FP64", shape=(-1, count))
    specs = tuple(
        TensorSpec(name=f"{prefix}{number}", datatype="FP64") for number in range(1, count + 1)
    )
    return Signature(inputs=(matrix,), outputs=(), columns=specs, matrix=matrix)


def refusal(path: Path, signature: Signature) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(path, signature)
    assert caught.value.tip
    assert str(path) in caught.value.message
    return caught.value


def write_csv(path: Path, rows: Sequence[Sequence[Any]], **options: Any) -> Path:
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        csv.writer(file, **options).writerows(rows)
    return path


FLOATS = st.floats(allow_nan=False) | st.none()
# A lone surrogate is no text, and no file holds a NUL.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORDS = st.text(CHARACTERS, min_size=1, max_size=12) | st.none()
INTEGERS = st.integers(-(2**63), 2**63 - 1)
RECORDS = st.lists(st.tuples(FLOATS, WORDS, st.booleans(), INTEGERS), min_size=1, max_size=8)
CODED = pa.dictionary(pa.int32(), pa.string())
QUICKLY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def same_records(batch: Any, records: Sequence[tuple[Any, ...]]) -> None:
    ages, cities, vips, children = zip(*records, strict=True)
    numbers = np.array([np.nan if age is None else age for age in ages])
    assert {name: array.shape for name, array in batch.items()} == dict.fromkeys(
        PERSON, (len(records), 1)
    )
    assert batch["age"].dtype == np.float64
    assert np.array_equal(batch["age"][:, 0], numbers, equal_nan=True)
    assert batch["city"].dtype == object
    assert batch["city"][:, 0].tolist() == list(cities)
    assert batch["vip"].dtype == bool
    assert batch["vip"][:, 0].tolist() == list(vips)
    assert batch["children"].dtype == np.int64
    assert batch["children"][:, 0].tolist() == list(children)


@QUICKLY
@given(
    records=RECORDS,
    order=st.permutations(range(4)),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_what_a_csv_writer_wrote_comes_back(
    tmp_path: Path, records: list[tuple[Any, ...]], order: list[int], encoding: str
) -> None:
    """Columns in any order, with and without a byte order mark."""
    names = list(PERSON)
    rows = [[names[at] for at in order], *([record[at] for at in order] for record in records)]
    path = write_csv(tmp_path / "rows.csv", rows, encoding=encoding)
    samples = read(path, named(PERSON))
    same_records(samples.batch, records)
    assert (samples.rows, samples.origin, samples.notes) == (len(records), "rows.csv", ())


@QUICKLY
@given(
    records=RECORDS,
    order=st.permutations(range(4)),
    text=st.sampled_from([pa.string(), pa.large_string(), CODED]),
)
def test_what_pyarrow_wrote_comes_back(
    tmp_path: Path, records: list[tuple[Any, ...]], order: list[int], text: pa.DataType
) -> None:
    types = [pa.float64(), text, pa.bool_(), pa.int64()]
    arrays = [
        pa.array(column, kind)
        for column, kind in zip(zip(*records, strict=True), types, strict=True)
    ]
    names = list(PERSON)
    table = pa.table([arrays[at] for at in order], names=[names[at] for at in order])
    pq.write_table(table, tmp_path / "rows.parquet")
    samples = read(tmp_path / "rows.parquet", named(PERSON))
    same_records(samples.batch, records)


@QUICKLY
@given(
    rows=st.lists(st.tuples(*[st.floats()] * 3), min_size=1, max_size=8),
    dtype=st.sampled_from(["float64", "float32", "float16", "int64", "uint8", "bool"]),
)
def test_what_numpy_saved_comes_back(
    tmp_path: Path, rows: list[tuple[float, ...]], dtype: str
) -> None:
    with np.errstate(all="ignore"):
        array = np.nan_to_num(np.array(rows)).astype("int64" if "int" in dtype else dtype)
        array = array.astype(dtype)
    np.save(tmp_path / "rows.npy", array)
    batch = read(tmp_path / "rows.npy", numbered(3)).batch
    assert list(batch) == ["input"]
    assert batch["input"].dtype == np.float64
    assert np.array_equal(batch["input"], array.astype(np.float64))


def test_the_rows_of_a_file_are_answered_by_the_model(tmp_path: Path) -> None:
    data, target = load_iris(return_X_y=True, as_frame=True)
    model = DecisionTreeClassifier(random_state=0).fit(data, target)
    expected = model.predict(data)
    data.assign(species=target).to_csv(tmp_path / "iris.csv", index=False)
    runtime = SklearnRuntime(model)
    samples = read(tmp_path / "iris.csv", runtime.signature)
    assert samples.notes == ("Columns of the file that the model does not take: 'species'.",)
    assert runtime.run(samples.batch)["label"].tolist() == expected.tolist()


def test_csv_in_gzip(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"feature_2,feature_1\r\n1,2\r\n"))
    assert read(path, numbered(2)).batch["input"].tolist() == [[2.0, 1.0]]
    path.write_bytes(path.read_bytes()[:-12])
    assert "decompressed" in refusal(path, numbered(2)).message
    path.write_bytes(b"feature_1,feature_2\n1,2\n")
    assert "decompressed" in refusal(path, numbered(2)).message


def test_csv_without_a_header_is_taken_in_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [[1, 2.5], ["", -1e300]])
    samples = read(path, numbered(2, prefix="x"))
    assert np.array_equal(samples.batch["input"], [[1, 2.5], [np.nan, -1e300]], equal_nan=True)
    assert "first row of the file holds numbers" in samples.notes[0]
    error = refusal(path, numbered(3, prefix="x"))
    assert "Expected the model's 3 columns" in error.message
    assert "found 2 and no names" in error.message


def test_a_header_of_numbers_that_are_the_columns_names_is_a_header(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [["2", "1"], [5, 6]])
    assert read(path, numbered(2, prefix="")).batch["input"].tolist() == [[6.0, 5.0]]


def test_names_that_the_model_never_knew_are_taken_in_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [["width", "height"], [1, 2]])
    samples = read(path, numbered(2))
    assert samples.batch["input"].tolist() == [[1.0, 2.0]]
    assert "taken in their order: 'width', 'height'" in samples.notes[0]
    assert "no column 'x1', 'x2'" in refusal(path, numbered(2, prefix="x")).message
    assert "no column 'feature_1'" in refusal(path, numbered(3)).message


def test_missing_columns_are_named_with_those_found(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [["age", "City", "vip", "id"], [1, "a", "true", 7]])
    error = refusal(path, named(PERSON))
    assert "no column 'city', 'children'" in error.message
    assert "Its columns are: 'age', 'City', 'vip', 'id'" in error.message
    assert error.tip == "Did you mean 'city' where it says 'City'?"


def test_another_delimiter_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [list(PERSON), [1, "a", "true", 2]], delimiter=";")
    assert "divide them with commas" in refusal(path, named(PERSON)).tip


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [["x1", "x2", "x1"], [1, 2, 3]])
    assert "more than one column 'x1'" in refusal(path, numbered(2, prefix="x")).message


def test_spaces_around_names_and_values_are_no_part_of_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("vip, age ,children,city\n TRUE , 4.5, 3 ,Rome\n\n0,nan,-2.0, Bonn\n")
    batch = read(path, named(PERSON)).batch
    assert batch["vip"][:, 0].tolist() == [True, False]
    assert np.array_equal(batch["age"][:, 0], [4.5, np.nan], equal_nan=True)
    assert batch["children"][:, 0].tolist() == [3, -2]
    assert batch["city"][:, 0].tolist() == ["Rome", " Bonn"]


def test_fields_that_do_not_fit_are_named_by_row_and_column(tmp_path: Path) -> None:
    rows = [
        ["old", "a", "yes", "1.5"],
        ["1_000", "b", "", ""],
        ["1e999", "", "true", "9223372036854775808"],
    ]
    error = refusal(write_csv(tmp_path / "rows.csv", [list(PERSON), *rows]), named(PERSON))
    assert error.message.endswith(
        "row 1, column 'age': expected a number, found 'old'; "
        "row 1, column 'vip': expected true or false, found 'yes'; "
        "row 1, column 'children': expected a whole number from -9223372036854775808 to "
        "9223372036854775807, found '1.5'; "
        "row 2, column 'age': expected a number, found '1_000'; "
        "row 2, column 'vip': expected true or false, found an empty field; and 3 more."
    )


@pytest.mark.parametrize(
    ("datatype", "values", "misfit"),
    [
        ("INT8", [1, 128], "from -128 to 127, found 128"),
        ("INT64", [1.0, 0.5], "9223372036854775807, found 0.5"),
        ("INT64", [1.0, 2.0**63], "found 9.223372036854776e+18"),
        ("INT64", [1, None], "found a missing value"),
        ("UINT8", [-1, 1], "from 0 to 255, found -1"),
        ("UINT64", [0, 2**62], ""),
        ("FP32", [1e39, 1.0], "a number of at most 3.403e+38, found 1e+39"),
        ("FP32", [float("inf"), None], ""),
        ("BOOL", [True, None], "true or false, found a missing value"),
        ("BOOL", [2, 1], "true or false, found 2"),
        ("BOOL", [0, 1], ""),
        ("BYTES", [1, 2], "text, found a column of int64"),
        ("BYTES", [None, None], ""),
        ("FP64", [None, None], ""),
        ("FP64", ["1.5", "x"], "a number, found 'x'"),
    ],
)
def test_parquet_columns_are_held_to_their_datatype(
    tmp_path: Path, datatype: Datatype, values: list[Any], misfit: str
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": values}), path)
    if misfit:
        assert misfit in refusal(path, named({"x": datatype})).message
    else:
        given = read(path, named({"x": datatype})).batch["x"][:, 0]
        missing = None if datatype == "BYTES" else np.nan
        expected = np.array([missing if value is None else value for value in values])
        assert given.tolist() == pytest.approx(expected.tolist(), nan_ok=True)


def test_parquet_of_decimals_and_of_dates(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    decimals = pa.array([1, 2]).cast(pa.decimal128(20, 1))
    pq.write_table(pa.table({"x": decimals, "date": pa.array([0, 1], pa.date32())}), path)
    assert read(path, named({"x": "FP64"})).batch["x"][:, 0].tolist() == [1.0, 2.0]
    error = refusal(path, named({"date": "FP64"}))
    assert "column 'date'" in error.message
    assert "date32" in error.message


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"feature_1": [1.0]}), path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refusal(path, numbered(1)).tip


def test_npy_of_strings_and_of_one_flat_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.array(["Rome", ""]))
    assert read(path, named({"city": "BYTES"})).batch["city"][:, 0].tolist() == ["Rome", None]
    np.save(path, np.array([["1", "a"], ["2", "b"]]))
    batch = read(path, named({"x": "FP64", "city": "BYTES"})).batch
    assert batch["x"][:, 0].tolist() == [1.0, 2.0]
    np.save(path, np.array([1.0, 2.0]))
    assert read(path, numbered(1)).batch["input"].tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3)), "found 3 and no names"),
        (np.zeros((2, 2, 2)), "found float64 of shape (2, 2, 2)"),
        (np.zeros(()), "of shape ()"),
        (np.zeros((2, 2), dtype=complex), "found complex128"),
        (np.zeros(2, dtype=[("a", float), ("b", float)]), "found [('a'"),
        (np.array([[1, None]], dtype=object), "cannot be read as an array"),
        (np.zeros((0, 2)), "holds no rows"),
    ],
)
def test_arrays_that_are_no_rows_are_refused(
    tmp_path: Path, array: np.ndarray[Any, Any], words: str
) -> None:
    np.save(tmp_path / "rows.npy", array)
    assert words in refusal(tmp_path / "rows.npy", numbered(2)).message


def zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(2))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"x1,x2\n", "holds no rows"),
        ("a.csv", b"x1,x2\n1,2,3\n4,5\n6\n", "row 1 has 3, row 3 has 1"),
        ("a.csv", b'x1,x2\n1,"2\n', "not CSV that can be read"),
        ("a.csv", b"x1,x2\n1,\xff\n", "found the byte 0xff"),
        ("a.parquet", b"", "is empty"),
        ("a.parquet", b"no such thing", "cannot be read as Parquet"),
        ("a.npy", b"no such thing", "cannot be read as an array"),
        ("a.npy", zipped(), "archive of arrays"),
        ("a.npy", b"\x93NUMPY\x01\x00", "cannot be read as an array"),
        ("a.xlsx", b"x", "Expected rows in one of .csv, .csv.gz, .parquet, .npy"),
    ],
)
def test_files_that_hold_no_rows_are_refused(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path / name, numbered(2, prefix="x")).message


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.npy"])
def test_folders_and_files_that_are_not_there_are_refused(tmp_path: Path, name: str) -> None:
    assert "No such file" in refusal(tmp_path / name, numbered(2)).message
    (tmp_path / name).mkdir()
    assert "found the folder" in refusal(tmp_path / name, numbered(2)).message


def test_a_huge_array_that_its_header_only_claims_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((4, 2)))
    path.write_bytes(path.read_bytes().replace(b"(4, 2)", b"(99999999999, 2)"))
    assert "cannot be read as an array" in refusal(path, numbered(2)).message


def test_a_model_of_whole_tensors_takes_no_rows(tmp_path: Path) -> None:
    refusal(tmp_path / "rows.csv", Signature(inputs=(), outputs=()))
