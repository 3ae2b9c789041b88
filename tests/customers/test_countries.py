"""The countries are those of ISO 3166-1."""

from __future__ import annotations

import iso3166

from airflow_provider_dub.customers.countries import COUNTRY_CODES


def test_the_codes_are_those_of_the_standard() -> None:
    assert {country.alpha2 for country in iso3166.countries} == COUNTRY_CODES
