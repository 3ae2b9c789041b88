"""Who may do what: keys, workspaces, plans and roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import Call, send

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator

PERSONAL = "PERSONALKEY0123456789abcd"


@pytest.mark.parametrize(
    ("key", "path", "status", "message"),
    [
        ("dub_EXPIREDKEY", "/customers", 401, "Unauthorized: Access token expired."),
        ("dub_NOMEMBERKEY", "/customers", 404, "Workspace not found."),
        ("dub_TESTKEY", "/customers?workspaceId=lab-other", 404, "Workspace not found."),
        ("dub_TESTKEY", "/customers?workspaceId=&projectSlug=LAB-MAIN", 200, None),
        (PERSONAL, "/customers", 404, "Workspace ID not found."),
        (PERSONAL, "/customers?workspaceId=lab-main", 200, None),
        (PERSONAL, "/customers?workspaceId=ws_1LABMAIN0000000000000000001", 200, None),
        (PERSONAL, "/customers?workspaceId=nowhere", 404, "Workspace not found."),
        ("dub_FREEKEY", "/customers", 403, "Unauthorized: Need higher plan."),
        ("dub_BIZPLUSKEY", "/customers", 200, None),
        ("dub_READONLYKEY", "/customers", 200, None),
        ("dub_LINKSONLYKEY", "/customers", 200, None),
    ],
)
def test_key_workspace_and_plan_decide_who_may_read(
    dub: DubEmulator, key: str, path: str, status: int, message: str | None
) -> None:
    response = send(dub, "GET", path, headers={"Authorization": f"Bearer {key}"})

    assert response.status == status
    if message:
        assert response.message.startswith(message)


@pytest.mark.parametrize(
    ("key", "limit"),
    [("dub_TRIALKEY", 120), ("dub_BIZPLUSKEY", 1200), ("dub_ADVKEY", 3000), ("dub_ENTKEY", 3000), (PERSONAL, 60)],
)
def test_limits_follow_the_plan(dub: DubEmulator, key: str, limit: int) -> None:
    path = "/customers/ext_missing" + ("?workspaceId=lab-main" if key == PERSONAL else "")

    assert send(dub, "GET", path, headers={"Authorization": f"Bearer {key}"}).headers["x-ratelimit-limit"] == str(limit)


@pytest.mark.parametrize("header", ["Bearer dub_TESTKEY  ", "Bearer dub_TESTKEY \t", "\t Bearer dub_TESTKEY"])
def test_blanks_around_the_header_do_not_count(dub: DubEmulator, header: str) -> None:
    assert send(dub, "GET", "/customers", headers={"Authorization": header}).status == 200


def test_a_header_of_blanks_is_none(dub: DubEmulator) -> None:
    response = send(dub, "GET", "/customers", headers={"Authorization": " \t "})

    assert (response.status, response.message) == (401, "Missing Authorization header.")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer \t", "Bearer\tdub_TESTKEY", "BEARER dub_TESTKEY"])
def test_a_malformed_header_is_refused(dub: DubEmulator, header: str) -> None:
    assert send(dub, "GET", "/customers", headers={"Authorization": header}).status == 400


def test_the_role_is_checked_before_the_body(dub: DubEmulator) -> None:
    response = send(dub, "PATCH", "/customers/ext_missing", "{", headers={"Authorization": "Bearer dub_VIEWERKEY"})

    assert response.status == 403


def test_a_success_has_no_rate_headers(call: Call) -> None:
    assert not [name for name in call("GET", "/customers").headers if "rate" in name or "retry" in name]
