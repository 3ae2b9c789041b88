"""Who may do what: API keys, workspaces, plans and roles, checked in the server's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_dub.emulator.collation import collation_key
from airflow_provider_dub.emulator.errors import ApiError

ROLES = ("owner", "member", "viewer", "billing")

_REQUESTS_PER_MINUTE = {"free": 60, "pro": 600, "business": 1200, "advanced": 3000, "enterprise": 3000}
_REQUESTS_PER_MINUTE_ON_TRIAL = 120
_PLANS_WITH_CUSTOMERS = ("business", "business plus", "business max", "business extra", "advanced", "enterprise")
PLANS = ("free", "pro", *_PLANS_WITH_CUSTOMERS)
#: How a workspace's key begins; any other is a legacy personal key.
KEY_PREFIX = "dub_"


@dataclass(frozen=True)
class Workspace:
    """A workspace and what it pays for."""

    id: str
    slug: str
    plan: str
    on_trial: bool = False
    default_program: str | None = None

    @property
    def requests_per_minute(self) -> int:
        """Return the rate limit of each of its keys."""
        if self.on_trial:
            return _REQUESTS_PER_MINUTE_ON_TRIAL
        # "business plus" and the like count by their first word.
        return _REQUESTS_PER_MINUTE.get(self.plan.split()[0], _REQUESTS_PER_MINUTE["free"])

    @property
    def may_use_customers(self) -> bool:
        """Return whether the plan includes the customers API."""
        return self.plan in _PLANS_WITH_CUSTOMERS


@dataclass(frozen=True)
class ApiKey:
    """An API key. A legacy personal key has no workspace; a user who left the workspace has no role in it.

    Scopes are missing on purpose: Dub does not check them for customers.
    """

    token: str
    workspace: Workspace | None
    role: str | None = "owner"
    expired: bool = False

    @property
    def requests_per_minute(self) -> int:
        """Return the key's rate limit."""
        return self.workspace.requests_per_minute if self.workspace else _REQUESTS_PER_MINUTE["free"]


class Access:
    """Checks keys against workspaces.

    :param workspaces: All workspaces.
    :param keys: All API keys.
    """

    def __init__(self, workspaces: Iterable[Workspace], keys: Iterable[ApiKey]) -> None:
        self._workspaces = list(workspaces)
        self._keys = {key.token: key for key in keys}

    def identify(self, authorization: str | None, query: Mapping[str, str]) -> ApiKey:
        """Return the key of a request.

        :param authorization: The Authorization header.
        :param query: The query; it may name a workspace.
        """
        token = _bearer_token(authorization)
        if not _named_workspace(query) and not (token or "").startswith(KEY_PREFIX):
            raise _no_workspace_named(token)
        if token is None:
            raise ApiError("unauthorized", "Unauthorized: Login required.")
        key = self._keys.get(token)
        if key is None:
            raise ApiError("unauthorized", "Unauthorized: Invalid API key.")
        if key.expired:
            raise ApiError("unauthorized", "Unauthorized: Access token expired.")
        return key

    def workspace_of(self, key: ApiKey, query: Mapping[str, str]) -> Workspace:
        """Return the workspace of a request, if the key's user is in it.

        :param key: The request's key; its own workspace overrides an id in the query, but not a slug.
        :param query: The query; it may name a workspace.
        """
        named = _named_workspace(query)
        for workspace in [key.workspace] if key.workspace else self._workspaces:
            if key.role and _is_named(workspace, named, any_id=key.workspace is not None):
                return workspace
        raise ApiError("not_found", "Workspace not found.")


def require_role(key: ApiKey, roles: tuple[str, ...]) -> None:
    """Refuse a key whose user has none of the roles.

    :param key: The request's key.
    :param roles: The roles that may; none means any.
    """
    if roles and key.role not in roles:
        raise ApiError(
            "forbidden",
            f"You don't have the required role to access this endpoint. Required role(s): {', '.join(roles)}.",
        )


def require_paid_plan(workspace: Workspace) -> None:
    """Refuse a workspace whose plan has no customers.

    :param workspace: The request's workspace.
    """
    if not workspace.may_use_customers:
        raise ApiError("forbidden", "Unauthorized: Need higher plan.")


def _bearer_token(authorization: str | None) -> str | None:
    # HTTP does not count blanks and tabs around a value, so a scheme without a key has no blank behind it.
    authorization = (authorization or "").strip(" \t")
    if not authorization:
        return None
    if not authorization.startswith("Bearer "):
        raise ApiError(
            "bad_request",
            "Misconfigured authorization header. Did you forget to add 'Bearer '? Learn more: https://d.to/auth",
        )
    return authorization.removeprefix("Bearer ")


def _no_workspace_named(token: str | None) -> ApiError:
    if token is None:
        return ApiError("unauthorized", "Missing Authorization header.")
    return ApiError(
        "not_found",
        "Workspace ID not found. Did you forget to include a `workspaceId` query parameter? It looks like you might be"
        " using personal API keys, we also recommend refactoring to workspace API keys: https://d.to/keys",
    )


def _named_workspace(query: Mapping[str, str]) -> str:
    return query.get("workspaceId") or query.get("projectSlug") or ""


def _is_named(workspace: Workspace, name: str, *, any_id: bool) -> bool:
    if not name or name.startswith("ws_"):
        return any_id or collation_key(name) == collation_key(workspace.id)
    return collation_key(name) == collation_key(workspace.slug)
