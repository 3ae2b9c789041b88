import json

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.hooks.dub import DubHook


@pytest.fixture
def dub(monkeypatch):
    with DubEmulator() as emulator:
        connection = {"conn_type": "dub", "host": emulator.url, "password": emulator.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_DUB_DEFAULT", json.dumps(connection))
        yield emulator


def test_a_renamed_customer_is_renamed_in_dub(dub):
    DubHook().update_customer("ext_user_1", {"name": "Ada Lovelace"})
    names = {customer["externalId"]: customer["name"] for customer in dub.customers}
    assert names["user_1"] == "Ada Lovelace"


def test_a_value_that_dub_refuses_is_an_outcome(dub):
    rows = [{"id": "ext_user_1", "email": "not an address"}]
    (result,) = DubHook().update_customers(rows)
    assert (result.outcome, result.field) == ("rejected", "email")
