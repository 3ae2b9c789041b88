"""The hook: an Airflow connection becomes a client of Dub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_dub import get_provider_info
from airflow_provider_dub.api.locks import ForkSafeLock
from airflow_provider_dub.api.stop import Stop
from airflow_provider_dub.assets.dub import customers_uri
from airflow_provider_dub.exceptions import DubConfigurationError, DubError, DubRateLimitError
from airflow_provider_dub.hooks.connection import DubSettings
from airflow_provider_dub.version_compat import BaseHook

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    import requests

    from airflow_provider_dub.api.client import DubClient
    from airflow_provider_dub.api.transport import Traffic
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.arrow import ArrowStream
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.sync.results import RowResult
    from airflow_provider_dub.sync.rows import Rows

__all__ = ["DubHook"]

#: Seconds that the test of a connection waits for a key that is over its limit.
TEST_RATE_LIMIT_TIMEOUT = 10.0


class DubHook(BaseHook):
    """Talks to Dub's customers API with the key and the settings of an Airflow connection.

    The connection is looked up once, when it is first needed. An argument of the hook takes precedence over the
    connection's extra, and that over the default; a blank one counts as not set.

    :param dub_conn_id: The connection: password is the API key, host the base URL (default ``https://api.dub.co``).
    :param timeout: Seconds for one request and its whole response (default 30; connecting may take at most 10 of them).
    :param max_retries: Retries of one request after a transient failure (default 5). Waiting for the rate limit is
        not one of them.
    :param requests_per_minute: A limit of your own. By default the key's limit is learnt from Dub.
    :param workspace_slug: The workspace that the key must belong to, as in ``app.dub.co/<slug>``; Dub then refuses any
        other key.
    """

    conn_name_attr = "dub_conn_id"
    default_conn_name = "dub_default"
    conn_type = get_provider_info.CONN_TYPE
    hook_name = get_provider_info.HOOK_NAME
    #: Held while a connection is looked up: of threads that use a new hook at once, one does that.
    _first_use = ForkSafeLock()

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
        self._arguments = {
            "timeout": timeout,
            "max_retries": max_retries,
            "requests_per_minute": requests_per_minute,
            "workspace_slug": workspace_slug,
        }
        self._settings: DubSettings | None = None
        self._client: DubClient | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the key, and the client, which works in one process only: a copy makes its own."""
        return self.__dict__ | {"_settings": None, "_client": None}

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

    @property
    def settings(self) -> DubSettings:
        """The settings of the connection; looked up once.

        :raises DubConfigurationError: The connection has no API key, or a setting that cannot work.
        """
        if self._settings is None:
            with self._first_use:
                self._settings = self._settings or self._read_settings()
        return self._settings

    @property
    def client(self) -> DubClient:
        """The client over this connection; one for the life of the hook."""
        if self._client is None:
            settings = self.settings
            with self._first_use:
                self._client = self._client or self._new_client(settings)
        return self._client

    def _read_settings(self) -> DubSettings:
        try:
            settings = DubSettings.read(self.get_connection(self.dub_conn_id), self._arguments)
        except DubConfigurationError as error:
            # The frames in which it was found hold the key, which some tracebacks show (rich, Sentry).
            raise error.with_traceback(None) from error.__cause__
        for name in settings.unknown_extras:
            self.log.warning('The connection %s has an extra "%s" that is not used.', self.dub_conn_id, name)
        return settings

    def _new_client(self, settings: DubSettings, rate_limit_timeout: float | None = None) -> DubClient:
        from airflow_provider_dub.api.client import DubClient
        from airflow_provider_dub.api.exchange import Server
        from airflow_provider_dub.api.rate_limit import RateLimiter
        from airflow_provider_dub.api.transport import Transport

        transport = Transport(
            self.get_conn,
            Server(settings.base_url, settings.timeout, settings.https_assumed),
            max_retries=settings.max_retries,
            rate_limiter=RateLimiter(settings.requests_per_minute),
            rate_limit_timeout=rate_limit_timeout,
        )
        return DubClient(transport, workspace_slug=settings.workspace_slug)

    @property
    def traffic(self) -> Traffic:
        """What was sent and waited for so far."""
        from airflow_provider_dub.api.transport import Traffic

        return self._client.traffic if self._client else Traffic()

    def get_conn(self) -> requests.Session:
        """Return a new session that authenticates itself; every request of this hook goes through such a session.

        Whatever is plugged into requests (mocks, recordings, traces, proxies, CA bundles) applies to both. A subclass
        may return a session with adapters of its own: each thread gets one. :meth:`request` adds pacing and retries.
        (Of several threads, vcrpy records only some requests: set ``max_workers=1`` where a cassette is recorded.)

        :raises DubConfigurationError: The connection has no API key, or a setting that cannot work.
        """
        from airflow_provider_dub.hooks.session import DubSession

        return DubSession(self.settings.api_key, verify=self.settings.verify)

    def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        """Send a request to an endpoint that this hook has no method for, and return the parsed JSON.

        It keeps to the rate limit, is sent again while that can help (a POST only where the first one cannot have
        arrived), and its failures are typed.

        :param method: The HTTP method.
        :param path: The path from ``/`` on, such as ``/links``; percent-encode what you put into it.
        :param query: Query parameters; None is left out, and a list becomes a repeated parameter.
        :param json: What is sent as JSON; None sends no body.
        :return: The JSON of the response; None if it has no body.
        """
        return self.client.request(method, path, query=query, body=json)

    def get_customer(self, customer_id: str, *, include_expanded_fields: bool = False) -> Customer:
        """Read one customer.

        :param customer_id: ``cus_…``, or ``ext_`` and the external id.
        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :raises DubCustomerNotFoundError: There is no such customer.
        """
        return self.client.get_customer(customer_id, include_expanded_fields=include_expanded_fields)

    def list_customers(self, *, include_expanded_fields: bool = False, **filters: str) -> Iterator[Customer]:
        """Read all customers, in no order, page by page as they are consumed.

        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :param filters: ``country``, ``linkId``, ``partnerId``, ``programId`` (whatever it is, Dub takes the workspace's
            default program), and one of ``email``, ``externalId`` (bare) and ``search``.
        :raises TypeError: A filter is not text.
        :raises ValueError: Dub would ignore a filter, or there is none of this name.
        """
        return iter(self.client.list_customers(include_expanded_fields=include_expanded_fields, **filters))

    def update_customer(
        self,
        customer_id: str,
        fields: Mapping[str, Any],
        *,
        include_expanded_fields: bool = False,
        check_external_id: bool = True,
    ) -> Customer:
        """Update one customer and return it as Dub shows it afterwards.

        :param customer_id: ``cus_…``, or ``ext_`` and the external id.
        :param fields: Dub field names and their new values, sent as they are; None clears.
        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :param check_external_id: Do not reach a customer whose external id is not an exact match; costs a request.
        """
        self.report_lineage()
        return self.client.update_customer(
            customer_id,
            fields,
            include_expanded_fields=include_expanded_fields,
            verified_ids=() if check_external_id else None,
        )

    def update_customers(
        self,
        customers: pd.DataFrame
        | ArrowStream
        | Mapping[str, Any]
        | Iterable[Mapping[str, Any]]
        | str
        | PathLike[str]
        | Rows,
        options: SyncOptions | None = None,
    ) -> Iterator[RowResult]:
        """Update many customers and yield the result of each row, in input order, as the results are consumed.

        No row's failure is raised; look at ``result.outcome``. At most ``2 * max_workers + 1`` rows after the one that
        you look at are sent already. An iterator is read as needed, in bounded memory apart from the ids that were
        seen; its ``null_policy`` must be given per field.

        :param customers: A DataFrame of any library that speaks Arrow, mappings, one mapping, an iterator of mappings,
            or the path of a local file.
        :param options: What the sync does with the rows.
        :raises TypeError: ``customers`` is of another kind.
        :raises ValueError: A column is missing, or an option is impossible for these rows or judges a task, as
            ``max_failures`` does.
        :raises DubError: The connection cannot work, or Dub refuses the key in the preflight check of external ids.
        """
        from airflow_provider_dub.hooks.sending import sender, verified_ids
        from airflow_provider_dub.sync.inputs import rows_of
        from airflow_provider_dub.sync.iterator import iterate_sync
        from airflow_provider_dub.sync.options import SyncOptions
        from airflow_provider_dub.sync.updates import UpdateReader, updates_of

        options = options or SyncOptions()
        if options.task_options:
            raise ValueError(
                f"{', '.join(options.task_options)}: only operators look at this. Count the results instead; limit and "
                "dry_run are for the hook, too."
            )
        reader = UpdateReader(rows_of(customers), options)
        updates = updates_of(reader)
        stop = Stop()
        if options.dry_run:
            return iterate_sync(updates, sender(None, options, None), options, stop)
        client = self.client.for_run(stop)
        self.report_lineage()
        send = sender(client, options, verified_ids(client, reader))
        return iterate_sync(updates, send, options, stop, at_the_end=client.close)

    def report_lineage(self) -> None:
        """Report to Airflow that this hook writes to the workspace's customers; by name, without any value."""
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
        collector.add_output_asset(context=self, uri=customers_uri(self.settings.workspace.name))

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the key may update customers, with one request that changes nothing."""
        try:
            # Somebody is waiting for it.
            client = self._new_client(replace(self.settings, max_retries=1), TEST_RATE_LIMIT_TIMEOUT)
            client.check()
        except DubRateLimitError as error:
            if not error.server_message:  # it was not Dub that refused
                return False, str(error)
            return False, (
                "Dub accepts the key, but it is over its limit of requests now, and what it may do was not checked: "
                "test again in a minute."
            )
        except DubError as error:
            return False, str(error)
        limit = client.rate_limiter.limit
        return True, "Dub accepts the key for updating customers" + (
            f" ({limit:,} requests a minute)." if limit else "."
        )
