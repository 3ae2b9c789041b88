"""The sync: rows in, outcomes out. Knows no HTTP and no Airflow.

Public: :class:`~airflow_provider_dub.sync.options.SyncOptions`, :class:`~airflow_provider_dub.sync.results.Outcome` and
:class:`~airflow_provider_dub.sync.results.RowResult`.
"""
