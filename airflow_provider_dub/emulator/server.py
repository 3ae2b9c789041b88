"""The emulator behind a real socket, in a background thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from airflow_provider_dub.emulator.app import Emulator
from airflow_provider_dub.emulator.connections import BoundedProtocol
from airflow_provider_dub.emulator.faults import FaultPlan
from airflow_provider_dub.emulator.seed import load_seed
from airflow_provider_dub.emulator.service import Settings


class DubEmulator:
    """A local stand-in for Dub's customers API, as a context manager.

    :param seed: The data to start with: a JSON file in the shape of ``seed.json``, or its content.
    :param port: The port to listen on; 0 takes a free one.
    :param host: The address to listen on, of IPv4 or IPv6.
    :param requests_per_minute: The limit per key and window in place of the plan's.
    :param latency_ms: The milliseconds that each response takes.
    :param latency_jitter_ms: The milliseconds that it may take longer, at random.
    :param window_seconds: The length of the rate limit's window.
    :param ignore_fields: The fields of an update that are accepted and not applied, as on an older server.
    :param faults: The failures to inject, such as ``"error=0.05"``; see :mod:`airflow_provider_dub.emulator.faults`.
    :param fault_seed: A number; the same one gives the same faults.
    :param ssl_certfile: The certificate to serve HTTPS with.
    :param ssl_keyfile: The certificate's private key.
    :param allowed_hosts: The names that requests may be sent to, beside ``localhost``, the loopback's addresses and the
        host; ``*`` allows all.
    :param keep_requests: The number of requests that the log keeps, of the newest.
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
        allowed_hosts: Collection[str] = (),
        keep_requests: int = 100_000,
    ) -> None:
        settings = Settings(
            requests_per_minute=requests_per_minute,
            latency_ms=latency_ms,
            latency_jitter_ms=latency_jitter_ms,
            window_seconds=window_seconds,
            ignore_fields=frozenset(ignore_fields),
            faults=FaultPlan.parse(faults),
            fault_seed=fault_seed,
            keep_requests=keep_requests,
        )
        self._emulator = Emulator(load_seed(seed), settings, {host, *allowed_hosts})
        self._host = host
        self._is_ipv6 = ":" in host
        self._port = port
        self._ssl_certfile = ssl_certfile
        self._ssl_keyfile = ssl_keyfile
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        #: An API key that works.
        self.api_key: str = self._emulator.seed.main_key.token

    @property
    def url(self) -> str:
        """Return the base URL, without a trailing slash."""
        scheme = "https" if self._ssl_certfile else "http"
        host = f"[{self._host}]" if self._is_ipv6 else self._host
        return f"{scheme}://{host}:{self._port}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Return the newest requests since the last reset: at (epoch), method, path, query, status, perhaps a fault."""
        return [dict(entry) for entry in list(self._emulator.dub.requests)]

    @property
    def customers(self) -> list[dict[str, Any]]:
        """Return a snapshot of the stored rows."""
        return self._emulator.dub.store.all()

    def reset(
        self, setup_customers: Iterable[Mapping[str, Any]] | None = None, rate_limit_used: int | None = None
    ) -> None:
        """Go back to the seed and forget all requests.

        :param setup_customers: The customers to add to the seed's, or to replace those with the same id.
        :param rate_limit_used: The number of requests that the main key has already made in this window.
        """
        self._emulator.reset(setup_customers, rate_limit_used)

    def change_limit(self, requests_per_minute: int) -> None:
        """Change the limit per key and window, as when a plan changes, until the next reset.

        :param requests_per_minute: The new limit.
        """
        dub = self._emulator.dub
        dub.settings = replace(dub.settings, requests_per_minute=requests_per_minute)

    def __enter__(self) -> DubEmulator:
        config = uvicorn.Config(
            self._emulator,
            http=BoundedProtocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=self._ssl_certfile,
            ssl_keyfile=self._ssl_keyfile,
        )
        config.load()
        family = socket.AF_INET6 if self._is_ipv6 else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=2048)
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
        # A stalled response or an idle client must not hold up the end.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)
