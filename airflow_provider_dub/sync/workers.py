"""Threads that work on a queue and never hold up the end of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
#: Seconds. A thread that is faster, several times in a row, reaches Dub's highest limit (50 requests a second) alone.
_SLOW = 0.02
_SLOW_IN_A_ROW = 3

Job: TypeAlias = tuple["Future[T]", Callable[[], T]]


class Workers(Generic[T]):
    """A pool of daemon threads.

    Unlike those of ``ThreadPoolExecutor`` they are not waited for when the process ends: a task that was told to stop
    has seconds, and a request may hang for longer.

    They are started as they are worth it: work that is over in no time waits for nothing, and more threads would only
    wait for each other.

    :param count: The most threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._slow = 0
        self._threads: list[threading.Thread] = []
        self._growing = threading.Lock()
        self._jobs: SimpleQueue[Job[T] | None] = SimpleQueue()

    def put(self, work: Callable[[], T], future: Future[T]) -> None:
        """Have a thread do the work.

        :param work: What to do.
        :param future: Takes the result; work whose future was cancelled is not begun.
        """
        self._jobs.put((future, work))
        if not self._threads:
            self.grow()

    def grow(self) -> None:
        """Start another thread, if there may be one more."""
        with self._growing:
            if len(self._threads) < self._count:
                thread = threading.Thread(target=self._work, name=f"dub-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Let the threads end when the queue is empty; do not wait for them."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            began = time.monotonic()
            try:
                future.set_result(work())
            except BaseException as error:  # it is raised where the result is taken
                future.set_exception(error)
            self._slow = self._slow + 1 if time.monotonic() - began > _SLOW else 0
            if self._slow >= _SLOW_IN_A_ROW:
                self.grow()
