"""Every customer is listed once, whatever stands between them; and a list ends, whatever the server does."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dub.api.listing import CustomerListing
from airflow_provider_dub.exceptions import DubInvalidRequestError, DubNotFoundError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome
from tests.support.dub_client import client_of

SEED = {"cus_1LABA", "cus_1LABB", "cus_1LABD"}


def customers(count: int, *without: int, created: list[int] | None = None) -> list[dict]:
    """Return customers for Dub.

    :param without: The numbers of those without external id.
    :param created: When each was created, in seconds after some midnight; by default one after the other.
    """
    return [
        {
            "id": f"cus_9{n:04}",
            "externalId": None if n in without else f"user-{n}",
            "name": "before",
            "email": None,
            "createdAt": f"2025-01-01T{(place := created[n] if created else n) // 3600:02}:"
            f"{place // 60 % 60:02}:{place % 60:02}.000Z",
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 97, 98, 250])
def test_every_customer_is_listed_once(dub, count: int) -> None:
    dub.reset(setup_customers=customers(count))
    listed = [customer["id"] for customer in client_of(dub).list_customers()]
    assert sorted(listed) == sorted({f"cus_9{n:04}" for n in range(count)} | SEED)
    assert len(dub.requests) <= 3 + (count + 3) // 100


def test_customers_that_were_created_at_the_same_time_are_listed_once(dub) -> None:
    dub.reset(setup_customers=customers(250, created=[n % 12 for n in range(250)]))
    listed = [customer["id"] for customer in client_of(dub).list_customers()]
    assert sorted(listed) == sorted({f"cus_9{n:04}" for n in range(250)} | SEED)
    assert len(dub.requests) <= 6


@pytest.mark.parametrize("without", [(0,), (249,), (100,), (37,), (99, 101), (0, 249), (10, 200), (50, 120, 180)])
@pytest.mark.parametrize("order", ["ids", "reversed", "random"])
def test_customers_without_external_id_are_read_round(dub, caplog, without: tuple[int, ...], order: str) -> None:
    created = list(range(250))
    if order != "ids":
        created.reverse() if order == "reversed" else random.Random(4).shuffle(created)
    dub.reset(setup_customers=customers(250, *without, created=created))
    listing = client_of(dub).list_customers()
    listed = [customer["id"] for customer in listing]
    assert sorted(listed) == sorted({f"cus_9{n:04}" for n in range(250) if n not in without} | SEED)
    assert listing.unlistable == len(without)
    assert listing.requests == len(dub.requests) <= 6 + (14 if order == "random" else 7) * len(without)
    noun = "customer" if len(without) == 1 else "customers"
    assert caplog.messages.count(f"{len(without)} {noun} without external id cannot be listed by Dub.") == 1


@pytest.mark.slow
@given(
    count=st.integers(1, 130),
    share=st.sampled_from([0.02, 0.1, 0.5, 1.0]),
    randomly=st.randoms(use_true_random=False),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_list_with_gaps_ends_and_has_nobody_twice(running_dub, count: int, share: float, randomly) -> None:
    without = [n for n in range(count) if randomly.random() < share]
    created = list(range(count))
    randomly.shuffle(created)
    running_dub.reset(setup_customers=customers(count, *without, created=created))
    listing = client_of(running_dub).list_customers()
    listed = [customer["id"] for customer in listing]
    assert len(set(listed)) == len(listed)
    assert {f"cus_9{n:04}" for n in without}.isdisjoint(listed)
    assert len(listed) + listing.unlistable == count + 3
    assert listing.requests <= 20 + 8 * len(without)


def test_filters_hold_round_a_gap(dub) -> None:
    rows = customers(30, 7, 20)
    for n, row in enumerate(rows):
        row["country"] = "DE" if n % 2 else "FR"
    dub.reset(setup_customers=rows)
    listed = [customer["id"] for customer in client_of(dub).list_customers(country="DE")]
    assert sorted(set(listed) - SEED) == [f"cus_9{n:04}" for n in range(30) if n % 2 and n != 7]
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("name", ["programId", "partnerId"])
def test_a_filter_by_program_where_there_is_none_is_refused_at_once(dub, name: str) -> None:
    client = client_of(dub, key="dub_OTHERKEY")
    with pytest.raises(DubNotFoundError, match="workspace has no program") as failure:
        list(client.list_customers(**{name: "x"}))
    assert not failure.value.fatal
    assert len(dub.requests) == 1


@pytest.mark.parametrize("start", [125, 249])
def test_customers_that_leave_the_filter_while_they_are_listed_hide_no_other(dub, start: int) -> None:
    created = [(n - start - 1) % 250 for n in range(250)]  # the list starts with the newest
    dub.reset(setup_customers=[{**row, "country": "XX"} for row in customers(250, created=created)])
    client = client_of(dub)
    changed = [
        client.update_customer(customer["id"], {"country": "DE"})["id"]
        for customer in client.list_customers(country="XX")
    ]
    assert sorted(changed) == [f"cus_9{n:04}" for n in range(250)]
    assert len(dub.requests) - len(changed) <= 3 + 250 // 100


@pytest.mark.parametrize("kind", ["the same page", "two pages in turn", "a cursor that does not advance"])
def test_a_list_ends_whatever_the_server_does(kind: str) -> None:
    asked = 0

    def page(query) -> list[dict]:
        nonlocal asked
        asked += 1
        size = int(query["pageSize"])
        start = {"two pages in turn": asked % 2 * 100, "a cursor that does not advance": min(asked, 3)}.get(kind, 0)
        return [{"id": f"cus_{n}"} for n in range(start, start + size)]

    listed = [customer["id"] for customer in CustomerListing(page, lambda: 100)]
    assert len(set(listed)) == len(listed)
    assert asked < 20


def test_a_list_that_is_a_gap_everywhere_ends() -> None:
    asked = 0

    def page(query) -> list[dict]:
        nonlocal asked
        asked += 1
        message = "invalid_type: [0].externalId: Invalid input: expected string, received null"
        raise DubInvalidRequestError("refused", status=422, server_message=message)

    listing = CustomerListing(page, lambda: 1000)
    assert list(listing) == []
    assert listing.unlistable == 1000
    assert asked < 50


def test_another_refusal_of_a_page_is_raised() -> None:
    def page(query) -> list[dict]:
        raise DubInvalidRequestError("refused", status=422, server_message="too_big: pageSize: Max page size is 100.")

    with pytest.raises(DubInvalidRequestError):
        list(CustomerListing(page, lambda: 1))


@pytest.mark.slow
def test_a_customer_without_external_id_costs_the_preflight_check_a_few_requests(connected) -> None:
    def requests_for(*without: int) -> int:
        connected.reset(setup_customers=customers(701, *without))
        rows = [{"key": f"user-{n}", "name": "after"} for n in range(701) if n not in {350, *without}]
        results = DubHook().update_customers(rows, SyncOptions(external_id_column="key"))
        assert {result.outcome for result in results} == {Outcome.UPDATED}
        return len(connected.requests)

    undisturbed = requests_for()
    assert undisturbed <= 711
    assert requests_for(350) <= undisturbed + 7
