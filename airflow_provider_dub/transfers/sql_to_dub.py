"""The transfer: the rows of a query that changed since they were last applied become updates in Dub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import uuid4

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.customers.ids import external_id_of
from airflow_provider_dub.exceptions import DubConfigurationError, DubFixSetupError, DubStateTableLockedError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.lineage import query_lineage
from airflow_provider_dub.operators.base import DubSyncOperator
from airflow_provider_dub.sync.options import SyncOptions, whole_number
from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.sync.updates import UpdateReader, presentable, updates_of
from airflow_provider_dub.warehouse.baseline import KnownRows
from airflow_provider_dub.warehouse.changes import Changes, Columns, columns_of
from airflow_provider_dub.warehouse.claim import Claimant, ClaimedError, ClaimLostError
from airflow_provider_dub.warehouse.connection import Warehouse
from airflow_provider_dub.warehouse.dialects import Dialect, dialect_named
from airflow_provider_dub.warehouse.difference import (
    NOT_RECORDED,
    TO_SEND,
    UPDATES,
    Difference,
    Memory,
    Source,
    Status,
)
from airflow_provider_dub.warehouse.heartbeat import Heartbeat
from airflow_provider_dub.warehouse.journal import StateJournal
from airflow_provider_dub.warehouse.plan import Plan
from airflow_provider_dub.warehouse.state_table import StateTable, moment
from airflow_provider_dub.warehouse.statements import Statements

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection, Context, ObjectStoragePath
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.sync.options import NullPolicy, OnDuplicate, OnEmpty, OnInvalid, OnMissing
    from airflow_provider_dub.sync.results import Sink
    from airflow_provider_dub.warehouse.changes import Count
    from airflow_provider_dub.warehouse.rows import WarehouseRows

Baseline: TypeAlias = Literal["source", "dub"]
OnClaimed: TypeAlias = Literal["fail", "wait"]

_LONG = timedelta(days=36500)


class SqlToDubCustomersOperator(DubSyncOperator):
    """Send the rows of a query to Dub; with a state table, only those that differ from what was last applied.

    The difference is computed by the database of the query. Rows are read with a server-side cursor where the driver
    has one, and wait in a temporary file of the worker, without a name, until it is their turn.

    The policies and what is raised are those of
    :class:`~airflow_provider_dub.operators.base.DubSyncOperator`, with these differences: nothing is
    returned but the URI of ``records_path``, which holds what this try updated; with ``on_duplicate="fail"`` none of
    the rows for one customer is sent, since rows of a query have no order; what Dub refused or did not know in an
    earlier try of the same task instance counts again, without a request. The XCom ``summary`` also has ``plan``: the
    rows of the query by status (``new, changed, pending, retried, no_key, unchanged, refused, missing, duplicate,
    superseded``), ``to_send``, the updates, and ``look_ups``, how many external ids may have to be made sure of.

    :param sql: (templated) The query, or the name of a ``.sql`` file.
    :param sql_conn_id: (templated) The connection to the database; its hook must be a ``DbApiHook``.
    :param parameters: (templated) Parameters of the query, in the driver's style.
    :param state_table: (templated) The table that remembers what was applied, such as ``"analytics.dub_state"``, in the
        database of the query; created if it is not there, with one named ``…_claim``. Each sync needs one of its own.
        Without it every row is sent.
    :param latest_by: Of several rows for one customer, the one with the greatest value in this column is sent; needed
        by ``on_duplicate="last"``.
    :param retry_rejected: Send rows again that were refused for good although they did not change.
    :param retry_missing_after: Send rows again whose customer Dub did not know, after this time, whether that counted
        as a failure or not.
    :param baseline: (templated) For one run, and no ``dry_run``: ``"source"`` records the rows as applied and sends
        nothing; ``"dub"`` reads Dub's customers, records the rows that they match, and sends the others.
    :param on_claimed: While another run works with the state table, ``"fail"`` at once or ``"wait"``.
    :param commit_every: The number of rows whose outcome is recorded in one transaction.
    :param dialect: sqlglot's name of the database's SQL, if the connection's type does not tell it.
    :param sql_hook_params: (templated) Arguments for the hook of the database.
    :raises DubStateTableLockedError: Another run works with the state table, or took it over from this one.
    :raises UnreadableRowsError: The query failed amid its rows. What the database says is not shown, as it may hold a
        value.
    """

    template_fields: Sequence[str] = (
        "sql",
        "sql_conn_id",
        "parameters",
        "state_table",
        "baseline",
        "sql_hook_params",
        *DubSyncOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameters": "json"}  # noqa: RUF012 - Airflow's own convention

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        state_table: str | None = None,
        latest_by: str | None = None,
        retry_rejected: bool = False,
        retry_missing_after: timedelta = timedelta(days=1),
        baseline: Baseline | None = None,
        on_claimed: OnClaimed = "fail",
        commit_every: int = 500,
        dialect: str | None = None,
        sql_hook_params: Mapping[str, Any] | None = None,
        dub_conn_id: str = DubHook.default_conn_name,
        id_column: str | None = None,
        external_id_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit",
        on_missing: OnMissing = "fail",
        on_duplicate: OnDuplicate = "fail",
        on_invalid: OnInvalid = "reject",
        max_failures: int | None = None,
        max_failure_rate: float | None = None,
        include_expanded_fields: bool = False,
        check_external_ids: bool = True,
        max_changes: int | str | None = None,
        on_empty: OnEmpty = "succeed",
        limit: int | str | None = None,
        dry_run: bool | str = False,
        max_workers: int = 8,
        rejected_path: str | ObjectStoragePath | None = None,
        records_path: str | ObjectStoragePath | None = None,
        **kwargs: Any,
    ) -> None:
        options = SyncOptions(
            id_column=id_column,
            external_id_column=external_id_column,
            columns=columns,
            null_policy=null_policy,
            on_missing=on_missing,
            on_duplicate=on_duplicate,
            on_invalid=on_invalid,
            max_failures=max_failures,
            max_failure_rate=max_failure_rate,
            include_expanded_fields=include_expanded_fields,
            check_external_ids=check_external_ids,
            on_empty=on_empty,
            max_workers=max_workers,
        )
        super().__init__(
            options=options,
            dub_conn_id=dub_conn_id,
            rejected_path=rejected_path,
            records_path=records_path,
            dry_run=dry_run,
            limit=limit,
            max_changes=max_changes,
            **kwargs,
        )
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.parameters = parameters
        self.state_table = state_table
        self.latest_by = latest_by
        self.retry_rejected = retry_rejected
        self.retry_missing_after = retry_missing_after
        self.baseline = baseline
        self.on_claimed = on_claimed
        self.commit_every = commit_every
        self.dialect = dialect
        self.sql_hook_params = sql_hook_params
        self._read_from: OperatorLineage[Any, Any] | None = None
        if on_claimed not in ("fail", "wait"):
            raise ValueError('on_claimed must be "fail" or "wait".')
        if on_duplicate == "last" and not latest_by:
            raise ValueError('on_duplicate="last" needs latest_by: the rows of a query have no order.')
        if not isinstance(retry_missing_after, timedelta) or not timedelta(0) <= retry_missing_after <= _LONG:
            raise ValueError(f"retry_missing_after must be a timedelta from 0 to {_LONG.days} days.")
        whole_number("commit_every", commit_every, 1)

    @property
    def wants_records(self) -> bool:
        """Whether somebody will have the updated customers; there may be millions, so only in a file."""
        return bool(self.records_path)

    def execute(self, context: Context) -> str | None:
        """Send what changed, and record what became of it."""
        with ExitStack() as stack:
            with self._checking():
                self._check_templated()
                hook, dialect = self._database()
                warehouse = stack.enter_context(closing(Warehouse(hook)))
                columns = self._columns(warehouse, dialect)
                table = self._table(warehouse, Statements(dialect, hook.placeholder, self.state_table or ""), context)
                if table and not self.options.dry_run:
                    stack.enter_context(self._claimed(table, hook))
                remembers = table is not None and (not self.options.dry_run or self._can_read(table))
                changes = Changes(warehouse, self._difference(dialect, columns, remembers), self.parameters)
            return self._transfer(changes, columns, hook, None if self.options.dry_run else table, context)

    def _transfer(
        self, changes: Changes, columns: Columns, hook: DbApiHook, table: StateTable | None, context: Context
    ) -> str | None:
        run = _task_of(context)
        if table and self.baseline:
            self._record_baseline(changes, columns, table, run)
        counts = changes.counts()
        self._tell_plan(counts)
        found = [status for status in (*TO_SEND, Status.DUPLICATE) if counts[status].rows]
        failed_in = run if table and context["ti"].try_number > 1 else None
        with changes.spool(self.options.key_column, columns, found, failed_in) as rows:
            with self._checking():
                reader = self._reader(rows)
            sinks: list[Sink] = []
            if table:
                table.claim.renew()  # not a row that was read after another run took over is sent
                table.mark_pending(rows.remembered_keys())
                own = table.through(Warehouse(hook))
                sinks.append(StateJournal(own, rows, run=run, batch_size=self.commit_every))
            with self._publishing(len(rows), context), self._connected(rows, context) as client:
                missing = Outcome.MISSING if self.options.on_missing == "skip" else Outcome.FAILED
                # Rows that the database takes for one customer are gone already.
                updates = updates_of(reader, replace(self.options, on_duplicate="fail"))
                uri = self._send(
                    client,
                    rows,
                    chain(updates, rows.told(missing)),
                    self._verified_ids(client, reader, confirmed=self._confirmed_ids(rows)),
                    sinks,
                    may_go_on=(lambda: table.claim.is_safe) if table else lambda: True,
                )
            self._judge(context)
        return uri if isinstance(uri, str) else None

    def _confirmed_ids(self, rows: WarehouseRows) -> Iterator[str]:
        keys = rows.confirmed_keys()
        return keys if self.options.external_id_column else filter(None, map(external_id_of, keys))

    def _record_baseline(self, changes: Changes, columns: Columns, table: StateTable, run: str) -> None:
        with changes.spool(self.options.key_column, columns, NOT_RECORDED) as rows:
            journal = StateJournal(table, rows, run=run, batch_size=self.commit_every)
            if self.baseline == "source":
                self.log.warning('baseline="source": the rows are recorded as applied, and none is sent.')
                applied: Iterator[tuple[int, str | None]] = ((row, None) for row in range(rows.to_send))
            else:
                self.log.info("Reading Dub's customers, to record those that are as their row.")
                applied = KnownRows(UpdateReader(rows, self.options)).matching(self.hook.list_customers())
            recorded = 0
            for row, dub_id in applied:
                recorded += journal.take_as_applied(row, dub_id, "baseline")
            journal.close(range(0))
        if self.baseline == "source":
            self.options = replace(self.options, dry_run=True)
        self._details["baseline"] = recorded
        self.log.info("%s rows are recorded as applied.", f"{recorded:,}")

    def _tell_plan(self, counts: Mapping[Status, Count]) -> None:
        unsure = sum(counts[status].rows - counts[status].with_dub_id for status in UPDATES)
        look_ups = unsure if self.options.external_id_column and self.options.check_external_ids else 0
        rows = {status: count.rows for status, count in counts.items()}
        plan = Plan(rows, look_ups, self.hook.settings.requests_per_minute)
        self._details["plan"] = plan.summary()
        self.log.info("%s.", plan.in_words())
        if plan.remembered:
            self.log.warning(
                "%s rows are as they were when Dub refused them or did not know the customer, and are not sent again; "
                "the table %s says why.",
                f"{plan.remembered:,}",
                self.state_table,
            )

    def _check_templated(self) -> None:
        super()._check_templated()
        if self.baseline not in (None, "", "source", "dub"):
            raise ValueError('baseline must be "source", "dub" or None.')
        if self.state_table is not None and not self.state_table.strip():
            raise ValueError("state_table is empty; None sends every row of the query.")
        if self.baseline and (not self.state_table or self.options.dry_run):
            raise ValueError("baseline needs a state_table to record the rows in, and no dry_run.")

    def _database(self) -> tuple[DbApiHook, Dialect]:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        connection = BaseHook.get_connection(self.sql_conn_id)
        hook: Any = connection.get_hook(hook_params=dict(self.sql_hook_params or {}))  # type: ignore[no-untyped-call]
        if not isinstance(hook, DbApiHook):
            raise ValueError(f"The connection {self.sql_conn_id} ({connection.conn_type}) is none to an SQL database.")
        self._remember_lineage(hook, connection)
        return hook, dialect_named(self.dialect or str(connection.conn_type))

    def _remember_lineage(self, hook: DbApiHook, connection: Connection) -> None:
        try:
            self._read_from = query_lineage(hook, connection, self.sql)
        except Exception:  # lineage is no reason to fail, whatever a database's hook makes of it
            self.log.warning("OpenLineage cannot tell what the query reads.", exc_info=True)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return what the run read and wrote.

        :param task_instance: Of the task.
        """
        lineage = super().get_openlineage_facets_on_complete(task_instance)
        if read := self._read_from:
            lineage.inputs, lineage.run_facets, lineage.job_facets = read.inputs, read.run_facets, read.job_facets
        return lineage

    def _columns(self, warehouse: Warehouse, dialect: Dialect) -> Columns:
        found = columns_of(warehouse, dialect, self.sql, self.parameters)
        latest_by = self.latest_by if self.options.on_duplicate == "last" else None
        columns = Columns.of_query(found, self.options.key_column, self.options.columns, latest_by)
        if columns.ignored:
            self.log.info(
                "Columns that are no Dub fields and are not sent: %s", ", ".join(presentable(columns.ignored))
            )
        return columns

    def _difference(self, dialect: Dialect, columns: Columns, remembers: bool) -> Difference:
        clears = self.options.cleared_fields([FIELDS[name] for name in columns.fields.values()])
        source = Source(self.sql, columns.key, columns.fields, frozenset(clears), columns.latest_by)
        if not remembers:
            return Difference(dialect, source)
        missing_before = moment(datetime.now(UTC) - self.retry_missing_after)
        return Difference(dialect, source, Memory(str(self.state_table), self.retry_rejected, missing_before))

    def _table(self, warehouse: Warehouse, statements: Statements, context: Context) -> StateTable | None:
        if not self.state_table:
            return None
        try:
            address = self.hook.settings.workspace.address
        except DubConfigurationError as error:
            raise DubFixSetupError(str(error)) from error
        target = f"{address}, {'external ids' if self.options.external_id_column else 'Dub ids'}"
        claimant = Claimant(target=target, task=_task_of(context), holder=uuid4().hex)
        return StateTable(warehouse, statements, claimant)

    def _can_read(self, table: StateTable) -> bool:
        if table.exists():
            return True
        self.log.warning(
            "There is no state table %s that can be read, so this plan takes every row for new.", self.state_table
        )
        return False

    @contextmanager
    def _claimed(self, table: StateTable, hook: DbApiHook) -> Iterator[None]:
        try:
            table.create()
            table.claim.take(wait=self.on_claimed == "wait", tell=self.log.info)
        except ClaimedError as error:
            raise DubStateTableLockedError(str(error)) from error
        try:
            with Heartbeat(table.claim, Warehouse(hook)):
                yield
        except ClaimLostError as lost:
            raise DubStateTableLockedError(str(lost)) from lost
        finally:
            try:
                table.claim.release()
            except Exception:  # the outcome of the run is what counts, and the claim expires
                self.log.warning("The claim on the table %s could not be given back.", self.state_table)


def _task_of(context: Context) -> str:
    ti = context["ti"]
    mapped = "" if ti.map_index in (None, -1) else f"[{ti.map_index}]"
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}{mapped}"
