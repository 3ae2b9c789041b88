"""Recorded responses become typed errors, and no response of any kind gets a value into a message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dub import exceptions as errors
from airflow_provider_dub.api.responses import error_from_response
from tests.support.recordings import recordings

RECORDINGS = recordings()
EXPECTED = {
    "patch.name.number": errors.DubInvalidRequestError,
    "patch.name.len192": errors.DubInvalidRequestError,
    "patch.email.invalid": errors.DubInvalidRequestError,
    "patch.body.array": errors.DubInvalidRequestError,
    "patch.body.invalid_json": errors.DubInvalidRequestError,
    "patch.externalId.conflict_same_ws": errors.DubConflictError,
    "patch.order.404_valid_body": errors.DubCustomerNotFoundError,
    "401.missing_header": errors.DubUnauthorizedError,
    "401.unknown_key": errors.DubUnauthorizedError,
    "400.no_bearer": errors.DubUnauthorizedError,
    "403.free_plan": errors.DubForbiddenError,
    "role.viewer_patch_403": errors.DubForbiddenError,
    "auth.user_not_member": errors.DubWorkspaceNotFoundError,
    "auth.unknown_personal_no_ws": errors.DubWorkspaceNotFoundError,
    "429.patch": errors.DubRateLimitError,
}


def recorded(name: str) -> errors.DubError:
    (recording,) = [recording for recording in RECORDINGS if recording["name"] == name]
    return error_from_response(recording["status"], json.dumps(recording["response_body"]).encode())


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_a_recorded_response_becomes_its_error(name: str, kind: type[errors.DubError]) -> None:
    assert type(recorded(name)) is kind


def test_every_recorded_error_is_known_and_only_the_rate_limit_is_worth_a_retry() -> None:
    for recording in RECORDINGS:
        if recording["status"] not in (200, 201, 405):  # 405: a POST to one customer
            error = recorded(recording["name"])
            assert isinstance(error, errors.DubApiError)
            assert error.transient == (recording["status"] == 429), recording["name"]


def test_a_validation_error_names_the_field() -> None:
    assert 'the field "email" (invalid_format)' in str(recorded("patch.email.invalid"))
    assert '"name" is longer' in str(recorded("patch.name.len192"))


def response(message: object) -> bytes:
    return json.dumps({"error": {"code": "unprocessable_entity", "message": message}}).encode()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Deadlock found when trying to get lock; try restarting transaction", errors.DubServerError),
        ("vttablet: rpc error: code = Unavailable", errors.DubServerError),
        ("target: dub.-.primary: vttablet: rpc error: code = Aborted", errors.DubServerError),
        ("not_multiple_of: sales: Invalid number", errors.DubInvalidRequestError),
        ("a_code_of_tomorrow: metadata.plan[0]: Invalid input", errors.DubInvalidRequestError),
        ('[\n  {\n    "code": "invalid_type"\n  }\n]', errors.DubResponseNotBuiltError),
        ("invalid_type: : Invalid input", errors.DubInvalidRequestError),
        ("\nInvalid `prisma`: too long for the column's type. Column: linkId", errors.DubInvalidRequestError),
        ("too long for the column's type. Column: (not available)", errors.DubInvalidRequestError),
        ("too_big: pageSize: Max page size is 100.", errors.DubInvalidRequestError),
    ],
)
def test_a_422_is_recognised_by_its_message(message: str, kind: type[errors.DubError]) -> None:
    assert type(error_from_response(422, response(message))) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 529])
def test_a_server_error_is_worth_a_retry_whatever_its_body(status: int) -> None:
    for body in (b"", b"<html>", response("x")):
        assert error_from_response(status, body).transient


@pytest.mark.parametrize("status", [301, 302, 307, 404, 405, 418, 201, 204, 501])
def test_what_dub_does_not_send_is_no_response_of_dubs(status: int) -> None:
    error = error_from_response(status, b"<html><body>Not here</body></html>")
    assert type(error) is errors.DubUnreadableResponseError
    assert error.maybe_applied == (status < 300)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.integers(100, 599), st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_response_becomes_an_error(status: int, body: bytes) -> None:
    assert isinstance(error_from_response(status, body), errors.DubError)


SECRET = "Zaphod Beeblebrox zaphod@example.com"


@pytest.mark.parametrize(
    "message",
    [
        SECRET,
        f"invalid_type: {SECRET}: x",
        f"invalid_format: email: {SECRET}",
        f"Deadlock on {SECRET}",
        f"[{SECRET}",
        f"Workspace {SECRET}",
        f"Customer not found {SECRET}",
        f"too long for the column's type. Column: {SECRET}",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429, 500])
def test_no_message_of_the_server_is_repeated(status: int, message: str) -> None:
    error = error_from_response(status, response(message))
    assert "Zaphod" not in str(error) + repr(error)
