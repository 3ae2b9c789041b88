"""Which path and method reach which route, and which reach none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator

    from .conftest import Call


@pytest.mark.parametrize("path", ["/", "/nothing", "/Customers", "/customers/ext_a/b", "/customers/.."])
def test_other_paths_are_pages(call: Call, path: str) -> None:
    response = call("GET", path)

    assert (response.status, response.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "x-ratelimit-limit" not in response.headers


@pytest.mark.parametrize(
    "path", ["/customers/ext_%", "/customers/ext_50%off", "/customers/ext_%zz", "/customers/ext_%ff"]
)
def test_malformed_escapes_are_server_errors(call: Call, path: str) -> None:
    assert call("GET", path).status == 500
    assert call("GET", path).text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/customers/", "/customers"),
        ("/customers//ext_a?b=1", "/customers/ext_a?b=1"),
        ("/customers\\ext_a", "/customers/ext_a"),
    ],
)
def test_untidy_paths_are_redirected(call: Call, path: str, location: str) -> None:
    response = call("GET", path)

    assert (response.status, response.headers["location"]) == (308, location)


@pytest.mark.parametrize(
    ("path", "customer_id"),
    [
        ("/x/%2E%2e/customers/./ext_user_1", "cus_1LABA"),
        ("/customers/ext_user_1.rsc", "cus_1LABA"),
        ("/customers/ext_user_1%2Ersc", "cus_1RSC"),
        ("/customers/ext_USER_2%20%20", "cus_1LABB"),
        ("/customers/CUS_1laba", "cus_1LABA"),
        ("/customers/ext_us%C3%A9r%00_1", "cus_1LABA"),
    ],
)
def test_ids_reach_a_customer(dub: DubEmulator, call: Call, path: str, customer_id: str) -> None:
    dub.reset([{"id": "cus_1RSC", "externalId": "user_1.rsc"}])

    assert call("GET", path).json["id"] == customer_id


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PATCH", "/customers", 405),
        ("DELETE", "/customers/count", 405),
        ("PUT", "/customers/x", 405),
        ("POST", "/customers/export", 405),
        ("PROPFIND", "/customers", 400),
        ("TRACE", "/customers/x", 500),
        ("PATCH", "/nothing", 404),
    ],
)
def test_other_methods_are_refused(call: Call, method: str, path: str, status: int) -> None:
    response = call(method, path)

    assert response.status == status
    assert response.headers.get("content-type") == ("text/html; charset=utf-8" if status in (404, 500) else None)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/customers", "GET, HEAD, OPTIONS, POST"),
        ("/customers/count", "GET, HEAD, OPTIONS"),
        ("/customers/cus_1LABA", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ],
)
def test_the_allowed_methods_are_listed_to_anybody(call: Call, path: str, allowed: str) -> None:
    response = call("OPTIONS", path, headers={})

    assert (response.status, response.headers["allow"], response.text) == (204, allowed, "")


def test_a_head_has_no_body(call: Call) -> None:
    response = call("HEAD", "/customers/cus_1LABA")

    assert (response.status, response.text) == (200, "")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/customers?email=alice@example.com", "/customers/count", "/customers/ext_user_1"])
def test_the_routes_have_two_paths(call: Call, path: str) -> None:
    assert call("GET", f"/api{path}").json == call("GET", path).json


@pytest.mark.parametrize("path", ["/api", "/api/api/customers", "/apicustomers"])
def test_the_prefix_is_a_segment(call: Call, path: str) -> None:
    assert call("GET", path).status == 404
