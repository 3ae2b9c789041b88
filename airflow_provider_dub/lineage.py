"""What a run reports to OpenLineage: what it read, to whose customers it wrote, and how many; never a value of a row.

As with Airflow's own SQL operators the text of the query is reported, with the literals in it. Its parameters are not
reported here, but by Airflow's OpenLineage provider, as it does for every operator that has some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_dub.assets.dub import customers_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.hooks.workspace import Workspace
    from airflow_provider_dub.version_compat import Asset, Connection


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


def query_lineage(hook: DbApiHook, connection: Connection, sql: str) -> OperatorLineage[Any, Any] | None:
    """Return what a query reads, as the database's own hook names it, and its text; None without OpenLineage.

    It may ask the database for its default schema, so it is called while the task runs.

    :param hook: The database's hook.
    :param connection: The connection to the database.
    :param sql: The query, without its parameters.
    """
    try:
        from airflow.providers.openlineage.conf import is_disabled
        from airflow.providers.openlineage.sqlparser import SQLParser
    except ImportError:
        return None
    database = None if is_disabled() else hook.get_openlineage_database_info(connection)
    if database is None:
        return None
    parser = SQLParser(
        dialect=hook.get_openlineage_database_dialect(connection),
        default_schema=hook.get_openlineage_default_schema(),
    )
    return parser.generate_openlineage_metadata_from_sql(
        sql=sql, hook=hook, database_info=database, database=database.database, use_connection=False
    )


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> OutputDataset:  # noqa: ARG001 - Airflow's call
    """Return what OpenLineage calls the asset.

    :param asset: The asset ``dub://<workspace>/customers``.
    :param lineage_context: Who reported it.
    """
    return customers_dataset(urlsplit(asset.uri).netloc)
