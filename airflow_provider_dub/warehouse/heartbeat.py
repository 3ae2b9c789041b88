"""Signs of life for a claim, from a thread of their own: neither a long query nor a slow Dub costs a run its claim."""

from __future__ import annotations

import threading
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_provider_dub.warehouse.claim import ClaimLostError

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.claim import Claim
    from airflow_provider_dub.warehouse.connection import Warehouse

#: Seconds between two signs of life, and until the next attempt when one failed: a database may be locked by readers.
INTERVAL = 15.0
_AFTER_A_FAILURE = 5.0


class Heartbeat:
    """Renews a claim until it is left; a context manager.

    :param claim: The claim.
    :param warehouse: For this thread alone.
    """

    def __init__(self, claim: Claim, warehouse: Warehouse) -> None:
        self._claim = claim
        self._warehouse = warehouse
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="dub-claim", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(_AFTER_A_FAILURE)

    def _beat(self) -> None:
        pause = INTERVAL
        with closing(self._warehouse):
            while not self._over.wait(pause):
                try:
                    self._claim.renew(self._warehouse)
                    pause = INTERVAL
                except ClaimLostError:
                    return
                except Exception:  # whatever it is, the claim is no longer safe in time, and the run ends
                    pause = _AFTER_A_FAILURE
