"""The results of a run as an iterator, for whoever wants to pull rather than be pushed to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from queue import Full, Queue
from typing import TYPE_CHECKING

from airflow_provider_dub.api.stop import POLL_INTERVAL, Stop
from airflow_provider_dub.sync.run import Send, run_sync

if TYPE_CHECKING:
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.sync.results import RowResult
    from airflow_provider_dub.sync.updates import CustomerUpdate


def iterate_sync(
    updates: Iterable[CustomerUpdate | RowResult],
    send: Send,
    options: SyncOptions,
    stop: Stop,
    at_the_end: Callable[[], None] = lambda: None,
) -> Iterator[RowResult]:
    """Yield the results of a run; closing the iterator ends it.

    At most ``2 * max_workers + 1`` rows after the one whose result was taken are sent already.

    :param updates: What each row asks for, in order.
    :param send: Sends one update; called in several threads.
    :param options: The options of the sync.
    :param stop: Ends the run when it is set.
    :param at_the_end: Called when the run is over.
    :raises Exception: What reading the rows raised, after the results of those that were read.
    """
    results = _Results()
    errors: list[BaseException] = []

    def read() -> Iterator[CustomerUpdate | RowResult]:
        try:
            yield from updates
        except GeneratorExit:
            raise
        except BaseException as error:  # also sys.exit; it ends the rows, and hurries nobody: results are still taken
            errors.append(error)

    def run() -> None:
        try:
            run_sync(read(), send, options, [results], stop=stop, checkpoint_every=options.max_workers)
        except BaseException as error:  # raised where the results are consumed
            errors.append(error)
        finally:
            at_the_end()
            results.put(None)

    # With the context of the caller: the rows may need it, and a request's span has the caller's as its parent.
    threading.Thread(target=copy_context().run, args=(run,), name="dub-results", daemon=True).start()
    try:
        while result := results.queue.get():
            yield result
    finally:
        stop.set(urgent=True)
        results.are_wanted = False
    if errors:
        raise errors[0]


class _Results:
    """A sink whose results somebody takes one by one."""

    def __init__(self) -> None:
        #: Whether somebody still takes them.
        self.are_wanted = True
        #: The results; None after the last.
        self.queue: Queue[RowResult | None] = Queue(1)

    def write(self, result: RowResult) -> None:
        self.put(result)

    def close(self, unread: range) -> None:
        pass

    def put(self, result: RowResult | None) -> None:
        while self.are_wanted:
            with suppress(Full):
                self.queue.put(result, timeout=POLL_INTERVAL)
                return
