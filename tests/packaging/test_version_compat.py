"""Every name of Airflow that the package needs is found, also where the compat module is too old to have it."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from airflow_provider_dub import version_compat

AIRFLOW = tuple(int(part) for part in metadata.version("apache-airflow").split(".")[:2])


@pytest.mark.parametrize("name", version_compat.__all__)
def test_a_name_is_what_the_compat_module_gives(name) -> None:
    sdk = pytest.importorskip("airflow.providers.common.compat.sdk")
    found = getattr(version_compat, name)
    assert found is getattr(sdk, name, found)
    assert found is not None


@pytest.mark.skipif(AIRFLOW > (3, 0), reason="constraints pin a compat provider without the module for 2.11 and 3.0")
@pytest.mark.parametrize("name", version_compat.__all__)
def test_a_name_is_found_without_the_compat_module(name, monkeypatch) -> None:
    found = getattr(version_compat, name)
    monkeypatch.setitem(sys.modules, "airflow.providers.common.compat.sdk", None)  # an import of it fails
    monkeypatch.delitem(version_compat.__dict__, name)
    assert getattr(version_compat, name) is found


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        version_compat.no_such_name  # noqa: B018
