"""fakesnow, but for one thing: a row that another transaction changes is an error of the statement.

Snowflake waits for the other transaction, or ends the statement. fakesnow answers 500, which Snowflake's connector
takes for an outage: it repeats the statement in the transaction that is already lost, and never ends.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import duckdb
from fakesnow import cli
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.errors import ProgrammingError

_execute = FakeSnowflakeCursor.execute


@wraps(_execute)
def _execute_or_say_why(cursor: FakeSnowflakeCursor, *args: Any, **options: Any) -> FakeSnowflakeCursor:
    try:
        return _execute(cursor, *args, **options)
    except duckdb.TransactionException as conflict:
        # What Snowflake says of a statement that waited too long for a lock.
        raise ProgrammingError(msg=str(conflict), errno=625, sqlstate="57014") from conflict


if __name__ == "__main__":
    FakeSnowflakeCursor.execute = _execute_or_say_why
    cli.main()
