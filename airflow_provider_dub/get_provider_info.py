"""What Airflow learns of this provider. Imported by every Airflow process, so it imports nothing."""

from __future__ import annotations

from typing import Any

CONN_TYPE = "dub"
HOOK_NAME = "Dub"

#: The connection form. Airflow 3.2 and later read it here, earlier versions through the methods of ``DubHook``.
CONN_FIELDS: dict[str, dict[str, Any]] = {
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "Seconds to wait for a response. Default: 30.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 3600},
    },
    "max_retries": {
        "label": "Retries",
        "description": "Retries of one request after a transient failure. Default: 5.",
        "schema": {"type": ["integer", "null"], "minimum": 0},
    },
    "requests_per_minute": {
        "label": "Requests per minute",
        "description": "Your own limit, for instance a share of the key's. Default: what Dub allows the key.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "workspace_slug": {
        "label": "Workspace slug",
        "description": "The workspace that the key must belong to (app.dub.co/<slug>). Dub then refuses any other key.",
        "schema": {"type": ["string", "null"]},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true, false, or the path of a CA bundle on the worker. Default: true.",
        "schema": {"type": ["string", "null"]},
    },
}

# Airflow 2.11 loses its Test button, for all types, when "extra" is hidden. Airflow 3.3's button refuses a saved
# connection without a port, and a form can propose one only as a placeholder.
HIDDEN_FIELDS = ["login", "schema"]
RELABELING = {"password": "API key", "host": "Base URL"}
PLACEHOLDERS = {
    "password": "dub_...",
    "host": "https://api.dub.co",
    "port": "443 (the Test button of Airflow 3.3 needs a port)",
    "timeout": "30",
    "max_retries": "5",
    "requests_per_minute": "1200",
    "workspace_slug": "acme",
    "verify": "true",
}

#: ``dataset-uris`` is what Airflow 2.11 calls ``asset-uris``.
ASSET_URIS = [
    {
        "schemes": ["dub"],
        "handler": "airflow_provider_dub.assets.dub.sanitize_uri",
        "factory": "airflow_provider_dub.assets.dub.dub_customers",
        "to_openlineage_converter": "airflow_provider_dub.lineage.convert_asset_to_openlineage",
    }
]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's ``provider_info.schema.json`` asks for it."""
    return {
        "package-name": "airflow-provider-dub",
        "name": "Dub",
        "description": "`Dub <https://dub.co/>`__: reverse ETL into the customers of a Dub workspace.",
        "integrations": [
            {
                "integration-name": "Dub",
                "external-doc-url": "https://dub.co/docs/api-reference/endpoint/update-a-customer",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "Dub", "python-modules": ["airflow_provider_dub.hooks.dub"]}],
        "operators": [{"integration-name": "Dub", "python-modules": ["airflow_provider_dub.operators.dub"]}],
        "transfers": [
            {
                "source-integration-name": "SQL",
                "target-integration-name": "Dub",
                "python-module": "airflow_provider_dub.transfers.sql_to_dub",
            }
        ],
        "asset-uris": ASSET_URIS,
        "dataset-uris": ASSET_URIS,
        "extra-links": [
            "airflow_provider_dub.links.dub.DubCustomersLink",
            "airflow_provider_dub.links.dub.DubApiLogLink",
        ],
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": "airflow_provider_dub.hooks.dub.DubHook",
                "hook-name": HOOK_NAME,
                "conn-fields": CONN_FIELDS,
                "ui-field-behaviour": {
                    "hidden-fields": HIDDEN_FIELDS,
                    "relabeling": RELABELING,
                    "placeholders": PLACEHOLDERS,
                },
            }
        ],
    }
