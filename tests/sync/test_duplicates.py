"""Rows for one customer are found before the first is sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.sync.duplicates import Duplicates, SeenSoFar

ids = st.lists(
    st.one_of(st.none(), st.sampled_from(["ext_a", "ext_A", "ext_a ", "ext_b", "cus_1"]), st.text(max_size=3))
)


@given(ids)
def test_the_first_and_the_last_row_of_every_customer_are_known(customer_ids) -> None:
    duplicates = Duplicates(lambda: customer_ids)
    for row, customer_id in enumerate(customer_ids):
        if customer_id is not None:
            rows = [other for other, same in enumerate(customer_ids) if same == customer_id]
            assert duplicates.first_and_last(customer_id, row) == (rows[0], rows[-1])


def test_rows_that_are_read_once_know_the_first_row_so_far() -> None:
    seen = SeenSoFar()
    assert [seen.first_and_last(key, row)[0] for row, key in enumerate(["a", "b", "a"])] == [0, 1, 0]
