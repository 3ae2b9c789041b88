"""
The ASGI application: the customers API, with latency and faults, and the emulator's own routes.

The routes under ``/_emulator`` do not exist on Dub. They are for tests, and know no key, latency, fault or rate limit.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from airflow_provider_dub.emulator.faults import drop_connection
from airflow_provider_dub.emulator.service import Dub, Settings

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_provider_dub.emulator.seed import Seed


class Emulator:
    """
    An emulator without a server.

    :param seed: the data to start with, and to go back to.
    :param settings: how it differs from Dub.
    """

    def __init__(self, seed: Seed, settings: Settings) -> None:
        self.seed = seed
        self.settings = settings
        self.dub = Dub(seed, settings)
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
        """
        Go back to the seed and forget all requests.

        :param setup_customers: customers to add to the seed's, or to replace those with the same id.
        :param rate_limit_used: how many requests the main key has already made in this window.
        """
        self.dub = Dub(self.seed, self.settings, setup_customers or (), rate_limit_used or 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["raw_path"].startswith(b"/_emulator/"):
            await self._control(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        dub = self.dub
        log: dict[str, Any] = {
            "at": time.time(),
            "method": request.method,
            "path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "status": None,
        }
        dub.requests.append(log)
        fault = dub.faults.draw(request.method)
        if fault:
            log["fault"] = fault
        await self._delay()
        if fault == "reset-before":
            await drop_connection(scope, receive)
            return
        response = dub.faults.broken_answer(fault) or dub.answer(request, body, log)
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
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": f"A reset takes setup_customers and rate_limit_used: {error}"}, 422)
        return JSONResponse({"customers": len(self.dub.store.all())})

    async def _requests(self, _: Request) -> JSONResponse:
        return JSONResponse(self.dub.requests)

    async def _customers(self, _: Request) -> JSONResponse:
        return JSONResponse(self.dub.store.all())
