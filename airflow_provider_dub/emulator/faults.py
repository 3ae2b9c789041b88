"""Failures on purpose, for tests of clients.

Each fault is written ``name=value``. The shares, each between 0 and 1, exclude each other and are drawn per request by
a seeded generator, so a run can be repeated:

=================  =====================================================================================
``error``          500, 502, 503 or 504 with a JSON or an empty body; nothing was applied
``html-error``     500, 502 or 503 with an HTML page; nothing was applied
``reset-before``   the connection drops before the request is applied
``reset-after``    the connection drops after the request was applied
``stall``          the request is applied; the response takes ``stall-seconds`` (default 30)
``truncate``       the request is applied; a 200 ends before its Content-Length
``transient-422``  an update fails with a deadlock, as a 422; nothing was applied
=================  =====================================================================================

``storm=START:SECONDS`` refuses everything with a 429 for an interval that begins START seconds after the start or the
last reset. ``fail-open=1`` makes the limiter admit everything, with headers that are all 0.

The request log shows the fault that each request drew.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_provider_dub.emulator.connections import drop
from airflow_provider_dub.emulator.errors import ApiError, html_page
from airflow_provider_dub.emulator.store import statement_failed

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_SHARES = ("error", "html-error", "reset-before", "reset-after", "stall", "truncate", "transient-422")
_OTHERS = "stall-seconds=SECONDS, storm=START:SECONDS, fail-open=1"
_DEADLOCK = "Transaction failed due to a write conflict or a deadlock. Please retry your transaction"

_REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


@dataclass(frozen=True)
class FaultPlan:
    """Which faults happen, and how often."""

    shares: Mapping[str, float] = field(default_factory=dict)
    stall_seconds: float = 30.0
    storm: tuple[float, float] | None = None
    fail_open: bool = False

    @classmethod
    def parse(cls, specs: Iterable[str]) -> FaultPlan:
        """Return the plan for faults in their written form.

        :param specs: The faults, such as ``["error=0.05", "storm=2:5"]``.
        """
        shares: dict[str, float] = {}
        others: dict[str, Any] = {}
        for spec in specs:
            name, _, value = spec.partition("=")
            if name in _SHARES:
                shares[name] = _number(spec, value, maximum=1)
            elif name == "stall-seconds":
                others["stall_seconds"] = _number(spec, value)
            elif name == "storm":
                start, _, seconds = value.partition(":")
                others["storm"] = (_number(spec, start), _number(spec, seconds))
            elif name == "fail-open" and value in ("0", "1"):
                others["fail_open"] = value == "1"
            else:
                raise ValueError(f"Unknown fault {spec!r}. Known are {', '.join(_SHARES)}=SHARE, {_OTHERS}.")
        if sum(shares.values()) > 1:
            raise ValueError(f"The shares of the faults add up to {sum(shares.values()):g}, which is more than 1.")
        return cls(shares, **others)


def _number(spec: str, text: str, maximum: float = float("inf")) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= maximum:
        limit = f" and at most {maximum:g}" if maximum < float("inf") else ""
        raise ValueError(f"The fault {spec!r} needs a number that is at least 0{limit}.")
    return number


class Faults:
    """Draws the fault of each request.

    :param plan: The faults that happen, and how often.
    :param seed: A number; the same one gives the same faults.
    """

    def __init__(self, plan: FaultPlan, seed: int) -> None:
        self.plan = plan
        self._random = random.Random(seed)
        self._started = time.monotonic()

    def draw(self, method: str) -> str | None:
        """Return the fault of the next request, if any.

        :param method: The request's method; only updates meet deadlocks.
        """
        point = self._random.random()
        for name, share in self.plan.shares.items():
            if point < share:
                return None if name == "transient-422" and method != "PATCH" else name
            point -= share
        return None

    def is_storming(self) -> bool:
        """Return whether everything is refused right now."""
        if self.plan.storm is None:
            return False
        start, seconds = self.plan.storm
        return start <= time.monotonic() - self._started < start + seconds

    def broken_response(self, fault: str | None) -> Response | None:
        """Return the response of a server that is down, if that is the fault.

        :param fault: The request's fault.
        """
        if fault == "html-error":
            status = self._random.choice((500, 502, 503))
            return HTMLResponse(html_page(status, _REASONS[status]), status)
        if fault != "error":
            return None
        status = self._random.choice((500, 502, 503, 504))
        if self._random.random() < 0.5:
            return Response(status_code=status)
        message = "An internal server error occurred. Please contact our support if the problem persists."
        return JSONResponse(ApiError("internal_server_error", message).body, status)

    async def deliver(self, fault: str | None, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a response, or fail to.

        :param fault: The request's fault.
        :param response: The response of a healthy server.
        :param scope: The request.
        :param receive: Its incoming events.
        :param send: Its outgoing events.
        """
        if fault == "reset-after":
            await drop_connection(scope, receive)
            return
        if fault == "stall" and await _is_gone_within(self.plan.stall_seconds, receive):
            return
        if fault == "truncate" and response.status_code == 200:
            await _send_first_half(response, scope, receive, send)
            return
        await response(scope, receive, send)


def deadlock() -> ApiError:
    """Return the error of an update that met another one."""
    return statement_failed("update", _DEADLOCK)


async def drop_connection(scope: Scope, receive: Receive) -> None:
    """End the connection without a response.

    :param scope: The request, served through :class:`.connections.BoundedProtocol`.
    :param receive: Its incoming events.
    """
    drop(scope)
    await _disconnected(receive)


async def _send_first_half(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    half = bytes(response.body[: len(response.body) // 2])
    await send({"type": "http.response.body", "body": half, "more_body": True})
    scope["extensions"]["transport"].close()
    await _disconnected(receive)


async def _is_gone_within(seconds: float, receive: Receive) -> bool:
    try:
        await asyncio.wait_for(_disconnected(receive), seconds)
    except TimeoutError:
        return False
    return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
