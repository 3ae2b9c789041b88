import json

import pytest
import responses

from airflow_provider_dub.hooks.dub import DubHook

CUSTOMER = {"id": "cus_1", "externalId": "user_1", "name": "Ada Lovelace", "email": None, "country": None}


@pytest.fixture
def connection(monkeypatch):
    connection = {"conn_type": "dub", "password": "dub_any"}
    monkeypatch.setenv("AIRFLOW_CONN_DUB_DEFAULT", json.dumps(connection))


@responses.activate
def test_the_name_is_sent(connection):
    responses.patch("https://api.dub.co/customers/cus_1", json=CUSTOMER)
    DubHook().update_customer("cus_1", {"name": "Ada Lovelace"})
    assert json.loads(responses.calls[-1].request.body) == {"name": "Ada Lovelace"}
