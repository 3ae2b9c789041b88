"""The databases that the full round is run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines.stand_ins import STAND_INS
from tests.transfers.conftest import empty, engine, sync

if TYPE_CHECKING:
    from tests.support.database import Database

__all__ = ["engine", "sync"]


@pytest.fixture(params=STAND_INS)
def database(request, monkeypatch) -> Database:
    """An empty database of each engine for which something stands in."""
    return empty(request.getfixturevalue(request.param), monkeypatch)
