"""The emulator behind a real socket, in a background thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_dub.emulator.app import Emulator
from airflow_provider_dub.emulator.faults import FaultPlan
from airflow_provider_dub.emulator.seed import load_seed
from airflow_provider_dub.emulator.service import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class DubEmulator:
    """
    A local stand-in for Dub's customers API, as a context manager.

    :param seed: a JSON file in the shape of ``seed.json``, or its content.
    :param port: where to listen; 0 takes a free one.
    :param host: the address to listen on.
    :param requests_per_minute: a limit per key and window in place of the plan's.
    :param latency_ms: how long each answer takes.
    :param latency_jitter_ms: up to how much longer, at random.
    :param window_seconds: the length of the rate limit's window.
    :param ignore_fields: fields of an update that are accepted and not applied, as on an older server.
    :param faults: failures to inject, such as ``"error=0.05"``; see :mod:`airflow_provider_dub.emulator.faults`.
    :param fault_seed: the same seed gives the same faults.
    :param ssl_certfile: a certificate, to serve HTTPS.
    :param ssl_keyfile: its private key.
    """

    def __init__(
        self,
        seed: str | Path | Mapping[str, Any] | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        requests_per_minute: int | None = None,
        latency_ms: float = 0,
        latency_jitter_ms: float = 0,
        window_seconds: float = 60.0,
        ignore_fields: Collection[str] = (),
        faults: Iterable[str] = (),
        fault_seed: int = 0,
        ssl_certfile: str | Path | None = None,
        ssl_keyfile: str | Path | None = None,
    ) -> None:
        settings = Settings(
            requests_per_minute=requests_per_minute,
            latency_ms=latency_ms,
            latency_jitter_ms=latency_jitter_ms,
            window_seconds=window_seconds,
            ignore_fields=frozenset(ignore_fields),
            faults=FaultPlan.parse(faults),
            fault_seed=fault_seed,
        )
        self._emulator = Emulator(load_seed(seed), settings)
        self._host = host
        self._port = port
        self._ssl_certfile = ssl_certfile
        self._ssl_keyfile = ssl_keyfile
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        #: An API key that works.
        self.api_key: str = self._emulator.seed.main_key.token

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        scheme = "https" if self._ssl_certfile else "http"
        return f"{scheme}://{self._host}:{self._port}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What was received since the start or a reset: at (epoch), method, path, query, status and perhaps a fault."""
        return [dict(entry) for entry in list(self._emulator.dub.requests)]

    @property
    def customers(self) -> list[dict[str, Any]]:
        """A snapshot of the stored rows."""
        return self._emulator.dub.store.all()

    def reset(
        self, setup_customers: Iterable[Mapping[str, Any]] | None = None, rate_limit_used: int | None = None
    ) -> None:
        """
        Go back to the seed and forget all requests.

        :param setup_customers: customers to add to the seed's, or to replace those with the same id.
        :param rate_limit_used: how many requests the main key has already made in this window.
        """
        self._emulator.reset(setup_customers, rate_limit_used)

    def change_limit(self, requests_per_minute: int) -> None:
        """
        Change the limit per key and window, as when a plan changes, until the next reset.

        :param requests_per_minute: the new limit.
        """
        dub = self._emulator.dub
        dub.settings = replace(dub.settings, requests_per_minute=requests_per_minute)

    def __enter__(self) -> DubEmulator:
        config = uvicorn.Config(
            self._emulator,
            http=connection_aware(AutoHTTPProtocol),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=self._ssl_certfile,
            ssl_keyfile=self._ssl_keyfile,
        )
        config.load()
        listener = socket.create_server((self._host, self._port), backlog=2048)
        self._port = listener.getsockname()[1]
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        self._server.is_accepting.wait()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_accepting = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_accepting.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A stalled answer or an idle client must not hold up the end.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


def connection_aware(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """
    Let the application drop its connection, by ``scope["extensions"]["transport"]``.

    :param protocol: one of uvicorn's HTTP protocols.
    """

    def connection_made(self: Any, transport: asyncio.BaseTransport) -> None:
        protocol.connection_made(self, transport)
        app: ASGIApp = self.app

        async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "extensions": {"transport": transport}}, receive, send)

        self.app = app_with_transport

    return type("ConnectionAwareProtocol", (protocol,), {"connection_made": connection_made})
