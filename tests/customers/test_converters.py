"""Cells become text that Dub stores, or are rejected without being quoted."""

from __future__ import annotations

import contextlib
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
def test_any_cell_is_text_or_rejected_with_a_reason(convert, cell) -> None:
    try:
        converted = convert(cell)
    except ValueError as rejected:
        assert str(rejected)
    else:
        assert type(converted) is str
        converted.encode()
        assert "\0" not in converted


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


@given(st.text(max_size=191, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
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
        (float(10**15 - 1), str(10**15 - 1)),
        (np.float64(7), "7"),
        (np.float32(2**24 - 1), str(2**24 - 1)),
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
        float(10**15),  # a database's text of a float has 15 digits
        -float(10**15),
        np.float64(10**15),
        np.float32(2**24),
        np.float16(2**11),
        float(2**53 + 2),
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


@pytest.mark.parametrize("convert", [converters.identifier, converters.timestamp])
@pytest.mark.parametrize("cell", [np.timedelta64(5, "D"), np.timedelta64(1_772_366_400_000_000_000, "ns")])
def test_a_span_of_time_is_neither_an_id_nor_an_epoch_time(convert, cell: object) -> None:
    with pytest.raises(ValueError, match="span of time"):
        convert(cell)


@given(st.integers(min_value=1 - 10**15, max_value=10**15 - 1))
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
def test_an_email_that_dub_rejects_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        converters.email(cell)


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.test/a b.png",
        "HTTPS://CDN.TEST/A.PNG",
        "https:/cdn.test/a.png",
        "https:cdn.test/a.png",
        "http://1.2.3/",
        "https://exämple.com/a.png",
        "https://dubassets.com/customers/cus_1LABA/avatar_AAAAAAA",
        "https://api.dub.co/og/avatar/seed",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/svg+xml;base64,iVBORw0KGgo=",
    ],
)
def test_an_avatar_that_dub_fetches_is_sent_as_it_is(url: str) -> None:
    assert converters.avatar(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *("s3://b/1.png", "C:\\1.png", "file:///1.png", "mailto:a@b.co", "a.test:80", "data:,a"),
        "data:image/png;base64,iVBOR",
        "data:image/png;base64,iVBO\nRw0K",  # as PostgreSQL and MIME break lines
        "DATA:IMAGE/PNG;BASE64,iVBORw0KGgo=",
    ],
)
def test_an_avatar_that_dub_would_clear_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Dub cannot fetch"):
        converters.avatar(url)


@pytest.mark.parametrize(("cell", "sent"), [("us", "US"), ("De", "DE"), ("FR", "FR")])
def test_a_country_is_sent_in_upper_case(cell: str, sent: str) -> None:
    assert converters.country(cell) == sent


@pytest.mark.parametrize("cell", ["", "U", "U1", "ÄÖ", "U\n", "ıs", "XX", "ZZ", "EU", "AA", 1])
def test_a_country_is_a_code_of_iso_3166(cell: object) -> None:
    with pytest.raises(ValueError, match=r"country code \(two letters\)$|must be text"):
        converters.country(cell)


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("UK", "GB"),
        ("uk", "GB"),
        ("U.K.", "GB"),
        ("Great Britain", "GB"),
        ("England", "GB"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("U.S.", "US"),
        (" US", "US"),
        ("United States", "US"),
        ("the united states of america", "US"),
        ("Germany", "DE"),
        ("deu", "DE"),
        ("EL", "GR"),
        ("AND", "AD"),
        ("Korea, Republic of", "KR"),
        ("South Korea", "KR"),
        ("Congo, The Democratic Republic of the", "CD"),
        ("Republic of the Congo", "CG"),
        ("Iran (Islamic Republic of)", "IR"),
        ("Cote d'Ivoire", "CI"),
        ("Turkey", "TR"),
        ("Türkiye", "TR"),
        ("St. Lucia", "LC"),
        ("Bosnia & Herzegovina", "BA"),
        ("Guinea-Bissau", "GW"),
        ("Guinea", "GN"),
        ("Dominica", "DM"),
        ("Namibia", "NA"),
    ],
)
def test_the_reason_says_the_code_of_the_country_that_is_meant(cell: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"the code of that country is {meant}$"):
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
        "2026-03-01 12:00:00 UTC",  # as BigQuery writes it
        "2026-03-01T12:00:00z",
        "2026-03-01 12:00:00.000000+00",
    ],
)
def test_a_timestamp_is_sent_in_utc(cell: object) -> None:
    assert converters.timestamp(cell) == UTC_NOON


@pytest.mark.parametrize("unit", ["ps", "fs", "as"])
def test_a_datetime64_of_a_unit_too_small_for_years_is_sent(unit: str) -> None:
    assert converters.timestamp(np.datetime64("1970-01-01T00:00:01.5", unit)) == "1970-01-01T00:00:01.500Z"


def test_a_date_is_its_midnight_in_utc() -> None:
    assert converters.timestamp(dt.date(2026, 3, 1)) == "2026-03-01T00:00:00.000Z"


@given(st.datetimes())
def test_a_timestamp_is_sent_with_exactly_three_digits_of_a_second(when: dt.datetime) -> None:
    sent = converters.timestamp(when)
    assert re.fullmatch(r".{19}\.\d{3}Z", sent)
    assert dt.datetime.fromisoformat(sent) == when.replace(tzinfo=dt.UTC, microsecond=when.microsecond // 1000 * 1000)


@pytest.mark.parametrize("cell", ["", "yesterday", "2026-13-01", True, np.bool_(True), dt.time(12), "01.03.2026"])
def test_what_is_no_timestamp_is_refused(cell: object) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601"):
        converters.timestamp(cell)


UNITS = [1, 10**3, 10**6, 10**9]
IN_RANGE = st.datetimes(min_value=dt.datetime(2000, 1, 1), max_value=dt.datetime(2100, 12, 31, 23, 59, 59, 999_000))


@pytest.mark.parametrize("unit", UNITS)
@given(when=IN_RANGE)
def test_an_epoch_time_is_read_by_its_magnitude_whatever_holds_it(unit: int, when: dt.datetime) -> None:
    when = when.replace(tzinfo=dt.UTC, microsecond=0 if unit == 1 else when.microsecond // 1000 * 1000)
    number = (when - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * unit // 10**6
    sent = converters.timestamp(when)
    for cell in (number, float(number), Decimal(number), np.int64(number), np.float64(number), str(number)):
        assert converters.timestamp(cell) == sent


@given(when=IN_RANGE)
def test_the_fraction_of_epoch_seconds_is_kept_to_the_millisecond(when: dt.datetime) -> None:
    when = when.replace(tzinfo=dt.UTC, microsecond=when.microsecond // 1000 * 1000)
    seconds = Decimal((when - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)) / 1000
    for cell in (seconds, float(seconds), str(seconds), f"{seconds:.7f}"):
        assert converters.timestamp(cell) == converters.timestamp(when)


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        (946684800, "2000-01-01T00:00:00.000Z"),
        (4133980799, "2100-12-31T23:59:59.000Z"),
        (np.int32(1767225600), "2026-01-01T00:00:00.000Z"),
        (np.uint32(1767225600), "2026-01-01T00:00:00.000Z"),
        ("1767225600.0", "2026-01-01T00:00:00.000Z"),
        ("1.7672256E9", "2026-01-01T00:00:00.000Z"),
        ("1712121212121", "2024-04-03T05:13:32.121Z"),  # not the 12th of December 1712
        ("20260301", "2026-03-01T00:00:00.000Z"),
    ],
)
def test_epoch_times_at_the_edges_are_instants(cell: object, sent: str) -> None:
    assert converters.timestamp(cell) == sent


@pytest.mark.parametrize(
    "cell",
    [
        0,
        -1767225600,
        946684799,
        4133980800,
        20260301,
        20260301120000,
        46023,  # a date of Excel
        "46023",
        "20260301120000",
        10**5000,
        2026.5,
        float("inf"),
        Decimal("inf"),
        Decimal("sNaN"),
        Decimal("1E+999999"),
        "1e999",
        np.int8(1),
    ],
    ids=lambda cell: "huge" if isinstance(cell, int) and cell > 10**300 else repr(cell),
)
def test_another_number_is_no_timestamp(cell: object) -> None:
    with pytest.raises(ValueError, match="not an epoch time of the years 2000 to 2100"):
        converters.timestamp(cell)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_a_narrow_float_is_too_coarse_for_an_epoch_time(kind) -> None:
    with pytest.raises(ValueError, match="too coarse"):
        converters.timestamp(kind(1767225600) if kind is np.float32 else kind(1))


@pytest.mark.parametrize(
    "cell",
    [
        np.datetime64(2**62, "us"),
        np.datetime64(-(2**62), "us"),
        np.datetime64(10**6, "Y"),
        np.datetime64(10_000, "Y") - 1970,
        np.datetime64(1_772_370_000_000_000, "s"),  # microseconds, taken for seconds
        np.datetime64(2**62, "W"),
        pd.Timestamp(np.datetime64("20000-01-01", "s")),
        dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=3))),
    ],
)
def test_a_timestamp_outside_the_calendar_is_refused(cell: object) -> None:
    with pytest.raises(ValueError, match="outside the calendar"):
        converters.timestamp(cell)


@given(
    number=st.integers(1 - 2**63, 2**63 - 1) | st.integers(-(10**6), 10**6),
    unit=st.sampled_from(["Y", "M", "W", "D", "h", "m", "s", "ms"]),
)
def test_a_datetime64_is_sent_as_the_date_that_it_shows_or_is_refused(number: int, unit: str) -> None:
    cell = np.datetime64(number, unit)
    with contextlib.suppress(ValueError):
        assert converters.timestamp(cell).startswith(str(cell))


@pytest.mark.parametrize("convert", [converters.text, converters.identifier, converters.email, converters.avatar])
@given(before=st.text(max_size=5), after=st.text(max_size=5))
def test_nul_is_rejected_before_it_is_sent(convert, before: str, after: str) -> None:
    with pytest.raises(ValueError, match=r"NUL|e-mail|surrogate|URL"):
        convert(f"{before}\0{after}")
