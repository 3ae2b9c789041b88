"""Who is compared."""

from __future__ import annotations

from tests.benchmarks.peers import drt_core, hand_written, transfer

CONTENDERS = (transfer, drt_core, hand_written)
