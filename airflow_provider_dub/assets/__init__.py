"""Assets (datasets in Airflow 2.11): what DAGs may wait for."""
