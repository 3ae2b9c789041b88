"""The full round: all that a state table is for, on every engine that a stand-in shows."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import timedelta

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError
from tests.support.stored import stored
from tests.support.task_instance import TaskInstance

pytestmark = pytest.mark.engines

ROWS = 20
#: Dub takes no e-mail address like that of this row, and does not know that customer.
REFUSED, MISSING = "cust_5", "cust_7"
TAKEN = ROWS - 2
#: Of runs that go on with what cannot be sent.
TOLERANT = {"on_missing": "skip", "max_failures": 1}
#: Values on which engines differ: case, blanks, quotes, percent signs, backslashes, emoji, line breaks.
HOSTILE = {
    "o'brien": 'O\'Brien "Bob"',
    "100%": "100% {{ ds }} %s :x ? %(y)s @z",
    "back\\slash": "\\N\\0\\' \\u0041",
    "emoji": "Zoë 🦆 日本",
    "9007199254740993": "two\nlines\tand a tab",
    "comment": "-- ; DROP TABLE customers /* */ # $$",
    "case": "Ada",
}


@pytest.fixture
def customers(database, connected):
    """The customers cust_0 to cust_19, and a Dub that knows them but one."""
    connected.reset(
        setup_customers=[
            {"id": f"cus_9{n:03}", "externalId": f"cust_{n}", "name": "before", "email": None}
            for n in range(ROWS)
            if f"cust_{n}" != MISSING
        ]
    )
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200), email VARCHAR(200), stamp INTEGER)")
    emails = ("no e-mail" if f"cust_{n}" == REFUSED else f"u{n}@example.com" for n in range(ROWS))
    database.insert(*((f"cust_{n}", f"Name {n}", email, 1) for n, email in enumerate(emails)))
    return database


@pytest.fixture
def run(sync):
    """Run the operator with the columns of these customers, and return its summary."""
    return lambda **options: sync(columns={"name": "name", "email": "email"}, **TOLERANT | options)


def patched(dub) -> list[str]:
    return [request["path"].rpartition("ext_")[2] for request in dub.requests if request["method"] == "PATCH"]


def rename(database, name: str, *keys: str) -> None:
    listed = ", ".join(f"'{key}'" for key in keys)
    database.run(f"UPDATE customers SET name = '{name}' WHERE user_id IN ({listed})")


def test_a_plan_the_first_run_none_edited_refused_and_missing(customers, connected, run) -> None:
    plan = run(dry_run=True)["plan"]
    assert (plan["new"], plan["to_send"], patched(connected)) == (ROWS, ROWS, [])
    first = run()
    assert (first["updated"], first["rejected"], first["missing"]) == (TAKEN, 1, 1)
    assert stored(connected, externalId="cust_0")["name"] == "Name 0"
    assert customers.state("outcome")[REFUSED] == "rejected"

    sent = len(connected.requests)
    plan = run()["plan"]
    assert (plan["unchanged"], plan["refused"], plan["missing"], plan["to_send"]) == (TAKEN, 1, 1, 0)
    assert len(connected.requests) == sent

    rename(customers, "Edited", "cust_1", "cust_2", "cust_3")
    assert run(dry_run=True)["plan"]["changed"] == 3
    assert run()["updated"] == 3
    assert {customer["name"] for customer in connected.customers if customer["externalId"] in ("cust_1", "cust_3")} == {
        "Edited"
    }

    assert run(retry_missing_after=timedelta(0))["missing"] == 1
    assert run(retry_rejected=True)["rejected"] == 1
    customers.run(f"UPDATE customers SET email = 'u5@example.com' WHERE user_id = '{REFUSED}'")
    assert run()["updated"] == 1
    assert run()["plan"]["to_send"] == 0


def test_a_limit_a_cleared_field_and_a_full_refresh(customers, connected, run) -> None:
    run()
    rename(customers, "Edited", "cust_1", "cust_2", "cust_3")
    assert run(limit=1)["updated"] == 1
    assert stored(connected, externalId="cust_1")["name"] == "Edited"
    assert run()["updated"] == 2
    customers.run("UPDATE customers SET name = NULL WHERE user_id = 'cust_4'")
    assert run(null_policy={"name": "clear"})["updated"] == 1
    assert stored(connected, externalId="cust_4")["name"] is None
    assert run(null_policy={"name": "clear"})["plan"]["to_send"] == 0
    assert run(null_policy={"name": "clear"}, full_refresh=True)["plan"]["to_send"] == ROWS


def test_a_run_that_was_killed_is_continued(customers, connected, run, monkeypatch) -> None:
    run()
    edited = [f"cust_{n}" for n in range(ROWS) if f"cust_{n}" not in (REFUSED, MISSING)]
    rename(customers, "Killed", *edited)
    before = len(patched(connected))
    killed = multiprocessing.get_context("fork").Process(target=run, kwargs={"commit_every": 5, "max_workers": 1})
    killed.start()
    while killed.is_alive() and len(patched(connected)) < before + 12:
        time.sleep(0.002)
    assert killed.is_alive(), "the run was over before it could be killed"
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    recorded = {key for (key,) in customers.run("SELECT customer_key FROM dub_state_history WHERE name = 'Killed'")}

    before = len(patched(connected))
    monkeypatch.setattr(TaskInstance, "try_number", 2)
    run()
    continued = patched(connected)[before:]
    assert sorted(continued) == sorted({*edited} - recorded)
    assert {stored(connected, externalId=key)["name"] for key in edited} == {"Killed"}
    assert run()["plan"]["unchanged"] == TAKEN


def test_a_baseline_from_the_source_sends_nothing(customers, connected, run) -> None:
    assert run(baseline="source")["baseline"] == ROWS
    assert patched(connected) == []
    assert run()["plan"]["unchanged"] == ROWS


def test_a_baseline_from_dub_sends_only_what_differs_there(customers, connected, run) -> None:
    run()
    customers.run("DROP TABLE dub_state", "DROP TABLE dub_state_lease", "DROP TABLE dub_state_history")
    rename(customers, "Edited", "cust_1")
    before = len(patched(connected))
    summary = run(baseline="dub")
    assert (summary["baseline"], summary["updated"]) == (TAKEN - 1, 1)
    assert patched(connected)[before:] == ["cust_1"]


def test_duplicates_are_found_before_anything_is_sent(customers, connected, run) -> None:
    customers.insert(("cust_1", "later", "u1@example.com", 2), ("cust_1", "earlier", "u1@example.com", 0))
    with pytest.raises(DubFixRowsError, match="3 rows of the query name this customer"):
        run()
    assert "cust_1" not in patched(connected)
    last = run(on_duplicate="last", latest_by="stamp")
    assert (last["updated"], last["plan"]["superseded"]) == (1, 2)
    assert stored(connected, externalId="cust_1")["name"] == "later"


def test_hostile_values_arrive_as_they_are_and_make_no_row_differ(database, connected, sync) -> None:
    connected.reset(
        setup_customers=[
            {"id": f"cus_9{n}", "externalId": key, "name": "before", "email": None} for n, key in enumerate(HOSTILE)
        ]
    )
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200))")
    database.insert(*HOSTILE.items())
    assert sync()["updated"] == len(HOSTILE)
    for key, name in HOSTILE.items():
        assert stored(connected, externalId=key)["name"] == name.strip()
    assert database.state("name") == HOSTILE
    assert sync()["plan"]["unchanged"] == len(HOSTILE)
    database.run("UPDATE customers SET name = 'ADA' WHERE user_id = 'case'")
    assert sync()["updated"] == 1
    assert sync()["plan"]["unchanged"] == len(HOSTILE)
