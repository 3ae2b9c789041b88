"""The ASGI application: the customers API, with latency and faults, and the emulator's own routes.

The routes under ``/_emulator`` do not exist on Dub. They are for tests, and know no key, latency, fault or rate limit.

A page in a browser must not reach either: requests to other names than the loopback's are refused, unless these names
are allowed, and the emulator's own routes refuse what comes from another origin. Bodies are bounded.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from airflow_provider_dub.emulator.faults import drop_connection
from airflow_provider_dub.emulator.service import Dub, Settings

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_provider_dub.emulator.seed import Seed

#: The bytes that a body may have.
MAX_BODY_BYTES = 1_000_000
#: Allows every name in the Host header.
ANY_HOST = "*"

_CLOSE = {"Connection": "close"}
_CONTINUE = b"100-continue"


class Emulator:
    """An emulator without a server.

    :param seed: The data to start with, and to go back to.
    :param settings: How it differs from Dub.
    :param allowed_hosts: The names that requests may be sent to, beside the loopback's; ``*`` allows all.
    """

    def __init__(self, seed: Seed, settings: Settings, allowed_hosts: Collection[str] = ()) -> None:
        self.seed = seed
        self.settings = settings
        self.dub = Dub(seed, settings)
        self._allowed_hosts = {name.lower() for name in allowed_hosts}
        self._may_be_asked_as = functools.lru_cache(maxsize=256)(self._is_allowed_host)
        self._control = Router(
            [
                Route("/_emulator/reset", self._reset, methods=["POST"]),
                Route("/_emulator/requests", self._requests, methods=["GET"]),
                Route("/_emulator/customers", self._customers, methods=["GET"]),
            ]
        )

    def reset(
        self, setup_customers: Iterable[Mapping[str, Any]] | None = None, rate_limit_used: int | None = None
    ) -> None:
        """Go back to the seed and forget all requests.

        :param setup_customers: The customers to add to the seed's, or to replace those with the same id.
        :param rate_limit_used: The number of requests that the main key has already made in this window.
        """
        self.dub = Dub(self.seed, self.settings, setup_customers or (), rate_limit_used or 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        # The first of several counts.
        headers = dict(reversed(scope["headers"]))
        is_own_route = scope["raw_path"].startswith(b"/_emulator/")
        refusal = self._refusal(scope, headers, is_own_route)
        if refusal is None:
            body = await _read_body(receive)
            if body is None:
                refusal = Response(status_code=413, headers=_CLOSE)
            elif is_own_route:
                await self._control(scope, _replaying(body, receive), send)
            else:
                await self._serve(scope, body, receive, send)
        if refusal is not None:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Mapping[bytes, bytes], is_own_route: bool) -> Response | None:
        """Return the response to a request that nobody should see, or that Node.js would not let through."""
        host = headers.get(b"host")
        if host is None:
            return Response(status_code=400, headers=_CLOSE) if scope["http_version"] == "1.1" else None
        if not self._may_be_asked_as(host):
            message = (
                "This is a local stand-in for Dub that responds to localhost and its addresses only. To allow the name"
                " in this request's Host header, use allowed_hosts or --allow-host."
            )
            return JSONResponse({"error": message}, 403)
        if is_own_route and _is_from_elsewhere(headers, host):
            return JSONResponse({"error": "The emulator's own routes refuse requests from another origin."}, 403)
        if headers.get(b"expect", _CONTINUE).lower() != _CONTINUE:
            return Response(status_code=417, headers=_CLOSE)
        return None

    def _is_allowed_host(self, host: bytes) -> bool:
        name = _name_of(host)
        return _is_loopback(name) or name in self._allowed_hosts or ANY_HOST in self._allowed_hosts

    async def _serve(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        request = Request(scope)
        dub = self.dub
        log = dub.log(request)
        fault = dub.faults.draw(request.method)
        if fault:
            log["fault"] = fault
        await self._delay()
        if fault == "reset-before":
            await drop_connection(scope, receive)
            return
        response = dub.faults.broken_response(fault) or dub.respond(request, body, log)
        log["status"] = response.status_code
        await dub.faults.deliver(fault, response, scope, receive, send)

    async def _delay(self) -> None:
        jitter_ms = secrets.randbelow(1001) / 1000 * self.settings.latency_jitter_ms
        if delay_ms := self.settings.latency_ms + jitter_ms:
            await asyncio.sleep(delay_ms / 1000)

    async def _reset(self, request: Request) -> JSONResponse:
        body = await request.body()
        try:
            self.reset(**(await request.json() if body else {}))
        except (TypeError, ValueError, RecursionError) as error:
            return JSONResponse({"error": f"A reset takes setup_customers and rate_limit_used: {error}"}, 422)
        return JSONResponse({"customers": len(self.dub.store.all())})

    async def _requests(self, _: Request) -> JSONResponse:
        return JSONResponse(list(self.dub.requests))

    async def _customers(self, _: Request) -> JSONResponse:
        return JSONResponse(self.dub.store.all())


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body of a request, or None if it was too long; it is read to its end, but not kept."""
    body = bytearray()
    is_too_long = False
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            is_too_long = True
        if is_too_long:
            body.clear()
        if not message.get("more_body"):
            return None if is_too_long else bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body that was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Any:
        return messages.pop() if messages else await receive()

    return receive_again


def _name_of(host: bytes) -> str:
    """Return the name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host.decode('latin-1')}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_from_elsewhere(headers: Mapping[bytes, bytes], host: bytes) -> bool:
    """Return whether a browser sends this for a page of another origin."""
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.lower().partition(b"://")[2] != host.lower()
