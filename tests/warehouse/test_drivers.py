"""Every driver's contract is kept: how it takes parameters, gives rows, and begins and ends transactions."""

from __future__ import annotations

from tests.transfers.conftest import _Databases, database, sqlite, sync  # noqa: F401
