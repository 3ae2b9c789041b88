"""What one running emulator holds, and the order in which it checks a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from airflow_provider_dub.emulator.access import Access, ApiKey, Workspace, require_paid_plan, require_role
from airflow_provider_dub.emulator.customers import CustomersApi
from airflow_provider_dub.emulator.errors import ApiError, PageError, RedirectError, html_page
from airflow_provider_dub.emulator.faults import FaultPlan, Faults, deadlock
from airflow_provider_dub.emulator.rate_limit import FAILED_OPEN, SlidingWindow, Verdict
from airflow_provider_dub.emulator.routing import Target, resolve
from airflow_provider_dub.emulator.schemas import UPDATE_BODY
from airflow_provider_dub.emulator.store import CustomerStore

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_dub.emulator.seed import Seed

_EDITORS = ("owner", "member")
_METHODS = {"customers": ("GET", "HEAD"), "count": ("GET", "HEAD"), "customer": ("GET", "HEAD", "PATCH", "DELETE")}


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

    def __post_init__(self) -> None:
        if unknown := set(self.ignore_fields) - set(UPDATE_BODY):
            raise ValueError(f"No such field to ignore: {', '.join(sorted(unknown))}. Known: {', '.join(UPDATE_BODY)}.")
        if self.requests_per_minute is not None and self.requests_per_minute < 1:
            raise ValueError("requests_per_minute must be at least 1.")
        if self.window_seconds < 0.001:
            raise ValueError("window_seconds must be at least 0.001.")
        if min(self.latency_ms, self.latency_jitter_ms) < 0:
            raise ValueError("latency_ms and latency_jitter_ms must not be negative.")


@dataclass(frozen=True)
class _Call:
    method: str
    target: Target
    query: Mapping[str, str]
    authorization: str | None
    body: bytes
    log: dict[str, Any]


class Dub:
    """
    One stand-in for Dub: its data and everything that happened since the start or the last reset.

    A reset makes a new one, so a request that is under way ends in the world in which it began.

    :param seed: the data to start with.
    :param settings: how it differs from Dub.
    :param setup_customers: customers beside those of the seed, or in their place.
    :param rate_limit_used: how many requests the main key has already made in this window.
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
        self.requests: list[dict[str, Any]] = []
        self._access = Access(seed.workspaces.values(), seed.keys.values())
        self._limiter = SlidingWindow(settings.window_seconds)
        if rate_limit_used:
            self._limiter.spend(seed.main_key.token, rate_limit_used)
        self._customers = CustomersApi(self.store, seed, settings.ignore_fields)

    def answer(self, request: Request, body: bytes, log: dict[str, Any]) -> Response:
        """
        Handle one request.

        :param request: the request.
        :param body: its body.
        :param log: its entry in the request log.
        """
        query = request.scope["query_string"].decode("latin-1")
        try:
            target = resolve(request.scope["raw_path"].decode("latin-1"))
        except PageError as error:
            return HTMLResponse(html_page(error.status, str(error)), error.status)
        except RedirectError as error:
            return RedirectResponse(error.path + (f"?{query}" if query else ""), 308)
        if request.method not in _METHODS[target.resource]:
            return _framework_answer(request.method, target)
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        authorization = request.headers.get("authorization")
        return self._checked_answer(_Call(request.method, target, parameters, authorization, body, log))

    def _checked_answer(self, call: _Call) -> Response:
        rate_headers = None
        try:
            key = self._access.identify(call.authorization, call.query)
            verdict = self._limit(key, call.log)
            rate_headers = verdict.headers
            if not verdict.admitted:
                raise ApiError("rate_limit_exceeded", "Too many requests.")
            workspace = self._access.workspace_of(key, call.query)
            require_role(key, _EDITORS if call.method in ("PATCH", "DELETE") else ())
            if call.target.resource != "count":
                require_paid_plan(workspace)
            return JSONResponse(self._result(call, workspace))
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

    def _result(self, call: _Call, workspace: Workspace) -> Any:
        customer_id = call.target.customer_id
        match call.target.resource, call.method:
            case "customers", _:
                return self._customers.list(workspace, call.query)
            case "count", _:
                return self._customers.count(workspace, call.query)
            case _, "PATCH":
                if call.log.get("fault") == "transient-422":
                    raise deadlock()
                return self._customers.update(workspace, customer_id, call.query, call.body)
            case _, "DELETE":
                return self._customers.delete(workspace, customer_id)
        return self._customers.get(workspace, customer_id, call.query)


def _framework_answer(method: str, target: Target) -> Response:
    if method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": ", ".join(("OPTIONS", *_METHODS[target.resource]))})
    return Response(status_code=405)
