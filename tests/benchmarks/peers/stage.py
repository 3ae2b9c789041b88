"""A contender with a warehouse and a Dub of its own, and what can be seen of its work from outside."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from airflow_provider_dub.emulator import DubEmulator
from tests.benchmarks.peers.place import Place, Run, run


@dataclass(frozen=True)
class Stage:
    """One contender at work."""

    contender: ModuleType
    place: Place
    dub: DubEmulator

    def run(self, *, kill_after: float = float("inf"), **options: Any) -> Run:
        """Let it do one task, or as much of it as so many updates are."""
        return run(
            self.contender,
            replace(self.place, options=self.place.options | options),
            kill_when=lambda: kill_after < float("inf") and self.updates() >= kill_after,
        )

    def updates(self, status: int | None = None) -> int:
        """How many updates Dub was asked for so far, and answered thus."""
        patches = [request for request in self.dub.requests if request["method"] == "PATCH"]
        return sum(status in (None, request["status"]) for request in patches)

    def wrong(self, *, but: str = "") -> int:
        """How many customers have another name in Dub than in the warehouse, one of them aside."""
        names = dict(self.place.sql("SELECT user_id, name FROM customers"))
        in_dub = {customer["externalId"]: customer["name"] for customer in self.dub.customers}
        return sum(name != in_dub.get(user_id, name) for user_id, name in names.items() if user_id != but)


@contextmanager
def staged(
    postgres: str, contender: ModuleType, rows: int, *, in_dub: str = "true", settled: bool = True, **settings: Any
) -> Iterator[Stage]:
    """Set a stage.

    :param in_dub: Which of the customers Dub has, as SQL.
    :param settled: Whether the contender believes that all was applied.
    :param settings: Of the local Dub.
    """
    settings = {"requests_per_minute": 100_000_000, "keep_requests": 10_000_000} | settings
    with DubEmulator(**settings) as dub, tempfile.TemporaryDirectory() as folder:
        place = Place(postgres, dub.url, Path(folder), api_key=dub.api_key)
        place.with_customers(rows)
        if settled:
            contender.settle(place)
        customers = place.sql(f"SELECT user_id, name, email, country FROM customers WHERE {in_dub}")
        names = ("externalId", "name", "email", "country")
        dub.reset(setup_customers=[dict(zip(names, customer, strict=True)) for customer in customers])
        yield Stage(contender, place, dub)
