"""Cells become text that Dub stores, or are refused without being quoted."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.customers import converters
from tests.support.any_value import anything

CONVERSIONS = [
    converters.text,
    converters.identifier,
    converters.email,
    converters.avatar,
    converters.country,
    converters.timestamp,
]


@pytest.mark.parametrize("convert", CONVERSIONS, ids=lambda convert: convert.__name__)
@given(cell=anything)
def test_any_cell_is_text_or_refused_with_a_reason(convert, cell) -> None:
    try:
        converted = convert(cell)
    except ValueError as refused:
        assert str(refused)
    else:
        assert type(converted) is str
        converted.encode()


@given(cell=anything)
def test_any_cell_is_missing_or_not(cell) -> None:
    assert converters.is_missing(cell) in (True, False)


@pytest.mark.parametrize(
    "cell", [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, Decimal("nan"), np.datetime64("NaT")]
)
def test_null_nan_nat_and_na_are_missing(cell) -> None:
    assert converters.is_missing(cell)


@pytest.mark.parametrize("cell", ["", "nan", "None", 0, False, [], np.array([1, 2])])
def test_other_empty_looking_cells_are_not_missing(cell) -> None:
    assert not converters.is_missing(cell)


@given(st.text(max_size=191, alphabet=st.characters(exclude_categories=["Cs"])))
def test_text_is_sent_as_it_is(cell: str) -> None:
    assert converters.text(cell) == cell
    assert converters.identifier(cell) == cell


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        (7, "7"),
        (-7, "-7"),
        (np.int64(2**62), str(2**62)),
        (np.uint8(7), "7"),
        (Decimal("7"), "7"),
        (Decimal("7.00"), "7"),
        (Decimal("1E+3"), "1000"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (7.0, "7"),
        (float(2**53), str(2**53)),
        (np.float64(7), "7"),
        (np.float32(2**24), str(2**24)),
        (np.str_("a"), "a"),
        ("007", "007"),
    ],
)
def test_ids_become_text(cell: object, sent: str) -> None:
    assert converters.identifier(cell) == sent


@pytest.mark.parametrize(
    "cell",
    [
        True,
        np.bool_(False),
        7.5,
        float("inf"),
        float(2**53 + 2),
        -float(2**53 + 2),
        np.float32(2**24 + 2),
        np.float16(2**11 + 2),
        Decimal("7.5"),
        Decimal("inf"),
        Decimal("1E+400"),
        10**191,
        pytest.param(10**5000, id="huge"),
        b"7",
        [7],
        {"a": 1},
        dt.date(2026, 1, 1),
        "x" * 192,
    ],
)
def test_what_may_be_another_id_is_refused(cell: object) -> None:
    with pytest.raises(ValueError, match=r"must be|longer|float"):
        converters.identifier(cell)


@given(st.integers(min_value=-(2**53), max_value=2**53))
def test_a_whole_float_is_the_same_id_as_the_number(number: int) -> None:
    assert converters.identifier(float(number)) == converters.identifier(number) == str(number)


@pytest.mark.parametrize("length", [191, 192])
@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_length_is_counted_in_code_points(letter: str, length: int) -> None:
    if length == 191:
        assert converters.text(letter * length) == letter * length
    else:
        with pytest.raises(ValueError, match="longer than the 191"):
            converters.text(letter * length)


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        converters.text("a\ud800")


@pytest.mark.parametrize("cell", ["a@example.com\n", " a@example.com", "a@example", "a@@b.co", "a..b@example.com", ""])
def test_an_email_that_dub_refuses_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        converters.email(cell)


@pytest.mark.parametrize(("cell", "sent"), [("us", "US"), ("De", "DE"), ("FR", "FR")])
def test_a_country_is_sent_in_upper_case(cell: str, sent: str) -> None:
    assert converters.country(cell) == sent


@pytest.mark.parametrize("cell", ["", "USA", "U", "U1", "ÄÖ", "U\n", " US", "ıs", 1])
def test_a_country_is_two_ascii_letters(cell: object) -> None:
    with pytest.raises(ValueError, match=r"country|text"):
        converters.country(cell)


UTC_NOON = "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize(
    "cell",
    [
        dt.datetime(2026, 3, 1, 12),
        dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 1, 14, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        pd.Timestamp("2026-03-01 12:00"),
        pd.Timestamp("2026-03-01 13:00", tz="Europe/Berlin"),
        np.datetime64("2026-03-01T12:00"),
        np.datetime64("2026-03-01T12:00:00.000000000"),
        "2026-03-01T12:00:00Z",
        "2026-03-01T14:00:00+02:00",
        "2026-03-01 12:00",
    ],
)
def test_a_moment_is_sent_in_utc(cell: object) -> None:
    assert converters.timestamp(cell) == UTC_NOON


def test_a_date_is_its_midnight_in_utc() -> None:
    assert converters.timestamp(dt.date(2026, 3, 1)) == "2026-03-01T00:00:00.000Z"


@given(st.datetimes())
def test_a_timestamp_is_sent_with_exactly_three_digits_of_a_second(moment: dt.datetime) -> None:
    sent = converters.timestamp(moment)
    assert re.fullmatch(r".{19}\.\d{3}Z", sent)
    assert dt.datetime.fromisoformat(sent) == moment.replace(
        tzinfo=dt.UTC, microsecond=moment.microsecond // 1000 * 1000
    )


@pytest.mark.parametrize("cell", ["", "yesterday", "2026-13-01", 1772366400, dt.time(12), "01.03.2026"])
def test_what_is_no_moment_is_refused(cell: object) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601"):
        converters.timestamp(cell)
