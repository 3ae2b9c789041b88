"""What Dub responds is compared with what was sent."""

from __future__ import annotations

import pytest

from airflow_provider_dub.customers.fields import FIELDS, Field, field_named, unapplied_fields

RESPONSE = {
    "id": "cus_1",
    "name": "Ada",
    "email": "a@b.co",
    "avatar": "https://dubassets.com/x",
    "externalId": "u",
    "stripeCustomerId": None,
    "country": "US",
    "subscriptionCanceledAt": "2026-03-01T12:00:00.123Z",
}


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "Ada", "email": "a@b.co", "externalId": "u", "stripeCustomerId": None, "country": "US"},
        {"avatar": "https://elsewhere.test/a.png"},
        {"avatar": None},
        {"name": None},
        {"name": ""},
        {"subscriptionCanceledAt": "2026-03-01T12:00:00.123Z"},
        {"subscriptionCanceledAt": "2026-03-01T12:00:00.123999Z"},
    ],
)
def test_what_was_applied_or_cannot_be_compared_is_no_finding(sent) -> None:
    assert unapplied_fields(sent, RESPONSE) == []


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({"country": "DE", "name": "Ada"}, ["country"]),
        ({"email": "A@b.co"}, ["email"]),
        ({"subscriptionCanceledAt": None}, ["subscriptionCanceledAt"]),
        ({"subscriptionCanceledAt": "2026-03-02T12:00:00.123Z"}, ["subscriptionCanceledAt"]),
    ],
)
def test_what_was_accepted_but_not_applied_is_found(sent, found) -> None:
    assert unapplied_fields(sent, RESPONSE) == found


def test_a_field_that_the_response_lacks_was_not_applied() -> None:
    assert unapplied_fields({"subscriptionCanceledAt": None}, {"id": "cus_1"}) == ["subscriptionCanceledAt"]


WRITTEN = {
    "email": ["email", "EMAIL", "E-Mail", "e mail", " email ", "e_mail", "\ufeffemail", "e\u00a0mail", "Ｅmail"],
    "stripeCustomerId": ["stripeCustomerId", "stripe_customer_id", "STRIPE_CUSTOMER_ID", "Stripe Customer-ID"],
    "subscriptionCanceledAt": ["subscription_canceled_at", "Subscription canceled at", "SUBSCRIPTIONCANCELEDAT"],
}


@pytest.mark.parametrize(("name", "written"), [(name, text) for name, texts in WRITTEN.items() for text in texts])
def test_a_field_is_found_however_it_is_written(name: str, written: str) -> None:
    assert field_named(written) is FIELDS[name]


@pytest.mark.parametrize("name", ["mail", "emails", "e.mail", "", None, 1, ("email",)])
def test_another_name_means_no_field(name: object) -> None:
    assert field_named(name) is None


def test_a_field_that_is_added_to_the_table_is_found(monkeypatch) -> None:
    added = Field(name="favouriteColour", server_type="text", convert=str, description="Text.")
    monkeypatch.setitem(FIELDS, added.name, added)
    assert field_named("FAVOURITE_COLOUR") is added
