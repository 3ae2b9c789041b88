"""What becomes of a sync when things go wrong, contender by contender."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.benchmarks.company import somebody_else
from tests.benchmarks.peers.contenders import CONTENDERS
from tests.benchmarks.peers.stage import Stage, staged

ROWS = 1_000
KILLED_AFTER = 750
LIMIT = 1_200
NEAR = {"latency_ms": 2}
FAR = {"latency_ms": 100, "requests_per_minute": LIMIT}


def taken_back(stage: Stage) -> str:
    """killed (SIGKILL) after 750 of 1,000 rows, the change taken back, run again: customers that stay wrong in Dub"""
    stage.place.change()
    stage.run(kill_after=KILLED_AFTER)
    stage.place.change("rtrim(name, '.')")
    stage.run()
    return f"{stage.wrong():,}"


def killed(stage: Stage) -> str:
    """killed after 750 of 1,000 rows, run again: updates sent twice"""
    stage.place.change()
    stage.run(kill_after=KILLED_AFTER)
    stage.run()
    assert not stage.wrong()
    return f"{stage.updates() - ROWS:,}"


def refused(stage: Stage) -> str:
    """one row that Dub refuses: others not updated; updates sent by the next run; the task"""
    stage.place.sql("UPDATE customers SET email = 'ada at example' WHERE user_id = 'user-500'")
    stage.place.change()
    task = stage.run()
    wrong, sent = stage.wrong(but="user-500"), stage.updates()
    stage.run()
    return f"{wrong:,}; {stage.updates() - sent:,}; {'fails' if task.failed else 'succeeds'}"


def forgotten(stage: Stage) -> str:
    """its memory lost, nothing changed: requests"""
    stage.contender.forget(stage.place)
    stage.run(**stage.contender.AFTER_A_LOSS)
    return f"{len(stage.dub.requests):,}"


def twice_in_the_query(stage: Stage) -> str:
    """two rows for one customer: updates sent for it by this run and by each of the next two; the task"""
    stage.place.sql("INSERT INTO customers SELECT user_id, 'Another', email, country FROM customers LIMIT 1")
    stage.place.change()
    runs, sent = [], [0]
    for _ in range(3):
        runs.append(stage.run())
        sent.append(stage.updates())
    first, *others = (after - before for before, after in pairwise(sent))
    return f"{first - ROWS + 1}, {', '.join(map(str, others))}; {'fails' if runs[0].failed else 'succeeds'}"


def far_away(stage: Stage) -> str:
    """1,000 rows, Dub 100 ms away, limit 1,200 a minute: seconds"""
    stage.place.change()
    task = stage.run(**stage.contender.AT_THE_LIMIT)
    assert not stage.wrong(), task.said
    return f"{task.seconds:.0f}"


def in_company(stage: Stage) -> str:
    """1,500 rows, half of the limit used by somebody else: seconds; 429s; customers not updated"""
    stage.place.change()
    with somebody_else(stage.dub, LIMIT / 2 / 60):
        task = stage.run(**stage.contender.AT_THE_LIMIT)
    return f"{task.seconds:.0f}; {stage.updates(429):,}; {stage.wrong():,}"


SCENARIOS: dict[Callable[[Stage], str], tuple[int, dict[str, Any]]] = {
    taken_back: (ROWS, NEAR),
    killed: (ROWS, NEAR),
    refused: (ROWS, NEAR),
    forgotten: (ROWS, NEAR),
    twice_in_the_query: (ROWS, NEAR),
    far_away: (ROWS, FAR),
    in_company: (1_500, {"requests_per_minute": LIMIT}),
}


def main(postgres: str) -> None:
    """Print what became of each scenario."""
    for scenario, (rows, settings) in SCENARIOS.items():
        print(f"\n{scenario.__doc__}")
        for contender in CONTENDERS:
            with staged(postgres, contender, rows, **settings) as stage:
                print(f"    {contender.NAME:28}{scenario(stage)}", flush=True)
