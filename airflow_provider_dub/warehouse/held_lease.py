"""How a run holds the lease of its state table, from before rows are compared until their outcomes are merged.

In this order: the lease is acquired; the tables are checked, and what an earlier run left is merged; rows become
pending; requests begin; outcomes are appended while rows are sent; at the end all is merged, and the lease ends.

Three threads work with the tables, each over a connection of its own. They share the :class:`~.lease.Lease` and what is
:class:`~.state_table.Unfinished`:

- the task's: all but what follows;
- ``dub-run``, which delivers results: it appends outcomes (:class:`~.state_sink.StateSink`), and sets
  ``is_database_away`` of the lease while it cannot;
- ``dub-lease`` (:class:`~.heartbeat.Heartbeat`): it renews the lease. ``dub-lease-watch`` looks at no database.

The threads that send ask ``Lease.pauses`` before each request, by way of the run's
:class:`~airflow_provider_dub.api.stop.Stop`.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_dub.exceptions import DubStateTableLockedError
from airflow_provider_dub.warehouse.heartbeat import Heartbeat
from airflow_provider_dub.warehouse.lease import LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_dub.api.stop import Stop
    from airflow_provider_dub.warehouse.state_table import StateTable

log = logging.getLogger(__name__)


@contextmanager
def held_lease(table: StateTable, stop: Stop, *, wait: bool) -> Iterator[None]:
    """Hold the lease of a state table, which is created if it is not there; in the end merge the outcomes of the run.

    :param table: The state table.
    :param stop: Ends the run; set when the lease is lost. If it is urgent, the next run merges the outcomes.
    :param wait: Whether to wait for another run to end.
    :raises LockedError: Another run has the lease.
    :raises DubStateTableLockedError: Another run took the table over from this one.
    """
    table.create()
    table.lease.acquire(wait=wait)
    try:
        try:
            with Heartbeat(table.lease, table.warehouse.another(), on_lost=lambda: stop.set(urgent=True)):
                yield
        except LeaseLostError:
            raise
        except Exception:
            _end(table, stop)
            raise
        except BaseException:  # seconds count
            _release(table)
            raise
        _end(table, stop)
    except LeaseLostError as lost:
        raise DubStateTableLockedError(str(lost)) from lost


def _end(table: StateTable, stop: Stop) -> None:
    """Merge the outcomes into the state table and end the lease."""
    if stop.is_urgent:
        _release(table)
        return
    try:
        table.merge(end=True)
    except LeaseLostError:
        raise
    except Exception as error:
        log.warning(
            "The outcomes could not be merged into %s (%s); they are in its history, and the next run merges them.",
            table.name,
            type(error).__name__,
        )
        _release(table)


def _release(table: StateTable) -> None:
    try:
        table.lease.release()
    except Exception:  # the outcome of the run is what counts, and the lease expires
        log.warning("The lease on the table %s could not be released.", table.name)
