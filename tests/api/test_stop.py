"""A wait ends, whatever the clock says."""

from __future__ import annotations

import threading
import time

from airflow_provider_dub.api.stop import Stop


def test_a_wait_ends_though_a_test_has_frozen_the_clock(monkeypatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)
    waiting = threading.Thread(target=Stop().wait, args=(0.2,), daemon=True)
    waiting.start()
    waiting.join(5)
    monkeypatch.undo()
    assert not waiting.is_alive()
