"""Somebody else who uses the same API key."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator


@contextmanager
def somebody_else(dub: DubEmulator, requests_per_second: float) -> Iterator[None]:
    """Have somebody send steadily, who gives up what is refused."""
    over = threading.Event()

    def ask() -> None:
        began = time.monotonic()
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {dub.api_key}"
            for n in itertools.count():
                if over.wait(max(0.0, began + n / requests_per_second - time.monotonic())):
                    return
                session.get(f"{dub.url}/customers/count", timeout=30)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
