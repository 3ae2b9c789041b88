"""What earlier tries settled is not sent again, and nothing else is left out, however tries end and inputs change."""

from __future__ import annotations

import os
import threading
import time
import zlib
from contextlib import closing
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_dub.exceptions import DubCustomerNotFoundError, DubServerError
from airflow_provider_dub.sync.checkpoints import Checkpoints
from airflow_provider_dub.sync.engine import Engine
from airflow_provider_dub.sync.report import Outcome
from airflow_provider_dub.sync.rows import rows_of
from airflow_provider_dub.sync.updates import UpdateReader

BATCH_SIZE = 4
MAX_WORKERS = 2


class Storage:
    """Keeps batches in memory, over as many tries as there are."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.batches: list[bytes] = []

    def load(self) -> list[bytes]:
        return list(self.batches)

    def save(self, batch: bytes) -> None:
        self.batches.append(batch)

    def clear(self) -> None:
        self.batches.clear()


class Dub:
    """What customers are called; one that is not there gets no name, and one that is broken fails."""

    def __init__(self, missing: str = "", broken: str = "") -> None:
        self.names: dict[str, str] = {}
        self.sent: list[str] = []
        self.missing = missing
        self.broken = broken
        self._lock = threading.Lock()

    def send(self, update) -> dict[str, str]:
        with self._lock:
            self.sent.append(update.customer_id)
            if update.customer_id == self.missing:
                raise DubCustomerNotFoundError("Dub knows no such customer.", status=404)
            if update.customer_id == self.broken:
                raise DubServerError("Dub is down.", status=503)
            self.names[update.customer_id] = update.fields["name"]
            return {"id": update.customer_id, **update.fields}


def rows(*names: str) -> list[dict[str, str]]:
    return [{"id": f"cus_{n}", "name": name} for n, name in enumerate(names)]


def checkpoints(storage: Storage, *, key: bytes = b"key", batch_size=BATCH_SIZE, keep_records=True) -> Checkpoints:
    return Checkpoints(storage, key=key, batch_size=batch_size, keep_records=keep_records)


def run(
    dub: Dub, storage: Storage, customers, *, taken: int | None = None, streamed=False, on_duplicate="fail", **options
):
    """Run one try, to its end or until it is killed after so many results; return the results."""
    kept = checkpoints(storage, **options)
    engine = Engine(
        dub.send,
        max_workers=MAX_WORKERS,
        on_missing="skip",
        on_duplicate=on_duplicate,
        dry_run=False,
        stopped=threading.Event(),
        checkpoints=kept,
    )
    before, count = set(threading.enumerate()), len(customers) if taken is None else taken
    with closing(engine.run(UpdateReader(rows_of(iter(customers) if streamed else customers)))) as running:
        results = list(islice(running, count))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    if taken is None:
        kept.save()
    return results


def test_the_next_try_sends_only_what_is_left_and_knows_the_records_of_all() -> None:
    dub, storage, customers = Dub(), Storage(), rows(*"abcdefghijkl")
    run(dub, storage, customers, taken=9)
    assert len(dub.sent) <= 2 * BATCH_SIZE + BATCH_SIZE + MAX_WORKERS
    dub.sent.clear()
    results = run(dub, storage, customers)
    assert dub.sent == [row["id"] for row in customers[8:]]
    assert [result.record for result in results] == customers
    assert [result.resumed for result in results] == [True] * 8 + [False] * 4
    assert {result.outcome for result in results} == {Outcome.UPDATED}
    assert {result.fields for result in results} == {("name",)}
    assert [result.row for result in results] == list(range(12))


def test_rows_in_another_order_are_known_again() -> None:
    dub, storage, customers = Dub(), Storage(), rows(*"abcdefgh")
    run(dub, storage, customers)
    dub.sent.clear()
    results = run(dub, storage, customers[::-1])
    assert dub.sent == []
    assert [result.record for result in results] == customers[::-1]
    assert [result.key for result in results] == [row["id"] for row in customers[::-1]]


def test_a_row_that_changed_is_sent_and_only_that() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, rows(*"abcdefgh"))
    dub.sent.clear()
    run(dub, storage, rows(*"abcXefgh"))
    assert dub.sent == ["cus_3"]


def test_a_row_that_changed_and_changed_back_is_sent() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, rows("a"))
    run(dub, storage, rows("b"), taken=1)  # killed before it could keep that
    assert dub.names == {"cus_0": "b"}
    run(dub, storage, rows("a"))
    assert dub.names == {"cus_0": "a"}


def test_rows_that_did_not_change_are_known_to_a_third_try() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, rows(*"abcdefgh"))
    run(dub, storage, rows(*"Xbcdefgh"))
    dub.sent.clear()
    run(dub, storage, rows(*"Xbcdefgh"))
    assert dub.sent == []


def test_rows_that_are_read_only_once_are_known_again_too() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, rows(*"abcdefgh"))
    dub.sent.clear()
    results = run(dub, storage, rows(*"Xbcdefgh"), streamed=True)
    assert dub.sent == ["cus_0"]
    assert [result.record for result in results] == rows(*"Xbcdefgh")


def test_what_failed_is_sent_again_and_what_is_missing_is_not() -> None:
    dub, storage, customers = Dub(missing="cus_1", broken="cus_2"), Storage(), rows(*"abcd")
    first = run(dub, storage, customers)
    dub.sent.clear()
    dub.broken = ""
    second = run(dub, storage, customers)
    assert dub.sent == ["cus_2"]
    assert [result.outcome for result in second] == ["updated", "missing", "updated", "updated"]
    assert (second[1].code, second[1].reason) == (first[1].code, first[1].reason)


def test_what_dub_did_not_apply_is_still_told() -> None:
    class OlderDub(Dub):
        def send(self, update):
            super().send(update)
            return {"id": update.customer_id, "name": "another"}

    dub, storage = OlderDub(), Storage()
    run(dub, storage, rows("a"), keep_records=False)
    (result,) = run(dub, storage, rows("a"), keep_records=False)
    assert (result.resumed, result.ignored_fields, result.record) == (True, ("name",), None)


def test_another_key_knows_nothing_and_leaves_nothing() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, rows(*"abcd"))
    run(dub, storage, rows(*"abcd"), key=b"other", taken=0)
    assert storage.batches == []
    dub.sent.clear()
    run(dub, storage, rows(*"abcd"))
    assert len(dub.sent) == 4


@pytest.mark.parametrize("batch", [b"", b"no batch", b"x\x9c"])
def test_what_cannot_be_read_is_forgotten(batch) -> None:
    dub, storage = Dub(), Storage()
    storage.save(batch)
    run(dub, storage, rows(*"ab"))
    assert len(dub.sent) == 2


def test_a_batch_that_is_too_large_is_kept_in_parts_and_a_row_that_is_too_large_is_sent_again() -> None:
    dub, storage = Dub(), Storage(max_bytes=500)
    customers = rows(*(os.urandom(60).hex() for _ in range(7)))
    customers.append({"id": "cus_huge", "name": "n", "avatar": f"https://example.com/{os.urandom(400).hex()}"})
    run(dub, storage, customers)
    assert len(storage.batches) > 2
    assert max(map(len, storage.batches)) <= 500
    dub.sent.clear()
    run(dub, storage, customers)
    assert dub.sent == ["cus_huge"]


def test_neither_values_nor_ids_are_kept_without_records() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, [{"id": "cus_planted", "name": "PLANTED"}], keep_records=False)
    (kept,) = map(zlib.decompress, storage.batches)
    assert b"planted" not in kept.lower()


def test_of_several_rows_for_a_customer_only_the_last_counts_in_every_try() -> None:
    dub, storage = Dub(), Storage()
    run(dub, storage, [*rows("a"), *rows("b")], on_duplicate="last")
    dub.sent.clear()
    results = run(dub, storage, [*rows("a"), *rows("b")], on_duplicate="last")
    assert [result.outcome for result in results] == ["superseded", "updated"]
    assert (dub.sent, dub.names) == ([], {"cus_0": "b"})


def test_a_state_that_cannot_be_forgotten_ends_the_run_before_it_becomes_untrue() -> None:
    class Stuck(Storage):
        def clear(self) -> None:
            raise RuntimeError("read only")

    dub, storage = Dub(), Stuck()
    run(dub, storage, rows("a"))
    with pytest.raises(RuntimeError, match="read only"):
        run(dub, storage, rows("b"))
    assert dub.names == {"cus_0": "a"}


@st.composite
def tries(draw):
    """Inputs of successive tries, and after how many results each is killed."""
    customers = draw(st.lists(st.integers(0, 30), unique=True, max_size=25))
    told = []
    for _ in range(draw(st.integers(1, 5))):
        some = draw(st.permutations(customers))[: draw(st.integers(0, len(customers)))]
        names = draw(st.lists(st.sampled_from("ab"), min_size=len(some), max_size=len(some)))
        given_rows = [{"id": f"cus_{n}", "name": name} for n, name in zip(some, names, strict=True)]
        told.append((given_rows, draw(st.integers(0, len(some))), draw(st.sampled_from([b"key", b"key", b"other"]))))
    return told


@settings(max_examples=150, deadline=None)
@given(tries())
def test_no_row_is_left_out_that_is_not_applied_however_tries_end_and_inputs_change(told) -> None:
    dub, storage = Dub(), Storage()
    for customers, taken, key in told:
        dub.sent.clear()
        for result in run(dub, storage, customers, taken=taken, key=key):
            wanted = customers[result.row]
            assert result.record == wanted
            assert dub.names[wanted["id"]] == wanted["name"]
    customers, _, key = told[-1]
    results = run(dub, storage, customers, key=key)
    assert [result.record for result in results] == customers
    assert {row["id"]: row["name"] for row in customers}.items() <= dub.names.items()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 3))
def test_a_killed_try_costs_at_most_a_batch_and_a_row_for_each_worker(taken, batch_size, slow) -> None:
    class SlowDub(Dub):
        def send(self, update):
            if update.row % 7 == slow:
                time.sleep(0.001)
            return super().send(update)

    dub, storage, customers = SlowDub(), Storage(), rows(*map(str, range(60)))
    run(dub, storage, customers, taken=taken, batch_size=batch_size)
    run(dub, storage, customers, batch_size=batch_size)
    assert len(dub.sent) <= len(customers) + batch_size + MAX_WORKERS
    assert set(dub.sent) == {row["id"] for row in customers}
