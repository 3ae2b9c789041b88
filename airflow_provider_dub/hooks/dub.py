"""The hook: an Airflow connection becomes a client of Dub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_dub import get_provider_info
from airflow_provider_dub.assets.customers import customers_uri
from airflow_provider_dub.exceptions import DubError
from airflow_provider_dub.hooks.connection import DubConnection
from airflow_provider_dub.hooks.workspace import Workspace
from airflow_provider_dub.sync.stop import Stop

if TYPE_CHECKING:
    import pandas as pd
    import requests

    from airflow_provider_dub.api.client import DubClient
    from airflow_provider_dub.api.transport import Traffic
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.checkpoints import Checkpoints
    from airflow_provider_dub.sync.duplicates import OnDuplicate
    from airflow_provider_dub.sync.engine import OnMissing
    from airflow_provider_dub.sync.report import RowResult
    from airflow_provider_dub.sync.rows import Rows
    from airflow_provider_dub.sync.updates import NullPolicy


class DubHook(BaseHook):
    """Talks to Dub's customers API with the key and the settings of an Airflow connection.

    The connection is looked up once, when it is first needed. For each setting an argument of the hook goes before
    the connection's extra, and that before the default; a blank extra counts as not set.

    :param dub_conn_id: The connection: password is the API key, host the base URL (default ``https://api.dub.co``).
    :param timeout: Seconds to wait for an answer (default 30; connecting may take at most 10 of them).
    :param max_retries: Repeats of one request after a transient failure (default 5). Waiting for the rate limit is
        not one of them.
    :param requests_per_minute: A cap of one's own on the rate. By default the key's limit is learnt from Dub.
    :param workspace_slug: The workspace that the key must belong to; Dub then refuses any other key.
    """

    conn_name_attr = "dub_conn_id"
    default_conn_name = "dub_default"
    conn_type = get_provider_info.CONN_TYPE
    hook_name = get_provider_info.HOOK_NAME

    def __init__(
        self,
        dub_conn_id: str = default_conn_name,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        requests_per_minute: int | None = None,
        workspace_slug: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dub_conn_id = dub_conn_id
        self._stopped = False
        self._runs: list[Stop] = []
        self._arguments = {
            "timeout": timeout,
            "max_retries": max_retries,
            "requests_per_minute": requests_per_minute,
            "workspace_slug": workspace_slug,
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields for Airflow before 3.2; later versions read the provider info."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import IntegerField, StringField
        from wtforms.validators import Optional

        return {
            name: (IntegerField if "integer" in field["schema"]["type"] else StringField)(
                field["label"], description=field["description"], widget=BS3TextFieldWidget(), validators=[Optional()]
            )
            for name, field in get_provider_info.CONN_FIELDS.items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's labels for Airflow before 3.2; later versions read the provider info."""
        return {
            "hidden_fields": get_provider_info.HIDDEN_FIELDS,
            "relabeling": get_provider_info.RELABELING,
            "placeholders": get_provider_info.PLACEHOLDERS,
        }

    @cached_property
    def _connection(self) -> DubConnection:
        connection = DubConnection.read(self.get_connection(self.dub_conn_id), self._arguments)
        for name in connection.unknown_extras:
            self.log.warning('The connection %s has an extra "%s" that is not used.', self.dub_conn_id, name)
        return connection

    @property
    def requests_per_minute(self) -> int | None:
        """The cap on the rate that the connection or the argument sets, if one does."""
        return self._connection.requests_per_minute

    @property
    def workspace(self) -> Workspace:
        """The workspace, as far as the connection knows it.

        :raises DubConfigurationError: The connection has no API key, or a setting that cannot work.
        """
        return Workspace(self._connection.base_url, self._connection.workspace_slug)

    @cached_property
    def client(self) -> DubClient:
        """The client over this connection; one for the life of the hook."""
        return self._client(self._connection)

    def _client(self, connection: DubConnection) -> DubClient:
        from airflow_provider_dub.api.client import DubClient
        from airflow_provider_dub.api.rate_limit import RateLimiter

        return DubClient(
            self.get_conn,
            connection.base_url,
            timeout=connection.timeout,
            max_retries=connection.max_retries,
            rate_limiter=RateLimiter(connection.requests_per_minute),
            workspace_slug=connection.workspace_slug,
            https_assumed=connection.https_assumed,
        )

    @property
    def traffic(self) -> Traffic:
        """What was sent and waited for so far."""
        from airflow_provider_dub.api.transport import Traffic

        return self.client.traffic if "client" in self.__dict__ else Traffic()

    def get_conn(self) -> requests.Session:
        """Return a new session that authenticates itself, to call what this hook has no method for.

        :raises DubConfigurationError: The connection has no API key, or a setting that cannot work.
        """
        from airflow_provider_dub.hooks.session import DubSession

        return DubSession(self._connection.api_key, verify=self._connection.verify)

    def digest_key(self, *settings: Any) -> bytes:
        """Return a key for digests that changes with the API key, the address, the workspace and these settings.

        Whoever does not have the API key can neither make such digests nor find out what they are of.

        :param settings: As JSON.
        """
        connection = self._connection
        parts = [connection.api_key, connection.base_url, connection.workspace_slug, *settings]
        return hashlib.blake2b(json.dumps(parts).encode()).digest()

    def get_customer(self, customer_id: str, *, include_expanded_fields: bool = False) -> Customer:
        """Read one customer; see :meth:`DubClient.get_customer`.

        :param customer_id: ``cus_…``, or ``ext_`` and the external id.
        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        """
        return self.client.get_customer(customer_id, include_expanded_fields=include_expanded_fields)

    def list_customers(self, *, include_expanded_fields: bool = False, **filters: str) -> Iterator[Customer]:
        """Read all customers, page by page as they are consumed; see :meth:`DubClient.list_customers`.

        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :param filters: ``email``, ``externalId`` (bare), ``country``, ``search``, ``linkId``, ``programId``,
            ``partnerId``.
        """
        return self.client.list_customers(include_expanded_fields=include_expanded_fields, **filters)

    def update_customer(
        self,
        customer_id: str,
        fields: Mapping[str, str | None],
        *,
        include_expanded_fields: bool = False,
        check_external_id: bool = True,
    ) -> Customer:
        """Update one customer and return it; see :meth:`DubClient.update_customer`.

        :param customer_id: ``cus_…``, or ``ext_`` and the external id.
        :param fields: Dub field names and their new values, sent as they are; None clears.
        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :param check_external_id: Do not reach a customer whose external id only looks alike; costs a request.
        """
        self._report_lineage()
        return self.client.update_customer(
            customer_id,
            fields,
            include_expanded_fields=include_expanded_fields,
            check_external_id=check_external_id,
        )

    def update_customers(
        self,
        customers: pd.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]] | Rows,
        *,
        id_column: str = "id",
        external_id_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit",
        on_missing: OnMissing = "fail",
        on_duplicate: OnDuplicate = "fail",
        include_expanded_fields: bool = False,
        check_external_ids: bool = True,
        dry_run: bool = False,
        max_workers: int = 8,
        while_waiting: Callable[[], object] = lambda: None,
        checkpoints: Checkpoints | None = None,
        confirmed_ids: Iterable[str] = (),
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> Iterator[RowResult]:
        """Update many customers and yield what became of each row, in input order, as the results are consumed.

        No row's failure is raised; look at ``result.outcome``. The rows that a stopped run had not read are left out.
        The parameters are those of
        :class:`~airflow_provider_dub.operators.dub.DubUpdateCustomersOperator`. An iterator is read as needed, in
        bounded memory apart from the ids that were seen; its ``null_policy`` must be given per field.

        :param customers: A DataFrame, mappings, one mapping, or an iterator of mappings.
        :param id_column: The column that holds ``cus_…`` or ``ext_…``.
        :param external_id_column: The column that holds bare external ids.
        :param columns: Column to Dub field; by default every column whose name is one.
        :param null_policy: ``"omit"`` or ``"clear"``, or a mapping from field to one of them.
        :param on_missing: ``"fail"`` or ``"skip"``.
        :param on_duplicate: ``"fail"``, ``"last"`` or ``"none"``.
        :param include_expanded_fields: As in the API.
        :param check_external_ids: No row reaches a customer whose external id only looks alike.
        :param dry_run: Validate, but send nothing.
        :param max_workers: Threads that send, at most 64.
        :param while_waiting: Called now and then, in the thread that consumes the results, while it waits for one.
        :param checkpoints: Rows that it knows as settled are not sent; it keeps what becomes of the others.
        :param confirmed_ids: External ids that Dub has shown in this spelling before: they are not looked up again.
        :param may_go_on: Asked before every request, in several threads; as soon as it says no, the run is stopped.
        :raises TypeError: ``customers`` is of another kind.
        :raises ValueError: A column is missing, or a policy is impossible.
        :raises DubConfigurationError: The connection cannot work.
        """
        from airflow_provider_dub.sync.engine import Engine
        from airflow_provider_dub.sync.rows import rows_of
        from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader

        def send(update: CustomerUpdate) -> Customer:
            return client.update_customer(
                update.customer_id,
                update.fields,
                include_expanded_fields=include_expanded_fields,
                check_external_id=check_external_ids,
            )

        rows = rows_of(customers)
        reader = UpdateReader(
            rows,
            id_column=id_column,
            external_id_column=external_id_column,
            columns=columns,
            null_policy=null_policy,
        )
        if reader.ignored_columns:
            self.log.info("Columns that are no Dub fields and are not sent: %s", ", ".join(reader.ignored_columns))
        if reader.sends_nothing:
            self.log.warning("No column is a field of Dub, so no row has anything to send.")
        stopped = self._new_run(may_go_on)
        engine = Engine(
            send,
            max_workers=max_workers,
            on_missing=on_missing,
            on_duplicate=on_duplicate,
            dry_run=dry_run,
            stopped=stopped,
            while_waiting=while_waiting,
            checkpoints=checkpoints,
        )
        if rows and not dry_run:  # in this thread: Airflow looks connections up in the main thread only
            settled = checkpoints.settled_rows if checkpoints else 0
            to_send = len(rows) - settled if isinstance(rows, Sized) else 0
            client = self.client.for_run(stopped, to_send, confirmed_ids)
            self._report_lineage()
        return engine.run(reader)

    def _report_lineage(self) -> None:
        """Tell Airflow that this hook writes to the workspace's customers; by name, without any value."""
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
        collector.add_output_asset(context=self, uri=customers_uri(self.workspace.name))

    def stop(self) -> None:
        """End all runs of :meth:`update_customers`, also later ones: no further request is sent."""
        self._stopped = True
        for run in self._runs:
            run.set()

    def _new_run(self, may_go_on: Callable[[], bool]) -> Stop:
        run = Stop(may_go_on)
        self._runs.append(run)
        if self._stopped:
            run.set()
        return run

    def test_connection(self) -> tuple[bool, str]:
        """Tell whether the key may update customers, with one request that changes nothing."""
        try:
            client = self._client(replace(self._connection, max_retries=1))  # somebody is waiting for the answer
            client.check()
        except DubError as error:
            return False, str(error)
        limit = client.rate_limiter.limit
        return True, "Dub accepts the key for updating customers" + (f" ({limit} requests a minute)." if limit else ".")
