"""What people really have, through the operator and into the local Dub: nobody wrong is touched, and it is said."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError
from airflow_provider_dub.version_compat import ObjectStoragePath
from tests.support.stored import stored
from tests.support.update_operator import run

ROWS = [{"USER_ID": "user_1", "Name": "Alicia", "COUNTRY": "de"}, {"USER_ID": "user_2", "Name": " ", "COUNTRY": " us "}]


def as_file(path, rows: list[dict]) -> str:
    frame = pd.DataFrame(rows)
    if path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return str(path)


INPUTS = {
    "list": lambda _: ROWS,
    "pandas": lambda _: pd.DataFrame(ROWS),
    "pandas on arrow": lambda _: pd.DataFrame(ROWS).convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda _: pd.DataFrame(ROWS, dtype="category"),
    "polars": lambda _: pl.DataFrame(ROWS),
    "arrow": lambda _: pa.Table.from_pylist(ROWS),
    "mapped lists": lambda _: [ROWS[:1], ROWS[1:]],
    "mapped frames": lambda _: [pl.DataFrame(ROWS[:1]), pd.DataFrame(ROWS[1:])],
    "json lines": lambda folder: as_file(folder / "rows.jsonl", ROWS),
    "csv": lambda folder: as_file(folder / "rows.csv", ROWS),
    "parquet": lambda folder: ObjectStoragePath(as_file(folder / "rows.parquet", ROWS)),
    "several files": lambda folder: [as_file(folder / "a.csv", ROWS[:1]), as_file(folder / "b.jsonl", ROWS[1:])],
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_input_is_sent_alike_with_columns_in_capitals_and_blanks_around_values(connected, tmp_path, kind) -> None:
    records, summary = run(INPUTS[kind](tmp_path), external_id_column="user_id")
    assert summary["updated"] == summary["total"] == 2
    assert [(record["name"], record["country"]) for record in records] == [("Alicia", "DE"), ("Bob", "US")]


def test_an_external_id_beside_the_key_renames_nobody(connected, logged) -> None:
    rows = [{"user_id": "user_1", "external_id": "crm-7", "name": "Alicia"}]
    (record,), _ = run(rows, external_id_column="user_id")
    assert record["externalId"] == "user_1"
    assert '"external_id": "externalId"' in logged()
    (record,), _ = run(rows, external_id_column="user_id", columns={"external_id": "externalId"})
    assert record["externalId"] == "crm-7"


def test_rows_without_any_field_send_nothing_and_fail(connected) -> None:
    with pytest.raises(DubFixSetupError, match=r'"e_mial".*These names would do: "email"'):
        run([{"id": "cus_1LABA", "e_mial": "a@example.com"}])
    assert connected.requests == []


def test_a_near_miss_is_logged_with_the_suggestion(connected, logged) -> None:
    run([{"id": "cus_1LABA", "name": "Alicia", "mail": "a@example.com"}])
    assert 'The column "mail" is not sent. If it is meant for email' in logged()


def test_blanks_take_no_id_and_clear_nothing(connected) -> None:
    before = stored(connected, id="cus_1LABA")["stripeCustomerId"]
    rows = [
        {"id": f"cus_1LAB{letter}", "stripe_customer_id": blank}
        for letter, blank in zip("AB", ("", " \t"), strict=True)
    ]
    _, summary = run(rows)
    assert summary["unchanged"] == 2
    assert connected.requests == []
    assert stored(connected, id="cus_1LABA")["stripeCustomerId"] == before


@pytest.mark.parametrize("blank", ["", " ", "\u200b", None, np.nan])
def test_a_blank_key_is_rejected_rather_than_missing_in_dub(connected, blank) -> None:
    _, summary = run([{"id": blank, "name": "n"}], external_id_column="id", fails=DubFixRowsError)
    assert (summary["rejected"], summary["missing"]) == (1, 0)
    assert connected.requests == []


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([9007199254740993, None]),
        pd.Series([9007199254740993, None]).astype("category"),
        pd.Series([16777217, None], dtype="float32").astype("category"),
        pd.Series([16777217.0, None], dtype="float[pyarrow]"),
    ],
    ids=lambda cells: str(cells.dtype),
)
def test_an_id_that_a_float_made_another_one_updates_nobody(connected, cells) -> None:
    frame = pd.DataFrame({"user": cells, "name": "n"})
    _, summary = run(frame, external_id_column="user", fails=DubFixRowsError)
    assert summary["rejected"] == 2
    assert connected.requests == []


@pytest.mark.parametrize(
    "cell", [1767225600, 1767225600.0, "1767225600", 1767225600000, np.int64(1767225600), " 1767225600 ", "1.7672256E9"]
)
def test_an_epoch_time_is_stored_as_the_time_that_it_is(connected, cell) -> None:
    (record,), _ = run([{"id": "cus_1LABA", "subscription_canceled_at": cell}])
    assert record["subscriptionCanceledAt"] == "2026-01-01T00:00:00.000Z"


def test_a_span_of_time_is_that_rows_rejection_and_the_others_are_sent(connected) -> None:
    rows = [
        {"id": "cus_1LABA", "name": "A"},
        {"id": "cus_1LABB", "subscription_canceled_at": np.timedelta64(5, "D")},
        {"id": np.timedelta64(5, "D"), "name": "B"},
    ]
    _, summary = run(rows, max_failures=2)
    assert (summary["updated"], summary["rejected"]) == (1, 2)


@pytest.mark.parametrize(("cell", "meant"), [("UK", "GB"), ("USA", "US"), ("Germany", "DE")])
def test_the_country_that_is_meant_is_named(connected, cell, meant) -> None:
    message, _ = run([{"id": "cus_1LABA", "country": cell}], fails=DubFixRowsError)
    assert f"the code of that country is {meant}" in message


def test_nul_is_rejected_before_it_is_sent(connected) -> None:
    rows = [{"id": "user\0", "name": "n"}, {"id": "user_2", "name": "a\0b"}]
    _, summary = run(rows, external_id_column="id", fails=DubFixRowsError)
    assert summary["rejected"] == 2
    assert "\\u0000" not in json.dumps(summary)
    assert connected.requests == []


@pytest.mark.parametrize(
    ("customers", "message"),
    [
        ([("user_1", "Alicia")], "no names of columns"),
        (["user_1"], "no names of columns"),
        ("[{'id': 'cus_1LABA'}]", "render_template_as_native_obj=True"),
        (iter(ROWS), "make it a list"),
        ({"id": ["cus_1LABA"], "name": ["Alicia"]}, "to_dict"),
    ],
)
def test_what_is_no_input_fails_without_retries_and_quotes_nothing(connected, customers, message) -> None:
    with pytest.raises(DubFixSetupError, match=message) as error:
        run(customers)
    assert "Alicia" not in str(error.value)
    assert "cus_1LABA" not in str(error.value)
