"""The values that the probes send, which must be seen nowhere but in Dub."""

from __future__ import annotations

PLANTED = [
    start + kind for start in ("PLANTED-", "planted.") for kind in ("literal", "list", "frame", "mapped", "lineage")
]
