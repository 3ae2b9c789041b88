"""The countries are those of ISO 3166-1, and are found by what people write."""

from __future__ import annotations

import iso3166
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.customers.countries import country_code_meant, country_codes
from airflow_provider_dub.customers.fields import FIELDS

COUNTRIES = list(iso3166.countries)


def test_the_codes_are_those_of_the_standard() -> None:
    assert country_codes() == {country.alpha2 for country in COUNTRIES}


@pytest.mark.parametrize("country", COUNTRIES, ids=lambda country: country.alpha2)
def test_every_code_is_sent_and_every_other_way_to_write_a_country_is_understood(country) -> None:
    assert FIELDS["country"].convert(country.alpha2.lower()) == country.alpha2
    for written in (
        country.alpha3,
        country.alpha3.lower(),
        country.name,
        country.name.upper(),
        country.apolitical_name,
    ):
        assert country_code_meant(written) == country.alpha2


@given(st.text())
def test_any_text_is_a_country_or_none(text: str) -> None:
    assert country_code_meant(text) in {None, *country_codes()}


@pytest.mark.parametrize("text", ["", " ", "(", "the", "republic", "XX", "Atlantis", "and the of"])
def test_what_names_no_country_is_none(text: str) -> None:
    assert country_code_meant(text) is None
