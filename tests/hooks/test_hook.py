"""The hook: one connection look-up, one client, and a test that tells what is wrong."""

from __future__ import annotations

import copy
import os
import pickle
import re
import signal
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import psutil
import pytest

from airflow_provider_dub.api.stop import POLL_INTERVAL
from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubConfigurationError, DubError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome


def test_a_key_that_may_update_customers_is_accepted_after_one_request(connected) -> None:
    assert DubHook().test_connection() == (
        True,
        "Dub accepts the key for updating customers (1,200 requests a minute).",
    )
    assert len(connected.requests) == 1


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("dub_nope", "refused the API key"),
        ("dub_EXPIREDKEY", "refused the API key"),
        ("dub_FREEKEY", "Business plan"),
        ("dub_VIEWERKEY", "role must be owner or member"),
        ("dub_NOMEMBERKEY", "no workspace"),
        ("TESTKEY", "begins with dub_"),
        ("", "has no API key"),
    ],
)
def test_it_says_what_is_wrong_with_the_key(dub, connect, key: str, shown: str) -> None:
    connect(dub.url, key)
    works, message = DubHook().test_connection()
    assert not works
    assert shown in message
    assert not key or key not in message


@pytest.mark.parametrize("slug", ["lab-other", "ws_1LABOTHER000000000000000002"])
def test_the_key_of_another_workspace_updates_nothing(dub, connect, slug: str) -> None:
    connect(dub.url, workspace_slug=slug)
    before = dub.customers
    for hook in (DubHook(), DubHook(workspace_slug="")):
        assert not hook.test_connection()[0]
        with pytest.raises(DubError):
            hook.update_customer("ext_user_1", {"name": "Wrong workspace"})
    assert dub.customers == before


def test_it_says_that_the_host_is_unreachable(connect, no_back_off) -> None:
    connect("http://127.0.0.1:9", max_retries=0)
    works, message = DubHook().test_connection()
    assert not works
    assert "No response from http://127.0.0.1:9" in message


def test_it_says_soon_that_the_key_is_over_its_limit(connect, monkeypatch) -> None:
    monkeypatch.setattr("airflow_provider_dub.hooks.dub.TEST_RATE_LIMIT_TIMEOUT", 0.1)
    with DubEmulator(faults=["storm=0:10000"]) as dub:
        connect(dub.url)
        began = time.monotonic()
        works, message = DubHook().test_connection()
    assert not works
    assert message.startswith("Dub accepts the key, but it is over its limit of requests now")
    assert time.monotonic() - began < 10


def test_it_says_that_the_host_is_not_dub(dub, connect, no_back_off) -> None:
    connect(f"{dub.url}/elsewhere")
    works, message = DubHook().test_connection()
    assert not works
    assert "not one of Dub's" in message


def test_the_connection_is_looked_up_once(connected, monkeypatch) -> None:
    looked_up = []
    original = DubHook.get_connection
    monkeypatch.setattr(
        DubHook, "get_connection", staticmethod(lambda conn_id: looked_up.append(conn_id) or original(conn_id))
    )
    hook = DubHook()
    for _ in range(3):
        hook.get_customer("cus_1LABA")
    assert looked_up == ["dub_default"]


def test_rows_are_taken_as_they_are_needed(connected) -> None:
    taken = 0
    others = {*threading.enumerate()}

    def rows():
        nonlocal taken
        for taken in range(1, 10_001):
            yield {"id": f"cus_{taken}", "name": "n"}

    results = DubHook().update_customers(rows(), SyncOptions(max_workers=2))
    assert next(results).outcome is Outcome.FAILED
    assert taken <= 2 * 2 + 2
    results.close()
    until = time.monotonic() + 10
    while any(re.fullmatch(r"dub-(run|\d+)", thread.name) for thread in {*threading.enumerate()} - others):
        assert time.monotonic() < until, "threads of the run are left"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "option", [{"max_failures": 0}, {"max_failure_rate": 0.5}, {"max_changes": 0}, {"on_empty": "fail"}], ids=str
)
def test_an_option_that_judges_a_task_is_refused_before_a_request(connected, option) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))}: only operators look at this"):
        DubHook().update_customers([{"id": "cus_1LABA", "name": "n"}], SyncOptions(**option))
    assert not connected.requests


def test_on_duplicate_last_needs_rows_that_can_be_read_twice(connected) -> None:
    with pytest.raises(ValueError, match="on_duplicate"):
        list(DubHook().update_customers(iter([{"id": "cus_1"}]), SyncOptions(on_duplicate="last")))


def test_a_twin_in_another_case_is_looked_up_wherever_it_stands(connected) -> None:
    rows = [{"id": f"cus_{n}"} for n in range(50)] + [
        {"id": "ext_user_1", "name": "right"},
        {"id": "ext_USER_1", "name": "wrong"},
    ]
    *_, right, wrong = DubHook().update_customers(rows)
    assert right.outcome is Outcome.UPDATED
    assert (wrong.outcome, wrong.code) == (Outcome.FAILED, "wrong_customer")
    assert next(c for c in connected.customers if c["id"] == "cus_1LABA")["name"] == "right"


def test_an_unknown_extra_is_named(dub, connect, logged) -> None:
    connect(dub.url, time_limit="SECRET-VALUE")
    DubHook().get_customer("cus_1LABA")
    assert "time_limit" in logged()
    assert "SECRET-VALUE" not in logged()


@pytest.mark.parametrize("end", [OSError, SystemExit, KeyboardInterrupt, pytest.fail.Exception])
def test_the_results_of_rows_come_before_what_ended_the_rows(connected, end: type[BaseException]) -> None:
    def rows():
        yield from ({"id": f"cus_{n}", "name": "n"} for n in range(5))
        raise end("the source is broken")

    outcomes: list[Outcome] = []

    def work() -> None:
        try:
            for result in DubHook().update_customers(rows()):
                outcomes.append(result.outcome)
                time.sleep(1.5 * POLL_INTERVAL)  # longer than the results wait for room
        except end:
            outcomes.append(Outcome.NOT_ATTEMPTED)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert outcomes == [Outcome.FAILED] * 5 + [Outcome.NOT_ATTEMPTED]


def test_rows_are_read_in_the_context_of_the_caller(connected) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")
    token = variable.set("cus_1LABA")

    def rows():
        yield {"id": variable.get(), "name": "n"}

    (result,) = DubHook().update_customers(rows())
    variable.reset(token)
    assert result.key == "cus_1LABA"


def test_a_run_that_ends_early_leaves_the_hook_usable(connected) -> None:
    hook = DubHook()
    rows = [{"id": "cus_1LABA", "name": "n"}, *({"id": f"cus_{n}", "name": "n"} for n in range(300))]
    for _ in hook.update_customers(rows):
        break
    assert hook.get_customer("cus_1LABA")["id"] == "cus_1LABA"
    assert next(iter(hook.update_customers(rows[:1]))).outcome is Outcome.UPDATED


@pytest.mark.parametrize("extra", [{"verify": "/nope.pem"}])
def test_a_setting_that_cannot_work_is_reported_and_not_raised(connect, extra) -> None:
    connect("https://127.0.0.1:9", **extra)
    works, message = DubHook().test_connection()
    assert not works
    assert "check the connection's host and verify" in message


def test_accents_make_no_difference_to_dub(connected) -> None:
    connected.reset(setup_customers=[{"id": "cus_1M", "externalId": "muller", "name": "n", "email": None}])
    filler = [{"id": f"ext_x{n}", "name": "n"} for n in range(30)]
    twins = [{"id": "ext_muller", "name": "right"}, {"id": "ext_müller", "name": "wrong"}]
    *_, right, wrong = DubHook().update_customers([*filler, *twins])
    assert right.outcome is Outcome.UPDATED
    assert (wrong.code, "nothing was changed" in wrong.reason) == ("wrong_customer", True)


def test_fingerprints_depend_on_where_updates_go_and_by_whose_key(connect) -> None:
    def fingerprint_key(host: str, key: str, *settings: object, **extra: object) -> bytes:
        connect(host, key, **extra)
        return DubHook().settings.fingerprint_key(*settings)

    keys = {
        fingerprint_key("https://api.dub.co", "dub_1"),
        fingerprint_key("https://dub.example", "dub_1"),
        fingerprint_key("https://api.dub.co", "dub_2"),
        fingerprint_key("https://api.dub.co", "dub_1", workspace_slug="acme"),
        fingerprint_key("https://api.dub.co", "dub_1", True),
        fingerprint_key("https://api.dub.co", "dub_1", False),
    }
    assert len(keys) == 6
    assert fingerprint_key("", "dub_1", timeout=5) in keys


def test_a_used_hook_works_in_a_process_that_was_forked_while_others_use_it(connected) -> None:
    hook, over = DubHook(), threading.Event()

    def work() -> None:
        while not over.is_set():
            hook.get_customer("cus_1LABA")

    threads = [threading.Thread(target=work) for _ in range(4)]
    hook.get_customer("cus_1LABA")
    for thread in threads:
        thread.start()
    children = []
    for _ in range(5):
        if (child := os.fork()) == 0:
            status = 1
            try:
                status = hook.get_customer("cus_1LABB")["id"] != "cus_1LABB"
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    over.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 5


def test_threads_that_use_a_new_hook_at_once_share_one_look_up_and_one_client(connected, monkeypatch) -> None:
    look_up, looked_up = DubHook.get_connection, []

    def slowly(conn_id: str):
        looked_up.append(conn_id)
        time.sleep(0.1)
        return look_up(conn_id)

    monkeypatch.setattr(DubHook, "get_connection", staticmethod(slowly))
    hook = DubHook()
    with ThreadPoolExecutor(20) as pool:
        clients = set(pool.map(lambda _: hook.client, range(20)))
    assert (len(looked_up), len(clients)) == (1, 1)


def test_a_process_that_was_forked_while_a_connection_is_looked_up_can_look_up_its_own(connected, monkeypatch) -> None:
    look_up, looking = DubHook.get_connection, threading.Event()

    def slowly(conn_id: str):
        looking.set()
        time.sleep(0.5)
        return look_up(conn_id)

    monkeypatch.setattr(DubHook, "get_connection", staticmethod(slowly))
    thread = threading.Thread(target=DubHook().get_customer, args=("cus_1LABA",))
    thread.start()
    looking.wait(5)
    if (child := os.fork()) == 0:
        signal.alarm(10)
        status = 1
        try:
            status = DubHook().get_customer("cus_1LABB")["id"] != "cus_1LABB"
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda hook: pickle.loads(pickle.dumps(hook))])  # noqa: S301
def test_a_used_hook_can_be_copied_and_sent_to_another_process_without_its_key(connected, copied) -> None:
    hook = DubHook(timeout=5)
    hook.get_customer("cus_1LABA")
    assert b"dub_TESTKEY" not in pickle.dumps(hook)
    assert copied(hook).get_customer("cus_1LABB")["id"] == "cus_1LABB"
    assert copied(hook).settings.timeout == 5


def test_a_hook_that_is_used_for_many_runs_keeps_no_sockets_and_no_threads(connected) -> None:
    hook = DubHook()
    counts = []
    for _ in range(6):
        assert len(list(hook.update_customers([{"id": "cus_1LABA", "name": "n"}] * 3))) == 3
        until = time.monotonic() + 5
        while time.monotonic() < until:
            counts.append((len(psutil.Process().net_connections()), threading.active_count()))
            if counts[-1] <= counts[0]:
                break
            time.sleep(0.02)
    assert counts[-1] <= counts[0]


def test_a_setting_that_cannot_work_leaves_no_key_in_the_frames_of_the_error(dub, connect) -> None:
    connect(dub.url, workspace_slug="a b")
    with pytest.raises(DubConfigurationError) as error:
        DubHook().settings  # noqa: B018 - which reads them
    _own, *frames = traceback.walk_tb(error.value.__traceback__)
    assert frames
    assert not any(dub.api_key in repr(frame.f_locals) for frame, _ in frames)
