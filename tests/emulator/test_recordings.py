"""Every recorded exchange with Dub's server, replayed over a real socket."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_dub.emulator import DubEmulator
from tests.support.recordings import RECORDED_SEED, recordings

from .conftest import send

RECORDINGS = recordings()
PLACEHOLDERS = {
    "<epoch_ms>": r"[0-9]{13}",
    "<nanoid7>": r"[0-9A-Za-z]{7}",
    "<random_name>": r"[A-Z][a-z]+( [A-Z][a-z]+)+",
    "<cus_id>": r"cus_\w+",
    "<iso>": r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z",
}
# Two rows with one createdAt: the recording itself says that their order differs from run to run.
UNORDERED = {"list.email_duplicates"}


# The recordings are older than the server's support for these two fields.
@pytest.fixture(scope="module")
def recorded_dub() -> Iterator[DubEmulator]:
    ignored = ("country", "subscriptionCanceledAt")
    with DubEmulator(RECORDED_SEED, window_seconds=3600, ignore_fields=ignored) as emulator:
        yield emulator


@pytest.mark.parametrize("recording", RECORDINGS, ids=[recording["name"] for recording in RECORDINGS])
def test_responds_as_recorded(recorded_dub: DubEmulator, recording: dict[str, Any]) -> None:
    recorded_dub.reset(recording.get("setup_customers"), used_by_main_key(recording))
    path = recording["path"] + ("?" + recording["query"] if recording["query"] else "")

    response = send(recorded_dub, recording["method"], path, recorded_body(recording), recording["headers"])

    assert response.status == recording["status"]
    kept = {name: value for name, value in sorted(response.headers.items()) if is_recorded_header(name)}
    assert_alike(kept, recording["response_headers"])
    if recording["name"] in UNORDERED:
        assert sorted(response.json, key=lambda row: row["id"]) == recording["response_body"]
    else:
        assert_alike(response.json if response.text else "", recording["response_body"])
    if "db_after" in recording:
        wait_until_alike(lambda: stored(recorded_dub, recording["db_after"]), recording["db_after"])


def test_the_own_seed_is_that_of_the_recordings() -> None:
    with DubEmulator() as own, DubEmulator(RECORDED_SEED) as recorded:
        assert own.customers == recorded.customers
        assert own.api_key == recorded.api_key


def used_by_main_key(recording: dict[str, Any]) -> int:
    used, _, key = recording.get("rate_limit_used_before", "0, key main").partition(", key ")
    return int(used.split()[0]) if key == "main" else 0


def recorded_body(recording: dict[str, Any]) -> str | None:
    if "body_gen" not in recording:
        return recording["body"]
    return json.dumps({"avatar": "https://cdn.test/" + "x" * 70_000})


def is_recorded_header(name: str) -> bool:
    return name in ("content-type", "retry-after") or name.startswith("x-ratelimit-")


def stored(emulator: DubEmulator, expected: dict[str, Any]) -> dict[str, Any]:
    row = next(row for row in emulator.customers if row["id"] == expected["id"])
    return {column: row[column] for column in expected}


def assert_alike(actual: Any, expected: Any) -> None:
    """Compare with the placeholders of the recordings matched by pattern, and with the order of keys."""
    pattern = re.escape(json.dumps(expected, ensure_ascii=False))
    for placeholder, regex in PLACEHOLDERS.items():
        pattern = pattern.replace(re.escape(placeholder), regex)
    assert re.fullmatch(pattern, json.dumps(actual, ensure_ascii=False)), f"{actual} is not {expected}"


def wait_until_alike(read: Callable[[], Any], expected: Any) -> None:
    """An avatar is fetched after the response; some recordings show its row before, some after that."""
    end = time.monotonic() + 2
    while True:
        try:
            return assert_alike(read(), expected)
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
