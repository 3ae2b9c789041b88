"""The table of engines promises what CI runs."""

from __future__ import annotations

import re

from airflow_provider_dub.warehouse.dialects import DIALECTS
from tests.docs.pages import DOCS

ROW = re.compile(r"^\| [^|]+ \| `(\w+)` \| ([^|]+) \| \[[^]]+\]\(([\w-]+\.md)\) \|$", re.MULTILINE)


def test_the_table_of_engines_says_what_each_was_run_on() -> None:
    rows = ROW.findall((DOCS / "engines" / "index.md").read_text())
    assert {dialect: run_on for dialect, run_on, _ in rows} == {
        dialect.name: dialect.run_on or "generated only" for dialect in DIALECTS.values()
    }


def test_the_page_of_each_engine_names_its_stand_in() -> None:
    for dialect, run_on, page in ROW.findall((DOCS / "engines" / "index.md").read_text()):
        text = (DOCS / "engines" / page).read_text()
        stand_in = run_on.removesuffix(" (a stand-in)")
        assert ("on a stand-in" in text and stand_in in text) == run_on.endswith("(a stand-in)"), dialect
        assert ("| generated only" in text) == (run_on == "generated only"), dialect
