"""When a run ends before its last row."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Stop(threading.Event):
    """Is set by somebody, or counts as set once the run may not go on; looked at before every request.

    :param may_go_on: Tells whether it may.
    """

    def __init__(self, may_go_on: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self._may_go_on = may_go_on
        self._ended = False  # set() takes a lock, which a signal handler must not meet

    def is_set(self) -> bool:
        """Tell whether the run is to end; once it is, it stays so."""
        self._ended = self._ended or super().is_set() or not self._may_go_on()
        return self._ended
