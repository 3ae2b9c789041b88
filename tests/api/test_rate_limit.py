"""The limiter against a simulated Dub (``tests/support/simulated_limit.py``), and against rubbish."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub.api.rate_limit import RateLimiter, seconds_to_wait
from tests.support.simulated_limit import EPOCH, WINDOW, Case, Simulation

MINUTE_END = str(int(EPOCH + WINDOW) * 1000)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def error_headers(limit: int, remaining: int = 0) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": MINUTE_END,
        "Retry-After": MINUTE_END,
    }


def sent_at_once(limiter: RateLimiter, most: int = 10_000) -> int:
    return next((sent for sent in range(most) if limiter.delay()), most)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("case", "efficiency", "refused"),
    [
        (Case("limit unknown"), 0.98, 0.006),
        (Case("limit given", given=True), 0.98, 0.004),
        (Case("32 workers", workers=32, given=True), 0.98, 0.02),
        (Case("a clock 5 s off", clock_error=5.0), 0.95, 0.02),
        (Case("a cached Date", date="cached"), 0.97, 0.02),
        (Case("others use half", 3_600, others=10.0), 0.95, 0.02),
        (Case("404s", 3_600, not_found=0.05), 0.98, 0.004),
        (Case("the limiter is out of order", 3_600, not_found=0.05, open_from=0.0), 0.98, 0.0),
        *(
            pytest.param(*measured, marks=pytest.mark.slow)
            for measured in [
                (Case("two clients", 7_200, clients=2), 0.97, 0.03),
                (Case("four clients", 7_200, clients=4), 0.96, 0.05),
                (Case("a client that comes later", 7_200, clients=2, stagger=30.0), 0.95, 0.03),
                (Case("lowered", 6_600, change=(120.0, 600)), 0.95, 0.02),
                (Case("raised", 10_200, change=(120.0, 1_800)), 0.95, 0.02),
                (Case("refusals only", 4_800, storm=(100.0, 120.0)), 0.95, 0.01),
            ]
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_close_to_the_best_possible_and_few_refusals(case: Case, efficiency: float, refused: float) -> None:
    runs = [Simulation(case, seed).run() for seed in range(3)]

    assert statistics.median(run.efficiency for run in runs) >= efficiency
    assert statistics.median(run.refused for run in runs) <= refused


def test_responses_without_a_date_stall_nobody() -> None:
    assert Simulation(Case("no date", date="missing"), seed=1).run().efficiency > 0.8


def test_a_storm_is_probed_gently_and_left_at_once() -> None:
    run = Simulation(Case("storm", 4_800, storm=(100.0, 120.0)), seed=1).run()

    tries = [when for when, *_ in run.log if 101 <= when < 120]
    back = min(when for when, _, status in run.log if status == 200 and when >= 120)
    assert len(tries) <= 20
    assert back - 120 < 2.5
    assert sum(120 <= when < 130 for when, *_ in run.log) > 200  # what the storm left unused is made up for


def test_the_whole_budget_is_back_after_two_minutes(clock: Clock) -> None:
    limiter = RateLimiter(100, monotonic=clock)
    assert sent_at_once(limiter) == 100
    clock.now += 120
    assert sent_at_once(limiter) == 100


def test_a_cap_of_ours_is_never_exceeded(clock: Clock) -> None:
    limiter = RateLimiter(600, monotonic=clock)
    assert sent_at_once(limiter) == 600

    limiter.record_response(404, error_headers(3_000, remaining=2_400))
    minute = []
    for _ in range(600):
        clock.now += 0.1
        minute.append(sent_at_once(limiter))
    assert sum(minute) <= 600
    assert max(minute) <= 3
    assert limiter.limit == 600


def test_dubs_limit_rules_when_it_is_lower(clock: Clock) -> None:
    limiter = RateLimiter(600, monotonic=clock)
    limiter.record_response(404, error_headers(120, remaining=119))

    assert limiter.limit == 120
    assert sent_at_once(limiter) <= 120


@pytest.mark.parametrize("sent", [True, False])
def test_a_response_that_never_comes_is_not_waited_for(clock: Clock, sent: bool) -> None:
    limiter = RateLimiter(monotonic=clock)
    assert limiter.delay() == 0
    limiter.record_failure(sent=sent)
    for _ in range(1_300):
        assert limiter.delay() == 0
        limiter.record_response(200, {})


def test_limit_is_unknown_until_an_error_names_it(clock: Clock) -> None:
    limiter = RateLimiter(monotonic=clock)
    limiter.record_response(200, {})
    assert limiter.limit is None

    limiter.record_response(500, error_headers(0))
    assert limiter.limit is None

    limiter.record_response(404, error_headers(1_200, remaining=1_000))
    assert limiter.limit == 1_200


def test_remaining_shows_that_there_are_other_clients(clock: Clock) -> None:
    limiter = RateLimiter(monotonic=clock)
    limiter.delay()
    limiter.record_response(404, error_headers(1_200, remaining=100))

    assert sent_at_once(limiter) == 100


def test_a_refusal_stops_everybody_but_one(clock: Clock) -> None:
    limiter = RateLimiter(monotonic=clock)
    for _ in range(100):
        limiter.delay()
    limiter.record_response(429, {})
    assert sent_at_once(limiter) == 0

    clock.now += 2 * WINDOW
    assert sent_at_once(limiter) == 1


def test_somebody_elses_retry_after_is_obeyed(clock: Clock) -> None:
    limiter = RateLimiter(monotonic=clock)
    limiter.delay()
    limiter.record_response(429, {"Retry-After": "30"})

    clock.now += 29
    assert limiter.delay() > 0
    clock.now += 2
    assert limiter.delay() == 0


def test_waiting_threads_get_turns(clock: Clock) -> None:
    limiter = RateLimiter(60, monotonic=clock)
    sent_at_once(limiter)
    clock.now += WINDOW + 30  # the old minute's weight now falls, by a request a second
    sent_at_once(limiter)

    pauses = [limiter.delay() for _ in range(3)]
    assert pauses == sorted(set(pauses))


def test_a_wrong_date_heals() -> None:
    clock = Clock()
    limiter = RateLimiter(1_200, monotonic=clock)
    limiter.record_response(200, {"Date": "Fri, 31 Dec 2099 23:59:59 GMT"})
    limiter.record_response(200, {"Date": "Sun, 22 Nov 2026 12:00:30 GMT"})

    assert sent_at_once(limiter) == 1_200
    clock.now += 28
    assert limiter.delay() > 0
    clock.now += 4  # 12:01:02
    assert limiter.delay() == 0


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("120", 60),
        (str(int(EPOCH) + 9), 9),
        (str(int(EPOCH) * 1000 + 9_500), 9.5),
        ("Fri, 15 Jan 2027 08:00:20 GMT", 20),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("1795361280000", 0),
        ("0", 0),
        ("-5", 0),
        ("", 0),
        ("soon", 0),
        ("nan", 0),
        ("٣", 0),
        ("9" * 5_000, 0),
        ("999999999999999", 0),
    ],
)
def test_every_dialect_of_retry_after_is_understood(retry_after: str, seconds: float) -> None:
    assert seconds_to_wait(retry_after, EPOCH) == pytest.approx(seconds)


@pytest.mark.parametrize("requests_per_minute", [0, -1])
def test_a_cap_below_one_is_refused(requests_per_minute: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RateLimiter(requests_per_minute)


rubbish = st.one_of(
    st.text(),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.sampled_from([MINUTE_END, "1200", "0", "Sun, 22 Nov 2026 12:00:30 GMT", "Mon, 1 Jan 0001 00:00:00 +2359"]),
)
names = ["Date", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
responses = st.tuples(st.sampled_from([200, 404, 429, 500]), st.dictionaries(st.sampled_from(names), rubbish))


@given(
    cap=st.none() | st.integers(1, 5_000),
    steps=st.lists(st.tuples(responses, st.floats(0, 200), st.integers(0, 20)), max_size=20),
)
def test_no_responses_at_any_time_stall_it_for_more_than_three_windows(
    cap: int | None, steps: list[tuple[tuple[int, Mapping[str, str]], float, int]]
) -> None:
    clock = Clock()
    limiter = RateLimiter(cap, monotonic=clock)
    for (status, headers), pause, asks in steps:
        assert all(0 <= limiter.delay() <= 60 for _ in range(asks))
        limiter.record_response(status, headers)
        clock.now += pause

    waited = 0.0
    while pause := limiter.delay():
        clock.now += pause
        waited += pause
    assert waited <= 3 * WINDOW


@given(rubbish, st.floats(0, 4e9))
def test_any_retry_after_waits_a_minute_at_most(retry_after: str, now: float) -> None:
    assert 0 <= seconds_to_wait(retry_after, now) <= 60


def test_threads_share_one_limiter() -> None:
    limiter = RateLimiter(500)
    taken: list[int] = []

    def work() -> None:
        taken.append(sent_at_once(limiter))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 500 <= sum(taken) <= 500 + math.ceil(500 / 60)  # some refill while they ran


def test_a_request_costs_little() -> None:
    limiter = RateLimiter()
    headers = {"Date": "Sun, 22 Nov 2026 12:00:30 GMT"}
    begin = time.process_time()
    for _ in range(5_000):
        limiter.delay()
        limiter.record_response(200, headers)
    assert (time.process_time() - begin) / 5_000 < 100e-6  # about 5 µs; room for a slow machine
