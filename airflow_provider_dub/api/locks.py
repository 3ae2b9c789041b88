"""A lock that a process which was forked while another thread held it can use all the same."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

_locks: WeakSet[ForkSafeLock] = WeakSet()


class ForkSafeLock:
    """A lock for short critical sections; free in a new process, where the thread that held it does not exist."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Free the lock, whoever holds it."""
        self._lock = threading.Lock()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_renew_all)
