"""The asset of a workspace's customers."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from airflow_provider_dub.assets.dub import dub_customers, sanitize_uri
from airflow_provider_dub.version_compat import Asset


def test_the_asset_is_named_after_the_workspace() -> None:
    assert dub_customers("acme").uri == "dub://acme/customers"
    assert dub_customers("dub.example.com:8443").uri == "dub://dub.example.com:8443/customers"
    assert dub_customers("acme", extra={"owner": "growth"}).extra == {"owner": "growth"}


def test_one_workspace_is_one_asset_however_it_is_written() -> None:
    # Airflow finds the normaliser by the scheme that the provider registers.
    assert Asset(uri="dub://ACME/customers/").uri == dub_customers("Acme").uri == "dub://acme/customers"


def test_any_slug_makes_a_uri() -> None:
    assert dub_customers("a b/c?d@e#f").uri == "dub://a%20b%2fc%3fd%40e%23f/customers"


@pytest.mark.parametrize("uri", ["dub:///customers", "dub://acme", "dub://acme/links", "dub://acme/customers/cus_1"])
def test_what_is_no_asset_of_ours_is_refused(uri) -> None:
    with pytest.raises(ValueError, match="dub://<workspace"):
        sanitize_uri(urlsplit(uri))
