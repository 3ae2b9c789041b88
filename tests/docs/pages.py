"""The pages of the documentation, and the code in them."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
AIRFLOW = tuple(int(part) for part in metadata.version("apache-airflow").split(".")[:2])
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r'^--8<-- "(docs/(?:dags|tests)/\w+\.py)"$')


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page that stand in the page itself, in order."""
    found = [match[2] for match in FENCE.finditer(page.read_text(encoding="utf-8")) if match[1] == language]
    return [block for block in found if not SNIPPET.match(block.strip())]


def for_this_airflow(code: str) -> str:
    return code if AIRFLOW >= (3, 0) else code.replace("airflow.sdk", "airflow_provider_dub.version_compat")
