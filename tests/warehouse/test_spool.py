"""Rows wait in a file, a batch in memory at a time."""

from __future__ import annotations

import errno
import resource
import tempfile
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.exceptions import DubRetryLaterError
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


@pytest.mark.parametrize("rows", [1, 1000])
def test_a_full_disk_is_named(rows: int) -> None:
    def keep_and_read() -> None:
        with Spool() as spool:
            spool.add([(f"{n:1000}",) for n in range(rows)])
            assert spool[0]  # a single row is written only now

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as failure:
            keep_and_read()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (failure.value.errno, failure.value.filename) == (errno.EFBIG, tempfile.gettempdir())


def test_a_worker_without_a_place_for_temporary_files_is_told_what_to_set(monkeypatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("os.open", Mock(side_effect=full))
    with pytest.raises(DubRetryLaterError, match="TMPDIR"):
        Spool()
