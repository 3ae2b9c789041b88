"""What Airflow itself makes of the connection form, read the way each version reads it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_dub.get_provider_info import CONN_FIELDS, PLACEHOLDERS, RELABELING

pytestmark = pytest.mark.slow  # half of Airflow is imported

# In processes of their own: Airflow 3.0 and 3.1 put stand-ins for Flask's forms into sys.modules.
AIRFLOW_3 = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(form,) = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "dub"]
standard, extra = form.standard_fields, form.extra_fields or {}
print(json.dumps({
    "labels": {name: getattr(standard, name).title for name in ("password", "host")},
    "placeholders": {name: getattr(standard, name).placeholder for name in ("password", "host", "port")},
    "hidden": [name for name in ("login", "url_schema", "port") if getattr(standard, name).hidden],
    "extras": {name: (field["schema"]["title"], field["description"]) for name, field in extra.items()},
}))
"""
AIRFLOW_2 = """
import json
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
behaviour = manager.field_behaviours["dub"]
fields = [widget for name, widget in manager.connection_form_widgets.items() if name.startswith("extra__dub__")]
print(json.dumps({
    "labels": {name: behaviour["relabeling"][name] for name in ("password", "host")},
    "placeholders": {name: behaviour["placeholders"][name] for name in ("password", "host", "port")},
    "hidden": ["url_schema" if name == "schema" else name for name in behaviour["hidden_fields"]],
    "extras": {it.field_name: (it.field.args[0], it.field.kwargs["description"]) for it in fields},
}))
"""


@pytest.fixture(scope="module")
def form():
    """The connection form of Dub, as this Airflow shows it."""
    try:
        import airflow.api_fastapi  # noqa: F401

        code = AIRFLOW_3
    except ImportError:
        code = AIRFLOW_2
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_fields_have_dubs_names(form) -> None:
    assert form["labels"] == RELABELING
    assert form["placeholders"] == {name: PLACEHOLDERS[name] for name in ("password", "host", "port")}


def test_what_means_nothing_for_dub_is_hidden(form) -> None:
    assert sorted(form["hidden"]) == ["login", "url_schema"]  # Airflow 3.3 needs the port to test the connection


def test_every_extra_has_a_field_with_label_and_help(form) -> None:
    assert form["extras"] == {name: [field["label"], field["description"]] for name, field in CONN_FIELDS.items()}
