"""The columns of an input are matched with the fields of a customer, or it is said why not."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.customers.fields import FIELDS, Field
from airflow_provider_dub.sync.columns import match_columns

SENT = [field for field in FIELDS.values() if not field.only_if_named]


def fields_of(found, key_column="id", **options) -> dict[str, str]:
    matched = match_columns(found, key_column=key_column, **options)
    return {column: field.name for column, field in matched.fields.items()}


@st.composite
def otherwise_written(draw, words: list[str]) -> str:
    """Write the words of a name as somebody else would."""
    change = draw(st.sampled_from([str.upper, str.lower, str.title]))
    between = draw(st.sampled_from(["_", "-", " ", "", "__", " - "]))
    around = draw(st.sampled_from(["", " ", "\t", "\ufeff", "_"]))
    return around + between.join(map(change, words)) + around


@given(st.data())
def test_columns_are_matched_however_they_are_written(data) -> None:
    fields = data.draw(st.lists(st.sampled_from(SENT), min_size=1, unique_by=lambda field: field.name))
    columns = {data.draw(otherwise_written(field.column.split("_"))): field.name for field in fields}
    key = data.draw(otherwise_written(["user", "id"]))
    matched = match_columns([*columns, key], key_column="user_id")
    assert matched.key == key
    assert {column: field.name for column, field in matched.fields.items()} == columns
    assert not matched.ignored
    assert not matched.warnings


def test_a_frame_from_snowflake_is_recognised() -> None:
    matched = match_columns(["USER_ID", "EMAIL", "COUNTRY"], key_column="user_id")
    assert matched.key == "USER_ID"
    assert {name: field.name for name, field in matched.fields.items()} == {"EMAIL": "email", "COUNTRY": "country"}


def test_the_exact_name_goes_first() -> None:
    matched = match_columns(["ID", "id", "Name"], key_column="id")
    assert matched.key == "id"
    assert matched.ignored == ["ID"]
    assert match_columns(["ID", "id", "Name"], key_column="ID").key == "ID"
    assert fields_of(["id", "Mail", "MAIL"], columns={"MAIL": "email"}) == {"MAIL": "email"}


@pytest.mark.parametrize(
    ("found", "both"),
    [
        (["id", "email", "E-Mail"], ["email", "E-Mail"]),
        (["id", "STRIPE_CUSTOMER_ID", "stripeCustomerId"], ["STRIPE_CUSTOMER_ID", "stripeCustomerId"]),
        (["Id", "iD", "email"], ["Id", "iD"]),
    ],
)
def test_two_columns_for_one_thing_are_both_named(found, both) -> None:
    with pytest.raises(ValueError, match=r"both mean|that may be meant") as error:
        match_columns(found, key_column="id")
    assert all(f'"{name}"' in str(error.value) for name in both)


@pytest.mark.parametrize(
    ("found", "options"),
    [
        (["user_id", "name", "name"], {}),
        (["user_id", "user_id", "name"], {}),
        (["user_id", "mail", "mail"], {"columns": {"mail": "email"}}),
        (["user_id", "name", "x", "x"], {"source": "query"}),
    ],
)
def test_a_name_that_is_there_twice_is_named(found, options) -> None:
    twice = next(name for name in found if found.count(name) > 1)
    with pytest.raises(ValueError, match=rf'column.* "{twice}": give each column a name of its own'):
        match_columns(found, key_column="user_id", **options)


def test_a_name_that_is_not_used_may_be_there_twice() -> None:
    matched = match_columns(["id", "x", "name", "x"], key_column="id")
    assert matched.ignored == ["x", "x"]


def test_the_external_id_is_sent_only_if_columns_names_it() -> None:
    found = ["user_id", "External_ID", "name"]
    matched = match_columns(found, key_column="user_id")
    assert [*matched.fields] == ["name"]
    (line,) = matched.warnings
    assert 'columns={"name": "name", "External_ID": "externalId"}' in line
    named = {"name": "name", "External_ID": "externalId"}
    assert fields_of(found, "user_id", columns=named) == named
    assert not match_columns(found, key_column="user_id", columns=named).warnings


def test_the_external_id_as_the_key_is_no_reason_for_a_warning() -> None:
    matched = match_columns(["external_id", "name"], key_column="external_id")
    assert not matched.warnings
    assert [*matched.fields] == ["name"]


def test_any_field_of_the_table_can_be_sent_only_if_it_is_named(monkeypatch) -> None:
    added = Field(name="loginName", server_type="text", convert=str, description="Text.", only_if_named=True)
    monkeypatch.setitem(FIELDS, added.name, added)
    matched = match_columns(["id", "email", "LOGIN_NAME"], key_column="id")
    assert [*matched.fields] == ["email"]
    assert '"LOGIN_NAME": "loginName"' in matched.warnings[0]


@pytest.mark.parametrize(
    "found", [["id"], ["id", "ltv", "plan"], ["id", "external_id"], ["id", "mial"], ["id", 7, ("a", "b")]]
)
def test_rows_without_any_field_are_an_error_that_lists_their_columns_and_the_names_that_would_do(found) -> None:
    with pytest.raises(ValueError, match="nothing would be sent") as error:
        match_columns(found, key_column="id")
    assert all(str(name) in str(error.value) for name in found)
    assert all(f'"{field.column}"' in str(error.value) for field in SENT)


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("e_mial", "email"),
        ("mail", "email"),
        ("emails", "email"),
        ("email_address", "email"),
        ("USER_EMAIL", "email"),
        ("nmae", "name"),
        ("fname", "name"),
        ("contry", "country"),
        ("country code", "country"),
        ("avatar_url", "avatar"),
        ("externalid2", "externalId"),
        ("extrenal_id", "externalId"),
        ("stripe_custmer_id", "stripeCustomerId"),
        ("subscription_cancelled_at", "subscriptionCanceledAt"),
    ],
)
def test_a_near_miss_beside_a_field_is_a_warning_with_the_suggestion(column: str, field: str) -> None:
    other = "country" if field != "country" else "email"
    matched = match_columns(["id", other, column], key_column="id")
    assert [*matched.fields] == [other]
    (warning,) = matched.warnings
    assert f'"{column}"' in warning
    assert f"meant for {field}" in warning


@pytest.mark.parametrize(
    "column",
    ["ltv", "plan", "created_at", "username", "company_name", "customer_id", "amount", "count", "city", "game", "x", 7],
)
def test_another_column_is_ignored_without_a_warning(column) -> None:
    matched = match_columns(["id", "avatar", column], key_column="id")
    assert matched.ignored == [column]
    assert not matched.warnings


def test_no_field_is_suggested_that_has_a_column_already() -> None:
    assert not match_columns(["id", "email", "mail"], key_column="id").warnings


@pytest.mark.parametrize("found", [[], ["id"], ["ltv", "e_mial"], ["id", "external_id"], ["id", "email", "mial"]])
def test_an_input_without_rows_is_warned_of_nothing(found) -> None:
    assert not match_columns(found, key_column="id", has_rows=False).warnings
    assert not match_columns(found, key_column="id", columns={"mail": "email"}, has_rows=False).warnings


def test_what_a_file_of_rejected_rows_says_of_a_row_is_not_listed() -> None:
    found = ["id", "email", "ltv", "dub_row", "dub_outcome", "dub_code", "dub_field", "dub_reason"]
    assert match_columns(found, key_column="id").ignored == ["ltv"]


def test_a_column_of_columns_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r'no column "nope".*"id", "mail"') as error:
        match_columns(["id", "mail"], key_column="id", columns={"nope": "email"})
    assert "id_column" not in str(error.value)


def test_a_key_that_is_not_there_says_which_arguments_name_it_and_what_may_be_meant() -> None:
    with pytest.raises(ValueError, match=r'no column "user_id".*Is "usr_id" meant.*id_column.*external_id_column'):
        match_columns(["usr_id", "email"], key_column="user_id")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"mail": "phone"}, "'phone' is not a Dub field; those are email"),
        ({"id": "id", "mail": "email"}, "the customers' ids is named by id_column or external_id_column"),
        ({"mail": "email", "name": "E-Mail"}, 'The columns "mail" and "name" both mean the Dub field email'),
        ({"mail": "email", "MAIL": "name"}, 'the column "mail" twice, for email and name'),
        ({}, "must be a mapping"),
        (["mail"], "must be a mapping"),
        ("mail", "must be a mapping"),
    ],
)
def test_an_impossible_mapping_is_an_error(columns, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        match_columns(["id", "mail", "name"], key_column="id", columns=columns)


def test_fields_are_named_however_they_are_written_too() -> None:
    assert fields_of(["id", "Mail"], columns={"mail": "E-Mail"}) == {"Mail": "email"}


def test_columns_of_other_arguments_are_found_by_the_same_rule() -> None:
    found = ["ID", "EMAIL", "UPDATED_AT", "SUBSCRIPTION_CANCELED_AT"]
    matched = match_columns(found, key_column="id", latest_by="updated_at")
    assert matched.latest_by == "UPDATED_AT"
    assert matched.ignored == []
    also_sent = match_columns(found, key_column="id", latest_by="subscription_canceled_at")
    assert "SUBSCRIPTION_CANCELED_AT" in also_sent.fields
    with pytest.raises(ValueError, match=r'The query has no column "changed_at".*latest_by names it'):
        match_columns(found, key_column="id", latest_by="changed_at", source="query")


def test_rows_of_which_nothing_is_known_are_asked_for_every_field_but_those_that_must_be_named() -> None:
    assert fields_of(None) == {field.name: field.name for field in SENT}
    assert fields_of(None, columns={"Mail": "email"}) == {"Mail": "email"}
    assert "stripeCustomerId" not in fields_of(None, "STRIPE_CUSTOMER_ID")


def test_columns_of_several_levels_have_no_names_to_match() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("id", ""), ("email", "")]))
    with pytest.raises(ValueError, match="no column"):
        match_columns(list(frame.columns), key_column="id")


names = st.text() | st.integers() | st.sampled_from(["id", "email", "E-MAIL", "external_id", "mail", "na\nme"])


@given(found=st.lists(names), has_rows=st.booleans())
def test_any_names_are_matched_or_rejected_on_one_line_and_none_is_lost(found, has_rows) -> None:
    try:
        matched = match_columns(found, key_column="id", has_rows=has_rows)
    except ValueError as error:
        assert str(error).isprintable()
    else:
        assert all(line.isprintable() for line in matched.warnings)
        if has_rows:
            result = [name for name in found if isinstance(name, str) and name.startswith("dub_")]
            assert len(matched.ignored) + len(matched.fields) + 1 + len(result) == len(found)


@pytest.mark.parametrize(
    ("first_customer", "key_column"),
    [(["customer_12", "jo@b.co"], "customer_id"), (["id", "a@b.co", "my email"], "id")],
)
def test_beside_an_address_no_name_is_suggested_either(first_customer: list[str], key_column: str) -> None:
    with pytest.raises(ValueError, match="not shown") as error:
        match_columns(first_customer, key_column=key_column)
    assert not any(f'"{name}"' in str(error.value) for name in first_customer)


@pytest.mark.parametrize("first_customer", [["user_1", "Ada Lovelace", "GB"], ["Ada Lovelace"]])
def test_the_first_customer_of_a_file_without_a_header_is_not_shown(first_customer: list[str]) -> None:
    with pytest.raises(ValueError, match=r"columns is named like a field.*is there a header\?") as error:
        match_columns(first_customer, key_column="customer_number")
    assert not any(name in str(error.value) for name in first_customer)
    with pytest.raises(ValueError, match="Ada Lovelace"):  # a query has names in any case
        match_columns(first_customer, key_column="customer_number", source="query")
