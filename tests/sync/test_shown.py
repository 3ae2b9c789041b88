"""Nothing in a log line names a person or forges another line."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.sync.shown import listed, one_line, shown_key

MASKED = [
    ("jo@example.com", "j***@***"),
    ("ext_jo@example.com", "ext_j***@***"),
    ("JO.DOE+TAG@Example.CO.UK", "J***@***"),
    ("crm:jo@example.com", "c***@***"),
    ("jo%40example.com", "j***@***"),
    ("jo＠example.com", "j***@***"),
    ("jo@localhost", "j***@***"),
    ("jo @example.com", "j***@***"),
    ("jo@ example.com", "j***@***"),
    ("jo﹫example.com", "j***@***"),
    ("+49 170 1234567", "***67"),
    ("+491701234567", "***67"),
    ("tel:+491701234567", "***67"),
    ("tel:01701234567", "***67"),
    ("'01701234567", "***67"),
    ("ext_+1 (555) 123-4567", "ext_***67"),
    ("(555) 123-4567", "***67"),
    ("555-123-4567", "***67"),
    ("555.123.4567", "***67"),
    ("0170/1234567", "***67"),
    ("01701234567", "***67"),
    ("00491701234567", "***67"),
    ("4917012345678", "***78"),
    ("5551234567", "***67"),
]


@pytest.mark.parametrize(("key", "shown"), MASKED)
def test_a_key_that_is_an_address_is_masked_unless_all_are_shown(key: str, shown: str) -> None:
    assert shown_key(key) == shown
    assert shown_key(key, show_keys=True) == key
    assert shown_key(key, show_keys=False) is None


@pytest.mark.parametrize(
    "key",
    [
        "user_1",
        "cus_1KAZ2Q9M0H5XW8",
        "ext_user_1",
        "42",
        "123456789",
        "9007199254740993",
        "cust-0001234",
        "ORD-2026-000123",
        "@ada",
        "ada",
        "Ünï",
        str(uuid.UUID(int=2**127 + 1)),
    ],
)
def test_another_key_is_shown_as_it_is(key: str) -> None:
    assert shown_key(key) == key
    assert shown_key(key, show_keys=False) is None


def test_a_row_without_a_key_has_none_to_show() -> None:
    assert shown_key(None, show_keys=True) is None


name = st.text(alphabet=st.characters(categories=["L", "N"]), min_size=2)


@given(local=name, domain=name, before=st.sampled_from(["", "ext_", "a:", "\n"]))
def test_nothing_but_the_first_letter_of_an_address_is_shown(local: str, domain: str, before: str) -> None:
    shown = shown_key(f"{before}{local}@{domain}.example")
    assert shown is not None
    assert shown.endswith("***@***")
    assert len(shown) <= len("ext_\\Uxxxxxxxx***@***")


@given(text=st.text(), show=st.sampled_from([True, None]))
def test_no_key_and_no_column_starts_a_line_of_its_own(text: str, show: bool | None) -> None:
    for shown in (shown_key(text, show), one_line(text), listed([text])):
        assert shown is not None
        assert len(shown.splitlines()) <= 1
        assert shown.isprintable()


@pytest.mark.parametrize("data", ["cus_1KAZ2Q9M0H", "ext_1", "+49 170 1234567", "2026-03-01", "x" * 65])
def test_a_name_that_looks_like_data_is_not_shown(data: str) -> None:
    assert listed([data, "name"]) == '"(not shown)", "name"'


@pytest.mark.parametrize("address", ["ada@example.com", "https://a.test", "a＠b.co"])
def test_beside_an_address_no_name_is_shown(address: str) -> None:
    shown = listed([*(f"c{n}" for n in range(40)), address])
    assert shown == ", ".join(['"(not shown)"'] * 30) + " and 11 more"


def test_many_names_are_shown_in_part_and_counted() -> None:
    assert listed(f"c{n}" for n in range(1_031)).endswith('"c29" and 1,001 more')
    assert listed([]) == "no columns at all"
    assert listed(["a\nb", 7]) == '"a\\nb", "7"'
