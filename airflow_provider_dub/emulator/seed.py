"""The data that an emulator starts with.

A seed file has the shape of ``seed.json`` beside this module; a section that it leaves out is taken from there.
Workspaces, keys and partners may be described by a sentence, such as ``"main ws, viewer"``, or by an object.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.customers import fields
from airflow_provider_dub.emulator.access import KEY_PREFIX, PLANS, ROLES, ApiKey, Workspace
from airflow_provider_dub.emulator.collation import collation_key
from airflow_provider_dub.emulator.names import random_id

if TYPE_CHECKING:
    from airflow_provider_dub.emulator.store import Row

_UNSET_COLUMNS: Row = {
    "id": None,
    "linkId": None,
    "sales": 0,
    "saleAmount": 0,
    "createdAt": "2025-05-01T00:00:00.000Z",
    "firstSaleAt": None,
    "projectId": None,
    "programId": None,
    "partnerId": None,
}
_NUMBERS = ("sales", "saleAmount")
_ID_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Enrollment:
    """A partner in a program, with the discount that the partner's customers get."""

    program_id: str
    partner: Mapping[str, Any]
    discount: Mapping[str, Any] | None


@dataclass(frozen=True)
class Seed:
    """Everything that is there before the first request."""

    workspaces: Mapping[str, Workspace]
    keys: Mapping[str, ApiKey]
    links: Mapping[str, Mapping[str, Any]]
    enrollments: Mapping[tuple[str, str], Enrollment]
    customers: list[Row]

    @property
    def main_key(self) -> ApiKey:
        """Return the first key that may read and update customers."""
        for key in self.keys.values():
            is_usable = key.workspace and key.workspace.may_use_customers and key.role in ("owner", "member")
            if is_usable and not key.expired:
                return key
        raise ValueError("The seed has no key that may update customers.")

    def customer(self, given: Mapping[str, Any]) -> Row:
        """Return a whole row from some of its columns.

        :param given: The values by column; a customer without ``projectId`` belongs to the first workspace.
        :raises TypeError: It is not a mapping.
        :raises ValueError: A column or the workspace is not known, or a value has another type.
        """
        if not isinstance(given, Mapping):
            raise TypeError(f"a customer must be an object, not {type(given).__name__}")
        unset = {**dict.fromkeys(fields.FIELDS), **_UNSET_COLUMNS}
        if unknown := given.keys() - unset.keys():
            raise ValueError(
                f"A customer has columns that are not known: {', '.join(sorted(map(str, unknown)))}. Known are "
                f"{', '.join(unset)}."
            )
        row = {**unset, **given}
        for column, value in row.items():
            if column not in _NUMBERS and not isinstance(value, str | None):
                raise ValueError(f"A customer's {column} must be text or null, not {type(value).__name__}.")
        row["id"] = row["id"] or "cus_1" + random_id(25, _ID_ALPHABET)
        row["projectId"] = row["projectId"] or next(iter(self.workspaces))
        if row["projectId"] not in self.workspaces:
            raise ValueError(
                f"A customer's projectId is the id of no workspace: {row['projectId']}. A seed with workspaces of its "
                "own needs keys and customers of its own."
            )
        try:
            row |= {column: int(row[column]) for column in _NUMBERS}
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"A customer's {' and '.join(_NUMBERS)} must be whole numbers.") from None
        return row


def load_seed(source: str | Path | Mapping[str, Any] | None = None) -> Seed:
    """Return the seed of a file or of its content.

    :param source: A JSON file or its content; the default is the seed of the recordings.
    """
    sections = json.loads(resources.files(__package__).joinpath("seed.json").read_text(encoding="utf-8"))
    given = source if isinstance(source, Mapping) else _read_file(Path(source)) if source is not None else {}
    if unknown := given.keys() - sections.keys():
        known = ", ".join(sections)
        raise ValueError(f"The seed has sections that are not known: {', '.join(sorted(unknown))}. Known are {known}.")
    try:
        return _build(sections | given)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"The seed does not have the shape of seed.json: {error!r}") from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        sections = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(sections, dict):
        raise ValueError(f"{path} must hold a JSON object.")
    return sections


def _build(sections: Mapping[str, Any]) -> Seed:
    workspaces = {id_: _workspace(id_, text) for id_, text in sections["workspaces"].items()}
    enrollments = (_enrollment(id_, text, sections) for id_, text in sections["partners"].items())
    seed = Seed(
        workspaces=workspaces,
        keys={token: _key(token, text, workspaces) for token, text in sections["keys"].items()},
        links={sections["link"]["id"]: sections["link"]},
        enrollments={(each.program_id, each.partner["id"]): each for each in enrollments},
        customers=[],
    )
    seed.customers.extend(seed.customer(given) for given in sections["customers"])
    ids = Counter(collation_key(customer["id"]) for customer in seed.customers)
    if twice := [customer["id"] for customer in seed.customers if ids[collation_key(customer["id"])] > 1]:
        raise ValueError(f"Two customers of the seed have the same id: {twice[0]}.")
    return seed


def _workspace(id_: str, description: str | Mapping[str, Any]) -> Workspace:
    slug = re.sub(r"^lab-?", "lab-", id_.removeprefix("ws_1").rstrip("0123456789").lower())
    if not isinstance(description, str):
        return Workspace(
            id_,
            description.get("slug", slug),
            _one_of("plan", PLANS, description["plan"]),
            description.get("trial", False),
            description.get("defaultProgram"),
        )
    program = re.search(r"default program (\S+)", description)
    return Workspace(
        id_,
        slug,
        plan=_one_of("plan", PLANS, description.split(",")[0].removeprefix("plan ")),
        on_trial="trial" in description,
        default_program=program[1] if program else None,
    )


def _one_of(kind: str, known: Collection[str], text: str) -> str:
    """Return what is known by this name, in any case."""
    name = text.strip().lower()
    if name not in known:
        raise ValueError(f"The seed has a {kind} that is not known: {text!r}. Known are {', '.join(known)}.")
    return name


def _key(token: str, description: str | Mapping[str, Any], workspaces: Mapping[str, Workspace]) -> ApiKey:
    if not isinstance(description, str):
        name, role = description.get("workspace"), description.get("role", "owner")
        if name and not token.startswith(KEY_PREFIX):
            raise ValueError(f"A key of a workspace must begin with {KEY_PREFIX}: one of {name} does not.")
        return ApiKey(
            token,
            workspaces[name] if name else None,
            None if role is None else _one_of("role", ROLES, role),
            description.get("expired", False),
        )
    if "personal key" in description:
        return ApiKey(token, None)
    workspace = _workspace_in(description, workspaces)
    if "not a member" in description:
        return ApiKey(token, workspace, role=None)
    role = next((role for role in ROLES if role in description), "owner")
    return ApiKey(token, workspace, role, expired="expired" in description)


def _workspace_in(description: str, workspaces: Mapping[str, Workspace]) -> Workspace:
    mentions = [
        (len(name), workspace)
        for workspace in workspaces.values()
        for name in (workspace.id, workspace.slug, workspace.slug.removeprefix("lab-"), workspace.plan)
        if re.search(rf"\b{re.escape(name)} ws\b", description)
    ]
    if not mentions:
        raise ValueError(f"The seed has no workspace for the key that is described as {description!r}.")
    return max(mentions, key=lambda mention: mention[0])[1]


def _enrollment(id_: str, description: str | Mapping[str, Any], sections: Mapping[str, Any]) -> Enrollment:
    program = sections["link"]["programId"]
    discounts = sections.get("discounts", {})
    if not isinstance(description, str):
        partner = {"id": id_, **{field: description.get(field) for field in ("name", "email", "image")}}
        return Enrollment(description.get("programId", program), partner, discounts.get(description.get("discount")))
    name = description.split(",")[0]
    is_bare = "null email and image" in description
    partner = {
        "id": id_,
        "name": name,
        "email": None if is_bare else f"{name.split()[0].lower()}@partner.test",
        "image": None if is_bare else f"https://dubassets.com/partners/{id_}/image_1",
    }
    discount = re.search(r"with discount (\S+)", description)
    return Enrollment(program, partner, discounts.get(discount[1]) if discount else None)
