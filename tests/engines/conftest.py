"""The databases that the full round is run on."""

from __future__ import annotations

import pytest

from tests.engines.stand_ins import STAND_INS
from tests.support.database import Database, connect_empty
from tests.support.transfer import Transfer


@pytest.fixture(params=STAND_INS)
def database(request, monkeypatch) -> Database:
    """An empty database of each engine for which something stands in."""
    return connect_empty(request.getfixturevalue(request.param), monkeypatch)


@pytest.fixture
def sync() -> Transfer:
    """Run the operator and return its summary."""
    return Transfer()
