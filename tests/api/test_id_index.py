"""A run knows which external ids are exact matches, at the price of a few requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.exceptions import DubServerError, DubUnauthorizedError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome
from tests.support.stored import stored

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator


def customers(count: int) -> list[dict]:
    return [{"id": f"cus_9{n:04}", "externalId": f"user-{n}", "name": "before", "email": None} for n in range(count)]


def rows(count: int) -> list[dict]:
    return [{"key": f"user-{n}", "name": "after"} for n in range(count)]


def methods(dub: DubEmulator) -> dict[str, int]:
    sent = [request["method"] for request in dub.requests]
    return {method: sent.count(method) for method in sorted(set(sent))}


def outcomes(sent: list[dict], **options) -> list[Outcome]:
    return [
        result.outcome for result in DubHook().update_customers(sent, SyncOptions(external_id_column="key", **options))
    ]


class BrokenListing:
    """Lists so many customers, and then Dub fails."""

    requests = 0

    def __init__(self, customers: int) -> None:
        self.customers = customers

    def __iter__(self):
        yield from [{"externalId": f"user-{n}"} for n in range(self.customers)]
        raise DubServerError("The server failed.", status=500)


@pytest.mark.parametrize("broken_after", [None, 0, 150])
def test_a_collision_anywhere_in_a_run_changes_nobody(connected, monkeypatch, caplog, broken_after: int | None) -> None:
    if broken_after is not None:
        monkeypatch.setattr(DubClient, "list_customers", lambda self: BrokenListing(broken_after))
    connected.reset(setup_customers=customers(300))
    sent = rows(300)
    sent[250]["key"] = "USER-250"
    found = outcomes(sent)
    assert found[250] is Outcome.FAILED
    assert set(found[:250] + found[251:]) == {Outcome.UPDATED}
    assert stored(connected, id="cus_90250")["name"] == "before"
    assert ("could not all be listed" in caplog.text) is (broken_after is not None)


def test_a_list_of_a_hundred_spares_a_hundred_look_ups(connected) -> None:
    connected.reset(setup_customers=customers(300))
    assert set(outcomes(rows(300))) == {Outcome.UPDATED}
    assert methods(connected)["PATCH"] == 300
    assert methods(connected)["GET"] <= 8


def test_a_few_rows_of_a_large_workspace_are_looked_up_one_by_one(connected) -> None:
    connected.reset(setup_customers=customers(600))
    assert set(outcomes(rows(6))) == {Outcome.UPDATED}
    assert methods(connected) == {"GET": 7, "PATCH": 6}  # one more counts the customers


def test_rows_of_unknown_number_are_looked_up_one_by_one(connected) -> None:
    connected.reset(setup_customers=customers(10))
    results = DubHook().update_customers(iter(rows(10)), SyncOptions(external_id_column="key"))
    assert {result.outcome for result in results} == {Outcome.UPDATED}
    assert methods(connected) == {"GET": 10, "PATCH": 10}


def test_without_the_check_only_updates_are_sent(connected) -> None:
    connected.reset(setup_customers=customers(20))
    assert set(outcomes(rows(20), check_external_ids=False)) == {Outcome.UPDATED}
    assert methods(connected) == {"PATCH": 20}


def test_dubs_own_ids_need_no_look_up(connected) -> None:
    by_id = DubHook().update_customers([{"id": "cus_1LABA", "name": "after"}])
    assert [result.outcome for result in by_id] == [Outcome.UPDATED]
    assert methods(connected) == {"PATCH": 1}


def test_a_customer_that_dub_cannot_list_does_not_spoil_the_check(connected, logged) -> None:
    unlistable = [{"id": "cus_0NULL", "externalId": None, "name": "n", "email": None}]
    connected.reset(setup_customers=customers(30) + unlistable)
    sent = rows(30)
    sent[29]["key"] = "USER-29"
    assert outcomes(sent) == [Outcome.UPDATED] * 29 + [Outcome.FAILED]
    assert stored(connected, id="cus_90029")["name"] == "before"
    assert "1 customer without external id cannot be listed" in logged()


def test_a_refused_key_is_found_out_by_the_first_request(connected, connect) -> None:
    connect(connected.url, password="dub_NOBODY")
    with pytest.raises(DubUnauthorizedError):
        DubHook().update_customers(rows(20), SyncOptions(external_id_column="key"))
    assert len(connected.requests) <= 1
