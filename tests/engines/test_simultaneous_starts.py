"""Of first runs that begin at the same moment one works with the state table.

``DUB_TEST_STARTS=100`` begins so many on each engine.
"""

from __future__ import annotations

import os

import pytest

from tests.support.simultaneous_runs import begin

pytestmark = pytest.mark.engines

#: A hundred where the stand-in takes less than a minute and a half for them. bqemulator took 160 s and Spark 375 s
#: (November 2026, two cores that others used, too).
STARTS = {"redshift": 100, "snowflake": 100, "bigquery": 40, "databricks": 10}


def test_of_first_runs_that_begin_at_once_one_has_the_lease(database) -> None:
    owners = begin(database, int(os.environ.get("DUB_TEST_STARTS", STARTS[database.engine])))
    assert len(owners) == 1
    ((task, attempt),) = set(database.run("SELECT task, attempt FROM dub_state_lease WHERE task IS NOT NULL"))
    assert [task] == [attempt] == owners
