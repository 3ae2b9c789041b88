"""One customer: neighbouring cases of the recordings, and what the service learned after them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.emulator import DubEmulator
from tests.support.stored import stored

from .conftest import Call, send


def test_country_is_applied(dub: DubEmulator, call: Call) -> None:
    response = call("PATCH", "/customers/ext_user_1", {"country": "de"})

    assert response.json["country"] == stored(dub, id="cus_1LABA")["country"] == "de"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-09-10T08:30:00.123Z", "2026-09-10T08:30:00.123Z"),
        ("2026-09-10T08:30:00.123456Z", "2026-09-10T08:30:00.000Z"),
        ("2026-09-10", "2026-09-10T12:00:00.000Z"),
        (None, None),
    ],
)
def test_cancellation_is_applied(dub: DubEmulator, call: Call, sent: str | None, kept: str | None) -> None:
    dub.reset([{"id": "cus_1", "externalId": "x", "subscriptionCanceledAt": "2026-01-01T00:00:00.000Z"}])

    assert call("PATCH", "/customers/cus_1", {"subscriptionCanceledAt": sent}).json["subscriptionCanceledAt"] == kept


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("", "custom: subscriptionCanceledAt: Invalid date"),
        ("2026-02-30T00:00:00Z", "custom: subscriptionCanceledAt: Invalid date"),
        (5, "invalid_type: subscriptionCanceledAt: Invalid input: expected string, received number"),
    ],
)
def test_cancellation_must_be_a_timestamp(call: Call, sent: object, message: str) -> None:
    response = call("PATCH", "/customers/cus_1LABA", {"subscriptionCanceledAt": sent})

    assert (response.status, response.message) == (422, message)


def test_an_older_server_accepts_and_drops_the_newer_fields() -> None:
    with DubEmulator(ignore_fields=("country", "subscriptionCanceledAt")) as older:
        response = send(older, "PATCH", "/customers/cus_1LABA", {"country": "FR", "subscriptionCanceledAt": "soon"})
        refused = send(older, "PATCH", "/customers/cus_1LABA", {"country": None})

    assert (response.status, response.json["country"], response.json["subscriptionCanceledAt"]) == (200, "US", None)
    assert refused.message == "invalid_type: country: Invalid input: expected string, received null"


def test_only_known_fields_can_be_ignored() -> None:
    with pytest.raises(ValueError, match="No such field to ignore: county"):
        DubEmulator(ignore_fields=["county"])


def test_an_update_without_external_id_is_applied_and_then_fails(dub: DubEmulator, call: Call) -> None:
    dub.reset([{"id": "cus_1NULL", "externalId": None, "name": "before"}])

    failed = call("PATCH", "/customers/cus_1NULL", {"name": "after"})
    repaired = call("PATCH", "/customers/cus_1NULL", {"externalId": "found"})

    assert failed.status == 422
    assert failed.message == (
        '[\n  {\n    "expected": "string",\n    "code": "invalid_type",\n    "path": [\n      "externalId"\n    ],\n'
        '    "message": "Invalid input: expected string, received null"\n  }\n]'
    )
    assert (repaired.status, repaired.json["name"]) == (200, "after")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"country": "x" * 192}, "too long for the column's type. Column: country"),
        ({"stripeCustomerId": "x" * 192, "name": "x" * 192}, "Column: name"),
        ({"name": "\ud800"}, "unexpected end of hex escape"),
        ({"avatar": "https://exa mple.com"}, "invalid_format: avatar: Invalid URL"),
        ({"avatar": {}}, "invalid_type: avatar: Invalid input: expected string, received object"),
        ({"country": 1}, "invalid_type: country: Invalid input: expected string, received number"),
        ({"email": "a@example.com\n"}, "invalid_format: email: Invalid email address"),
    ],
)
def test_bad_values_are_refused(dub: DubEmulator, call: Call, body: dict[str, Any], message: str) -> None:
    before = dub.customers

    response = call("PATCH", "/customers/cus_1LABA", body)

    assert response.status == 422
    assert message in response.message
    assert dub.customers == before


@pytest.mark.parametrize(
    "body", [b'{"name": 1' + b"0" * 5000 + b"}", b'{"x": ' + b"9" * 5000 + b', "name": 1}', b'{"name": 1e999}']
)
def test_numbers_of_any_size_are_numbers(call: Call, body: bytes) -> None:
    assert call("PATCH", "/customers/cus_1LABA", body).message.endswith("expected string, received number")


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf" * 3 + b"{}", b'{"name": "\t"}', b'{"name": NaN}', b"[" * 100_000])
def test_only_json_is_json(call: Call, body: bytes) -> None:
    assert call("PATCH", "/customers/cus_1LABA", body).status == 400


def test_invalid_utf8_becomes_the_replacement_character(call: Call) -> None:
    assert call("PATCH", "/customers/cus_1LABA", b'{"name": "\xff"}').json["name"] == "\ufffd"


def test_avatars_are_stored_under_a_new_url_each_time(call: Call) -> None:
    avatars = {call("PATCH", "/customers/cus_1LABA", {"avatar": "https://cdn.test/a.png"}).json["avatar"] for _ in "ab"}

    assert len(avatars) == 2
    assert all(avatar.startswith("https://dubassets.com/customers/cus_1LABA/avatar_") for avatar in avatars)


def test_random_names_differ(call: Call) -> None:
    call("PATCH", "/customers/cus_1LABA", {"name": None, "email": None})

    assert len({call("GET", "/customers/cus_1LABA").json["name"] for _ in range(10)}) > 1


def test_a_released_id_is_free_again(call: Call) -> None:
    assert call("PATCH", "/customers/ext_user_1", {"externalId": "Usér_1 "}).status == 200
    assert call("PATCH", "/customers/ext_user_2", {"externalId": "user_1"}).status == 409
    assert call("PATCH", "/customers/ext_user_1", {"externalId": "user_3"}).status == 200
    assert call("PATCH", "/customers/ext_user_2", {"externalId": "user_1"}).status == 200
    assert call("GET", "/customers/ext_user_1").json["id"] == "cus_1LABB"


def test_a_deleted_customer_is_gone_and_its_external_id_free(call: Call) -> None:
    assert call("DELETE", "/customers/ext_user_1").json == {"id": "cus_1LABA"}
    assert call("GET", "/customers/cus_1LABA").status == 404
    assert call("PATCH", "/customers/ext_user_2", {"externalId": "user_1"}).status == 200


@pytest.mark.parametrize(
    ("avatar", "survives"),
    [("http://h/a", True), ("data:image/png;base64,iVBORw0KGgo=", True), ("data:,a", False), ("mailto:a@b.co", False)],
)
def test_only_avatars_that_can_be_fetched_survive(dub: DubEmulator, call: Call, avatar: str, survives: bool) -> None:
    shown = call("PATCH", "/customers/cus_1LABA", {"avatar": avatar}).json["avatar"]
    call("PATCH", "/customers/cus_1LABB", {"avatar": "about:blank"})

    assert stored(dub, id="cus_1LABA")["avatar"] == shown
    while stored(dub, id="cus_1LABB")["avatar"]:  # fetched last
        time.sleep(0.01)
    assert stored(dub, id="cus_1LABA")["avatar"] == (shown if survives else None)


NEW = {"externalId": "new", "country": "DE"}


def test_a_new_customer_is_returned_and_stored(dub: DubEmulator, call: Call) -> None:
    response = call("POST", "/customers", NEW | {"email": "n@example.com", "avatar": "https://cdn.test/a", "sales": 5})

    assert response.status == 201
    assert list(response.json) == list(call("GET", "/customers/cus_1LABA").json)
    assert response.json["name"] == response.json["email"] == "n@example.com"
    assert response.json["avatar"].startswith(f"https://dubassets.com/customers/{response.json['id']}/avatar_")
    assert response.json["sales"] == 0
    assert call("GET", "/customers/ext_new").json == response.json
    assert stored(dub, id=response.json["id"])["name"] == "n@example.com"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"country": "DE"}, 422, "invalid_type: externalId: External ID is required"),
        ({"externalId": "n"}, 422, "invalid_type: country: Invalid input: expected string, received undefined"),
        (NEW | {"email": "x"}, 422, "invalid_format: email: Invalid email address"),
        (NEW | {"externalId": "USER_1"}, 409, "A customer with this external ID already exists."),
        (NEW | {"stripeCustomerId": "cus_StripeOther"}, 409, "A customer with this external ID already exists."),
        (
            NEW | {"name": "x" * 192},
            422,
            "\nInvalid `prisma.customer.create()` invocation:\n\n\nThe provided value for the",
        ),
        ([], 422, "invalid_type: : Invalid input: expected object, received array"),
    ],
)
def test_a_new_customer_is_checked(dub: DubEmulator, call: Call, body: object, status: int, message: str) -> None:
    before = dub.customers

    response = call("POST", "/customers", json.dumps(body))

    assert response.status == status
    assert response.message.startswith(message)
    assert dub.customers == before


def test_only_owners_and_members_may_create(dub: DubEmulator) -> None:
    response = send(dub, "POST", "/customers", NEW, headers={"Authorization": "Bearer dub_VIEWERKEY"})

    assert response.status == 403


@pytest.mark.parametrize(
    ("stored_amount", "shown"),
    [
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (2**53 + 3, "9007199254740996"),
        (2**63 - 1, "9223372036854776000"),
        (-(2**53) - 1, "-9007199254740992"),
    ],
)
def test_amounts_are_rounded_as_javascript_does(dub: DubEmulator, call: Call, stored_amount: int, shown: str) -> None:
    dub.reset([{"id": "cus_1", "externalId": "x", "saleAmount": stored_amount}])

    assert f'"saleAmount":{shown},' in call("GET", "/customers/cus_1").text
    assert stored(dub, id="cus_1")["saleAmount"] == stored_amount


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that Dub does not have yet."""
    field = replace(FIELDS["country"], name="planName", nullable=True)
    monkeypatch.setitem(FIELDS, field.name, field)


@pytest.mark.usefixtures("plan")
def test_a_field_is_one_entry_in_the_table(dub: DubEmulator, call: Call) -> None:
    shown = call("PATCH", "/customers/cus_1LABA", {"planName": "gold"})

    assert shown.json["planName"] == call("GET", "/customers/cus_1LABA").json["planName"] == "gold"
    assert stored(dub, id="cus_1LABA")["planName"] == "gold"
    assert call("GET", "/customers/cus_1LABB").json["planName"] is None
    assert call("POST", "/customers", NEW | {"planName": "tin"}).json["planName"] == "tin"
    assert call("PATCH", "/customers/cus_1LABA", {"planName": None}).json["planName"] is None
    assert call("PATCH", "/customers/cus_1LABA", {"planName": 1}).message.startswith("invalid_type: planName: ")
    assert call("PATCH", "/customers/cus_1LABA", {"planName": "x" * 192}).message.endswith("Column: planName")
    assert "planName" in call("GET", "/customers/export").text.partition("\n")[0]


@pytest.mark.usefixtures("plan")
def test_a_field_of_the_table_can_be_ignored() -> None:
    with DubEmulator(ignore_fields=["planName"]) as older:
        assert send(older, "PATCH", "/customers/cus_1LABA", {"planName": "gold"}).json["planName"] is None
