"""Rows wait in a file, a batch in memory at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.warehouse.spool import Spool

rows = st.tuples(st.none() | st.text(), st.integers() | st.binary() | st.datetimes())


@given(st.lists(st.lists(rows, min_size=1)))
def test_rows_come_back_as_they_were(batches) -> None:
    expected = [row for batch in batches for row in batch]
    with Spool() as spool:
        for batch in batches:
            spool.add(batch)
        assert len(spool) == len(expected)
        assert list(spool) == expected
        assert [spool[number] for number in reversed(range(len(expected)))] == expected[::-1]
        assert list(spool) == list(spool)


def test_memory_of_the_driver_is_copied() -> None:
    with Spool() as spool:
        spool.add([(memoryview(b"x"),)])
        assert spool[0] == (b"x",)
