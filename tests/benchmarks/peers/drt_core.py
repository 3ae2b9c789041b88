"""drt-core, the open-source reverse ETL. Its REST destination has one URL for all rows, so Dub needs one of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drt.config.models import SyncOptions

    from tests.benchmarks.peers.place import Place


NAME = "drt-core"
AFTER_A_LOSS: dict[str, Any] = {}
AT_THE_LIMIT = {"requests_per_second": 20}  # of Dub's 1,200 a minute
SYNC = "dub_customers"
QUERY = "SELECT user_id, name, email, country FROM customers"


def sync(place: Place) -> Callable[[], Any]:
    """Return what the task does."""
    _write_project(place)
    _register_destination()
    from drt.integrations.airflow import run_drt_sync

    return lambda: run_drt_sync(SYNC, str(place.folder / "project"))


def settle(place: Place) -> None:
    """Have it believe that all rows were applied."""
    place.sql("CREATE SCHEMA IF NOT EXISTS _drt", f"CREATE TABLE _drt._drt_snapshot_{SYNC} AS {QUERY}")


def forget(place: Place) -> None:
    """Lose its memory."""
    place.sql("DROP SCHEMA _drt CASCADE")


def _write_project(place: Place) -> None:
    rate = {"requests_per_second": 1_000_000} | place.options
    profile = {"type": "postgres", "host": place.postgres, "dbname": "postgres", "user": "postgres"}
    sync = {
        "name": SYNC,
        "model": QUERY,
        "destination": {"type": "dub_customers", "url": place.dub, "token": place.api_key, "upsert_key": ["user_id"]},
        "sync": {
            "mode": "upsert",
            "incremental_strategy": "diff",
            "on_error": "skip",
            "rate_limit": rate,
        },
    }
    # JSON is YAML.
    for path, content in {
        ".drt/profiles.yml": {"warehouse": profile},
        "project/drt_project.yml": {"name": "peers", "profile": "warehouse"},
        f"project/syncs/{SYNC}.yml": sync,
    }.items():
        file = place.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))


def _register_destination() -> None:
    from typing import Literal

    import httpx
    from drt.config.base import GenericDestinationConfig
    from drt.connectors.registry import register_destination
    from drt.destinations.base import SyncResult
    from drt.destinations.rate_limiter import RateLimiter, resolve_rate_limiter
    from drt.destinations.retry import resolve_retry, with_retry
    from drt.destinations.row_errors import record_preview, record_row_error

    class DubCustomersConfig(GenericDestinationConfig):
        type: Literal["dub_customers"]
        url: str
        token: str
        upsert_key: list[str]

        def _describe_detail(self) -> str:
            return "customers"

    class DubCustomers:
        def load(
            self, records: list[dict[str, Any]], config: DubCustomersConfig, sync_options: SyncOptions
        ) -> SyncResult:
            result = SyncResult()
            limiter = resolve_rate_limiter(config, sync_options, limiter_factory=RateLimiter)
            retry = resolve_retry(config.retry, sync_options)
            headers = {"Authorization": f"Bearer {config.token}"}
            with httpx.Client(base_url=config.url, headers=headers, timeout=30) as client:
                for index, record in enumerate(records):
                    body = dict(record)
                    path = f"/customers/ext_{body.pop('user_id')}"
                    limiter.acquire()
                    try:
                        with_retry(lambda p=path, b=body: client.patch(p, json=b).raise_for_status(), retry)
                    except Exception as error:
                        record_row_error(result, index, record_preview(record), error)
                        if sync_options.on_error == "fail":
                            break
                    else:
                        result.success += 1
            return result

    register_destination("dub_customers", DubCustomersConfig, DubCustomers)
