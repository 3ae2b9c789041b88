"""A result that is too large for Airflow's database, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer

#: Measured on Airflow 3.3.2 with SQLite: to store 10 MB takes 0.6 s and to read them 0.5 s and 130 MB of memory; 100 MB
#: take 6 s, 18 s and 1.3 GB.
MANY_MEGABYTES = 10
_SAMPLE = 100


def warn_if_large(records: list[Customer] | str, warn: Callable[..., None]) -> None:
    """Warn of records that are better kept out of XCom.

    :param records: What the task returns: records, or the URI of a file of them.
    :param warn: Logs a warning.
    """
    megabytes = _json_megabytes(records) if isinstance(records, list) else 0
    if megabytes > MANY_MEGABYTES:
        warn(
            "About %.0f MB of records go through XCom into Airflow's database: records_path writes them to a file "
            "instead, do_xcom_push=False leaves them out.",
            megabytes,
        )


def _json_megabytes(records: list[Customer]) -> float:
    sample = records[:: len(records) // _SAMPLE + 1]
    return len(json.dumps(sample)) * len(records) / max(len(sample), 1) / 1e6
