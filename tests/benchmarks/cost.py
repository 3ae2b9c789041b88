"""What a row costs the worker's CPU: the operator's whole path beside other ways to call the same API.

Every way updates the same customers on the local Dub, which runs in a process of its own. Rounds are paired: in each
round every way runs once, and ratios are taken within the round. The loops send one request at a time, and so does the
operator beside them. With its threads there is a second line: where Dub answers at once they collide as they do not at
a real server's distance, for which there is a table as well.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.dub_connection import dub_connection
from tests.support.task_instance import TaskInstance

ROUNDS = 5
WORKERS = 8
KEY = "dub_TESTKEY"

Customers = list[dict[str, str | None]]


class Setting(NamedTuple):
    """What a table is about."""

    scheme: str
    latency_ms: int
    rows: int

    @property
    def customers(self) -> Customers:
        return [
            {"id": f"cus_9{n:04}", "externalId": f"user-{n}", "name": "before", "email": None} for n in range(self.rows)
        ]


SETTINGS = (Setting("http", 0, 2000), Setting("https", 0, 2000), Setting("https", 20, 500))


def operator(url: str, customers: Customers, max_workers: int = 1) -> None:
    """DubUpdateCustomersOperator.execute on a DataFrame, records in input order and summary included."""
    import pandas as pd

    from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator

    os.environ["AIRFLOW_CONN_DUB_DEFAULT"] = dub_connection(url, KEY)
    frame = pd.DataFrame({"id": [customer["id"] for customer in customers], "name": "after", "country": "DE"})
    task = DubUpdateCustomersOperator(task_id="update", customers=frame, max_workers=max_workers)
    task_instance = TaskInstance()
    assert len(task.execute({"ti": task_instance})) == len(customers)  # type: ignore[typeddict-item]
    assert task_instance.xcoms["summary"]["updated"] == len(customers)


def operator_with_threads(url: str, customers: Customers) -> None:
    """The same, as many requests at a time as the operator sends by default."""
    operator(url, customers, WORKERS)


def _request(customer_id: str) -> Any:
    return {"id": customer_id, "request_body": {"name": "after", "country": "DE"}}


def official_client(url: str, customers: Customers) -> None:
    """The `dub` client in a loop."""
    from dub import Dub

    with Dub(token=KEY, server_url=url) as dub:
        for customer in customers:
            dub.customers.update(request=_request(str(customer["id"])))


def official_client_async(url: str, customers: Customers) -> None:
    """The `dub` client, asynchronously, as many at a time as the operator has threads."""
    from dub import Dub

    async def run() -> None:
        at_a_time = asyncio.Semaphore(WORKERS)
        async with Dub(token=KEY, server_url=url) as dub:

            async def update(customer_id: str) -> None:
                async with at_a_time:
                    await dub.customers.update_async(request=_request(customer_id))

            await asyncio.gather(*(update(str(customer["id"])) for customer in customers))

    asyncio.run(run())


def session_loop(url: str, customers: Customers) -> None:
    """A plain requests.Session in a loop."""
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        for customer in customers:
            response = session.patch(
                f"{url}/customers/{customer['id']}", json={"name": "after", "country": "DE"}, timeout=30
            )
            response.raise_for_status()
            response.json()


def http_hook(url: str, customers: Customers) -> None:
    """Airflow's HttpHook in a loop, one hook for all rows."""
    from airflow.providers.http.hooks.http import HttpHook

    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({"conn_type": "http", "host": url})
    hook = HttpHook(method="PATCH")
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    for customer in customers:
        hook.run(
            f"customers/{customer['id']}", data=json.dumps({"name": "after", "country": "DE"}), headers=headers
        ).json()


WAYS: dict[str, Callable[[str, Customers], None]] = {
    "operator": operator,
    "operator, 8 threads": operator_with_threads,
    "requests.Session loop": session_loop,
    "Airflow HttpHook": http_hook,
    "dub client, sync": official_client,
    "dub client, async": official_client_async,
}


def main(rounds: int = ROUNDS) -> None:
    """Print the tables.

    :param rounds: How often every way runs, after a first time that is not counted.
    """
    for setting in SETTINGS:
        with _dub(setting) as url:
            _print(setting, url, rounds)


def _print(setting: Setting, url: str, rounds: int) -> None:
    customers = setting.customers
    for run in WAYS.values():
        run(url, customers)  # imports and first connections are not what a row costs
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, run in WAYS.items():
            began = time.process_time()
            run(url, customers)
            spent[way].append(time.process_time() - began)
    print(
        f"\nCPU per row, {setting.scheme}, {setting.rows} rows, responses after {setting.latency_ms} ms, "
        f"median of {rounds} paired rounds"
    )
    print(f"{'':24}{'CPU ms per row':>16}{'operator is x cheaper':>24}")
    ratios = {way: _ratio(seconds, spent["operator"]) for way, seconds in spent.items()}
    for way, seconds in spent.items():
        print(f"{way:24}{statistics.median(seconds) / setting.rows * 1000:16.2f}{ratios[way]:24.2f}")
    for way, how in (("operator", "One request at a time"), ("operator, 8 threads", "With 8 threads")):
        loop, client = (_ratio(spent[other], spent[way]) for other in ("requests.Session loop", "dub client, sync"))
        print(
            f"{how}, the operator's whole path takes {1 / loop:.2f} times the CPU of a plain session loop, and the "
            f"official client {client:.1f} times that of the operator; at Dub's 50 requests a second that is "
            f"{statistics.median(spent[way]) / setting.rows * 50:.1%} of a core."
        )


def _ratio(seconds: list[float], own: list[float]) -> float:
    return statistics.median(other / mine for mine, other in zip(own, seconds, strict=True))


@contextmanager
def _dub(setting: Setting) -> Iterator[str]:
    """A local Dub in a process of its own; over https with a certificate authority that only this run trusts."""
    with tempfile.TemporaryDirectory() as folder:
        files = _certificate(Path(folder)) if setting.scheme == "https" else {}
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, setting, files))
        process.start()
        try:
            yield here.recv()
        finally:
            here.send("end")
            process.join()


def _serve(pipe, setting: Setting, files: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    from airflow_provider_dub.emulator import DubEmulator

    with DubEmulator(requests_per_minute=10_000_000, latency_ms=setting.latency_ms, **files) as dub:  # type: ignore[arg-type]
        dub.reset(setup_customers=setting.customers)
        pipe.send(dub.url.replace("127.0.0.1", "localhost"))
        pipe.recv()


def _certificate(folder: Path) -> dict[str, str]:
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")
    return {"ssl_certfile": str(folder / "cert.pem"), "ssl_keyfile": str(folder / "key.pem")}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
