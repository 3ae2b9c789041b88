"""Requests to any endpoint, which of them are sent again, and what their errors are."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from airflow_provider_dub.exceptions import (
    DubConflictError,
    DubConnectionError,
    DubCustomerNotFoundError,
    DubForbiddenError,
    DubInvalidRequestError,
    DubNotFoundError,
    DubResponseNotBuiltError,
    DubServerError,
    DubUnauthorizedError,
    DubUnreadableResponseError,
)
from airflow_provider_dub.hooks.dub import DubHook
from tests.support.dub_client import client_of
from tests.support.raw_server import OK, serving


def response(status: int, body: object = None, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def dub_error(status: int, message: str) -> bytes:
    return response(status, {"error": {"code": "x", "message": message}})


CUSTOMER = response(200, {"id": "cus_1", "externalId": "e"})
HTML = response(404, b"<html>Not here</html>")
REDIRECT = response(302, b"", "Location: /elsewhere")


def test_the_hook_calls_endpoints_that_it_has_no_method_for(connected) -> None:
    hook = DubHook()
    assert hook.request("GET", "/customers/count", query={"country": None}) == 3
    assert hook.request("get", "/customers", query={"externalId": "user_1"})[0]["id"] == "cus_1LABA"
    assert hook.request("PATCH", "/customers/cus_1LABA", json={"name": "Grace"})["name"] == "Grace"
    with pytest.raises(DubCustomerNotFoundError):
        hook.request("GET", "/customers/cus_nobody")
    assert hook.traffic.requests_sent == len(connected.requests) == 4


def test_a_request_is_sent_as_it_is_meant() -> None:
    with serving(OK) as server:
        client = client_of(server, workspace_slug="acme")
        query = {"q": "ä b", "ids": ["1", "2"], "all": True, "any": [True, False]}
        client.request("POST", "/links/a%2Fb", query=query, body=[1, None])
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    sent = b"q=%C3%A4+b&ids=1&ids=2&all=true&any=true&any=false&projectSlug=acme"
    assert head.startswith(b"POST /links/a%2Fb?" + sent + b" HTTP/1.1\r\n")
    assert body == b"[1,null]"


@pytest.mark.parametrize("sent", [response(204), response(200), response(201, [7])])
def test_any_success_is_one(sent: bytes) -> None:
    with serving(sent) as server:
        assert client_of(server).request("DELETE", "/links/l") == ([7] if b"201" in sent else None)


@pytest.mark.parametrize(
    "path", ["links", "", "https://dub.example/links", "/a b", "/links?x=1", "/links#x", "/ä", "/50%off", "/a%2"]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path must begin with /"):
        client_of("http://127.0.0.1:9").request("GET", path)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (dub_error(404, "Link not found."), DubNotFoundError),
        (dub_error(404, "Customer not found."), DubCustomerNotFoundError),
        (dub_error(409, "Duplicate key"), DubConflictError),
        (dub_error(403, "Your plan is too low"), DubForbiddenError),
        (dub_error(401, "Unauthorized"), DubUnauthorizedError),
        (dub_error(422, "invalid_format: url: Invalid URL"), DubInvalidRequestError),
        (dub_error(422, "Invalid destination URL"), DubInvalidRequestError),
        (dub_error(422, "`prisma.link.update()`: too long for the column's type. Column: url"), DubInvalidRequestError),
        (dub_error(422, "Invalid `prisma.link.update()` invocation: a write conflict or a deadlock"), DubServerError),
        (dub_error(422, "Lock wait timeout exceeded; try restarting transaction"), DubServerError),
        (dub_error(422, "target: dub.-.primary: vttablet: rpc error"), DubServerError),
        (dub_error(422, '[{"code": "invalid_type"}]'), DubResponseNotBuiltError),
        (HTML, DubUnreadableResponseError),
        (REDIRECT, DubUnreadableResponseError),
        (response(200, b"<html>"), DubUnreadableResponseError),
        (response(500, b""), DubServerError),
    ],
)
def test_failures_are_typed_and_show_no_words_of_the_server(sent: bytes, kind: type[Exception]) -> None:
    with serving(sent) as server, pytest.raises(kind) as failure:
        client_of(server, max_retries=0).request("POST", "/links", body={})
    assert type(failure.value) is kind
    assert "Link" not in str(failure.value)
    assert "customer" not in str(failure.value) or kind is DubCustomerNotFoundError


def test_an_endpoint_that_gives_csv_is_asked_once(connected) -> None:
    with pytest.raises(DubInvalidRequestError, match=r"returns CSV, not JSON.*get_conn") as failure:
        DubHook().request("GET", "/customers/export", query={"columns": "id"})
    assert not failure.value.transient
    assert not failure.value.fatal
    assert len(connected.requests) == 1


def test_a_request_that_another_endpoint_refuses_is_not_sent_again(no_back_off) -> None:
    with serving(dub_error(422, "Invalid destination URL")) as server, pytest.raises(DubInvalidRequestError) as failure:
        client_of(server).request("PATCH", "/links/link_1", body={"url": "nope"})
    assert len(server.requests) == 1
    assert not failure.value.maybe_applied


def test_a_post_is_sent_again_only_where_the_first_one_cannot_have_arrived(no_back_off) -> None:
    refused = response(429, {"error": {"code": "rate_limit_exceeded", "message": "x"}})
    with serving(refused, OK) as server:
        assert client_of(server).request("POST", "/links", body={}) == {}
    assert len(server.requests) == 2
    for lost in (response(500, b""), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with serving(lost, OK) as server:
            with pytest.raises((DubServerError, DubConnectionError)) as failure:
                client_of(server).request("POST", "/links", body={})
            assert failure.value.maybe_applied
            assert client_of(server).request("PUT", "/links", body={}) == {}
        assert len(server.requests) == 2


@pytest.mark.parametrize("first", [HTML, REDIRECT, response(503, b"<html>"), response(200, b"<html>")])
def test_a_foreign_page_at_the_start_is_no_reason_to_give_up(no_back_off, first: bytes) -> None:
    with serving(first, first, CUSTOMER) as server:
        assert client_of(server).get_customer("cus_1")["id"] == "cus_1"


@pytest.mark.parametrize("page", [HTML, REDIRECT])
def test_foreign_pages_and_nothing_else_end_a_run(no_back_off, page: bytes) -> None:
    with serving(page) as server, pytest.raises(DubUnreadableResponseError) as failure:
        client_of(server).get_customer("cus_1")
    assert failure.value.fatal
    assert len(server.requests) == 4


@pytest.mark.parametrize("page", [HTML, REDIRECT])
def test_a_foreign_page_later_on_is_left_to_the_next_try_of_the_task(no_back_off, page: bytes) -> None:
    with serving(CUSTOMER, page) as server:
        client = client_of(server)
        client.get_customer("cus_1")
        with pytest.raises(DubUnreadableResponseError) as failure:
            client.get_customer("cus_1")
    assert (failure.value.fatal, failure.value.transient) == (False, True)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda hook: hook.list_customers(county="DE"), ValueError, ["county", "Did you mean country"]),
        (lambda hook: hook.list_customers(external_id="x"), ValueError, ["external_id", "externalId"]),
        (lambda hook: hook.list_customers(zzz="x"), ValueError, ["zzz", "email, externalId, country"]),
        (lambda hook: hook.update_customer("cus_1", {"nme": "n"}), ValueError, ["nme", "Did you mean name"]),
        (lambda hook: hook.update_customer("cus_1", {"stripe_customer_id": 1}), ValueError, ["stripeCustomerId"]),
        (lambda hook: hook.update_customer("user_1", {"name": "n"}), ValueError, ["cus_", "ext_"]),
        (
            lambda hook: hook.update_customer(None, {"name": "n"}),
            TypeError,
            ["customer_id", "ext_", "NoneType"],
        ),
        (lambda hook: hook.update_customer("cus_1", pd.Series({"name": "n"})), TypeError, ["fields", "Series"]),
        (lambda hook: hook.update_customer("cus_1", {"name": float("nan")}), ValueError, ["JSON"]),
        (lambda hook: hook.update_customer("cus_1", {"name": "half \ud83d"}), ValueError, ["surrogate pair"]),
        (lambda hook: hook.get_customer(None), TypeError, ["customer_id", "ext_", "NoneType"]),
        (lambda hook: hook.get_customer(7), TypeError, ["customer_id", "int"]),
    ],
)
def test_a_word_that_dub_would_ignore_is_an_error_that_names_it(connected, call, error, words: list[str]) -> None:
    with pytest.raises(error) as failure:
        call(DubHook())
    assert all(word in str(failure.value) for word in words), str(failure.value)
    assert "half" not in repr(failure.value)
    assert connected.requests == []


@pytest.mark.parametrize("page", [HTML, REDIRECT, response(408, b"<html>"), response(303, b"", "Location: /done")])
def test_a_post_is_not_sent_again_after_a_page_that_may_follow_its_work(page: bytes, no_back_off) -> None:
    with serving(page) as server, pytest.raises(DubUnreadableResponseError):
        client_of(server).request("POST", "/links", body={})
    assert len(server.requests) == 1
    with serving(page) as server, pytest.raises(DubUnreadableResponseError):
        client_of(server).request("GET", "/links")
    assert len(server.requests) > 1
