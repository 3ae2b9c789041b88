"""Threads that work on a queue and never hold up the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
Job: TypeAlias = tuple["Future[T]", Callable[[], T]]


class Workers(Generic[T]):
    """A pool of daemon threads.

    Unlike those of ``ThreadPoolExecutor`` they are not waited for when the process ends: a task that was told to stop
    has seconds, and a request may hang for longer.

    :param count: The number of threads; each starts when there is first something for it to do.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._jobs: SimpleQueue[Job[T] | None] = SimpleQueue()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have a thread do the work."""
        future: Future[T] = Future()
        self._jobs.put((future, work))
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._work, name=f"dub-{self._started}", daemon=True).start()
        return future

    def close(self) -> None:
        """Let the threads end when the queue is empty; do not wait for them."""
        for _ in range(self._started):
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
