"""Whatever is plugged into requests holds for hook and operator: mocks, recordings and traces, as users write them."""

from __future__ import annotations

import json
import socket
from functools import cached_property

import pytest
import requests_mock
import responses
import vcr
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from airflow_provider_dub.exceptions import DubConnectionError, DubCustomerNotFoundError, DubWorkspaceNotFoundError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from tests.support.task_instance import TaskInstance

ROWS = [{"id": f"cus_{n}", "name": f"name {n}"} for n in range(20)]
NOT_FOUND = {"error": {"code": "not_found", "message": "Customer not found.", "doc_url": ""}}


def update(rows: list[dict], **options) -> list[dict]:
    return DubUpdateCustomersOperator(task_id="update", customers=rows, **options).execute({"ti": TaskInstance()})


def customer(customer_id: str, **fields: object) -> dict:
    return {"id": customer_id, "externalId": "e", "name": "Ada", "email": None, **fields}


@pytest.fixture
def no_network(monkeypatch, connect):
    """The connection leads to the real Dub, and every way to it is an error."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("A test reached for the network.")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    connect("https://api.dub.co", max_retries=0)


@responses.activate
def test_responses_stands_in_for_dub_in_the_hook(no_network) -> None:
    responses.get("https://api.dub.co/customers/cus_1", json=customer("cus_1"))
    responses.get("https://api.dub.co/customers/cus_2", json=NOT_FOUND, status=404)
    renamed = responses.patch(
        "https://api.dub.co/customers/cus_1",
        json=customer("cus_1", name="Grace"),
        match=[
            responses.matchers.json_params_matcher({"name": "Grace"}),
            responses.matchers.header_matcher({"Authorization": "Bearer dub_TESTKEY"}),
        ],
    )
    hook = DubHook()
    assert hook.get_customer("cus_1")["name"] == "Ada"
    assert hook.update_customer("cus_1", {"name": "Grace"})["name"] == "Grace"
    with pytest.raises(DubCustomerNotFoundError):
        hook.get_customer("cus_2")
    assert renamed.call_count == 1
    assert json.loads(responses.calls[1].request.body) == {"name": "Grace"}


@responses.activate
def test_what_responses_does_not_know_is_an_error(no_network) -> None:
    with pytest.raises(DubConnectionError):
        DubHook().get_customer("cus_1")


@responses.activate
def test_responses_stands_in_for_dub_in_the_operator_and_keeps_every_request(no_network) -> None:
    for row in ROWS:
        responses.patch(f"https://api.dub.co/customers/{row['id']}", json=customer(row["id"], name=row["name"]))
    assert [record["name"] for record in update(ROWS)] == [row["name"] for row in ROWS]
    sent = {call.request.url.rpartition("/")[2]: json.loads(call.request.body) for call in responses.calls}
    assert sent == {row["id"]: {"name": row["name"]} for row in ROWS}


@responses.activate
def test_the_look_ups_go_the_same_way(no_network) -> None:
    responses.get("https://api.dub.co/customers/ext_user_1", json=customer("cus_1", externalId="user_1"))
    responses.patch("https://api.dub.co/customers/cus_1", json=customer("cus_1", externalId="user_1", name="Grace"))
    assert update([{"id": "ext_user_1", "name": "Grace"}])[0]["name"] == "Grace"
    assert [call.request.method for call in responses.calls] == ["GET", "PATCH"]


def test_requests_mock_stands_in_for_dub_in_hook_and_operator(no_network) -> None:
    with requests_mock.Mocker() as dub:
        for row in ROWS:
            dub.patch(f"https://api.dub.co/customers/{row['id']}", json=customer(row["id"], name=row["name"]))
        dub.get("https://api.dub.co/customers/cus_1", json=customer("cus_1"))
        dub.get("https://api.dub.co/customers/cus_2", json=NOT_FOUND, status_code=404)
        hook = DubHook()
        assert hook.get_customer("cus_1")["name"] == "Ada"
        with pytest.raises(DubCustomerNotFoundError):
            hook.get_customer("cus_2")
        with pytest.raises(requests_mock.NoMockAddress):
            hook.get_customer("cus_3")
        assert [record["name"] for record in update(ROWS)] == [row["name"] for row in ROWS]
        assert dub.call_count == 3 + len(ROWS)
        assert dub.request_history[-1].headers["Authorization"] == "Bearer dub_TESTKEY"
        assert {request.json()["name"] for request in dub.request_history[3:]} == {row["name"] for row in ROWS}


def test_a_cassette_of_vcrpy_is_recorded_and_replayed_without_a_server(dub, connect, tmp_path, monkeypatch) -> None:
    rows = [{"id": "cus_1LABA", "name": "Grace"}, {"id": "ext_user_2", "name": "Ada"}]
    # vcrpy puts the real classes back while a request is sent, for all threads, so one thread must send.
    recorder = vcr.VCR(filter_headers=["authorization"], cassette_library_dir=str(tmp_path))
    connect(dub.url, max_retries=0)
    with recorder.use_cassette("dub.yaml", record_mode="once") as cassette:
        recorded = update(rows, max_workers=1), DubHook().get_customer("cus_1LABB")
        assert len(cassette) == len(dub.requests) > 3
    assert "dub_TESTKEY" not in (tmp_path / "dub.yaml").read_text()
    before = len(dub.requests)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("A replay reached for the network."))
    with recorder.use_cassette("dub.yaml", record_mode="none") as cassette:
        assert (update(rows, max_workers=1), DubHook().get_customer("cus_1LABB")) == recorded
        assert cassette.all_played
    assert len(dub.requests) == before


@pytest.fixture
def spans():
    """A tracer of OpenTelemetry, and what keeps the spans that have ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    yield provider.get_tracer(__name__), exporter
    RequestsInstrumentor().uninstrument()


def test_params_of_a_session_go_with_every_request(dub, connect) -> None:
    class Hook(DubHook):
        def get_conn(self):
            session = super().get_conn()
            session.params = {"from": "the session", "projectSlug": "lab-main"}
            return session

    connect(dub.url)
    assert Hook().get_customer("ext_user_1")["id"] == "cus_1LABA"
    (found,) = Hook().request("GET", "/customers", query={"externalId": "user_1"})
    assert found["id"] == "cus_1LABA"
    common = "from=the+session&projectSlug=lab-main"
    assert [request["query"].removeprefix(common) for request in dub.requests] == ["", "&externalId=user_1"]
    connect(dub.url, workspace_slug="lab-other")
    with pytest.raises(DubWorkspaceNotFoundError):
        Hook().get_customer("ext_user_1")


def test_an_operator_sends_by_the_session_of_a_hook_of_ones_own(connected) -> None:
    class Hook(DubHook):
        def get_conn(self):
            session = super().get_conn()
            session.params = {"from": "my-hook"}
            return session

    class Update(DubUpdateCustomersOperator):
        @cached_property
        def hook(self):
            return Hook(self.dub_conn_id)

    Update(task_id="t", customers=[{"id": "ext_user_1", "name": "n"}]).execute({"ti": TaskInstance()})
    assert [request["method"] for request in connected.requests] == ["GET", "PATCH"]
    assert all("from=my-hook" in request["query"] for request in connected.requests)


def test_opentelemetry_sees_a_request_below_the_span_of_its_caller(connected, spans) -> None:
    tracer, exporter = spans
    hook = DubHook()
    with tracer.start_as_current_span("mine") as mine:
        hook.get_customer("cus_1LABA")
    with pytest.raises(DubCustomerNotFoundError), tracer.start_as_current_span("another") as another:
        hook.update_customer("cus_nobody", {"name": "n"})
    read, _, wrote, _ = exporter.get_finished_spans()
    assert read.kind is wrote.kind is trace.SpanKind.CLIENT
    assert read.parent.span_id == mine.get_span_context().span_id
    assert wrote.parent.span_id == another.get_span_context().span_id
    assert (read.attributes["http.status_code"], wrote.attributes["http.status_code"]) == (200, 404)


def test_opentelemetry_sees_the_requests_of_an_iterator_below_the_span_of_its_caller(connected, spans) -> None:
    tracer, exporter = spans
    with tracer.start_as_current_span("mine") as mine:
        assert len(list(DubHook().update_customers([{"id": "cus_1LABA", "name": "Grace"}]))) == 1
    wrote, _ = exporter.get_finished_spans()
    assert wrote.parent.span_id == mine.get_span_context().span_id


def test_opentelemetry_sees_every_request_of_a_run(connected, spans) -> None:
    _, exporter = spans
    update([{"id": "cus_1LABA", "name": "Grace"}, {"id": "ext_user_2", "name": "Ada"}])
    assert len(exporter.get_finished_spans()) == len(connected.requests) == 3
