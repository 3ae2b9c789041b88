"""Which ids the database takes for equal, beside the recorded pairs."""

from __future__ import annotations

import pytest

from airflow_provider_dub.emulator.collation import collation_key


@pytest.mark.parametrize(
    "equal",
    [
        "a A á \uff21 \uff41 a\u200d \u00aa a\u0301\u0302",
        "ss ß SS",
        "ア あ ｱ ぁ",
        "😀 🍣",
        "1 ① ¹ \u0661 \u0967",
        "é e\u0301",
        "\u263a \u263a\ufe0f",
        "\u00b5 \u03bc",
        "\u0131\u0307 \u0131",
        "ſ s",
    ],
)
def test_what_the_database_takes_for_equal(equal: str) -> None:
    assert len(set(map(collation_key, equal.split(" ")))) == 1


@pytest.mark.parametrize(
    "different",
    [
        "a ä\n",
        "o ø",
        "l ł",
        "æ ae",
        "œ oe\u00ad",
        "は ひ",
        "- _",
        "\xa8 \xb4",
        "กา กิ",
        "й и",
        "أ ا",
        "a\u00adb ab",
        "한 \u1112\u1161\u11ab",
        "국 國",
        "a\u0000\t a",
    ],
)
def test_what_is_different_to_the_database(different: str) -> None:
    assert len(set(map(collation_key, different.split(" ")))) == 2


@pytest.mark.parametrize("blank", ["", " ", "\u3000", "\u00a0", " \u0300 "])
def test_blanks_at_the_end_do_not_count(blank: str) -> None:
    assert collation_key(f"ab{blank}") == "ab"
