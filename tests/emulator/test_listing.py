"""Lists, counts and searches of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from .conftest import Call, send

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator

MANY = [
    {"id": f"cus_1M{n}", "externalId": f"m{n}", "name": f"Max M{n}", "email": f"m{n}@firm.test", "saleAmount": n // 2}
    | {"country": "FR" if n % 2 else "DE", "createdAt": f"2025-05-01T00:00:0{n}.000Z"}
    for n in range(6)
]
ATTRIBUTED = {"id": "cus_1P", "externalId": "p", "programId": "prog_LAB1", "partnerId": "pn_LAB2", "linkId": "link_X"}


def ids(call: Call, query: str) -> list[str]:
    return [customer["id"].removeprefix("cus_1") for customer in call("GET", f"/customers?{query}").json]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page=2&pageSize=2", "M3 M2"),
        ("page=%201e0&pageSize=0x2", "M5 M4"),
        ("country=fr", "M5 M3 M1"),
        ("country=FR&startingAfter=cus_1M5&pageSize=1", "M3"),
        ("country=FR&startingAfter=cus_1M4", "M1"),
        ("sortBy=saleAmount&pageSize=4", "LABA M5 M4 M3"),
        ("sortBy=saleAmount&sortOrder=asc&country=DE", "M0 M2 M4"),
        ("sortBy=firstSaleAt&pageSize=1", "LABA"),
        ("sortBy=firstSaleAt&sortOrder=asc&pageSize=2", "LABB LABD"),
        ("email=M3@FIRM.TEST", "M3"),
        ("search=alice", "LABA"),
        ("search=alic", ""),
        ("search=firm%20bob&pageSize=2", "M5 M4"),
        ("search=m3@firm.test", "M3"),
        ("search=***", ""),
        ("email=alice@example.com&search=bob", "LABA"),
        ("linkId=link_LAB1", "LABA"),
        ("programId=whatever", "P LABA"),
        ("partnerId=pn_LAB2", "P"),
        ("customerIds=cus_1M1,CUS_1m2", "M2 M1"),
        ("startingAfter=&endingBefore=&pageSize=1", "M5"),
        ("endingBefore=cus_1M1&sortOrder=asc&pageSize=1", "M0"),
    ],
)
def test_filters_order_and_pages_choose_the_customers(dub: DubEmulator, call: Call, query: str, expected: str) -> None:
    dub.reset([*MANY, ATTRIBUTED | {"createdAt": "2025-04-01T00:00:00.000Z"}])

    assert ids(call, query) == expected.split()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("startingAfter=cus_1LABA&sortBy=saleAmount", "Cursor-based pagination only supports sorting by `createdAt`."),
        ("startingAfter=cus_missing", "Invalid cursor: the provided ID does not exist."),
        ("pageSize=101", "too_big: pageSize: Max page size is 100."),
        ("pageSize=1e20", "too_big: pageSize: Page size must be an integer."),
        ("page=Infinity", "invalid_type: page: Page must be a number."),
        ("page=1_0", "invalid_type: page: Page must be a number."),
        ("sortOrder=DESC", 'invalid_value: sortOrder: Invalid option: expected one of "asc"|"desc"'),
        ("pageSize=0&sortBy=x&page=0", "invalid_value: sortBy: "),
    ],
)
def test_bad_queries_are_explained(call: Call, query: str, message: str) -> None:
    response = call("GET", f"/customers?{query}")

    assert response.status == 422
    assert response.message.startswith(message)


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("", 3),
        ("sortOrder=asc", 5),
        ("page=2&pageSize=2", 1),
        ("endingBefore=cus_1M0", 3),
        ("startingAfter=cus_1M3", 0),
    ],
)
def test_one_customer_without_external_id_fails_each_page_over_it(
    dub: DubEmulator, call: Call, query: str, position: int
) -> None:
    dub.reset([*MANY, MANY[2] | {"externalId": None}])

    response = call("GET", f"/customers?{query}")

    assert response.status == 422
    assert response.message == f"invalid_type: [{position}].externalId: Invalid input: expected string, received null"


@pytest.mark.parametrize("query", ["pageSize=3", "startingAfter=cus_1M2", "endingBefore=cus_1M2", "page=3&pageSize=2"])
def test_the_pages_around_a_customer_without_external_id_are_readable(dub: DubEmulator, call: Call, query: str) -> None:
    dub.reset([*MANY, MANY[2] | {"externalId": None}])

    assert call("GET", f"/customers?{query}").status == 200


def test_a_workspace_without_program_knows_no_partner(dub: DubEmulator) -> None:
    response = send(dub, "GET", "/customers?partnerId=pn_LAB1", headers={"Authorization": "Bearer dub_OTHERKEY"})

    assert (response.status, response.message) == (404, "Program not found")


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ('"max m3"', "M3"),
        ('"max  M3"', "M3"),
        ('"m3 max"', "M0 M1 M2 M3 M4 M5"),
        ('"max firm"', ""),
        ('"firm test"', "M0 M1 M2 M3 M4 M5"),
        ('"m3"', ""),
        ('"max m3" "max m4"', "M3 M4"),
        ('"max m3" alice', "LABA M3"),
        ('"max m3', "M0 M1 M2 M3 M4 M5"),
        ('"the max m3"', "M3"),
        ('"', ""),
        ('""', ""),
        ('al"ice', ""),
        ("MÄX", "M0 M1 M2 M3 M4 M5"),
        ("max,bob", "LABB M0 M1 M2 M3 M4 M5"),
    ],
)
def test_a_search_finds_what_mysql_would(dub: DubEmulator, call: Call, search: str, expected: str) -> None:
    dub.reset(MANY)

    assert sorted(ids(call, f"search={quote(search)}")) == expected.split()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "groupBy=country",
            [
                {"_count": 3, "country": "DE"},
                {"_count": 3, "country": "FR"},
                {"_count": 2, "country": "US"},
                {"_count": 3, "country": None},
            ],
        ),
        ("groupBy=country&country=FR&email=m1@firm.test", [{"_count": 1, "country": "FR"}]),
        ("groupBy=country&country=US&email=m1@firm.test", [{"_count": 1, "country": "FR"}]),
        ("groupBy=partnerId", 11),
        (
            "groupBy=linkId",
            [
                {"_count": 1, "linkId": "link_LAB1", "shortLink": "https://refer.dub.co/pat"}
                | {"url": "https://example.com/?via=pat"}
            ],
        ),
    ],
)
def test_customers_are_counted_by_group(dub: DubEmulator, call: Call, query: str, expected: object) -> None:
    dub.reset([*MANY, ATTRIBUTED, {"id": "cus_1U", "externalId": "u", "country": "us"}])

    assert call("GET", f"/customers/count?{query}").json == expected


@pytest.mark.parametrize("group", ["", "name", "Country"])
def test_other_groups_are_refused(call: Call, group: str) -> None:
    response = call("GET", f"/customers/count?groupBy={group}")

    assert (response.status, response.message) == (
        422,
        'invalid_value: groupBy: Invalid option: expected one of "country"|"linkId"|"partnerId"',
    )


def test_a_count_ignores_the_page_size_and_needs_no_plan(dub: DubEmulator, call: Call) -> None:
    dub.reset(MANY)

    assert call("GET", "/customers/count?country=FR&pageSize=bad").json == 3
    assert send(dub, "GET", "/customers/count", headers={"Authorization": "Bearer dub_FREEKEY"}).json == 0
