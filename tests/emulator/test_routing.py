from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_dub.emulator.collation import collation_key

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
    "equal",
    [
        "a A á \uff21 \uff41 a\u200d",
        "ss ß SS",
        "æ AE",
        "ア あ ｱ ぁ",
        "😀 🍣",
        "1 ① ¹",
        "é e\u0301",
        "한 \u1112\u1161\u11ab",
    ],
)
def test_what_the_database_takes_for_equal(equal: str) -> None:
    assert len(set(map(collation_key, equal.split(" ")))) == 1


@pytest.mark.parametrize("different", ["a ä\n", "o ø", "l ł", "は ひ", "- _", "\xa8 \xb4", "กา กิ"])
def test_what_the_database_tells_apart(different: str) -> None:
    assert len(set(map(collation_key, different.split(" ")))) == 2
