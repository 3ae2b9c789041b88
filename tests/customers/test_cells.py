"""Blanks in cells: missing, removed or kept."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.customers.cells import prepare_cell
from airflow_provider_dub.customers.fields import FIELDS, Field

BLANKS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()] + ["\u200b", "\u2060", "\ufeff"]
blanks = st.text(alphabet=st.sampled_from(BLANKS))
fields = st.sampled_from(list(FIELDS.values()))
words = st.text(alphabet="abc", min_size=1)


@given(blank=blanks, field=st.none() | fields, strip=st.booleans())
def test_a_blank_is_missing(blank: str, field: Field | None, strip: bool) -> None:
    assert prepare_cell(blank, field, strip=strip) is None


@given(blank=blanks, strip=st.booleans())
def test_a_blank_key_is_missing_whatever_blanks_are(blank: str, strip: bool) -> None:
    assert prepare_cell(blank, None, strip=strip, blanks="keep") is None


@given(blank=blanks, field=fields)
def test_a_blank_can_be_kept(blank: str, field: Field) -> None:
    assert prepare_cell(blank, field, blanks="keep") == ("" if field.strips else blank)


@given(before=blanks, word=words, after=blanks, field=st.none() | fields)
def test_blanks_around_a_value_are_removed_where_they_mean_nothing_or_on_request(
    before: str, word: str, after: str, field: Field | None
) -> None:
    cell = f"{before}{word} {word}{after}"
    stays = field is None or field.name in ("name", "externalId", "stripeCustomerId")
    assert prepare_cell(cell, field) == (cell if stays else f"{word} {word}")
    assert prepare_cell(cell, field, strip=True) == f"{word} {word}"


@pytest.mark.parametrize("name", ["email", "avatar", "country", "subscriptionCanceledAt"])
def test_blanks_around_a_good_value_do_not_reject_it(name: str) -> None:
    good = {
        "email": "a@example.com",
        "avatar": "https://a.test/b.png",
        "country": "de",
        "subscriptionCanceledAt": "2026-03-01",
    }
    field = FIELDS[name]
    assert field.convert(prepare_cell(f"\ufeff {good[name]}\t\n", field)) == field.convert(good[name])


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, pd.NaT, np.str_("  ")])
def test_a_missing_cell_is_none(cell: object) -> None:
    assert prepare_cell(cell, FIELDS["name"]) is None


@pytest.mark.parametrize("cell", [0, False, 7.5, b"", [], {}])
def test_what_is_no_text_is_no_blank(cell: object) -> None:
    assert prepare_cell(cell, FIELDS["name"]) is cell
