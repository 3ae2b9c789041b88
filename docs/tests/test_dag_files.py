from pathlib import Path

from airflow.dag_processing.dagbag import DagBag  # before Airflow 3.2: airflow.models.dagbag

DAGS = Path(__file__).parent.parent / "dags"


def test_the_dag_files_can_be_loaded():
    dags = DagBag(str(DAGS))
    assert dags.import_errors == {}
    assert "sync_warehouse_to_dub" in dags.dags
