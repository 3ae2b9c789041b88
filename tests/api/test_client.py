"""The client reaches exactly the customer it names, through any id and any accident."""

from __future__ import annotations

import ssl

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.api.exchange import Server
from airflow_provider_dub.api.transport import Transport
from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import (
    DubConflictError,
    DubConnectionError,
    DubCustomerNotFoundError,
    DubResponseNotBuiltError,
    DubServerError,
    DubWrongCustomerError,
)
from airflow_provider_dub.hooks.session import DubSession
from tests.support.dub_client import client_of
from tests.support.stored import stored

any_id = st.text(
    min_size=1, max_size=12, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
) | st.sampled_from(
    [
        "a/b",
        "a?b",
        "a#b",
        "a%2Fb",
        "%",
        "%zz",
        "..",
        ".",
        "a.rsc",
        "a.segment.rsc",
        "ext_foo",
        "cus_1LABA",
        " a",
        "a;b",
        "a\nb",
        "日本",
        "+",
        "\\",
    ]
)


@given(external_id=any_id)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_external_id_reaches_exactly_its_customer(running_dub, external_id: str) -> None:
    running_dub.reset(
        setup_customers=[{"id": "cus_1TARGET", "externalId": external_id, "name": "before", "email": None}]
    )
    before = {customer["id"]: customer for customer in running_dub.customers}
    customer = client_of(running_dub).update_customer(f"ext_{external_id}", {"name": "after"})
    assert (customer["id"], customer["externalId"], customer["name"]) == ("cus_1TARGET", external_id, "after")
    assert stored(running_dub, id="cus_1TARGET")["name"] == "after"
    assert all(
        customer == before[customer["id"]] for customer in running_dub.customers if customer["id"] != "cus_1TARGET"
    )


@pytest.mark.parametrize("external_id", ["a.rsc", "a%2Fb", "100%aB"])
def test_an_id_at_risk_in_a_path_is_found_in_the_list(dub, external_id: str) -> None:
    dub.reset(setup_customers=[{"id": "cus_1RISK", "externalId": external_id, "name": "n", "email": None}])
    client_of(dub).update_customer(f"ext_{external_id}", {"name": "after"})
    assert [request["path"] for request in dub.requests] == ["/customers", "/customers/cus_1RISK"]


@pytest.mark.parametrize("customer_id", ["user_1", "", ".", "count", "cus_1LABA ", "cus_1LABA.rsc"])
def test_what_is_no_id_is_never_sent(dub, customer_id: str) -> None:
    with pytest.raises(ValueError, match="cus_"):
        client_of(dub).update_customer(customer_id, {"name": "n"})
    assert dub.requests == []


@pytest.mark.parametrize("spelling", ["USER_1", "usér_1", "user_1 "])
def test_a_collision_is_an_error_and_changes_nobody(dub, spelling: str) -> None:
    with pytest.raises(DubWrongCustomerError, match="nothing was changed"):
        client_of(dub).update_customer(f"ext_{spelling}", {"name": "wrong"})
    assert stored(dub, id="cus_1LABA")["name"] == "Alice"


def test_a_collision_in_the_list_is_an_error(dub) -> None:
    dub.reset(setup_customers=[{"id": "cus_1RISK", "externalId": "A.RSC", "name": "n", "email": None}])
    with pytest.raises(DubWrongCustomerError):
        client_of(dub).update_customer("ext_a.rsc", {"name": "wrong"})
    with pytest.raises(DubCustomerNotFoundError):
        client_of(dub).update_customer("ext_b.rsc", {"name": "wrong"})


def test_without_the_check_a_collision_is_found_out_from_the_response(dub) -> None:
    with pytest.raises(DubWrongCustomerError, match="WAS changed"):
        client_of(dub).update_customer("ext_USER_1", {"name": "wrong"}, verified_ids=None)
    assert [request["method"] for request in dub.requests] == ["PATCH"]


def test_an_id_of_digits_has_collisions_too(dub) -> None:
    dub.reset(setup_customers=[{"id": "cus_1N", "externalId": "42 ", "name": "n", "email": None}])
    with pytest.raises(DubWrongCustomerError, match="nothing was changed"):
        client_of(dub).update_customer("ext_42", {"name": "m"})
    assert stored(dub, id="cus_1N")["name"] == "n"


@pytest.mark.parametrize("dub_id", ["clx0old0200", "a/b?c#d"])
def test_a_customer_is_found_whatever_its_own_id_looks_like(dub, dub_id: str) -> None:
    dub.reset(setup_customers=[{"id": dub_id, "externalId": "old", "name": "n", "email": None}])
    assert client_of(dub).update_customer("ext_old", {"externalId": "new"})["id"] == dub_id


@pytest.mark.slow
def test_renaming_is_safe_against_a_lost_response() -> None:
    with DubEmulator(faults=["reset-after=0.5"], fault_seed=3) as dub:
        for attempt in range(3):
            dub.reset()
            customer = client_of(dub).update_customer("ext_user_1", {"externalId": f"new_{attempt}"})
            assert (customer["id"], customer["externalId"]) == ("cus_1LABA", f"new_{attempt}")
        assert any(request.get("fault") for request in dub.requests)


def test_a_renamed_customer_is_gone_under_its_old_id(dub) -> None:
    client = client_of(dub)
    client.update_customer("ext_user_1", {"externalId": "user_1_new"})
    with pytest.raises(DubCustomerNotFoundError):
        client.update_customer("ext_user_1", {"externalId": "user_1_new"})


def test_a_customer_without_an_external_id_is_updated_but_not_shown(dub) -> None:
    dub.reset(setup_customers=[{"id": "cus_1NULL", "externalId": None, "name": "Nil", "email": None}])
    with pytest.raises(DubResponseNotBuiltError, match="applied"):
        client_of(dub).update_customer("cus_1NULL", {"name": "after"})
    assert stored(dub, id="cus_1NULL")["name"] == "after"


def test_a_conflict_does_not_name_the_culprit(dub) -> None:
    with pytest.raises(DubConflictError, match=r"stripeCustomerId.*another case"):
        client_of(dub).update_customer("cus_1LABA", {"stripeCustomerId": "CUS_stripeother"})


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"externalId": ""}, "externalId"),
        ({"email": "alice@example.com", "externalId": "user_2"}, "With the filter email, .* externalId"),
        ({"search": "Bob", "externalId": "user_1", "country": "US"}, "With the filter externalId, .* search"),
        ({"country": ["US", "DE"]}, "country must be text, not list"),  # Dub takes the last of them
    ],
)
def test_a_filter_is_refused_where_dub_ignores_it(dub, filters, named: str) -> None:
    for read in (client_of(dub).list_customers, client_of(dub).count_customers):
        with pytest.raises((ValueError, TypeError), match=named):
            read(**filters)
    assert dub.requests == []


def test_a_workspace_slug_keeps_another_workspaces_key_out(dub) -> None:
    client_of(dub, workspace_slug="lab-main").update_customer("cus_1LABA", {"name": "n"})
    with pytest.raises(Exception, match="workspace_slug"):
        client_of(dub, workspace_slug="lab-other").update_customer("cus_1LABA", {"name": "m"})


def test_retries_are_bounded(no_back_off) -> None:
    with DubEmulator(faults=["error=1.0"]) as dub:
        with pytest.raises(DubServerError):
            client_of(dub, max_retries=1).get_customer("cus_1LABA")
        assert len(dub.requests) == 2


def test_a_closed_port_is_no_response() -> None:
    with DubEmulator() as dub:
        pass
    with pytest.raises(DubConnectionError, match=r"No response from http://127\.0\.0\.1") as error:
        client_of(dub, max_retries=0).get_customer("cus_1LABA")
    assert not error.value.maybe_applied


def test_a_response_that_stalls_is_none() -> None:
    with DubEmulator(faults=["stall=1.0", "stall-seconds=5"]) as dub, pytest.raises(DubConnectionError) as error:
        client_of(dub, max_retries=0, timeout=0.2).update_customer("cus_1LABA", {"name": "n"})
    assert "Timeout" in str(error.value)
    assert error.value.maybe_applied


def test_a_row_that_only_waited_for_its_look_up_was_not_applied() -> None:
    for faults in (["stall=1.0", "stall-seconds=5"], ["error=1.0"]):
        with DubEmulator(faults=faults) as dub:
            with pytest.raises((DubConnectionError, DubServerError)) as error:
                client_of(dub, max_retries=0, timeout=0.2).update_customer("ext_user_1", {"name": "n"})
            assert [request["method"] for request in dub.requests] == ["GET"]
        assert not error.value.maybe_applied


def test_a_netrc_file_does_not_replace_the_key(dub, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session = DubSession("dub_TESTKEY")
    assert session.get(f"{dub.url}/customers/cus_1LABA", timeout=5).status_code == 200
    assert client_of(dub).get_customer("cus_1LABA")["id"] == "cus_1LABA"


def test_clients_and_their_session_do_not_get_in_each_others_way(dub) -> None:
    with DubSession("dub_TESTKEY") as session:
        for _ in range(2):
            client = client_of(dub)
            assert client.get_customer("cus_1LABA")["name"] == "Alice"
            assert session.get(f"{dub.url}/customers/cus_1LABA", timeout=5).json()["name"] == "Alice"


def test_an_adapter_of_ones_own_keeps_what_it_adds(dub) -> None:
    class Adapter(HTTPAdapter):
        def __init__(self) -> None:
            self.context = ssl.create_default_context()
            super().__init__()

        def init_poolmanager(self, *args, **kwargs) -> None:
            super().init_poolmanager(*args, **kwargs, ssl_context=self.context)

    def session() -> DubSession:
        session = DubSession("dub_TESTKEY")
        session.mount("http://", Adapter())
        return session

    assert DubClient(Transport(session, Server(dub.url))).get_customer("cus_1LABA")["name"] == "Alice"


def test_the_session_alone_can_call_dub(dub) -> None:
    with DubSession("dub_TESTKEY") as session:
        assert isinstance(session, requests.Session)
        assert session.get(f"{dub.url}/customers", timeout=5).json()
