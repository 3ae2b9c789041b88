"""The sync: rows in, outcomes out. Knows no HTTP and no Airflow."""
