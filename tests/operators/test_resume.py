"""A retry goes on where the try before it stopped, with a stand-in for Airflow's task state store."""

from __future__ import annotations

import json
import os
import random
import traceback
import zlib
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography.fernet import Fernet

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import (
    DubFixRowsError,
    DubFixSetupError,
    DubRetryLaterError,
)
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from tests.support.task_instance import TaskInstance

CUSTOMERS = [{"id": f"cus_9{n:03}", "externalId": f"9{n:03}"} for n in range(60)]
ROWS = [{"id": customer["id"], "name": f"PLANTED {customer['id']}"} for customer in CUSTOMERS]
IDS = [row["id"] for row in ROWS]


class TaskStateStore:
    """Holds what JSON can hold, up to Airflow's limit; tells of each call, and may be broken."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.calls: list[str] = []
        self.broken: set[str] = set()
        self.called: Callable[[], None] = lambda: None

    def get(self, key: str, default=None):
        self._call("get")
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value) -> None:
        self._call("set")
        self.values[key] = json.dumps(value)
        assert len(self.values[key]) < 65_535

    def clear(self) -> None:
        self._call("clear")
        self.values.clear()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.called()
        if name in self.broken:
            raise RuntimeError("PLANTED")

    @property
    def size(self) -> int:
        """The number of characters that it holds."""
        return sum(map(len, self.values.values()))


class Task:
    """A task with two retries; tells what its last try returned, counted and sent."""

    def __init__(self, dub: DubEmulator, map_index: int = -1, **options) -> None:
        self.dub = dub
        self.map_index = map_index
        self.store = TaskStateStore()
        self.options = {"customers": ROWS, "checkpoint_every": 10, "retries": 2, **options}

    def run(self, try_number: int, *, max_tries: int = 2, **options) -> None:
        """Run one try."""
        self._run(try_number, max_tries, **options)

    def stop(self, try_number: int = 1, *, after: int = 3, **options) -> None:
        """Run one try and stop it when it has kept so many batches."""

        def stop_it(operator: DubUpdateCustomersOperator) -> None:
            if self.store.calls.count("set") == after:
                operator.on_kill()

        with pytest.raises(DubRetryLaterError, match="not attempted"):
            self._run(try_number, 2, stop_it, **options)

    def _run(self, try_number: int, max_tries: int, called=lambda _: None, **options) -> None:
        received = len(self.dub.requests)
        task_instance = TaskInstance(try_number=try_number, max_tries=max_tries, map_index=self.map_index)
        operator = DubUpdateCustomersOperator(task_id="update", **{**self.options, **options})
        self.store.called = lambda: called(operator)
        try:
            self.returned = operator.execute({"ti": task_instance, "task_state_store": self.store})
        finally:
            self.summary = task_instance.xcoms["summary"]
            self.sent = [request["path"].rpartition("/")[2] for request in self.dub.requests[received:]]


@pytest.fixture
def task(connected):
    """Return what makes a task, for a Dub that knows all its customers."""

    def task(**options) -> Task:
        connected.reset(setup_customers=CUSTOMERS)
        return Task(connected, **options)

    return task


def test_the_retry_sends_the_rest_and_returns_the_customers_of_both_tries(task, logged) -> None:
    task = task()
    task.stop()
    first = task.sent
    assert 30 <= len(first) < 60
    task.run(2)
    assert sorted(first + task.sent) == IDS
    assert [(record["id"], record["name"]) for record in task.returned] == [(row["id"], row["name"]) for row in ROWS]
    assert (task.summary["total"], task.summary["updated"]) == (60, 60)
    assert task.summary["resumed"] == len(first)
    assert task.summary["fields"] == {"name": 60}
    assert task.summary["requests_sent"] == len(task.sent)
    assert f"60 rows: 60 updated ({len(first)} of them by an earlier try)" in logged()
    assert task.store.values == {}


def test_a_third_try_knows_of_the_first_and_the_second(task) -> None:
    task = task()
    task.stop(1, after=2)
    first = task.sent
    task.stop(2, after=4)
    second = task.sent
    task.run(3)
    assert sorted(first + second + task.sent) == IDS
    assert [record["id"] for record in task.returned] == IDS
    assert task.summary["resumed"] == len(first + second)


def test_what_was_left_out_is_counted_alike_in_one_try_and_in_two(task) -> None:
    unknown = [{"id": f"cus_none{n}", "name": "x", "email": "no e-mail"} for n in range(30)]
    rows = [*unknown, *({**row, "email": "no e-mail"} for row in ROWS)]
    task = task(customers=rows, columns={"name": "name", "email": "email"}, on_missing="skip", on_invalid="omit_field")
    task.stop()
    task.run(2)
    in_two_tries = task.summary["omitted_fields"]
    task.store.values.clear()
    task.run(1)
    assert in_two_tries == task.summary["omitted_fields"] != []


def test_only_rows_that_failed_are_sent_again(connect) -> None:
    with DubEmulator(faults=["error=0.3"], fault_seed=1) as dub:
        dub.reset(setup_customers=CUSTOMERS)
        connect(dub.url, max_retries=0)
        task = Task(dub, max_workers=1, retries=9)
        failed = IDS
        for try_number in range(1, 10):
            try:
                task.run(try_number, max_tries=9)
            except DubRetryLaterError:
                assert task.sent == failed
                failed = [failure["key"] for failure in task.summary["failures"]]
                assert len(failed) == task.summary["failed"]
            else:
                break
    assert [record["id"] for record in task.returned] == IDS


def test_a_round_trip_for_each_batch_and_one_at_either_end(task) -> None:
    task = task(checkpoint_every=25)
    task.run(1)
    assert task.store.calls == ["get", "set", "set", "clear"]
    assert task.summary["resumed"] == 0


def test_a_try_that_airflow_does_not_repeat_leaves_nothing(task) -> None:
    task = task()
    with pytest.raises(DubFixRowsError):
        task.run(1, customers=[*ROWS, {"id": "cus_missing", "name": "n"}])
    assert task.store.calls.count("set") == 6
    assert task.store.values == {}


def test_the_last_try_leaves_nothing(task) -> None:
    task = task()
    task.stop(2)
    assert task.store.values
    task.store.calls.clear()
    task.stop(3, after=1)
    assert task.store.values == {}


def test_the_last_try_keeps_what_a_policy_may_run_again(task, monkeypatch) -> None:
    pytest.importorskip("airflow.sdk.definitions.retry_policy")
    from airflow_provider_dub.retry_policy import DubRetryPolicy

    monkeypatch.setattr("airflow_provider_dub.version_compat.can_reschedule_failures", lambda: True)
    task = task(retry_policy=DubRetryPolicy())
    task.stop(3)
    assert task.store.values


def test_clear_starts_anew(task) -> None:
    task = task()
    task.stop()
    task.run(2, max_tries=3)  # Airflow adds the tries that there were to the retries
    assert sorted(task.sent) == IDS
    assert task.summary["resumed"] == 0
    assert task.store.values == {}


def test_a_finished_task_that_is_cleared_sends_everything_again(task) -> None:
    task = task()
    task.run(1)
    task.run(2, max_tries=3)
    assert sorted(task.sent) == IDS


@pytest.mark.parametrize(
    ("extra", "options"),
    [
        ({"workspace_slug": "lab-main"}, {}),
        ({}, {"include_expanded_fields": True}),
        ({}, {"on_missing": "skip"}),
        ({}, {"do_xcom_push": False}),
    ],
    ids=str,
)
def test_what_was_done_under_other_settings_is_not_believed(task, connect, extra, options) -> None:
    task = task()
    task.stop()
    connect(task.dub.url, **extra)
    task.run(2, **options)
    assert sorted(task.sent) == IDS


def test_what_another_key_did_is_not_believed(task, connect) -> None:
    task = task()
    task.stop()
    connect(task.dub.url, "dub_FREEKEY")
    with pytest.raises(DubFixSetupError):
        task.run(2)
    assert task.summary["resumed"] == 0
    assert task.store.values == {}


def test_resume_can_be_turned_off(task) -> None:
    task = task(resume=False)
    task.run(1)
    assert task.store.calls == []
    assert sorted(task.sent) == IDS


def test_a_dry_run_neither_knows_nor_keeps_anything(task) -> None:
    task = task()
    task.stop()
    kept = dict(task.store.values)
    task.run(2, dry_run=True)
    assert task.summary["would_update"] == 60
    assert task.store.values == kept


def test_no_rows_need_no_connection_and_no_store(task, connect) -> None:
    task = task(customers=[])
    connect(task.dub.url, None)
    task.run(1)
    assert task.store.calls == []


@pytest.mark.parametrize(
    "broken", [{"get"}, {"set"}, {"clear"}, {"get", "set", "clear"}], ids=lambda broken: " and ".join(sorted(broken))
)
def test_a_store_that_fails_costs_only_what_it_is_for_and_is_logged_once(task, logged, caplog, broken) -> None:
    task = task()
    task.store.broken = broken
    task.run(1)
    assert sorted(task.sent) == IDS
    assert [record["id"] for record in task.returned] == IDS
    caught = caplog.text.count("task state store")  # up to Airflow 3.0 what is caught is printed as well
    shown = logged()
    assert (caught or shown.count("task state store")) == (2 if len(broken) == 3 else 1)
    assert "PLANTED" not in shown


def test_a_try_that_cannot_read_what_is_kept_deletes_it(task) -> None:
    task = task()
    task.stop()
    task.store.broken = {"get"}
    task.run(2)
    assert sorted(task.sent) == IDS
    assert task.store.calls.count("clear") == 2


@pytest.mark.parametrize("broken", [{"clear"}, {"get", "clear"}], ids=lambda broken: " and ".join(sorted(broken)))
def test_what_the_run_would_make_untrue_and_cannot_be_deleted_ends_it_before_the_first_request(task, broken) -> None:
    task = task()
    task.stop()
    task.store.broken = broken
    with pytest.raises(DubRetryLaterError, match="resume=False sends all rows") as failed:
        task.run(2, customers=ROWS[::-1])
    assert "PLANTED" not in "".join(traceback.format_exception(failed.value))
    assert task.sent == []


def test_a_task_whose_supervisor_died_stops_at_the_next_batch(task, monkeypatch) -> None:
    task = task()
    task.store.broken = {"set"}
    parents = iter([1000])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    with pytest.raises(RuntimeError):
        task.run(1)
    assert len(task.sent) <= 10 + 8


def test_a_file_of_records_has_the_customers_of_all_tries_wherever_the_retry_runs(task, tmp_path) -> None:
    path = tmp_path / "records.jsonl"
    task = task(records_path=path)
    task.stop()
    first = task.sent
    path.unlink()  # it is on another worker
    task.run(2)
    assert sorted(first + task.sent) == IDS
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == IDS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "changed", [ROWS[::-1], [*ROWS[:-1], {**ROWS[-1], "name": "new"}], ROWS[1:], [*ROWS, ROWS[0] | {"id": "cus_x"}]]
)
def test_of_another_input_every_row_is_sent(task, changed) -> None:
    task = task(max_failures=1)
    task.stop()
    task.run(2, customers=changed)
    assert sorted(task.sent) == sorted(row["id"] for row in changed)
    assert task.summary["resumed"] == 0


def test_an_input_that_changed_back_is_sent_whole(task) -> None:
    task = task()
    task.stop(1)
    task.store.calls.clear()
    task.stop(2, customers=[{**row, "name": "other"} for row in ROWS])
    task.run(3)
    assert sorted(task.sent) == IDS
    assert {record["name"].split()[0] for record in task.returned} == {"PLANTED"}


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "?",
        7,
        None,
        [],
        {"a": 1},
        b64encode(b"no zlib").decode(),
        b64encode(zlib.compress(b"[]")).decode(),
        b64encode(zlib.compress(b"[[0, 7]]")).decode(),
        pytest.param(Fernet(Fernet.generate_key()).encrypt(zlib.compress(b"[]")).decode(), id="of another key"),
    ],
    ids=repr,
)
def test_what_is_stored_in_another_shape_means_to_start_anew(task, stored) -> None:
    task = task()
    task.stop()
    first = next(iter(task.store.values))
    task.store.values[first] = json.dumps(stored)
    task.run(2)
    assert sorted(task.sent) == IDS
    assert task.store.values == {}


@pytest.mark.parametrize("at", [0, 10, 20, 60, -10])
def test_a_value_that_was_altered_in_the_store_means_to_start_anew(task, at) -> None:
    task = task()
    task.stop()
    first = next(iter(task.store.values))
    value = list(json.loads(task.store.values[first]))
    value[at] = "B" if value[at] == "A" else "A"
    task.store.values[first] = json.dumps("".join(value))
    task.run(2)
    assert sorted(task.sent) == IDS


def test_what_is_kept_cannot_be_read_without_the_key(task) -> None:
    task = task()
    task.stop()
    assert task.store.values
    for value in task.store.values.values():
        stored = urlsafe_b64decode(json.loads(value))
        assert b"cus_9" not in stored
        for start in range(len(stored)):
            with suppress(zlib.error):
                assert b"cus_9" not in zlib.decompressobj().decompress(stored[start:])


def test_what_another_version_kept_is_not_believed(task, monkeypatch) -> None:
    task = task()
    task.stop()
    monkeypatch.setattr("airflow_provider_dub.operators.resume.__version__", "99.0")
    task.run(2)
    assert sorted(task.sent) == IDS


@pytest.mark.parametrize("seed", range(5))
def test_no_row_is_left_out_however_tries_end_and_inputs_change(task, seed) -> None:
    chance = random.Random(seed)
    task = task(retries=6)
    names = {}
    for try_number in range(1, 7):
        rows = [{"id": row["id"], "name": chance.choice(["a", "b"])} for row in ROWS] if chance.random() < 0.4 else None
        names = {row["id"]: row["name"] for row in rows} if rows else names
        options = {"customers": [{"id": one, "name": name} for one, name in names.items()]} if names else {}
        task.options |= options
        after = chance.randrange(1, 5)

        def stop_it(operator, after=after) -> None:
            if task.store.calls.count("set") >= after:
                operator.on_kill()

        task.store.calls.clear()
        with suppress(DubRetryLaterError):
            task._run(try_number, 6, stop_it)
            break
    else:
        task.run(7, max_tries=6)
    wanted = names or {row["id"]: row["name"] for row in ROWS}
    assert {record["id"]: record["name"] for record in task.returned} == wanted
    assert {
        one: customer["name"] for one in wanted for customer in task.dub.customers if customer["id"] == one
    } == wanted


@pytest.mark.parametrize("wanted", [True, False])
def test_where_nobody_wants_the_records_none_is_kept(task, wanted) -> None:
    chance = random.Random(1)
    named = [{"id": row, "name": chance.randbytes(90).hex()} for row in IDS]
    task = task(do_xcom_push=wanted, customers=named)
    task.stop()
    first = task.sent
    assert (task.store.size > len(first) * 90) is wanted  # which is what the names can be compressed to
    task.run(2)
    assert sorted(first + task.sent) == IDS
    assert task.summary["updated"] == 60


def test_what_an_earlier_try_did_is_not_counted_twice_in_the_metrics(task, monkeypatch) -> None:
    task = task()
    counted: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "airflow_provider_dub.operators.base.Stats.incr", lambda name, count: counted.append((name, count))
    )
    task.stop()
    task.run(2)
    assert sum(count for name, count in counted if name == "dub.customers.updated") == 60


def test_large_records_are_kept_below_the_limit_of_a_value(task) -> None:
    def text() -> str:
        return "".join(chr(random.randint(0x4E00, 0x9FFF)) for _ in range(191))

    task = task(customers=[{"id": row, "name": text(), "stripeCustomerId": text()} for row in IDS], checkpoint_every=60)
    task.run(1)
    assert task.store.calls.count("set") == 2


def test_ids_are_not_listed_for_the_few_rows_that_are_left(task) -> None:
    task = task(customers=[{"id": f"ext_x{n}", "name": "n"} for n in range(20)], checkpoint_every=18, max_workers=1)
    task.dub.reset(setup_customers=[{"id": f"cus_8{n:03}", "externalId": f"x{n}"} for n in range(20)])
    task.stop(after=1)
    assert {"count", "customers"} < set(task.sent)
    task.run(2)
    assert {"ext_x19"} <= set(task.sent) <= {"ext_x18", "ext_x19", "cus_8018", "cus_8019"}
    assert len(task.returned) == 20
