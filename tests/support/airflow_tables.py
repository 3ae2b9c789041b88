"""Airflow's own tables, which Airflow 3.4 names and joins otherwise."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

_BEFORE_3_4 = "SELECT task_id, map_index, key, value FROM xcom WHERE dag_id = ?"
_SINCE_3_4 = (
    "SELECT ti.task_id, ti.region_index, xcom.key, xcom.value FROM xcom_v2 AS xcom "
    "JOIN task_instance AS ti ON ti.id = xcom.task_instance_id WHERE ti.dag_id = ?"
)


class XCom(NamedTuple):
    """A stored XCom, its value as the database has it."""

    task_id: str
    map_index: int
    key: str
    value: Any


def xcoms(database: Path, dag_id: str) -> list[XCom]:
    """Return the XComs of a DAG."""
    query = _SINCE_3_4 if xcom_table(database) == "xcom_v2" else _BEFORE_3_4
    with sqlite3.connect(database) as connection:
        return [XCom(*row) for row in connection.execute(query, (dag_id,))]


def xcom_table(database: Path) -> str:
    """Return the name of the table that holds XComs."""
    with sqlite3.connect(database) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'xcom%'")}
    return "xcom_v2" if "xcom_v2" in names else "xcom"


def map_index_column(database: Path) -> str:
    """Return the name of the column of a task instance's map index."""
    return "region_index" if xcom_table(database) == "xcom_v2" else "map_index"
