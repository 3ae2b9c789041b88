"""Files of JSON lines, CSV and Parquet are read as rows, in bounded memory and as often as needed."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dub.customers.converters import identifier, is_missing
from airflow_provider_dub.operators.rejected_rows import rejected_line
from airflow_provider_dub.sync.columns import match_columns
from airflow_provider_dub.sync.files import rows_of_file
from airflow_provider_dub.sync.inputs import rows_of
from airflow_provider_dub.sync.results import Outcome, RowResult
from airflow_provider_dub.sync.rows import ABSENT
from airflow_provider_dub.version_compat import ObjectStoragePath

ROWS = [{"id": "cus_1", "name": "Ada"}, {"id": "cus_2", "name": 'B;o, "x"\ny'}, {"id": "cus_3", "name": "Ünï"}]
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def write_json_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_csv(path: Path, rows: list[dict], **options) -> None:
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: list[dict]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


WRITERS = {".jsonl": write_json_lines, ".ndjson": write_json_lines, ".csv": write_csv, ".parquet": write_parquet}


@pytest.fixture(params=WRITERS)
def file(request, tmp_path: Path) -> Path:
    """A file of each kind with the same rows."""
    path = tmp_path / f"rows{request.param}"
    WRITERS[request.param](path, ROWS)
    return path


@pytest.mark.parametrize("as_what", [str, Path, ObjectStoragePath, lambda path: ObjectStoragePath(f"file://{path}")])
def test_a_file_is_read_as_its_rows_as_often_as_needed(file: Path, as_what) -> None:
    rows = rows_of(as_what(file))
    assert len(rows) == 3  # type: ignore[arg-type]
    assert rows.columns == ["id", "name"]
    for _ in range(2):
        assert list(rows.cells(["name", "id"])) == [(row["name"], row["id"]) for row in ROWS]
    assert [rows.whole(row) for row in (0, 1, 2, 1, 0, 0)] == [ROWS[place] for place in (0, 1, 2, 1, 0, 0)]


def test_a_uri_is_read_by_the_path_of_airflow(file: Path) -> None:
    rows = rows_of(f"file://{file}", path_of=ObjectStoragePath)
    assert [cells[0] for cells in rows.cells(["id"])] == ["cus_1", "cus_2", "cus_3"]


def test_a_uri_without_airflow_is_no_local_file() -> None:
    with pytest.raises(ValueError, match=r"ObjectStoragePath\(uri\)"):
        rows_of("s3://bucket/rows.csv")


def test_several_files_are_one_input(file: Path) -> None:
    rows = rows_of([str(file), file, pd.DataFrame(ROWS)])
    assert [cells[0] for cells in rows.cells(["id"])] == ["cus_1", "cus_2", "cus_3"] * 3


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".csv.gz", ".JSONL.GZ"])
def test_a_file_may_be_compressed(suffix: str, tmp_path: Path) -> None:
    plain = tmp_path / f"rows{suffix.lower().removesuffix('.gz')}"
    WRITERS[plain.suffix](plain, ROWS)
    packed = tmp_path / f"packed{suffix}"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    rows = rows_of(str(packed))
    assert [rows.whole(row) for row in range(3)] == ROWS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"id": texts, "na,me": texts, "x": texts}), min_size=1))
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_any_texts_are_read_as_they_were_written(suffix: str, rows: list[dict], tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, rows)
    read = rows_of_file(path)
    assert [read.whole(row) for row in range(len(read))] == rows
    assert list(read.cells(["na,me", "id"])) == [(row["na,me"], row["id"]) for row in rows]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_csv_file_may_have_another_delimiter_and_a_byte_order_mark(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_csv(path, ROWS, delimiter=delimiter, encoding="utf-8-sig")
    rows = rows_of_file(path)
    assert rows.columns == ["id", "name"]
    assert [rows.whole(row) for row in range(3)] == ROWS


def test_a_row_of_a_csv_file_with_too_few_or_too_many_cells_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,name\ncus_1,Ada\ncus_2\n\ncus_3,a,b\ncus_4,\n")
    rows = rows_of_file(path)
    assert len(rows) == 4
    assert list(rows.cells(["id", "name"])) == [("cus_1", "Ada"), (), (), ("cus_4", "")]


@pytest.mark.parametrize(
    "rest",
    [
        '"Bo\n' + "cus_3,Cy\n" * 30_000,
        '"Bo\ncus_3,Cy\n',  # short enough to be a cell
        '"Bo',  # cut off
        '"said 5" nails"\ncus_3,Cy\n',
        '"' + "x" * 140_000 + '\ncus_3,Mallory\n"\n',  # what follows a cell that is too long is no row
    ],
)
def test_a_quote_that_is_not_closed_ends_the_run_before_a_row_is_lost(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"id,name\ncus_1,Ada\ncus_2,{rest}")
    with pytest.raises(ValueError, match=r"rows\.csv is not valid CSV at or before line \d+: a quote is not closed"):
        rows_of_file(path)


def test_a_compressed_file_that_is_cut_off_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "cus_1"}\n' * 1000)[:-20])
    with pytest.raises(ValueError, match="is damaged or cut off"):
        rows_of_file(path)


def test_a_line_that_is_no_json_object_is_no_row_and_the_others_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [
        "",
        '{"id": "cus_1"}',
        "[1]",
        '{"id": "cus_2", "na',
        "   ",
        '{"name": "Ada"}',
        "[" * 100_000,
        '{"id": ' + "9" * 5_000 + "}",
    ]
    path.write_text("\n".join(lines))
    rows = rows_of_file(path)
    assert len(rows) == 6
    assert rows.columns == ["id", "name"]
    assert list(rows.cells(["id", "name"])) == [("cus_1", ABSENT), (), (), (ABSENT, "Ada"), (), ()]
    assert rows.whole(1) == {"row": "[1]\n"}
    assert rows.whole(3) == {"name": "Ada"}


def test_a_number_of_json_is_an_id_while_it_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 9007199254740993}\n{"id": 7.0}\n{"id": NaN}\n{"id": 9007199254740992.0}\n')
    whole, small, missing, inexact = (row[0] for row in rows_of_file(path).cells(["id"]))
    assert identifier(whole) == "9007199254740993"
    assert identifier(small) == "7"
    assert is_missing(missing)
    with pytest.raises(ValueError, match="float"):
        identifier(inexact)


@pytest.mark.parametrize(
    "cell",
    [
        float(2**53),
        np.float32(2**24),
        np.float16(2**11),
        np.float64(2**53),
        Decimal("7.5"),
        True,
        "\ud800",
        "a\0",
        ["a"],
        b"a",
    ],
)
def test_an_id_that_was_rejected_is_rejected_again_from_the_file(cell, tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    rows = rows_of([{"id": cell, "name": "n"}])
    path.write_text(
        rejected_line(RowResult(0, None, Outcome.REJECTED), rows.whole(0), match_columns(rows.columns, key_column="id"))
        + "\n"
    )
    ((again,),) = rows_of(str(path)).cells(["id"])
    for one in (cell, again):
        with pytest.raises(ValueError, match=r"must be|float|holds"):
            identifier(one)


def test_a_rejected_file_is_read_as_the_rows_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    rows = rows_of([{"id": "cus_1", "email": "x", "ltv": 3}])
    result = RowResult(0, "cus_1", Outcome.REJECTED, code="rejected", field="email", reason="is not an e-mail address")
    path.write_text(rejected_line(result, rows.whole(0), match_columns(rows.columns, key_column="id")) + "\n")
    again = rows_of(str(path))
    matched = match_columns(again.columns, key_column="id")
    assert [*matched.fields] == ["email"]
    assert matched.ignored == ["ltv"]
    assert not matched.warnings
    assert list(again.cells(["id", "email"])) == [("cus_1", "x")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".csv.gz"])
def test_a_missing_file_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"nothing{suffix}"
    with pytest.raises(FileNotFoundError, match=f"customers: there is no file .*nothing{suffix}"):
        rows_of(str(path))


@pytest.mark.parametrize("name", ["rows.txt", "rows.xlsx", "rows", "rows.parquet.gz", "rows.jsonl.zip"])
def test_another_kind_of_file_is_rejected_with_those_that_there_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"{name} must say what it holds.*\.jsonl.*\.csv.*\.parquet"):
        rows_of(tmp_path / name)
    with pytest.raises(ValueError, match="must say what it holds"):
        rows_of(str(tmp_path / name))


def test_no_password_and_no_signature_of_a_uri_is_shown() -> None:
    class Uri:
        name = "rows.txt"

        def open(self, mode: str) -> None: ...

        def __str__(self) -> str:
            return "s3://key:secret@bucket/rows.txt?signature=secret\nINFO forged"

    with pytest.raises(ValueError, match=r"s3://\*\*\*@bucket/rows.txt must") as error:
        rows_of(Uri())
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.parquet", b"id,name\n1,2\n", "is not a Parquet file"),
        ("rows.parquet", b"", "is not a Parquet file"),
        ("rows.jsonl", b"id,name\ncus_1,Ada\n", "no line of the file .* is a JSON object"),
        ("rows.json", json.dumps(ROWS, indent=2).encode(), "no line of the file .* is a JSON object"),
        ("rows.csv", "id,name\ncus_1,Ada\n".encode("utf-16"), "must be in UTF-8"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        rows_of(path)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.mkdir()
    with pytest.raises(ValueError, match="is a directory"):
        rows_of(path)


def test_a_parquet_file_without_pyarrow_is_named_with_the_command(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(path, ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "airflow-provider-dub\[arrow\]"'):
        rows_of(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_a_file_that_changes_while_it_is_read_is_found_out(suffix: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, ROWS)
    rows = rows_of(path)
    WRITERS[suffix](path, (ROWS * 2)[:count])
    with pytest.raises(ValueError, match="changed while it was read"):
        list(rows.cells(["id"]))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_an_empty_file_has_no_rows(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"")
    assert len(rows_of_file(path)) == 0
    path.write_bytes(b"id,name\n" if suffix == ".csv" else b"\n\n")
    assert len(rows_of_file(path)) == 0
    assert list(rows_of_file(path).cells(["id"])) == []


def test_parquet_keeps_the_types_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    frame = pd.DataFrame(
        {"a.b": pd.Series([2**24 - 1, 2**24], dtype="float32"), "day": pd.to_datetime(["2026-03-01", None])}
    )
    frame.astype({"a.b": "category"}).to_parquet(path)
    rows = rows_of_file(path)
    inexact = [cells[0] for cells in rows.cells(["a.b"])]
    assert identifier(inexact[0]) == str(2**24 - 1)
    with pytest.raises(ValueError, match="float"):
        identifier(inexact[1])
    assert [cells[0] for cells in rows.cells(["day"])][1] is None
    polars = tmp_path / "polars.parquet"
    pl.DataFrame({"id": ["cus_1"], "country": pl.Series(["de"], dtype=pl.Categorical)}).write_parquet(polars)
    assert list(rows_of_file(polars).cells(["id", "country"])) == [("cus_1", "de")]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".csv.gz"])
def test_a_large_file_is_read_in_little_memory(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    plain = "".join(f"{n},{'x' * 90}\n" for n in range(30_000)) if ".csv" in suffix else ""
    content = f"id,name\n{plain}" if plain else "".join(f'{{"id": {n}, "name": "{"x" * 90}"}}\n' for n in range(30_000))
    path.write_bytes(gzip.compress(content.encode()) if suffix.endswith(".gz") else content.encode())
    del plain, content
    tracemalloc.start()
    try:
        rows = rows_of_file(path)
        assert sum(1 for _ in rows.cells(["id", "name"])) == 30_000
        assert rows.whole(29_999)["name"] == "x" * 90
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * 2**20


@pytest.mark.slow
def test_a_line_without_end_is_no_row_and_fills_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb") as file:
        file.write(b'{"id": "cus_1"}\n{"id": "')
        for _ in range(48):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"id": "cus_3"}\n')
    tracemalloc.start()
    try:
        rows = rows_of_file(path)
        assert list(rows.cells(["id"])) == [("cus_1",), (), ("cus_3",)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20


def test_a_header_with_a_quote_that_is_not_doubled_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('"id"x,name\ncus_1,Ada\n')
    with pytest.raises(ValueError, match=r"rows\.csv is not valid CSV at or before line 1: a quote is not closed"):
        rows_of_file(path)


def test_a_column_that_is_named_like_the_number_of_another_one_stays_itself(tmp_path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id.2,id,id,name\nada,x,bob,Ada\n")
    rows = rows_of(path)
    assert list(rows.cells(["id.2", "name"])) == [("ada", "Ada")]
    assert rows.whole(0) == {"id.2": "ada", "id": "x", "id.3": "bob", "name": "Ada"}
    assert rows_of([{1: "bob", "1": "ada"}]).whole(0) == {"1.2": "bob", "1": "ada"}
