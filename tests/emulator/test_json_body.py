"""Bodies that are JSON, however deep, and bodies that are not."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_provider_dub.emulator import json_body
from airflow_provider_dub.emulator.errors import ApiError

if TYPE_CHECKING:
    from .conftest import Call


def deep(levels: int) -> str:
    return '{"a":[' * levels + "1" + "]}" * levels


@pytest.mark.parametrize("levels", [1_000, 50_000])
def test_json_may_be_deep(call: Call, levels: int) -> None:
    response = call("PATCH", "/customers/cus_1LABA", f'{{"unknown": {deep(levels)}, "name": "Deep"}}')

    assert (response.status, response.json["name"]) == (200, "Deep")


@pytest.mark.parametrize("end", ["]", ",", "}}", '"', "1", "[", "\x00"])
def test_deep_json_must_be_json_to_its_end(call: Call, end: str) -> None:
    assert call("PATCH", "/customers/cus_1LABA", deep(2_000)[:-1] + end).status == 400


@pytest.mark.parametrize("marks", [1, 2])
def test_byte_order_marks_are_skipped(call: Call, marks: int) -> None:
    assert call("PATCH", "/customers/cus_1LABA", b"\xef\xbb\xbf" * marks + b'{"name": "B"}').json["name"] == "B"


@pytest.mark.slow
def test_deep_json_is_read_as_other_json_is() -> None:
    """Both ways of reading agree on what JSON is and what it says."""
    generator = random.Random(7)
    valid = [
        '{"a": [1, -2.5e3, true, {"b": null, "": []}], "c": "\\u00e9\\n", "a": {}}',
        "[[], {}, [0, -0.0]]",
        ' "x" ',
    ]
    texts = [*valid, "", "{", "[1,]", '{"a":1,}', "01", "1.", "-", "nul", "[1 2]", '{"a" 1}', "{1:2}", "\x0b1"]
    for text in valid * 200:
        at = generator.randrange(len(text))
        texts.append(text[:at] + generator.choice('"{],:1 \\e') + text[at + 1 :])

    shallow = [read(text) for text in texts]
    read_deep = [read_nested(text, sys.getrecursionlimit()) for text in texts]

    assert any(value == "not JSON" for value in shallow)
    assert read_deep == shallow


def read(text: str) -> str:
    try:
        return json.dumps(json_body.parse_json(text.encode()))
    except ApiError:
        return "not JSON"


def read_nested(text: str, levels: int) -> str:
    """Read a text so deep within another that only the second way can."""
    try:
        value = json_body.parse_json(("[" * levels + text + "]" * levels).encode())
    except ApiError:
        return "not JSON"
    for _ in range(levels):
        if not isinstance(value, list) or len(value) != 1:
            return "not JSON"  # such as "1]" or "1, 2" within brackets
        (value,) = value
    return json.dumps(value)
