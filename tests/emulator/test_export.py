"""The export: the one request that shows the id of a customer without external id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator

    from .conftest import Call


def test_customers_without_external_id_are_exported(dub: DubEmulator, call: Call) -> None:
    dub.reset([{"id": "cus_1NULL", "externalId": None, "createdAt": "2025-03-03T00:00:00.000Z"}])

    response = call("GET", "/customers/export?columns=externalId,id")

    assert (response.status, response.headers["content-type"]) == (200, "text/csv")
    assert response.text == "id,externalId\ncus_1LABD,ext_weird\ncus_1NULL,\ncus_1LABB,user_2\ncus_1LABA,user_1"


def test_every_column_is_exported_and_no_cell_is_a_formula(dub: DubEmulator, call: Call) -> None:
    dub.reset(
        [
            {
                "id": "cus_1",
                "externalId": "=1",
                "name": 'a "b", c',
                "country": "\r",
                "createdAt": "2026-01-01T00:00:00.000Z",
            }
        ]
    )

    header, first, *_, last = call("GET", "/customers/export").text.split("\n")

    assert header == (
        "id,name,email,avatar,externalId,stripeCustomerId,country,sales,saleAmount,createdAt,firstSaleAt,subscriptionCanceledAt"
    )
    assert first == 'cus_1,"a ""b"", c",,,\'=1,,"\'\r",0,$0.00,2026-01-01T00:00:00.000Z,,'
    assert last == (
        "cus_1LABA,Alice,alice@example.com,https://dubassets.com/customers/cus_1LABA/avatar_AAAAAAA,user_1,cus_StripeA,US,3,"
        "$123.45,2025-03-01T10:20:30.456Z,2025-04-02T00:00:00.000Z,"
    )


def test_the_link_and_the_partner_are_exported(call: Call) -> None:
    response = call("GET", "/customers/export?columns=link,partnerName,partnerId&email=alice@example.com")

    assert response.text == "link,partnerId,partnerName\nhttps://refer.dub.co/pat,pn_LAB1,Pat Partner"


def test_an_export_of_nobody_is_an_empty_line(call: Call) -> None:
    assert call("GET", "/customers/export?email=nobody").text == "\n"


def test_more_than_a_thousand_go_by_mail(dub: DubEmulator, call: Call) -> None:
    dub.reset([{"id": f"cus_1{n:04}", "externalId": str(n)} for n in range(997)])
    assert call("GET", "/customers/export?columns=id").text.count("\n") == 1000

    dub.reset([{"id": f"cus_1{n:04}", "externalId": str(n)} for n in range(998)])
    response = call("GET", "/customers/export?columns=id")

    assert (response.status, response.json) == (202, {})


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("columns=id,ID", "custom: columns: Invalid column IDs provided. Please check the available columns."),
        ("startingAfter=cus_1LABA", "You cannot use both page and startingAfter/endingBefore at the same time."),
    ],
)
def test_bad_exports_are_explained(call: Call, query: str, message: str) -> None:
    response = call("GET", f"/customers/export?{query}")

    assert response.status == 422
    assert response.message.startswith(message)
