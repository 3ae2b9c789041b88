"""What one run costs each contender when everything goes well and Dub answers at once."""

from __future__ import annotations

from tests.benchmarks.peers.contenders import CONTENDERS
from tests.benchmarks.peers.stage import staged

#: How many customers the query returns, and how many of a hundred changed.
CASES = ((10_000, 100), (100_000, 1), (1_000_000, 1))


def main(postgres: str) -> None:
    """Print the table."""
    print(f"\n{'rows':>9} {'changed':>8}  {'':28}{'requests':>10}{'seconds':>9}{'MB':>6}")
    for rows, share in CASES:
        changed = f"substring(user_id FROM 6)::int % 100 < {share}"
        for contender in CONTENDERS:
            with staged(postgres, contender, rows, in_dub=changed, settled=share < 100) as stage:
                stage.place.change(where=changed)
                task = stage.run()
                assert not task.failed, task.said
                assert not stage.wrong(), task.said
                print(
                    f"{rows:9,} {share:6} %  {contender.NAME:28}{len(stage.dub.requests):10,}"
                    f"{task.seconds:9.1f}{task.megabytes:6.0f}",
                    flush=True,
                )
