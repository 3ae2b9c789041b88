"""Airflow finds the provider, and its metadata costs no import."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata, resources

import jsonschema

from airflow_provider_dub import get_provider_info as module
from airflow_provider_dub.get_provider_info import CONN_FIELDS, get_provider_info
from airflow_provider_dub.hooks.dub import DubHook


def test_the_metadata_is_what_airflow_asks_for() -> None:
    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_package_name_is_the_distributions() -> None:
    points = metadata.distribution("airflow-provider-dub").entry_points
    (entry_point,) = points.select(group="apache_airflow_provider", name="provider_info")
    assert entry_point.load()()["package-name"] == "airflow-provider-dub"


def test_the_metadata_imports_nothing_heavy() -> None:
    code = f"import sys; before = set(sys.modules); import {module.__name__}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"airflow", "pandas", "numpy", "requests", "pydantic_core"} & {name.partition(".")[0] for name in loaded}


def test_every_field_of_the_form_is_a_setting_and_has_help() -> None:
    from airflow_provider_dub.hooks.connection import SETTINGS

    assert set(CONN_FIELDS) == set(SETTINGS)
    assert all(field["label"] and field["description"] for field in CONN_FIELDS.values())


def test_older_airflows_get_the_same_labels_from_the_hook() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    behaviour = connection_type["ui-field-behaviour"]
    assert DubHook.get_ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }
    assert (DubHook.conn_type, DubHook.hook_name) == (connection_type["connection-type"], connection_type["hook-name"])
