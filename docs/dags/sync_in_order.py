from datetime import datetime

from airflow.sdk import dag
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator


@dag(
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),  # "@daily" gives no interval on Airflow 3
    start_date=datetime(2026, 1, 1),
    catchup=True,
    max_active_runs=1,  # one after the other ...
    default_args={"depends_on_past": True},  # ... from the oldest to the newest, and none after one that failed
)
def sync_in_order():
    SqlToDubCustomersOperator(
        task_id="sync_changes_of_the_day",
        sql_conn_id="warehouse",
        sql="""
            SELECT user_id, email, name, country FROM customers
            WHERE updated_at >= '{{ data_interval_start }}' AND updated_at < '{{ data_interval_end }}'
        """,
        external_id_column="user_id",
        on_missing="skip",
    )


sync_in_order()
