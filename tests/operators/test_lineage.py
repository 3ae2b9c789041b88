"""What the operator tells OpenLineage, Airflow's asset events and its hook lineage; and what it costs without them."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_dub.assets.dub import dub_customers
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import AirflowException
from tests.support.task_instance import TaskInstance

ROWS = [{"id": "cus_1LABA", "name": "PLANTED"}, {"id": "cus_missing", "name": "PLANTED"}]


def lineage_of(operator, *, failed: bool = False):
    return getattr(operator, f"get_openlineage_facets_on_{'failure' if failed else 'complete'}")(None)


def executed(fails: bool = False, **options) -> DubUpdateCustomersOperator:
    operator = DubUpdateCustomersOperator(task_id="t", customers=ROWS, **options)
    if fails:
        with pytest.raises(AirflowException):
            operator.execute({"ti": TaskInstance()})
    else:
        operator.execute({"ti": TaskInstance()})
    return operator


@pytest.mark.parametrize("failed", [False, True])
def test_openlineage_gets_what_was_written_without_a_request(dub, connect, failed) -> None:
    connect(dub.url, workspace_slug="lab-main")
    operator = executed(fails=failed, on_missing="fail" if failed else "skip")
    operator.hook = None  # neither a connection nor Dub can be asked any more
    (output,) = lineage_of(operator, failed=failed).outputs
    assert (output.namespace, output.name) == ("dub://lab-main", "customers")
    assert output.outputFacets["outputStatistics"].rowCount == 1
    assert "PLANTED" not in repr(output)


def test_without_a_slug_the_dataset_is_named_after_the_host(connected) -> None:
    (output,) = lineage_of(executed(on_missing="skip")).outputs
    assert output.namespace == connected.url.replace("http://", "dub://")


def test_what_was_never_run_or_only_validated_wrote_nothing(connected) -> None:
    assert lineage_of(DubUpdateCustomersOperator(task_id="t", customers=ROWS)).outputs == []
    assert lineage_of(executed(dry_run=True)).outputs == []


def test_a_second_run_of_an_operator_counts_anew(connected) -> None:
    operator = executed(on_missing="skip")
    operator.execute({"ti": TaskInstance()})
    (output,) = lineage_of(operator).outputs
    assert output.outputFacets["outputStatistics"].rowCount == 1


def test_the_sync_needs_no_openlineage(connected, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "openlineage" or ".openlineage" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openlineage", None)
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage", None)
    # Nor does it need the event accessors of a real run.
    executed(on_missing="skip", outlets=[dub_customers("acme")])
