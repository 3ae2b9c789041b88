"""The end of a run before its last row."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two polls for whether the run is to end.
POLL_INTERVAL = 0.1
#: Seconds that requests in flight have to finish after an urgent stop. Airflow kills a task about five seconds after it
#: told it to stop.
GRACE_PERIOD = 2.0


def _never() -> bool:
    return False


class Stop:
    """A flag that ends a run, like a :class:`threading.Event`, but safe to set in a signal handler.

    ``Event.set`` takes a lock that the interrupted code may hold; Airflow calls ``on_kill`` in a signal handler.
    """

    def __init__(self) -> None:
        self._is_set = False
        #: Whether seconds count.
        self.is_urgent = False
        self._urgent_since = 0.0
        #: Whether nothing may be sent now, though the run goes on.
        self.pauses: Callable[[], bool] = _never  # a lambda would keep an operator from being pickled

    def set(self, *, urgent: bool = False) -> None:
        """Let the run send nothing more.

        :param urgent: Whether it must be over in seconds, so that rows that were not read are only counted.
        """
        if urgent and not self.is_urgent:
            self._urgent_since = time.monotonic()
            self.is_urgent = True
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether the run is to end; once it is, it stays so."""
        return self._is_set

    def is_overdue(self) -> bool:
        """Return whether a request in flight is to be given up."""
        return self.is_urgent and time.monotonic() > self._urgent_since + GRACE_PERIOD

    def wait_while_paused(self) -> bool:
        """Wait as long as nothing may be sent, or until the run is to end; return whether it is."""
        while not self._is_set and self.pauses():
            time.sleep(POLL_INTERVAL)
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the run is to end; return whether it is.

        :param seconds: The longest time to wait.
        """
        # By what was slept, not by a clock: a test may have frozen that, and would wait for ever.
        while not self._is_set and seconds > 0:
            pause = min(seconds, POLL_INTERVAL)
            time.sleep(pause)
            seconds -= pause
        return self._is_set
