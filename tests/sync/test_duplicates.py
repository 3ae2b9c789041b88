"""Rows for one customer are found before the first is sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.sync.duplicates import repeated_ids
from airflow_provider_dub.sync.inputs import rows_of
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import RowResult
from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader, updates_of

ids = st.lists(
    st.one_of(st.none(), st.sampled_from(["ext_a", "ext_A", "ext_a ", "ext_b", "cus_1"]), st.text(max_size=3))
)


@given(ids)
def test_the_first_and_the_last_row_of_every_customer_are_known(customer_ids) -> None:
    repeated = repeated_ids(lambda: customer_ids)
    for row, customer_id in enumerate(customer_ids):
        if customer_id is not None:
            rows = [other for other, same in enumerate(customer_ids) if same == customer_id]
            assert repeated.get(customer_id, (row, row)) == (rows[0], rows[-1])


def test_of_rows_that_are_read_once_those_after_the_first_are_duplicates() -> None:
    rows = rows_of({"id": f"cus_{name}", "name": "Ada"} for name in "aba")
    first, other, again = updates_of(UpdateReader(rows, SyncOptions()))
    assert [type(first), type(other)] == [CustomerUpdate, CustomerUpdate]
    assert isinstance(again, RowResult)
    assert (again.code, again.reason and again.reason.split(";")[0]) == ("duplicate", "row 0 names the same customer")
