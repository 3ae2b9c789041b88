"""Exchanges with Dub's own server, as they were recorded."""

from __future__ import annotations

import json
from typing import Any

from tests.support.paths import ROOT

_FOLDER = ROOT / "tests" / "recordings"
#: The seed of the server that was recorded: workspaces, keys and customers.
RECORDED_SEED = _FOLDER / "fixtures.json"


def recordings() -> list[dict[str, Any]]:
    """Return each request with its response."""
    files = [_FOLDER / "vectors.jsonl", _FOLDER / "vectors_2.jsonl"]
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
