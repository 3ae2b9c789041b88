"""The seed: who is there at the start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.emulator.seed import load_seed
from tests.support.recordings import RECORDED_SEED

from .conftest import send

OWN = {
    "workspaces": {"ws_acme": {"plan": "advanced", "slug": "acme"}, "ws_old": {"plan": "pro", "trial": True}},
    "keys": {
        "dub_OLD": {"workspace": "ws_acme", "expired": True},
        "dub_READER": {"workspace": "ws_acme", "role": "viewer"},
        "dub_ACME": {"workspace": "ws_acme", "role": "member", "scopes": ["customers.write"]},
    },
    "partners": {"pn_1": {"name": "Pia", "email": "pia@x.test", "programId": "prog_X", "discount": "disc_LAB1"}},
    "customers": [{"id": "cus_1", "externalId": "a", "programId": "prog_X", "partnerId": "pn_1"}],
}


def test_a_seed_may_have_objects_in_place_of_sentences(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(json.dumps(OWN))
    with DubEmulator(path) as dub:
        assert dub.api_key == "dub_ACME"
        response = send(dub, "GET", "/customers/ext_a?includeExpandedFields=true&projectSlug=acme")
        update = send(dub, "PATCH", "/customers/ext_a", {}, headers={"Authorization": "Bearer dub_READER"})

    assert response.json["partner"] == {"id": "pn_1", "name": "Pia", "email": "pia@x.test", "image": None}
    assert response.json["discount"]["amount"] == 30
    assert update.status == 403


def test_plans_and_roles_are_known_in_any_case() -> None:
    key = {"workspace": "ws_1", "role": "Member"}
    seed = load_seed({"workspaces": {"ws_1": {"plan": "Business Plus"}}, "keys": {"dub_X": key}, "customers": []})
    assert (seed.main_key.role, seed.main_key.requests_per_minute) == ("member", 1200)


def test_a_seed_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"customers": [{"externalId": "ä"}]}), encoding="utf-8-sig")
    assert load_seed(path).customers[0]["externalId"] == "ä"


def test_what_a_seed_leaves_out_is_there() -> None:
    with DubEmulator({"customers": [{"externalId": f"user_{n}"} for n in range(1000)]}) as dub:
        assert send(dub, "GET", "/customers/ext_user_999").status == 200
        assert len({customer["id"] for customer in dub.customers}) == 1000


def test_the_sentences_of_the_recordings_are_understood() -> None:
    seed = load_seed(RECORDED_SEED)

    described = {
        token: (key.workspace.slug if key.workspace else None, key.role, key.expired, key.requests_per_minute)
        for token, key in seed.keys.items()
    }
    assert described["dub_TESTKEY"] == ("lab-main", "owner", False, 1200)
    assert described["dub_OTHERKEY"] == ("lab-other", "owner", False, 1200)
    assert described["dub_PROKEY"] == ("lab-pro", "owner", False, 600)
    assert described["dub_BILLINGKEY"] == ("lab-main", "billing", False, 1200)
    assert described["dub_MEMBERKEY"] == ("lab-main", "member", False, 1200)
    assert described["dub_MACHINEKEY"] == ("lab-main", "owner", False, 1200)
    assert described["dub_EXPIREDKEY"] == ("lab-main", "owner", True, 1200)
    assert described["dub_TRIALKEY"] == ("lab-trial", "owner", False, 120)
    assert described["dub_BIZPLUSKEY"] == ("lab-plus", "owner", False, 1200)
    assert described["dub_NOMEMBERKEY"] == ("lab-main", None, False, 1200)
    assert described["PERSONALKEY0123456789abcd"] == (None, "owner", False, 60)


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"keys": {"dub_X": "nowhere ws"}}, "no workspace for the key that is described as 'nowhere ws'"),
        ({"keys": {"dub_X": {"workspace": "ws_nowhere"}}}, "ws_nowhere"),
        ({"keys": {}}, "no key that may update customers"),
        ({"customers": {"cus_1": {}}}, "does not have the shape"),
        ({"customers": [{"external_id": "a"}]}, "not known: external_id. Known are .*externalId"),
        ({"customers": [{"projectId": "ws_nowhere"}]}, "projectId is the id of no workspace: ws_nowhere"),
        ({"customers": [{"email": 5}]}, "email must be text or null, not int"),
        ({"customers": [{"externalId": 5}]}, "externalId must be text or null, not int"),
        ({"customers": [{"sales": "many"}]}, "sales and saleAmount must be whole numbers"),
        ({"customers": [{"id": "cus_1", "externalId": "a"}, {"id": "cus_1"}]}, "the same id: cus_1"),
        ({"workspaces": {"ws_1": {"plan": ""}}}, "plan that is not known: ''. Known are free, pro, business"),
        ({"keys": {"dub_X": {"workspace": "ws_1LABPRO", "role": "admin"}}}, "role that is not known: 'admin'"),
        ({"keys": {"my_key": {"workspace": "ws_1LABPRO"}}}, "must begin with dub_"),
        ({"customers": [{"externalId": "a"}, {"externalId": "A"}]}, "externalId or stripeCustomerId of another one"),
    ],
)
def test_bad_seeds_are_explained(seed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DubEmulator(seed)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_bad_seed_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "seed.json"
    path.write_text(content)

    with pytest.raises(ValueError, match=r"seed\.json"):
        DubEmulator(path)


def test_a_section_that_is_not_known_is_no_seed() -> None:
    with pytest.raises(ValueError, match=r"not known: custmers. Known are .*customers"):
        load_seed({"custmers": []})
