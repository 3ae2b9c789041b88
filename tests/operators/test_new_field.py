"""A new field of Dub's customers is one entry in one table."""

from __future__ import annotations

import pandas as pd
import pytest

from airflow_provider_dub.customers import converters
from airflow_provider_dub.customers.fields import FIELDS, Field
from tests.support.stored import stored
from tests.support.update_operator import run

NICKNAME = Field(name="nickName", server_type="text", convert=converters.text, description="What friends say.")


@pytest.fixture(autouse=True)
def eighth_field(monkeypatch) -> None:
    monkeypatch.setitem(FIELDS, NICKNAME.name, NICKNAME)


@pytest.mark.parametrize("column", ["nick_name", "nickName", "NICK NAME"])
def test_it_travels_from_a_frame_to_dub_and_into_the_summary(connected, column) -> None:
    records, summary = run(pd.DataFrame({"id": ["cus_1LABA", "cus_1LABB"], column: ["Al", None]}))
    assert [record["nickName"] for record in records] == ["Al"]
    assert stored(connected, id="cus_1LABA")["nickName"] == "Al"
    assert summary["fields"] == {"nickName": 1}
    assert (summary["updated"], summary["unchanged"]) == (1, 1)
    assert summary["accepted_but_not_applied"] == {}


def test_it_can_be_cleared_and_named_and_refused_like_the_others(connected) -> None:
    run([{"id": "cus_1LABA", "nick": "Al"}], columns={"nick": "nick_name"})
    run([{"id": "cus_1LABA", "nick_name": None}], null_policy={"nickName": "clear"})
    assert stored(connected, id="cus_1LABA")["nickName"] is None
    _, summary = run([{"id": "cus_1LABA", "nick_name": "n" * 192}], max_failures=1)
    assert summary["failures"][0]["field"] == "nickName"
