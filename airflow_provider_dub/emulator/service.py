"""What one running emulator holds, and the order in which it checks a request."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from airflow_provider_dub.customers import fields
from airflow_provider_dub.emulator.access import Access, ApiKey, Workspace, require_paid_plan, require_role
from airflow_provider_dub.emulator.customers import CustomersApi
from airflow_provider_dub.emulator.errors import ApiError, PageError, RedirectError, html_page
from airflow_provider_dub.emulator.faults import FaultPlan, Faults, deadlock
from airflow_provider_dub.emulator.rate_limit import FAILED_OPEN, SlidingWindow, Verdict
from airflow_provider_dub.emulator.routing import Target, resolve
from airflow_provider_dub.emulator.store import CustomerStore

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_dub.emulator.seed import Seed

_EDITORS = ("owner", "member")
_METHODS = {
    "customers": ("GET", "HEAD", "POST"),
    "count": ("GET", "HEAD"),
    "export": ("GET", "HEAD"),
    "customer": ("GET", "HEAD", "PATCH", "DELETE"),
}
# What the framework has heard of. It cannot even read a TRACE.
_KNOWN_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")
_UNREADABLE_METHOD = "TRACE"
_CSV_HEADERS = {"Content-Type": "text/csv", "Content-Disposition": "attachment"}
_AVATAR_IS_FETCHED_AFTER_SECONDS = 0.05
# The newest are kept, and of a path no more than this.
_LOGGED_CHARACTERS = 1000


@dataclass(frozen=True)
class Settings:
    """How an emulator differs from Dub."""

    requests_per_minute: int | None = None
    latency_ms: float = 0
    latency_jitter_ms: float = 0
    window_seconds: float = 60.0
    ignore_fields: Collection[str] = ()
    faults: FaultPlan = field(default_factory=FaultPlan)
    fault_seed: int = 0
    keep_requests: int = 100_000

    def __post_init__(self) -> None:
        if unknown := set(self.ignore_fields) - set(fields.FIELDS):
            known = ", ".join(fields.FIELDS)
            raise ValueError(f"No such field to ignore: {', '.join(sorted(unknown))}. Known: {known}.")
        if not 0 <= self.keep_requests <= sys.maxsize:
            raise ValueError(f"keep_requests must be at least 0 and at most {sys.maxsize}.")
        if self.requests_per_minute is not None and self.requests_per_minute < 1:
            raise ValueError("requests_per_minute must be at least 1.")
        if not 0.001 <= self.window_seconds < math.inf:
            raise ValueError("window_seconds must be at least 0.001, and finite.")
        if not all(0 <= latency < math.inf for latency in (self.latency_ms, self.latency_jitter_ms)):
            raise ValueError("latency_ms and latency_jitter_ms must be at least 0, and finite.")


@dataclass(frozen=True)
class _Call:
    method: str
    target: Target
    query: Mapping[str, str]
    authorization: str | None
    body: bytes
    log: dict[str, Any]


class Dub:
    """One stand-in for Dub: its data and everything that happened since the start or the last reset.

    A reset makes a new one, so a request that is under way ends in the world in which it began.

    :param seed: The data to start with.
    :param settings: How it differs from Dub.
    :param setup_customers: Customers beside those of the seed, or in their place.
    :param rate_limit_used: How many requests the main key has already made in this window.
    """

    def __init__(
        self,
        seed: Seed,
        settings: Settings,
        setup_customers: Iterable[Mapping[str, Any]] = (),
        rate_limit_used: int = 0,
    ) -> None:
        self.settings = settings
        self.store = CustomerStore([*seed.customers, *map(seed.customer, setup_customers)])
        self.faults = Faults(settings.faults, settings.fault_seed)
        self.requests: deque[dict[str, Any]] = deque(maxlen=settings.keep_requests)
        self._access = Access(seed.workspaces.values(), seed.keys.values())
        self._limiter = SlidingWindow(settings.window_seconds)
        if rate_limit_used:
            self._limiter.spend(seed.main_key.token, rate_limit_used)
        self._customers = CustomersApi(self.store, seed, settings.ignore_fields, _a_moment_later)

    def log(self, request: Request) -> dict[str, Any]:
        """Return a new entry of the request log, without the key.

        :param request: The request.
        """
        entry: dict[str, Any] = {
            "at": time.time(),
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1")[:_LOGGED_CHARACTERS],
            "query": request.scope["query_string"].decode("latin-1")[:_LOGGED_CHARACTERS],
            "status": None,
        }
        self.requests.append(entry)
        return entry

    def respond(self, request: Request, body: bytes, log: dict[str, Any]) -> Response:
        """Return the response to one request.

        :param request: The request.
        :param body: Its body.
        :param log: Its entry in the request log.
        """
        if request.method == _UNREADABLE_METHOD:
            return HTMLResponse(html_page(500, "Internal Server Error"), 500)
        query = request.scope["query_string"].decode("latin-1")
        try:
            target = resolve(request.scope["raw_path"].decode("latin-1"))
        except PageError as error:
            return HTMLResponse(html_page(error.status, str(error)), error.status)
        except RedirectError as error:
            return RedirectResponse(error.path + (f"?{query}" if query else ""), 308)
        if request.method not in _METHODS[target.resource]:
            return _framework_response(request.method, target)
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        authorization = request.headers.get("authorization")
        return self._checked_response(_Call(request.method, target, parameters, authorization, body, log))

    def _checked_response(self, call: _Call) -> Response:
        rate_headers = None
        try:
            key = self._access.identify(call.authorization, call.query)
            verdict = self._limit(key, call.log)
            rate_headers = verdict.headers
            if not verdict.admitted:
                raise ApiError("rate_limit_exceeded", "Too many requests.")
            workspace = self._access.workspace_of(key, call.query)
            require_role(key, _EDITORS if call.method in ("PATCH", "DELETE", "POST") else ())
            if call.target.resource != "count":
                require_paid_plan(workspace)
            return self._success(call, workspace)
        except ApiError as error:
            return JSONResponse(error.body, error.status, rate_headers)

    def _limit(self, key: ApiKey, log: dict[str, Any]) -> Verdict:
        if self.settings.faults.fail_open:
            log.setdefault("fault", "fail-open")
            return FAILED_OPEN
        limit = self.settings.requests_per_minute or key.requests_per_minute
        if self.faults.is_storming():
            log["fault"] = "storm"
            return self._limiter.refuse(limit)
        return self._limiter.admit(key.token, limit)

    def _success(self, call: _Call, workspace: Workspace) -> Response:
        customer_id = call.target.customer_id
        match call.target.resource, call.method:
            case "customers", "POST":
                return JSONResponse(self._customers.create(workspace, call.body), 201)
            case "customers", _:
                return JSONResponse(self._customers.list(workspace, call.query))
            case "count", _:
                return JSONResponse(self._customers.count(workspace, call.query))
            case "export", _:
                csv = self._customers.export(workspace, call.query)
                return JSONResponse({}, 202) if csv is None else Response(csv, headers=_CSV_HEADERS)
            case _, "PATCH":
                if call.log.get("fault") == "transient-422":
                    raise deadlock()
                return JSONResponse(self._customers.update(workspace, customer_id, call.query, call.body))
            case _, "DELETE":
                return JSONResponse(self._customers.delete(workspace, customer_id))
        return JSONResponse(self._customers.get(workspace, customer_id, call.query))


def _framework_response(method: str, target: Target) -> Response:
    if method == "OPTIONS":
        allowed = ", ".join(sorted(("OPTIONS", *_METHODS[target.resource])))
        return Response(status_code=204, headers={"Allow": allowed})
    return Response(status_code=405 if method in _KNOWN_METHODS else 400)


def _a_moment_later(function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(_AVATAR_IS_FETCHED_AFTER_SECONDS, function)
