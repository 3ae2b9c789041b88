"""A run that is killed anywhere is continued by the next one; warehouse, state table and Dub agree in the end."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import pytest

from tests.support.stored import sent

pytestmark = pytest.mark.slow  # a process is killed many times

ROWS = 400
BATCH = 25
ROUNDS = int(os.environ.get("DUB_TEST_ROUNDS", "1"))


@pytest.fixture
def customers(database, connected):
    """A database with so many customers, whom Dub knows by another name."""
    connected.reset(
        setup_customers=[
            {"id": f"cus_9{n:04}", "externalId": str(n), "name": "before", "email": None} for n in range(ROWS)
        ]
    )
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.insert(*((str(n), f"name {n}") for n in range(ROWS)))
    return database


def test_a_killed_run_is_continued(customers, connected, sync) -> None:
    seed = int(os.environ.get("DUB_TEST_SEED", "1"))
    chance = random.Random(f"{seed} {customers.engine}")
    for _ in range(ROUNDS):
        customers.run(f"UPDATE customers SET name = 'edited {chance.random()}' WHERE user_id < '2'")
        _kill_after(chance.randrange(ROWS // 2), connected, sync)
        recorded = {key for key, outcome in customers.state("outcome").items() if outcome == "updated"}
        names = dict(customers.run("SELECT user_id, name FROM customers"))
        done = {key for key in recorded if customers.state("name")[key] == names[key]}
        before = len(sent(connected))
        _kill_after(chance.randrange(ROWS // 4), connected, sync)
        assert not {f"ext_{key}" for key in done} & {*sent(connected)[before:]}
    sync(commit_every=BATCH)
    names = dict(customers.run("SELECT user_id, name FROM customers"))
    in_dub = {customer["externalId"]: customer["name"] for customer in connected.customers}
    assert {key: in_dub[key] for key in names} == names == customers.state("name")
    assert set(customers.state("outcome").values()) == {"updated"}
    assert sync()["plan"]["unchanged"] == ROWS


def _kill_after(requests: int, dub, sync) -> None:
    until = len(dub.requests) + requests
    run = multiprocessing.get_context("fork").Process(target=sync, kwargs={"commit_every": BATCH})
    run.start()
    while run.is_alive() and len(dub.requests) < until:
        time.sleep(0.002)
    if run.pid and run.is_alive():
        os.kill(run.pid, signal.SIGKILL)
    run.join()
