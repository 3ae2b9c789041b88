"""Of first runs that begin at the same moment one works with the state table."""

from __future__ import annotations

import pytest

from tests.support.simultaneous_runs import begin

pytestmark = pytest.mark.engines

#: So many as the stand-in takes in half a minute.
STARTS = {"redshift": 45, "snowflake": 20, "bigquery": 20, "databricks": 10}


def test_of_first_runs_that_begin_at_once_one_has_the_lease(database) -> None:
    owners = begin(database, STARTS[database.engine])
    assert len(owners) == 1
    ((task, owner),) = set(database.run("SELECT task, owner FROM dub_state_lease WHERE task IS NOT NULL"))
    assert [task] == [owner] == owners
