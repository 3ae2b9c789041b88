"""Inputs of every kind are read as rows, and what is no input is rejected with what is needed."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Sequence

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from airflow_provider_dub.customers.cells import GIVEN_TWICE, prepare_cell
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.inputs import rows_of
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import RowResult
from airflow_provider_dub.sync.rows import ABSENT, CountedRows
from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader

ROWS = [{"id": "cus_1", "name": "Ada"}, {"id": "cus_2", "name": "Bo"}, {"id": "cus_3", "name": "Cy"}]


class LazySequence(Sequence):
    """Like Airflow's of mapped tasks, it fetches an item each time that it is looked at."""

    def __init__(self, items) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index):
        return self._items[index]


def read(customers, columns=("id", "name")) -> list[tuple]:
    return list(rows_of(customers).cells(columns))


@pytest.mark.parametrize(
    "customers",
    [
        [ROWS[:1], ROWS[1:]],
        [ROWS, []],
        [[], ROWS],
        (tuple(ROWS[:2]), ROWS[2:]),
        LazySequence([ROWS[:1], ROWS[1:]]),
        LazySequence(ROWS),
        [pd.DataFrame(ROWS[:1]), pd.DataFrame(ROWS[1:])],
        LazySequence([pd.DataFrame(ROWS[:2]), pd.DataFrame(ROWS[2:])]),
        [ROWS[0], LazySequence([ROWS[1:2], ROWS[2:]])],
        [LazySequence(ROWS[:2]), LazySequence([]), pd.DataFrame(ROWS[2:])],
        [pl.DataFrame(ROWS[:1]), pa.Table.from_pylist(ROWS[1:2]), ROWS[2]],
        [[ROWS[:1]], [[ROWS[1]], ROWS[2:]]],
        [pd.DataFrame(), ROWS],
    ],
)
def test_a_sequence_of_inputs_is_read_as_one_after_the_other(customers) -> None:
    rows = rows_of(customers)
    assert list(rows.cells(["id", "name"])) == [("cus_1", "Ada"), ("cus_2", "Bo"), ("cus_3", "Cy")]
    assert len(rows) == 3
    assert [rows.whole(row) for row in (2, 0, 1)] == [ROWS[2], ROWS[0], ROWS[1]]


@given(st.lists(st.lists(st.sampled_from(ROWS), max_size=3), min_size=1))
def test_parts_of_any_size_are_one_input(parts) -> None:
    rows = rows_of(parts)
    every = [row for part in parts for row in part]
    assert [rows.whole(row) for row in range(len(rows))] == every
    assert list(rows.cells(["id"])) == [(row["id"],) for row in every]


def test_a_part_that_lacks_a_column_clears_nothing() -> None:
    frames = [pd.DataFrame(ROWS[:1]), pd.DataFrame([{"id": "cus_2", "email": None}])]
    assert rows_of(frames).columns == ["id", "name", "email"]
    first, second = read(frames, ("name", "id", "email"))
    assert first == ("Ada", "cus_1", ABSENT)
    assert second == (ABSENT, "cus_2", None)


def test_a_column_that_a_part_has_twice_is_there_twice() -> None:
    twice = pd.DataFrame([["cus_1", "a", "b"]], columns=["id", "name", "name"])
    assert rows_of([pd.DataFrame(ROWS), twice]).columns == ["id", "name", "name"]


@pytest.mark.parametrize("part", [None, 7, "cus_1", ["cus_1"], [("cus_1", "Ada")], iter(ROWS)])
def test_a_part_that_is_no_input_is_named_by_its_place(part) -> None:
    with pytest.raises(TypeError, match=r"number 1 \(from 0\)"):
        rows_of([ROWS, part])


def test_named_tuples_are_rows() -> None:
    row = namedtuple("Row", ["id", "name"])
    rows = rows_of([row("cus_1", "Ada"), row("cus_2", None)])
    assert rows.columns == ["id", "name"]
    assert list(rows.cells(["id", "name"])) == [("cus_1", "Ada"), ("cus_2", None)]
    assert rows.whole(1) == {"id": "cus_2", "name": None}


def test_rows_of_sqlalchemy_are_rows() -> None:
    with create_engine("sqlite://").connect() as connection:
        rows = rows_of(connection.execute(text("select 'cus_1' as id, null as name")).all())
    assert list(rows.cells(["id", "name"])) == [("cus_1", None)]
    assert rows.whole(0) == {"id": "cus_1", "name": None}


@pytest.mark.parametrize("orient", ["dict", "list", "split", "index"])
def test_a_frame_that_became_one_mapping_is_rejected_with_the_way_out(orient) -> None:
    with pytest.raises(TypeError, match=r'to_dict\("records"\)'):
        rows_of(pd.DataFrame(ROWS).to_dict(orient))
    assert read(pd.DataFrame(ROWS).to_dict("records")) == read(ROWS)


def test_one_mapping_is_one_row() -> None:
    assert read({"id": "cus_1", "name": "Ada", "tags": ["a"]}) == [("cus_1", "Ada")]


def test_a_row_that_is_no_mapping_is_one_row_among_others() -> None:
    assert read([ROWS[0], ["cus_2", "Bo"], None, "cus_3"]) == [("cus_1", "Ada"), (), (), ()]


def cursor_rows() -> list:
    with sqlite3.connect(":memory:") as connection:
        return connection.execute("select 'cus_1', 'Ada' union select 'cus_2', 'Bo'").fetchall()


@pytest.mark.parametrize(
    "customers",
    [cursor_rows(), [["cus_1", "Ada"]], ("cus_1", "cus_2"), ["secret"], [1, 2], [None], LazySequence([("a", "b")])],
)
def test_rows_without_names_are_rejected_with_what_is_needed(customers) -> None:
    with pytest.raises(TypeError, match=r"no names of columns.*mapping.*SqlToDubCustomersOperator") as error:
        rows_of(customers)
    assert "secret" not in str(error.value)
    assert "Ada" not in str(error.value)


@pytest.mark.parametrize(
    "rendered",
    [
        str(ROWS),
        repr(ROWS[0]),
        "",
        "None",
        str(pd.DataFrame(ROWS)),
        "cus_1",
        "[]",
        "[{'email': 'a@b.csv'}.csv",
        "Ada, see s3://bucket",
    ],
)
def test_a_template_that_became_text_is_rejected_with_the_ways_out(rendered: str) -> None:
    with pytest.raises(TypeError, match=r"DataFrame, a list.*\.output.*render_template_as_native_obj=True") as error:
        rows_of(rendered)
    assert "Ada" not in str(error.value)


@pytest.mark.parametrize("customers", [7, b"x", {1, 2}, object(), pl.LazyFrame(ROWS)])
def test_what_is_no_input_is_rejected_without_offering_what_the_operator_rejects(customers) -> None:
    with pytest.raises(TypeError, match=f"DataFrame, a list.*{type(customers).__name__}") as error:
        rows_of(customers)
    assert "iterator" not in str(error.value)


def test_a_lazy_frame_is_to_be_collected() -> None:
    with pytest.raises(TypeError, match="Collect it into a DataFrame first"):
        rows_of(pl.LazyFrame(ROWS))
    assert len(rows_of(pl.LazyFrame(ROWS).collect())) == 3  # type: ignore[arg-type]


def test_wrapped_rows_stay_as_they_are() -> None:
    rows = rows_of(ROWS)
    assert rows_of(rows) is rows


def test_streamed_rows_are_asked_for_a_column_however_they_are_written() -> None:
    rows = iter(
        [{"ID": "cus_1", "Stripe Customer-ID": "a"}, {"id": "cus_2"}, {"id": "cus_3", "stripe_customer_id": "b"}, 7]
    )
    assert list(rows_of(rows).cells(["id", "stripeCustomerId"])) == [
        ("cus_1", "a"),
        ("cus_2", ABSENT),
        ("cus_3", "b"),
        (),
    ]


def test_two_cells_of_a_streamed_row_that_mean_the_same_are_neither() -> None:
    rows = rows_of(iter([{"id": "cus_1", "ID": "x", "email": "a@b.co", "E-Mail": "c@d.co"}]))
    (cells,) = rows.cells(["id", "email"])
    assert cells == ("cus_1", GIVEN_TWICE)
    with pytest.raises(ValueError, match="given twice"):
        prepare_cell(cells[1], FIELDS["email"])


def test_many_shapes_of_streamed_rows_are_read() -> None:
    rows = rows_of({f"c{n}": 1, "ID": n} for n in range(3_000))
    assert [cells[0] for cells in rows.cells(["id"])] == list(range(3_000))


@pytest.mark.parametrize("customers", [[], (), [[]], pd.DataFrame(), pl.DataFrame(), pa.table({}), LazySequence([])])
def test_an_empty_input_has_no_rows(customers) -> None:
    rows: CountedRows = rows_of(customers)  # type: ignore[assignment]
    assert len(rows) == 0
    assert rows.columns == []
    assert list(rows.cells([])) == []


def test_a_streamed_row_with_two_cells_for_one_field_is_rejected_alone() -> None:
    rows = [{"id": "cus_1", "email": "a@b.co", "E-Mail": "c@d.co"}, {"ID": "cus_2", "E-Mail": "c@d.co"}]
    twice, good = UpdateReader(rows_of(iter(rows)), SyncOptions())
    assert isinstance(twice, RowResult)
    assert "given twice" in str(twice.reason)
    assert isinstance(good, CustomerUpdate)
    assert good.fields == {"email": "c@d.co"}
