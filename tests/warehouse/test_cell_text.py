"""The same value gives the same text in every run, and values are in the order of their sortable texts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.customers.converters import identifier
from airflow_provider_dub.warehouse.cell_text import sortable, text_of

AT = datetime(2026, 3, 1, 12, 30, 15)
numbers = st.integers() | st.floats(allow_nan=False) | st.decimals(allow_nan=False)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, None),
        (float("nan"), None),
        ("Zoë ", "Zoë "),
        ("", ""),
        (True, "true"),
        (7, "7"),
        (7.0, "7"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+2"), "100"),
        (Decimal("-0.00"), "0"),
        (Decimal("1E+500"), "1E+500"),
        (AT, "2026-03-01 12:30:15.000000"),
        (AT.replace(tzinfo=timezone(timedelta(hours=5, minutes=45))), "2026-03-01 06:45:15.000000"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=2))), "0001-01-01T00:00:00+02:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (time(1, 2), "01:02:00"),
        (b"\xff\x00", "ff00"),
        (memoryview(b"x"), "78"),
        ({"b": [1, Decimal("1.0")], "a": {"c", "d"}}, '{"a": ["c", "d"], "b": [1, "1"]}'),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("a\0b", "a\\x00b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_cell_has_one_text(cell, text) -> None:
    assert text_of(cell) == text


def test_a_cell_without_a_text_of_its_own_is_an_error() -> None:
    with pytest.raises(ValueError, match="holds object, which has no text of its own: cast it to text"):
        text_of(object())


@pytest.mark.parametrize("read", [text_of, sortable])
def test_a_span_of_time_of_numpy_is_no_number(read) -> None:
    with pytest.raises(ValueError, match="span of time"):
        read(np.timedelta64(5, "D"))


@given(
    st.text(max_size=90).filter(str.isprintable) | st.integers() | st.uuids() | st.decimals(-(10**30), 10**30, places=0)
)
def test_the_text_of_an_id_is_what_is_sent(customer_id) -> None:
    assert text_of(customer_id) == identifier(customer_id)


@given(numbers, numbers)
def test_numbers_sort_as_numbers(one, other) -> None:
    (kind, left), (_, right) = sortable(one), sortable(other)
    assert kind == "a number"
    assert (left.encode() < right.encode()) == (one < other)
    assert (left == right) == (one == other)


@given(st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3)))), st.datetimes())
def test_timestamps_sort_as_instants(one, naive) -> None:
    other = naive.replace(tzinfo=UTC)
    if datetime(2, 1, 1, tzinfo=UTC) < one < datetime(9998, 1, 1, tzinfo=UTC):
        assert (sortable(one) < sortable(naive)) == (one < other)


def test_what_has_no_order_is_an_error() -> None:
    assert sortable(None) is None
    assert sortable(date(2026, 3, 1)) == ("a date", "2026-03-01")
    with pytest.raises(ValueError, match="holds bytes, which cannot be ordered"):
        sortable(b"x")
