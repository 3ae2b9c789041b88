"""How fast a DataFrame becomes updates, and how much memory that takes beyond the DataFrame itself. Linux only."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import pandas as pd

from tests.benchmarks.memory import megabytes, peak_megabytes

ROWS = 1_000_000
ROUNDS = 3


def main() -> None:
    """Print the table. Each round has a process of its own, which does no more than load the DataFrame and read it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "customers.feather"
        _customers().to_feather(file)
        context = multiprocessing.get_context("spawn")
        with context.Pool(1, maxtasksperchild=1) as pool:
            rounds = [pool.apply(_convert, [file]) for _ in range(ROUNDS)]
    seconds, megabytes = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"\n{ROWS:,} rows of a DataFrame (id, name, email, country) to updates, duplicates found, median of {ROUNDS}")
    print(f"{ROWS / seconds:,.0f} rows/s, {megabytes:.0f} MB above the DataFrame")


def _customers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"cus_{n}" for n in range(ROWS)],
            "name": [f"Name {n}" for n in range(ROWS)],
            "email": [f"user.{n}@example.com" for n in range(ROWS)],
            "country": ["DE", "us"] * (ROWS // 2),
        }
    )


def _convert(file: Path) -> tuple[float, float]:
    from airflow_provider_dub.sync.duplicates import repeated_ids
    from airflow_provider_dub.sync.inputs import rows_of
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader

    frame = pd.read_feather(file)
    list(UpdateReader(rows_of(frame.head(10)), SyncOptions()))  # imports are not what a row costs
    before, began = megabytes(), time.perf_counter()
    reader = UpdateReader(rows_of(frame), SyncOptions())
    repeated_ids(reader.customer_ids)
    assert sum(isinstance(update, CustomerUpdate) for update in reader) == ROWS
    return time.perf_counter() - began, peak_megabytes() - before


if __name__ == "__main__":
    main()
