"""Clients of a rate limiter against a simulated Dub, in virtual time.

The server's limiter is the emulator's; each client is a number of worker threads around a limiter of its own. *Best* is
a clairvoyant client with the same workers, which asks the server itself when a request will be admitted:
``W * (N / L - f)`` after a start at fraction ``f`` of a minute, unless the workers are too slow to use up the first
minute. *Efficiency* is its time divided by ours.
"""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_dub.api.rate_limit import RateLimiter
from airflow_provider_dub.emulator.rate_limit import FAILED_OPEN, SlidingWindow, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = 1_800_000_000.0  # a full minute
WINDOW = 60.0
LATENCY = (0.07, 0.13)
MEAN_LATENCY = sum(LATENCY) / 2
#: Seconds from the end of a mapped task to the first request of the next one.
TASK_START = (1.0, 3.0)


@dataclass(frozen=True)
class Case:
    """A situation; times are seconds after the first client's start.

    :param rows: Requests that must be admitted, of all clients together.
    :param clients: Clients that share the key without talking.
    :param stagger: The other clients start within so many seconds.
    :param at_a_time: Only so many of the clients at a time, as with mapped tasks: when one ends, another one starts.
    :param given: Whether the limiters know the limit.
    :param clock_error: The clients' clocks show the server's time, so many seconds off. None: any time.
    :param date: ``exact``, ``cached`` for up to a second, or ``missing``.
    :param not_found: Part of the admitted requests with the response 404, with the limiter's headers.
    :param others: Requests a second of somebody who sends steadily and gives up what is refused.
    :param change: When the limit changes, and to what. Efficiency is then counted in the two windows that begin one
        window later.
    :param storm: From when until when everything is refused.
    :param open_from: When the server's limiter begins to let everything pass, with headers that are all 0.
    """

    name: str
    rows: int = 2_400
    limit: int = 1_200
    workers: int = 8
    clients: int = 1
    stagger: float = 0.0
    at_a_time: int | None = None
    given: bool = False
    clock_error: float | None = None
    date: str = "exact"
    not_found: float = 0.0
    others: float = 0.0
    change: tuple[float, int] | None = None
    storm: tuple[float, float] = (0.0, 0.0)
    open_from: float = float("inf")


class Server:
    """A server with Dub's limiter, which is asked in the order of time."""

    def __init__(self, case: Case, start: float) -> None:
        self.case, self.start = case, start
        self._now = start
        self._window = SlidingWindow(WINDOW, clock=lambda: self._now)

    def spend(self, now: float, requests: float) -> None:
        """Count requests that somebody else has sent in this minute."""
        self._now = now
        self._window.spend("key", int(requests))

    def admit(self, now: float) -> Verdict:
        self._now = now
        elapsed, (begin, end), change = now - self.start, self.case.storm, self.case.change
        if elapsed >= self.case.open_from:
            return FAILED_OPEN
        limit = change[1] if change and elapsed >= change[0] else self.case.limit
        return self._window.refuse(limit) if begin <= elapsed < end else self._window.admit("key", limit)

    def respond(self, now: float, rng: random.Random) -> tuple[int, dict[str, str]]:
        verdict = self.admit(now)
        status = 429 if not verdict.admitted else 404 if rng.random() < self.case.not_found else 200
        headers = {}
        if self.case.date != "missing":
            headers["Date"] = _http_date(int(now - (rng.random() if self.case.date == "cached" else 0)))
        return status, headers if status == 200 else headers | verdict.headers


@lru_cache(maxsize=4)
def _http_date(epoch: int) -> str:
    return formatdate(epoch, usegmt=True)


class Simulation:
    """One run of a case: a queue of events, each a function to call at its time."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.rng = random.Random(seed)
        self.start = self.now = EPOCH + WINDOW * self.rng.random()
        self.starts = [self.start + self.rng.uniform(0, case.stagger) * (client > 0) for client in range(case.clients)]
        self.server = Server(case, self.start)
        self.limiters = [self._limiter() for _ in range(case.clients)]
        self.rows = [case.rows // case.clients] * case.clients
        self.workers = [case.workers] * case.clients
        self.waiting = list(range(case.clients))
        self.log: list[tuple[float, int, int]] = []  # when after the start the server responded, whom, which status
        self.at_a_time = case.at_a_time or case.clients
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._serial = itertools.count()

    def _limiter(self) -> RateLimiter:
        error = self.case.clock_error
        ahead = self.rng.uniform(0, 1e6) - EPOCH if error is None else error * self.rng.choice((-1, 1))
        return RateLimiter(self.case.limit if self.case.given else None, monotonic=lambda: self.now + ahead)

    def run(self) -> Simulation:
        while len(self.waiting) > self.case.clients - self.at_a_time:
            self._start_next(self.starts[self.waiting[0]])
        if self.case.others:
            self.server.spend(self.start - WINDOW, self.case.others * WINDOW)
            self.server.spend(self.start, self.case.others * (self.start % WINDOW))
            self._at(self.start, self._others)
        while any(self.workers):
            self.now, _, function, arguments = heapq.heappop(self._events)
            function(*arguments)
        return self

    def _at(self, when: float, function: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._events, (when, next(self._serial), function, arguments))

    def _others(self) -> None:
        self.server.admit(self.now)
        self._at(self.now + 1 / self.case.others, self._others)

    def _start_next(self, when: float) -> None:
        client = self.waiting.pop(0)
        for worker in range(self.case.workers):
            self._at(when + worker / 1000, self._next_row, client)

    def _next_row(self, client: int) -> None:
        if self.rows[client]:
            self.rows[client] -= 1
            self._ask(client)
            return
        self.workers[client] -= 1
        if self.waiting and not self.workers[client]:
            self._start_next(self.now + self.rng.uniform(*TASK_START))

    def _ask(self, client: int) -> None:
        if pause := self.limiters[client].delay():
            self._at(self.now + pause + self.rng.uniform(0, 0.002), self._ask, client)
        else:
            self._at(self.now + self.rng.uniform(*LATENCY) / 2, self._arrive, client)

    def _arrive(self, client: int) -> None:
        status, headers = self.server.respond(self.now, self.rng)
        self.log.append((self.now - self.start, client, status))
        self._at(self.now + self.rng.uniform(*LATENCY) / 2, self._responded, client, status, headers)

    def _responded(self, client: int, status: int, headers: dict[str, str]) -> None:
        self.limiters[client].record_response(status, headers)
        if status == 429:
            self._ask(client)
        else:
            self._next_row(client)

    @property
    def efficiency(self) -> float:
        if self.case.change:
            when, limit = self.case.change
            begin, end = when + WINDOW, when + 3 * WINDOW
            return sum(begin <= t < end for t, _, status in self.log if status != 429) / (2 * limit)
        return self._best() / (self.now - self.start)

    @property
    def refused(self) -> float:
        """429s, as part of the rows."""
        return sum(status == 429 for *_, status in self.log) / self.case.rows

    def _best(self) -> float:
        left = self.case.limit - round(self.case.others * WINDOW)
        server = Server(replace(self.case, limit=left), self.start)
        now = self.start
        for _ in range(self.case.rows):
            clients = min(sum(start <= now for start in self.starts), self.at_a_time)
            now += MEAN_LATENCY / self.case.workers / clients
            while not server.admit(now).admitted:
                now += 0.02
        return now - self.start
