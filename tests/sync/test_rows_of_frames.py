"""A frame of any library and any type gives the same values."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import uuid
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.customers.converters import identifier, is_missing
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.inputs import rows_of

NOON = dt.datetime(2026, 3, 1, 12)


def cells(customers, column: str = "x") -> list:
    return [row[0] for row in rows_of(customers).cells([column])]


def sent(customers, convert, column: str = "x") -> list:
    """What is sent of each cell: its value, None, or the word rejected."""
    values = []
    for cell in cells(customers, column):
        try:
            values.append(None if is_missing(cell) else convert(cell))
        except ValueError:
            values.append("rejected")
    return values


class Capsule:
    """Something of another library that has no more than the PyCapsule interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def every_kind(table: pa.Table) -> list:
    """The same table as every library holds it."""
    return [
        table,
        *([table.combine_chunks().to_batches()[0]] if table.num_rows else []),
        pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        Capsule(table),
        pl.from_arrow(table),
        table.to_pandas(),
        table.to_pandas(types_mapper=pd.ArrowDtype),
        duckdb.from_arrow(table).arrow(),
    ]


columns = st.one_of(
    st.tuples(st.just(pa.string()), st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"])))),
    st.tuples(st.just(pa.int64()), st.lists(st.integers(min_value=-(2**63), max_value=2**63 - 1))),
    st.tuples(st.just(pa.int32()), st.lists(st.integers(min_value=-(2**31), max_value=2**31 - 1))),
    st.tuples(st.just(pa.float64()), st.lists(st.none() | st.floats())),
    st.tuples(st.just(pa.float32()), st.lists(st.none() | st.floats(width=32))),
    st.tuples(st.just(pa.bool_()), st.lists(st.booleans())),
    st.tuples(st.just(pa.date32()), st.lists(st.none() | st.dates())),
    st.tuples(st.just(pa.timestamp("us")), st.lists(st.none() | st.datetimes(min_value=dt.datetime(1700, 1, 1)))),
    st.tuples(
        st.just(pa.timestamp("us", "UTC")), st.lists(st.none() | st.datetimes(min_value=dt.datetime(1700, 1, 1)))
    ),
    st.tuples(st.just(pa.decimal128(20, 2)), st.lists(st.none() | st.decimals(-(10**9), 10**9, places=2))),
)


@given(column=columns, field=st.sampled_from(list(FIELDS.values())))
def test_every_library_gives_the_same_values_as_pandas(column, field) -> None:
    kind, values = column
    table = pa.table({"x": pa.array(values, kind)})
    plain = sent(table.to_pandas(types_mapper=pd.ArrowDtype), field.convert)
    for customers in every_kind(table):
        assert sent(customers, field.convert) == plain, type(customers)
    assert sent([{"x": value} for value in values], field.convert) == plain or kind in (
        pa.float32(),
        pa.timestamp("us", "UTC"),
    )


def narrow_floats(values, kind: str) -> list:
    series = pd.Series(values, dtype=kind)
    arrow_kind = pa.float32() if kind == "float32" else pa.float16()
    array = pa.array(np.array(values, dtype=kind), arrow_kind)
    table = pa.table({"x": array})
    dictionary = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(range(len(values)), pa.int8()), array)])
    found = [
        series.to_frame("x"),
        series.astype(pd.SparseDtype(kind)).to_frame("x"),
        table,
        pa.table({"x": dictionary}),
        pd.DataFrame({"x": pd.array(dictionary, dtype=pd.ArrowDtype(dictionary.type))}),
        [{"x": cell} for cell in np.array(values, dtype=kind)],
        pd.DataFrame({"x": pd.Series(list(np.array(values, dtype=kind)), dtype=object)}),
    ]
    if kind == "float32":
        found += [
            series.astype("category").to_frame("x"),
            series.astype("Float32").to_frame("x"),
            series.astype("float[pyarrow]").to_frame("x"),
            series.astype("float[pyarrow]").astype("category").to_frame("x"),
            pl.DataFrame({"x": pl.Series(values, dtype=pl.Float32)}),
            pa.table({"x": pa.RunEndEncodedArray.from_arrays(list(range(1, len(values) + 1)), array)}),
        ]
    return found


@pytest.mark.parametrize(("kind", "bound"), [("float32", 2**24), ("float16", 2**11)])
def test_a_narrow_float_is_an_id_only_while_it_is_exact_whatever_it_is_inside_of(kind: str, bound: int) -> None:
    for customers in narrow_floats([bound - 1, bound, bound + 3], kind):
        assert sent(customers, identifier) == [str(bound - 1), "rejected", "rejected"], customers


@pytest.mark.parametrize("above", [1, 2, 3, 2**10])
def test_a_large_id_beside_a_null_is_rejected_rather_than_another_one(above: int) -> None:
    customer = 2**53 + above
    frames = [
        pd.DataFrame({"x": [customer, None]}),
        pd.DataFrame({"x": [customer, None]}).astype("category"),
        pd.DataFrame({"x": pd.Series([float(customer), None], dtype="double[pyarrow]")}),
        pa.table({"x": pa.array([float(customer), None])}),
        pl.DataFrame({"x": [float(customer), None]}),
        [{"x": float(customer)}, {"x": None}],
    ]
    for frame in frames:
        assert sent(frame, identifier) == ["rejected", None]
    for exact in (
        pd.DataFrame({"x": pd.Series([customer, None], dtype="Int64")}),
        pl.DataFrame({"x": [customer, None]}),
    ):
        assert sent(exact, identifier) == [str(customer), None]


def test_types_that_only_one_library_has() -> None:
    frame = pl.DataFrame(
        {
            "category": pl.Series(["de", None], dtype=pl.Categorical),
            "enum": pl.Series(["de", None], dtype=pl.Enum(["de", "fr"])),
            "zoned": pl.Series([NOON, None]).dt.replace_time_zone("Europe/Berlin"),
            "nanoseconds": pl.Series([NOON, None], dtype=pl.Datetime("ns")),
            "decimal": pl.Series([Decimal("7.00"), None]),
            "null": [None, None],
            "list": [[1], None],
        }
    )
    assert sent(frame, FIELDS["country"].convert, "category") == ["DE", None]
    assert sent(frame, FIELDS["country"].convert, "enum") == ["DE", None]
    when = FIELDS["subscriptionCanceledAt"].convert
    assert sent(frame, when, "zoned") == ["2026-03-01T11:00:00.000Z", None]
    assert sent(frame, when, "nanoseconds") == ["2026-03-01T12:00:00.000Z", None]
    assert sent(frame, identifier, "decimal") == ["7", None]
    assert cells(frame, "null") == [None, None]
    assert sent(frame, identifier, "list") == ["rejected", None]


@pytest.mark.skipif(not hasattr(pa, "uuid"), reason="this version of pyarrow has no UUIDs")
def test_an_arrow_uuid_is_an_id() -> None:
    one = uuid.UUID(int=1)
    table = pa.table({"x": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes], pa.binary(16)))})
    assert sent(table, identifier) == [str(one)]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2**60, 0], pa.timestamp("s")),
        pa.array([2**60, 0], pa.timestamp("s", "Europe/Berlin")),
        pa.array([2**62, 0], pa.timestamp("ms")),
        pa.array([2**31 - 1, 0], pa.date32()),
    ],
)
def test_one_cell_outside_the_calendar_rejects_its_row_alone(array: pa.Array) -> None:
    when = FIELDS["subscriptionCanceledAt"].convert
    expected = ["rejected", "1970-01-01T00:00:00.000Z"]
    assert sent(pa.table({"x": array}), when) == expected
    assert sent(pd.DataFrame({"x": pd.array(array, dtype=pd.ArrowDtype(array.type))}), when) == expected


def test_one_cell_that_is_no_utf_8_rejects_its_row_alone() -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"ok"], pa.binary()).buffers())
    assert sent(pa.table({"x": broken}), FIELDS["name"].convert) == ["rejected", "ok"]


def test_columns_of_one_name_are_all_written() -> None:
    for customers in (
        pd.DataFrame([["u", 1, 2]], columns=["key", "x", "x"]),
        pa.table([["u"], [1], [2]], ["key", "x", "x"]),
    ):
        assert rows_of(customers).whole(0) == {"key": "u", "x": 1, "x.2": 2}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_rows_are_read_in_order_across_chunks_and_as_often_as_needed(kind) -> None:
    rows = rows_of(kind({"n": list(range(10_000)), "f": [0.5] * 10_000}))
    for _ in range(2):
        assert [row[0] for row in rows.cells(["n"])] == list(range(10_000))
    assert [rows.whole(row)["n"] for row in (0, 4095, 4096, 9_999, 5)] == [0, 4095, 4096, 9_999, 5]
    assert isinstance(rows.whole(7)["n"], int)


@pytest.mark.parametrize("customers", [pa.array([1]), pl.Series([1]), pa.chunked_array([[1]]), pd.Series([1])])
def test_a_series_has_no_columns(customers) -> None:
    with pytest.raises(TypeError, match=r"must have columns|must be a pandas"):
        rows_of(customers)


def test_nothing_heavy_is_imported_before_a_frame_is_read() -> None:
    code = (
        "import sys; from airflow_provider_dub.customers import cells, fields;"
        "from airflow_provider_dub.sync import arrow, columns, files, frames, inputs, shown;"
        "inputs.rows_of([{'id': 'cus_1'}]);"
        "print({'numpy', 'pandas', 'pyarrow', 'polars', 'pydantic_core', 'airflow', 'requests'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_missing_pyarrow_is_named_with_the_command(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "airflow-provider-dub\[arrow\]"'):
        rows_of(pl.DataFrame({"id": ["cus_1"]}))
