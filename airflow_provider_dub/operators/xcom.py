"""What a task returns: the updated customers, or a file of them, as XCom can hold it.

Airflow keeps it in a JSON column, which refuses some characters and is slow when it is large.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.operators.json_lines import JsonLinesFile
    from airflow_provider_dub.sync.results import RowResult

#: Measured on Airflow 3.3.2 with SQLite: to store 10 MB takes 0.6 s and to read them 0.5 s and 130 MB of memory; 100 MB
#: take 6 s, 18 s and 1.3 GB.
MANY_MEGABYTES = 10
_SAMPLE = 100
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class Records:
    """Keeps the updated customers, in a list or in a file; a :class:`~airflow_provider_dub.sync.results.Sink`.

    :param file: The file; without one they are kept in memory.
    """

    def __init__(self, file: JsonLinesFile | None) -> None:
        self._file = file
        self._kept: list[Customer] = []
        #: How many customers had characters that Airflow's database refuses.
        self.replaced = 0

    def write(self, result: RowResult) -> None:
        """Keep the customer, if there is one."""
        if result.record is None:
            return
        record, is_replaced = as_storable(result.record)
        self.replaced += is_replaced
        if self._file:
            self._file.write(json.dumps(record))
        else:
            self._kept.append(record)

    def close(self, unread: range) -> None:  # noqa: ARG002 - there is nothing to keep of them
        """Close the file."""
        if self._file:
            self._file.close()

    @property
    def returned(self) -> list[Customer] | str:
        """The customers, or the URI of the file that holds them."""
        return self._file.uri if self._file else self._kept


def as_storable(value: Any) -> tuple[Any, bool]:
    """Return what Dub or a summary holds without characters that no JSON column keeps, and whether there were any.

    PostgreSQL's JSONB rejects NUL (U+0000) and halves of surrogate pairs, in keys and values. Each becomes U+FFFD.

    :param value: Anything that JSON can hold. It is not changed; what needs no change is returned as it is.
    """
    if isinstance(value, str):
        storable = _UNSTORABLE.sub(_REPLACEMENT, value)
        return (value, False) if storable == value else (storable, True)
    if isinstance(value, Mapping):
        pairs = [(as_storable(name), as_storable(item)) for name, item in value.items()]
        if any(name[1] or item[1] for name, item in pairs):
            return {name[0]: item[0] for name, item in pairs}, True
    elif isinstance(value, list | tuple):
        items = [as_storable(item) for item in value]
        if any(replaced for _, replaced in items):
            return [item for item, _ in items], True
    return value, False


def warn_if_large(records: list[Customer] | str, warn: Callable[..., None]) -> None:
    """Warn of records that are better kept out of XCom.

    :param records: What the task returns: records, or the URI of a file of them.
    :param warn: Logs a warning.
    """
    megabytes = json_megabytes(records) if isinstance(records, list) else 0
    if megabytes > MANY_MEGABYTES:
        warn(
            "About %.0f MB of records go through XCom into Airflow's database: records_path writes them to a file "
            "instead, do_xcom_push=False leaves them out.",
            megabytes,
        )


def json_megabytes(records: list[Customer]) -> float:
    """Return about how large records are as JSON, in megabytes; some are measured.

    :param records: The records.
    """
    sample = records[:: len(records) // _SAMPLE + 1]
    return len(json.dumps(sample)) * len(records) / max(len(sample), 1) / 1e6
