"""A DAG by hand: the rows changed since the last run that succeeded, one by one through Dub's official client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.benchmarks.peers.place import Place

NAME = "by hand, official client"
AFTER_A_LOSS: dict[str, Any] = {}
AT_THE_LIMIT: dict[str, Any] = {}
SINCE = "since"  # where Airflow would know the data interval of the last run that succeeded


def sync(place: Place) -> Callable[[], None]:
    """Return what the task does."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from dub import Dub

    def task() -> None:
        since = place.folder / SINCE
        now = datetime.now(UTC).isoformat()
        rows = PostgresHook("warehouse").get_records(
            "SELECT user_id, name, email, country FROM customers WHERE updated_at > %s ORDER BY user_id",
            parameters=(since.read_text() if since.exists() else "2000-01-01",),
        )
        with Dub(token=place.api_key, server_url=place.dub) as dub:
            for user_id, name, email, country in rows:
                body = {"name": name, "email": email, "country": country}
                dub.customers.update(request={"id": f"ext_{user_id}", "request_body": body})
        since.write_text(now)

    return task


def settle(place: Place) -> None:
    """Have it believe that all rows were applied."""
    (place.folder / SINCE).write_text(datetime.now(UTC).isoformat())


def forget(place: Place) -> None:
    """Lose its memory: the history of the DAG's runs."""
    (place.folder / SINCE).unlink()
