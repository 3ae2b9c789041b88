"""Every name of Airflow that the package needs is found, also where the compat module is too old to have it."""

from __future__ import annotations

import sys
from importlib import metadata
from uuid import UUID

import pytest

from airflow_provider_dub import version_compat
from tests.support.task_instance import TaskInstance

AIRFLOW = tuple(int(part) for part in metadata.version("apache-airflow").split(".")[:2])


@pytest.mark.parametrize("name", version_compat.HOMES)
def test_a_name_is_what_the_compat_module_gives(name) -> None:
    sdk = pytest.importorskip("airflow.providers.common.compat.sdk")
    found = getattr(version_compat, name)
    assert found is getattr(sdk, name, found)
    assert found is not None


@pytest.mark.skipif(AIRFLOW > (3, 0), reason="constraints pin a compat provider without the module for 2.11 and 3.0")
@pytest.mark.parametrize("name", version_compat.HOMES)
def test_a_name_is_found_without_the_compat_module(name, monkeypatch) -> None:
    found = getattr(version_compat, name)
    monkeypatch.setitem(sys.modules, "airflow.providers.common.compat.sdk", None)  # an import of it fails
    monkeypatch.delitem(version_compat.__dict__, name)
    assert getattr(version_compat, name) is found


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        version_compat.no_such_name  # noqa: B018


#: As Airflow 3.4 makes them: the second half differs, the first is the time.
REGIONS = [UUID("01a21264-0eff-7f3b-a0a1-339390bd7bc0"), UUID("01a21264-0ec3-741a-9197-5fd38c3a9bb9")]


@pytest.mark.parametrize(
    ("attributes", "suffix"),
    [
        ({}, ""),
        ({"map_index": 3}, "[3]"),
        ({"region_id": UUID(int=0), "region_index": -1}, ""),
        ({"region_id": REGIONS[0], "region_index": 0}, "[0]@339390bd7bc0"),  # map_index is -1 in every iteration
        ({"region_id": REGIONS[0], "region_index": 1}, "[1]@339390bd7bc0"),
        ({"region_id": REGIONS[1], "region_index": 1, "map_index": 1}, "[1]@5fd38c3a9bb9"),
    ],
)
def test_task_instances_of_one_task_have_names_of_their_own(attributes, suffix) -> None:
    assert version_compat.instance_suffix(TaskInstance(**attributes)) == suffix
