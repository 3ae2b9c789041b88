"""The heartbeat of a lease, in threads of its own: neither a long query nor a slow Dub costs a run its lease."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from airflow_provider_dub.api.stop import POLL_INTERVAL
from airflow_provider_dub.exceptions import DubDatabaseError
from airflow_provider_dub.warehouse.lease import Lease, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_dub.warehouse.database import Warehouse

#: Seconds until the next attempt when one failed: a database may be locked by readers, or restarted.
_INTERVAL_AFTER_FAILURE = 2.0

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews a lease until it is left; a context manager.

    A run whose lease cannot be renewed in time pauses; it is lost when another run took over, or when the pause has
    lasted for twice the length of a lease.

    :param lease: The lease.
    :param warehouse: The connection for this thread alone.
    :param on_lost: Called once, in another thread, when the run may send nothing more.
    """

    def __init__(self, lease: Lease, warehouse: Warehouse, on_lost: Callable[[], object]) -> None:
        self._lease = lease
        self._warehouse = warehouse
        self._on_lost = on_lost
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="dub-lease", daemon=True)
        # A database that hangs keeps the other thread from looking at the clock.
        self._watching = threading.Thread(target=self._watch, name="dub-lease-watch", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._renewing.start()
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._renewing.join(_INTERVAL_AFTER_FAILURE)

    def _renew(self) -> None:
        pause = self._lease.renew_every
        with closing(self._warehouse):
            while not self._over.wait(pause):
                try:
                    self._lease.renew(self._warehouse)
                    pause = self._lease.renew_every
                except LeaseLostError:
                    self._on_lost()
                    return
                except Exception as error:  # whatever it is, nothing is sent when the lease is no longer safe
                    kind = error.kind if isinstance(error, DubDatabaseError) else type(error).__name__
                    log.warning("The lease could not be renewed (%s); trying again.", kind)
                    pause = min(self._lease.renew_every, _INTERVAL_AFTER_FAILURE)

    def _watch(self) -> None:
        longest = self._lease.longest_pause
        paused_at: float | None = None
        while not self._over.wait(POLL_INTERVAL):
            if not self._lease.pauses():
                if paused_at is not None:
                    log.info("Sending goes on, after %.1f s.", time.monotonic() - paused_at)
                paused_at = None
            elif paused_at is None:
                paused_at = time.monotonic()
                log.warning("Sending pauses: the database does not respond, or not in time to renew the lease.")
            elif time.monotonic() - paused_at > longest:
                log.error(
                    "Sending was paused for %g s: the run ends. The database is away, or too slow to renew the lease "
                    "in time. A retry sends the rows that are left.",
                    longest,
                )
                self._on_lost()
                return
