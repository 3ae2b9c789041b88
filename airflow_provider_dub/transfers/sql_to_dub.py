"""The transfer: the rows of a query that changed since they were last applied become updates in Dub."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import uuid4

from airflow_provider_dub.customers.ids import external_id_of
from airflow_provider_dub.exceptions import DubStateTableLockedError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.hooks.sending import verified_ids
from airflow_provider_dub.lineage import query_lineage
from airflow_provider_dub.operators.base import DubSyncOperator, shared_arguments, too_many_changes
from airflow_provider_dub.operators.templated import is_none, read_flag, read_rendered, read_share
from airflow_provider_dub.sync.options import one_of, true_or_false, whole_number
from airflow_provider_dub.sync.shown import counted
from airflow_provider_dub.sync.updates import UpdateReader, updates_of
from airflow_provider_dub.version_compat import (
    AirflowException,
    AirflowRescheduleException,
    AirflowSkipException,
    BaseHook,
    instance_suffix,
    may_be_rescheduled,
    tries_before_clear,
)
from airflow_provider_dub.warehouse.plan import Plan
from airflow_provider_dub.warehouse.status import BASELINE_CANDIDATES, UPDATES, KnownState, Status

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.api.id_index import IdIndex
    from airflow_provider_dub.customers.cells import BlankPolicy
    from airflow_provider_dub.operators.json_lines import FilePath
    from airflow_provider_dub.sync.options import NullPolicy, OnDuplicate, OnEmpty, OnInvalid, OnMissing
    from airflow_provider_dub.version_compat import Connection, Context
    from airflow_provider_dub.warehouse.changes import Changes, Count
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.query_rows import WarehouseRows
    from airflow_provider_dub.warehouse.state_sink import StateSink
    from airflow_provider_dub.warehouse.state_table import StateTable

Baseline: TypeAlias = Literal["source", "dub"]
OnLocked: TypeAlias = Literal["fail", "wait", "skip"]

#: What would happen without what keeps the state.
_WITHOUT = {
    "state_table": "without a state table every row is sent",
    "state_conn_id": "without it the state would be in the database of the query",
}
_LONG = timedelta(days=36500)
#: What may stand in a statement, whatever marks its parameters.
_PLAIN = re.compile(r"[\w/.:~+@\[\]-]*")
#: How long a task that waits for the lease leaves its worker.
_RESCHEDULE_AFTER = timedelta(seconds=30)


def _check_span(name: str, value: object) -> None:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= _LONG:
        raise ValueError(f"{name} must be a timedelta from 0 to {_LONG.days} days.")


def _check_rows(name: str, value: object) -> None:
    if value is not None:
        whole_number(name, value, 1)


def _read_baseline(name: str, value: object) -> Any:
    if is_none(value):
        return None
    one_of(name, value, Baseline)
    return value


class SqlToDubCustomersOperator(DubSyncOperator):
    """Send the rows of a query to Dub; with a state table, only those that differ from what was last applied.

    The difference is computed by the database of the query, or by that of ``state_conn_id``. Of a changed row only the
    fields that changed are sent, if Dub has applied the row before. Rows are read with a server-side cursor where the
    driver has one, and wait in a temporary file of the worker, without a name, until it is their turn.

    The policies and what is raised are those of
    :class:`~airflow_provider_dub.operators.base.DubSyncOperator`, with these differences: nothing is
    returned but the URI of ``records_path``, which holds what this try updated; with ``on_duplicate="fail"`` none of
    the rows for one customer is sent, since rows of a query have no order; what Dub refused or did not know in an
    earlier try of the same task instance counts again, without a request. The XCom ``summary`` also has ``plan``: the
    rows of the query by status (``new, changed, pending, retried, no_key, unchanged, refused, missing, duplicate,
    superseded, refreshed``), ``to_send``, the updates, and ``look_ups``, how many external ids may have to be looked
    up.

    :param sql: (templated) The query, or the name of a ``.sql`` file.
    :param sql_conn_id: (templated) The connection to the database; its hook must be a ``DbApiHook``.
    :param parameters: (templated) Parameters of the query, in the driver's style.
    :param state_table: (templated) The table that holds what was applied, such as ``"analytics.dub_state"``; created if
        it is not there, with two more: ``…_lease``, and ``…_history`` for the outcomes of all runs. Each sync needs one
        of its own. Without it every row is sent.
    :param state_conn_id: (templated) The connection to the database that has the state table. Then the query's database
        needs only the right to SELECT, whatever engine it is: the rows are read once, and compared in a table
        ``…_staging`` beside the state. None: the database of the query.
    :param latest_by: Of several rows for one customer, the one with the greatest value in this column is sent; needed
        by ``on_duplicate="last"``.
    :param retry_rejected: (templated) Send rows again that failed permanently although they did not change.
    :param retry_missing_after: Send rows again whose customer Dub did not know, after this time, whether that counted
        as a failure or not.
    :param full_refresh: (templated) Send all rows with all their fields, whatever the state table knows of them.
    :param max_change_rate: (templated) The most rows that a run may send because they are new, changed or to be tried
        again, as a share of the rows in the state table, from 0 to 1. If there are more, it ends before its first
        request. A first run, whose state table is empty, is exempt.
    :param baseline: (templated) For one run, without ``dry_run`` and ``full_refresh``: ``"source"`` records all rows as
        applied and sends nothing, whatever ``limit``, which it refuses; ``"dub"`` reads Dub's customers, records the
        rows that they match, and sends the others. Take it out afterwards.
    :param on_locked: What the task does while another run works with the state table: ``"fail"``, ``"wait"`` for its
        end, or ``"skip"``, Airflow's skipped state. A task that waits is rescheduled where Airflow can, and so holds no
        worker.
    :param commit_every: The number of rows whose outcomes are recorded at a time. It may be fewer after half a minute,
        or after five on an engine that is paid by the time it is awake. None: 5,000, or on such an engine all of those
        minutes. After a run that was killed, at most these and what was in flight are sent again.
    :param keep_history: How long the table ``…_history`` keeps the outcomes of every run.
    :param dialect: sqlglot's name of the SQL of the database that has the state table, if the connection's type is not
        enough.
    :param allow_untested_dialect: Write SQL that was never run by the tests of this package: see the table of engines
        in the documentation.
    :param sql_hook_params: (templated) Arguments for the hook of ``sql_conn_id``.
    :param state_hook_params: (templated) Arguments for the hook of ``state_conn_id``.
    :raises DubStateTableLockedError: Another run works with the state table, or took it over from this one.
    :raises DubWarehouseError: The query failed amid its rows, or the database of the state table did. What it says is
        not shown, as it may hold a value.
    """

    template_fields: Sequence[str] = (
        "sql",
        "sql_conn_id",
        "parameters",
        "state_table",
        "state_conn_id",
        "retry_rejected",
        "full_refresh",
        "max_change_rate",
        "baseline",
        "sql_hook_params",
        "state_hook_params",
        *DubSyncOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameters": "json"}  # noqa: RUF012 - Airflow's own convention
    _own_checks = {  # noqa: RUF012
        "on_locked": partial(one_of, allowed=OnLocked),
        "retry_missing_after": _check_span,
        "keep_history": _check_span,
        "commit_every": _check_rows,
        "allow_untested_dialect": true_or_false,
    }

    @DubSyncOperator._checking()
    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        state_table: str | None = None,
        state_conn_id: str | None = None,
        latest_by: str | None = None,
        retry_rejected: bool | str = False,
        retry_missing_after: timedelta = timedelta(days=1),
        full_refresh: bool | str = False,
        max_change_rate: float | str | None = None,
        baseline: Baseline | str | None = None,
        on_locked: OnLocked = "fail",
        commit_every: int | None = None,
        keep_history: timedelta = timedelta(days=30),
        dialect: str | None = None,
        allow_untested_dialect: bool = False,
        sql_hook_params: Mapping[str, Any] | None = None,
        state_hook_params: Mapping[str, Any] | None = None,
        dub_conn_id: str = DubHook.default_conn_name,
        id_column: str | None = None,
        external_id_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit",
        blanks: BlankPolicy = "missing",
        strip: bool = False,
        on_missing: OnMissing = "fail",
        on_duplicate: OnDuplicate = "fail",
        on_invalid: OnInvalid = "reject",
        max_failures: int | None = None,
        max_failure_rate: float | None = None,
        show_keys: bool | None = None,
        include_expanded_fields: bool = False,
        check_external_ids: bool = True,
        max_changes: int | str | None = None,
        on_empty: OnEmpty = "succeed",
        limit: int | str | None = None,
        dry_run: bool | str = False,
        max_workers: int = 8,
        rejected_path: FilePath | None = None,
        records_path: FilePath | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**shared_arguments(locals()), **kwargs)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.parameters = parameters
        self.state_table = state_table
        self.state_conn_id = state_conn_id
        self.latest_by = latest_by
        self.retry_rejected = retry_rejected
        self.retry_missing_after = retry_missing_after
        self.full_refresh = full_refresh
        self.max_change_rate = max_change_rate
        self.baseline = baseline
        self.on_locked = on_locked
        self.commit_every = commit_every
        self.keep_history = keep_history
        self.dialect = dialect
        self.allow_untested_dialect = allow_untested_dialect
        self.sql_hook_params = sql_hook_params
        self.state_hook_params = state_hook_params
        #: What must not be empty, as it was given: a template may render to nothing.
        self._given_state = [name for name in _WITHOUT if getattr(self, name) is not None]
        self._read_from: OperatorLineage[Any, Any] | None = None
        self._read_own_templated(rendered=False)
        self._check_own(locals())
        if on_duplicate == "last" and not latest_by:
            raise ValueError('on_duplicate="last" needs latest_by: the rows of a query have no order.')
        if latest_by and on_duplicate != "last":
            raise ValueError('latest_by needs on_duplicate="last": otherwise rows for one customer are rejected.')

    @property
    def wants_records(self) -> bool:
        """Whether somebody will have the updated customers; there may be millions, so only in a file."""
        return bool(self.records_path)

    def execute(self, context: Context) -> str | None:
        """Send what changed, and record the outcomes."""
        from airflow_provider_dub.warehouse.copied_query import CopiedQuery
        from airflow_provider_dub.warehouse.database import Warehouse
        from airflow_provider_dub.warehouse.query_in_place import QueryInPlace
        from airflow_provider_dub.warehouse.query_rows import WarehouseReader
        from airflow_provider_dub.warehouse.user_query import UserQuery

        # The difference is over before anything is sent; the lease is held until the end.
        with self._fatal_ends(), ExitStack() as stack, ExitStack() as comparing:
            with self._checking():
                self._check_templated()
                source, hook, dialect = self._databases()
                warehouse = stack.enter_context(closing(Warehouse(hook)))
                given = UserQuery(self.sql, self.parameters, self.options, self.latest_by)
                query = (
                    CopiedQuery(Warehouse(source), given)
                    if source
                    else QueryInPlace.described(warehouse, dialect, given)
                )
                table = self._table(warehouse, dialect, context)
                known = stack.enter_context(self._known_state(table, context))
                recorder = None if self.options.dry_run else table
                changes = comparing.enter_context(query.changes(table, known))
            verified: Container[str] | None = None
            if recorder and self._baseline:
                verified = self._record_baseline(changes, recorder, context)
            with self._checking():
                changes = comparing.enter_context(changes.in_temporary_table())
            plan = self._plan(changes.counts())
            self._guard_plan(plan, table if known else None, context)
            with self._checking():
                statuses = changes.set_pending(plan, recorder) if recorder else plan.statuses_to_read
            failed_in = _task_of(context) if recorder and context["ti"].try_number > 1 else None
            rows = stack.enter_context(changes.read(statuses, failed_in, are_pending=bool(recorder)))
            comparing.close()
            if not changes.has_temporary_table:  # what is read may be more than what was counted
                self._guard_plan(plan.as_read(rows.counts), table if known else None, context)
            with self._checking():
                reader = WarehouseReader(rows, self.options)
            with self._publishing(len(rows), context):
                sinks = [self._recording(recorder, rows, context)] if recorder else []
                with self._connected(rows, context) as client:
                    if verified is None:
                        verified = verified_ids(client, reader, confirmed=self._known_ids(rows))
                    uri = self._send(client, rows, reader.matched, updates_of(reader), verified, sinks)
            self._judge(context)
        return uri if isinstance(uri, str) else None

    def _known_ids(self, rows: WarehouseRows) -> Iterator[str]:
        """Return the external ids that Dub has shown before."""
        keys = rows.confirmed_keys()
        return keys if self.options.external_id_column else filter(None, map(external_id_of, keys))

    def _guard_plan(self, plan: Plan, table: StateTable | None, context: Context) -> None:
        try:
            self._guard(plan.rows, lambda: plan.to_send, plan.log_line())
            if self._max_change_rate is None or table is None:
                return
            known, of_this_run = table.count(_task_of(context))
            may_know = self._baseline or context["ti"].try_number > 1  # what this run itself recorded
            changes = plan.changes(is_first=not known or bool(may_know and known == of_this_run))
            if known and changes / known > self._max_change_rate:
                share = f"{changes / known:.1%} of the {known:,} in the state table"
                found = f"{counted(changes, 'row')} would be sent, {share}"
                raise too_many_changes(found, "max_change_rate", self._max_change_rate, plan.log_line())
        except AirflowException:
            with self._publishing(plan.rows_to_read, context):  # no row is attempted, and the summary says so
                raise

    def _recording(self, table: StateTable, rows: WarehouseRows, context: Context) -> StateSink:
        """Return what records the outcomes, over a connection of its own; from now on requests end with the lease.

        :param table: The state table.
        :param rows: The rows.
        :param context: The task's context.
        """
        table.lease.begin_requests()
        self._stop.pauses = table.lease.pauses
        return self._sink(table.another(), rows, context)

    def _sink(self, table: StateTable, rows: WarehouseRows, context: Context) -> StateSink:
        from airflow_provider_dub.warehouse.state_sink import StateSink

        run, prefix = _task_of(context), self.options.key_prefix
        return StateSink(table, rows, run=run, key_prefix=prefix, commit_every=self.commit_every)

    def _record_baseline(self, changes: Changes, table: StateTable, context: Context) -> IdIndex | None:
        """Record rows as applied; return the external ids of all of Dub's customers, if it reads and checks them."""
        from airflow_provider_dub.warehouse.baseline import RowIndex, record_applied

        external_ids = None
        with changes.read(BASELINE_CANDIDATES) as rows:
            sink = self._sink(table, rows, context)
            if self._baseline == "source":
                self.log.warning(
                    'baseline="source": the rows are recorded as applied, and none is sent. It is for one run: as long '
                    "as it is there, no change of a row reaches Dub."
                )
                recorded = record_applied(sink, ((row, None) for row in range(len(rows))))
            else:
                self.log.info("Reading Dub's customers, to record those that are as their row.")
                index = RowIndex(UpdateReader(rows, self.options))
                recorded = record_applied(sink, index.matching(self.hook.list_customers()))
                external_ids = index.external_ids if self.options.check_external_ids else None
        table.merge()
        if self._baseline == "source":
            # What could not be recorded, such as a row without a key, fails the task as in a run that sends.
            limited = self.options.max_failures is not None or self.options.max_failure_rate is not None
            most = self.options.max_failures if limited else 0
            self.options = replace(self.options, dry_run=True, max_failures=most)
        self._details["baseline"] = recorded
        self.log.info("Recorded as applied: %s.", counted(recorded, "row"))
        return external_ids

    def _plan(self, counts: Mapping[Status, Count]) -> Plan:
        options, unverified = self.options, 0
        if options.external_id_column and options.check_external_ids:
            unverified = sum(counts[status].rows - counts[status].with_dub_id for status in UPDATES)
        rows = {status: count.rows for status, count in counts.items()}
        plan = Plan(rows, unverified, self.hook.settings.requests_per_minute, options.limit)
        self._details["plan"] = plan.summary()
        self.log.info("%s.", plan.log_line())
        if plan.failed_before:
            self.log.warning(
                "Not sent again: %s (refused, or unknown to Dub, in an earlier run, and unchanged since). "
                "The table %s says why. retry_rejected=True sends refused rows again: use it if you changed only "
                "the type of a value. retry_missing_after is the time after which missing ones are tried again.",
                counted(plan.failed_before, "row"),
                self.state_table,
            )
        return plan

    def _read_own_templated(self, *, rendered: bool) -> None:
        """Read the arguments that may come from a template or a trigger form, as soon as they can be read.

        :param rendered: Whether Airflow has rendered them.
        """
        given = {
            "retry_rejected": (read_flag, self.retry_rejected),
            "full_refresh": (read_flag, self.full_refresh),
            "max_change_rate": (read_share, self.max_change_rate),
            "baseline": (_read_baseline, self.baseline),
        }
        known = read_rendered(given, rendered=rendered)
        self._retry_rejected: bool = known.get("retry_rejected", False)
        self._full_refresh: bool = known.get("full_refresh", False)
        self._max_change_rate: float | None = known.get("max_change_rate")
        self._baseline: Baseline | None = known.get("baseline")

    def _check_templated(self) -> None:
        super()._check_templated()
        self._read_own_templated(rendered=True)
        if self._max_change_rate is not None and not self.state_table:
            raise ValueError("max_change_rate needs a state_table, which knows how many rows there are.")
        self._check_given()
        if self.state_conn_id and not self.state_table:
            raise ValueError("state_conn_id needs a state_table, the table in its database.")
        if self._baseline and (not self.state_table or self.options.dry_run):
            raise ValueError("baseline needs a state_table to record the rows in, and no dry_run.")
        if self._baseline == "source" and self.options.limit is not None:
            raise ValueError('baseline="source" records all rows of the query, and so excludes limit.')
        if self._baseline and self._full_refresh:
            raise ValueError("baseline and full_refresh exclude each other: one sends no row that is known, one all.")

    def _check_given(self) -> None:
        """Check what Airflow rendered: it may be nothing, or no text."""
        for name in self._given_state:
            if is_none(getattr(self, name)):
                raise ValueError(f"{name} is empty or None, perhaps as a template rendered it; {_WITHOUT[name]}.")
        for name, kind, example in (("sql", str, "a query"), ("state_table", str | None, "the name of a table")):
            if not isinstance(value := getattr(self, name), kind):
                raise ValueError(f"{name} must be {example}, not of the type {type(value).__name__}.")
        if not self.sql.strip():
            raise ValueError("sql is empty, perhaps as a template rendered it.")

    def _databases(self) -> tuple[DbApiHook | None, DbApiHook, Dialect]:
        """Return the hook of the query, if it is only read, and that of the database that computes the difference."""
        from airflow_provider_dub.warehouse.dialects import dialect_named
        from airflow_provider_dub.warehouse.sql_hooks import dialect_of, sql_hook

        connection = BaseHook.get_connection(self.sql_conn_id)
        source = hook = sql_hook(connection, self.sql_hook_params or {})
        self._set_lineage(copy(source), connection)
        if self.state_conn_id:
            connection = BaseHook.get_connection(self.state_conn_id)
            hook = sql_hook(connection, self.state_hook_params or {})
        try:
            dialect = dialect_of(connection, hook, self.dialect, allow_untested=self.allow_untested_dialect)
        except ValueError:
            if self.state_table or self.dialect:
                raise
            self.log.info("The rows of %s are compared on this worker, as no SQL is known for it.", self.sql_conn_id)
            return source, hook, dialect_named("sqlite")  # that of the worker; the database is asked only the query
        return source if self.state_conn_id else None, hook, dialect

    def _set_lineage(self, hook: DbApiHook, connection: Connection) -> None:
        try:
            self._read_from = query_lineage(hook, connection, self.sql)
        except Exception:  # lineage must not fail a task, whatever a database's hook makes of it
            self.log.warning("OpenLineage does not know what the query reads.", exc_info=True)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return what the run read and wrote.

        :param task_instance: Of the task.
        """
        lineage = super().get_openlineage_facets_on_complete(task_instance)
        if read := self._read_from:
            lineage.inputs, lineage.run_facets, lineage.job_facets = read.inputs, read.run_facets, read.job_facets
        return lineage

    def _table(self, warehouse: Warehouse, dialect: Dialect, context: Context) -> StateTable | None:
        from airflow_provider_dub.warehouse.lease import Owner
        from airflow_provider_dub.warehouse.state_table import StateTable
        from airflow_provider_dub.warehouse.statements import Statements

        if not self.state_table:
            return None
        address = self.hook.settings.workspace.address
        target = f"{address}, {'external ids' if self.options.external_id_column else 'Dub ids'}"
        owner = Owner(target=target, task=_task_of(context), attempt=uuid4().hex)
        return StateTable(warehouse, Statements(dialect, self.state_table), owner)

    @contextmanager
    def _known_state(self, table: StateTable | None, context: Context) -> Iterator[KnownState | None]:
        """Give what is known of the rows; hold the lease of the table as long, unless nothing is written.

        :param table: The state table, if there is to be one.
        :param context: The task's context.
        """
        if table is None or (self.options.dry_run and not self._exists(table)):
            yield None
            return
        known = KnownState(
            str(self.state_table),
            retry_rejected=self._retry_rejected,
            missing_before=datetime.now(UTC) - self.retry_missing_after,
            attempt=table.lease.attempt,
            full_refresh=self._full_refresh,
            run=self._continued_run(context),
        )
        if self.options.dry_run:
            yield replace(known, missing_columns=table.missing_columns())
            return
        with self._held_lease(table, context):
            table.upgrade()
            table.merge_previous()
            table.check_and_prune(self.keep_history)
            yield known

    def _continued_run(self, context: Context) -> str | None:
        """Return the run whose outcomes stand, if this is its retry; a task that is cleared starts anew."""
        ti, run = context["ti"], _task_of(context)
        is_retry = ti.try_number > 1 and not tries_before_clear(self, ti)
        return run if is_retry and _PLAIN.fullmatch(run) else None

    def _exists(self, table: StateTable) -> bool:
        if table.exists():
            return True
        self.log.warning("There is no state table %s yet, so this plan takes every row for new.", self.state_table)
        return False

    @contextmanager
    def _held_lease(self, table: StateTable, context: Context) -> Iterator[None]:
        from airflow_provider_dub.warehouse.held_lease import held_lease
        from airflow_provider_dub.warehouse.lease import LockedError

        waits = self.on_locked == "wait"
        may_reschedule = waits and may_be_rescheduled(context["ti"])
        try:
            with held_lease(table, self._stop, wait=waits and not may_reschedule):
                yield
        except LockedError as locked:
            if self.on_locked == "skip":
                raise AirflowSkipException(str(locked)) from locked
            if may_reschedule:
                self.log.info("%s The task is rescheduled until then.", locked)
                raise AirflowRescheduleException(datetime.now(UTC) + _RESCHEDULE_AFTER) from locked
            advice = 'Wait for it with on_locked="wait", or skip the task with on_locked="skip".'
            raise DubStateTableLockedError(f"{locked} {advice}") from locked


def _task_of(context: Context) -> str:
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}{instance_suffix(ti)}"
