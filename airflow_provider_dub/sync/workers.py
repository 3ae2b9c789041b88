"""Threads that work on a queue and never hold up the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """A fixed pool of daemon threads.

    Unlike those of ``ThreadPoolExecutor`` they are not waited for when the process ends: a task that was told to stop
    has seconds, and a request may hang for longer.

    :param count: The number of threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._jobs: SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = SimpleQueue()
        for number in range(count):
            # With the context of the caller, so that a request's span has the task's as its parent.
            run = copy_context().run
            threading.Thread(target=run, args=(self._work,), name=f"dub-{number}", daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have a thread do the work, unless its future is cancelled before.

        :param work: What to do.
        """
        future: Future[T] = Future()
        self._jobs.put((future, work))
        return future

    def close(self) -> None:
        """Let the threads end when the queue is empty; do not wait for them."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # it is raised where the result is taken
                future.set_exception(error)
