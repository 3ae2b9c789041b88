"""Rows of every kind become the same updates."""

from __future__ import annotations

import datetime as dt
import decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.sync.inputs import rows_of
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import RowResult
from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader


def read(customers, **options) -> list[CustomerUpdate | RowResult]:
    return list(UpdateReader(rows_of(customers), SyncOptions(**options)))


ROWS = [{"id": "cus_1", "name": "Ada"}, {"id": "ext_2", "name": None}]


@pytest.mark.parametrize(
    "customers",
    [
        ROWS,
        tuple(ROWS),
        iter(ROWS),
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS, dtype=object),
        pd.DataFrame(ROWS).astype("string"),
        pd.DataFrame(ROWS).convert_dtypes(dtype_backend="pyarrow"),
    ],
    ids=["list", "tuple", "iterator", "frame", "object", "nullable", "arrow"],
)
def test_every_kind_of_input_reads_the_same(customers) -> None:
    assert read(customers) == [
        CustomerUpdate(0, "cus_1", "cus_1", {"name": "Ada"}),
        CustomerUpdate(1, "ext_2", "ext_2", {}),
    ]


@pytest.mark.parametrize(
    "dtype", ["int64", "Int64", "int64[pyarrow]", "float64", "Float64", "double[pyarrow]", "object", "int32", "uint64"]
)
def test_numeric_external_ids_become_text_whatever_the_dtype(dtype: str) -> None:
    frame = pd.DataFrame({"customer": pd.Series([1, 2], dtype=dtype), "name": ["a", "b"]})
    assert [update.customer_id for update in read(frame, external_id_column="customer")] == ["ext_1", "ext_2"]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "double[pyarrow]"])
def test_an_id_that_a_null_made_inexact_is_rejected(dtype: str) -> None:
    frame = pd.DataFrame({"customer": pd.Series([float(2**53 + 2), None], dtype=dtype), "name": ["a", "b"]})
    large, missing = read(frame, external_id_column="customer")
    assert isinstance(large, RowResult)
    assert "float too large" in large.reason
    assert isinstance(missing, RowResult)
    assert "missing" in missing.reason


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "datetime64[ns, UTC]", "timestamp[us][pyarrow]", "object"])
def test_dates_are_read_from_every_dtype(dtype: str) -> None:
    timestamps = (
        pd.Series([pd.Timestamp("2026-03-01"), None]).astype(dtype)
        if dtype != "datetime64[ns, UTC]"
        else (pd.Series([pd.Timestamp("2026-03-01", tz="UTC"), None]))
    )
    frame = pd.DataFrame({"id": ["cus_1", "cus_2"], "subscription_canceled_at": timestamps})
    first, second = read(frame)
    assert first.fields == {"subscriptionCanceledAt": "2026-03-01T00:00:00.000Z"}
    assert second.fields == {}


def test_categories_decimals_and_dates_are_read() -> None:
    frame = pd.DataFrame(
        {
            "key": [decimal.Decimal(1)],
            "country": pd.Categorical(["us"]),
            "subscriptionCanceledAt": [dt.date(2026, 3, 1)],
        }
    )
    (update,) = read(frame, external_id_column="key")
    assert update.customer_id == "ext_1"
    assert update.fields == {"country": "US", "subscriptionCanceledAt": "2026-03-01T00:00:00.000Z"}


def test_columns_in_any_spelling_are_fields_and_others_are_named() -> None:
    rows = rows_of([{"id": "cus_1", "stripe_customer_id": "s", "E-Mail": "a@b.co", "ltv": 3}])
    reader = UpdateReader(rows, SyncOptions())
    assert next(iter(reader)).fields == {"stripeCustomerId": "s", "email": "a@b.co"}
    assert reader.matched.ignored == ["ltv"]


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_is_a_missing_value_unless_it_is_to_be_kept(blank) -> None:
    rows = [{"id": "cus_1", "name": blank, "stripe_customer_id": blank}]
    assert read(rows)[0].fields == {}
    assert read(rows, null_policy={"name": "clear"})[0].fields == {"name": None}
    assert read(rows, blanks="keep")[0].fields == {"name": blank, "stripeCustomerId": blank}
    (refused,) = read([{"key": blank, "name": "n"}], external_id_column="key", blanks="keep")
    assert "missing" in refused.reason


def test_blanks_around_names_and_ids_go_only_on_request() -> None:
    rows = [{"key": " u ", "name": " n ", "email": " a@b.co "}]
    assert read(rows, external_id_column="key") == [
        CustomerUpdate(0, " u ", "ext_ u ", {"name": " n ", "email": "a@b.co"})
    ]
    assert read(rows, external_id_column="key", strip=True) == [
        CustomerUpdate(0, "u", "ext_u", {"name": "n", "email": "a@b.co"})
    ]


def test_the_column_of_the_ids_is_not_sent() -> None:
    (update,) = read([{"external_id": "u", "name": "n"}], external_id_column="external_id")
    assert update == CustomerUpdate(0, "u", "ext_u", {"name": "n"})


def test_only_named_columns_are_sent() -> None:
    (update,) = read([{"id": "cus_1", "name": "n", "mail": "a@b.co"}], columns={"mail": "email"})
    assert update.fields == {"email": "a@b.co"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"mail": "mail"}}, "not a Dub field"),
        ({"columns": {"nothing": "name"}}, 'no column "nothing"'),
        ({"columns": {"name": "name", "mail": "name"}}, "both mean"),
        ({"id_column": "key"}, 'no column "key"'),
        ({"external_id_column": "key"}, 'no column "key"'),
        ({"null_policy": "keep"}, "'omit' or 'clear'"),
        ({"null_policy": {"name": "keep"}}, "'omit' or 'clear'"),
        ({"null_policy": {"nom": "clear"}}, "not a Dub field"),
        ({"null_policy": {"country": "clear"}}, "cannot clear country"),
        ({"null_policy": {"external_id": "clear"}}, "cannot clear externalId"),
        ({"null_policy": "clear"}, "cannot clear country"),
        ({"null_policy": {"name": "clear", "Name": "omit"}}, "name is named twice"),
    ],
)
def test_an_impossible_option_is_a_value_error(options, message: str) -> None:
    rows = [{"id": "cus_1", "name": "n", "mail": "a@b.co", "country": "US"}]
    with pytest.raises(ValueError, match=message):
        read(rows, **options)


def test_null_policy_clears_where_it_says_so() -> None:
    rows = [{"id": "cus_1", "name": None, "email": None}]
    assert read(rows)[0].fields == {}
    assert read(rows, null_policy="clear")[0].fields == {"name": None, "email": None}
    assert read(rows, null_policy={"name": "clear"})[0].fields == {"name": None}


def test_a_row_that_lacks_the_column_clears_nothing() -> None:
    first, second = read([{"id": "cus_1", "name": None}, {"id": "cus_2"}], null_policy="clear")
    assert first.fields == {"name": None}
    assert second.fields == {}


@pytest.mark.parametrize("rows", [[], (), pd.DataFrame(), pd.DataFrame({"id": [], "name": []}), iter([])])
def test_no_rows_are_no_updates(rows) -> None:
    assert read(rows) == []


@pytest.mark.parametrize("key", ["user_1", ".", "..", "count", "CUS_1", "../x"])
def test_what_is_no_dub_id_is_rejected_with_the_way_out(key: str) -> None:
    (rejected,) = read([{"id": key, "name": "n"}])
    assert isinstance(rejected, RowResult)
    assert "external_id_column" in rejected.reason


def test_a_row_that_is_no_mapping_is_rejected_alone() -> None:
    good, bad = read([{"id": "cus_1", "name": "n"}, ["cus_2", "n"]])
    assert isinstance(good, CustomerUpdate)
    assert isinstance(bad, RowResult)


@given(
    secret=st.text(min_size=12).filter(lambda text: not text.isascii()),
    field=st.sampled_from(["email", "avatar", "country"]),
)
def test_a_rejection_never_holds_the_value(secret: str, field: str) -> None:
    (result,) = read([{"id": "cus_1", field: secret}])
    if isinstance(result, RowResult):
        assert secret not in str(result)
        assert (result.row, result.key, result.field) == (0, "cus_1", field)


cells = st.one_of(
    st.none(), st.text(), st.integers(), st.floats(), st.booleans(), st.dates(), st.lists(st.integers(), max_size=2)
)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "name", "email", "externalId", "country", "x"]), cells)))
def test_every_row_of_any_mappings_is_an_update_or_a_rejection(rows) -> None:
    names = {name for row in rows for name in row}
    if not rows or ("id" in names and names & {"name", "email", "country"}):
        results = read(rows)
        assert [result.row for result in results] == list(range(len(rows)))
