"""Dub's own Python client is content with the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from dub import Dub
from dub.models import errors
from dub.utils import BackoffStrategy, RetryConfig

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator


@pytest.fixture
def client(dub: DubEmulator) -> Iterator[Dub]:
    no_retries = RetryConfig("none", BackoffStrategy(1, 1, 1.0, 1), retry_connection_errors=False)
    with Dub(token=dub.api_key, server_url=dub.url, retry_config=no_retries) as client:
        yield client


def test_it_reads_all_pages(dub: DubEmulator, client: Dub) -> None:
    dub.reset([{"id": f"cus_1M{n}", "externalId": f"m{n}", "email": f"m{n}@x.test"} for n in range(5)])

    seen: list[str] = []
    # The client's own page.next() finds no cursor in an array and stops after one page.
    page = client.customers.list(request={"page_size": 3})
    while page is not None and page.result:
        seen += [customer.id for customer in page.result]
        page = client.customers.list(request={"page_size": 3, "starting_after": seen[-1]})

    assert len(seen) == len(set(seen)) == 8


def test_it_reads_one_customer(client: Dub) -> None:
    customer = client.customers.get(request={"id": "ext_user_1", "include_expanded_fields": True})

    assert (customer.id, customer.external_id, customer.sale_amount) == ("cus_1LABA", "user_1", 12345)
    assert customer.partner is not None
    assert customer.partner.name == "Pat Partner"
    assert customer.discount is not None
    assert customer.discount.amount == 30


def test_it_updates_one_customer(dub: DubEmulator, client: Dub) -> None:
    customer = client.customers.update(request={"id": "ext_user_1", "request_body": {"name": "New", "country": "DE"}})

    assert (customer.name, customer.country) == ("New", "DE")
    assert dub.customers[0]["name"] == "New"


@pytest.mark.parametrize(
    ("customer_id", "body", "error"),
    [
        ("ext_missing", {"name": "x"}, errors.NotFound),
        ("ext_user_1", {"external_id": "user_2"}, errors.Conflict),
        ("ext_user_1", {"email": "nobody"}, errors.UnprocessableEntity),
    ],
)
def test_it_knows_the_errors(client: Dub, customer_id: str, body: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        client.customers.update(request={"id": customer_id, "request_body": body})


def test_it_knows_the_rate_limit_and_bad_keys(dub: DubEmulator, client: Dub) -> None:
    dub.reset(rate_limit_used=1200)

    with pytest.raises(errors.RateLimitExceeded):
        client.customers.get(request={"id": "ext_user_1"})
    with Dub(token="dub_wrong", server_url=dub.url) as stranger, pytest.raises(errors.Unauthorized):
        stranger.customers.get(request={"id": "ext_user_1"})
