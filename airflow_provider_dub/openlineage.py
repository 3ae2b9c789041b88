"""What a run tells OpenLineage: to whose customers it wrote, and how many; never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_dub.assets.customers import customers_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset
    from airflow.providers.common.compat.sdk import Asset
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.hooks.workspace import Workspace


def customers_dataset(workspace: str) -> OutputDataset:
    """Return the customers of a workspace as a dataset.

    :param workspace: What lineage calls the workspace.
    """
    from airflow.providers.common.compat.openlineage.facet import OutputDataset

    namespace, _, name = customers_uri(workspace).rpartition("/")
    return OutputDataset(namespace=namespace, name=name)


def customers_lineage(workspace: Workspace | None, updated: int) -> OperatorLineage[Any, Any]:
    """Return the lineage of a run.

    :param workspace: The workspace that the run wrote to, if to any.
    :param updated: How many customers were updated.
    """
    from airflow.providers.common.compat.openlineage.facet import OutputStatisticsOutputDatasetFacet
    from airflow.providers.openlineage.extractors import OperatorLineage

    if workspace is None:
        return OperatorLineage()
    customers = customers_dataset(workspace.name)
    customers.outputFacets = {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=updated)}
    return OperatorLineage(outputs=[customers])


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> OutputDataset:  # noqa: ARG001 - Airflow's call
    """Return what OpenLineage calls the asset.

    :param asset: The asset ``dub://<workspace>/customers``.
    :param lineage_context: Who reported it.
    """
    return customers_dataset(urlsplit(asset.uri).netloc)
