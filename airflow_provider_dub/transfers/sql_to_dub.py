"""The transfer: the rows of a query that changed since they were last applied become updates in Dub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast
from uuid import uuid4

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.customers.ids import external_id_of
from airflow_provider_dub.exceptions import DubConfigurationError, DubFixSetupError, DubStateTableLockedError
from airflow_provider_dub.openlineage import query_lineage
from airflow_provider_dub.operators.customers_sync import CustomersSyncOperator
from airflow_provider_dub.sync.report import Outcome
from airflow_provider_dub.sync.updates import UpdateReader, fields_to_clear, presentable
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
    from airflow.providers.common.compat.sdk import Connection, Context
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.sync.duplicates import OnDuplicate
    from airflow_provider_dub.sync.report import RowResult
    from airflow_provider_dub.sync.rows import CountedRows
    from airflow_provider_dub.warehouse.changes import Count
    from airflow_provider_dub.warehouse.rows import WarehouseRows

Baseline: TypeAlias = Literal["source", "dub"]
OnClaimed: TypeAlias = Literal["fail", "wait"]

_LONG = timedelta(days=36500)


class SqlToDubCustomersOperator(CustomersSyncOperator):
    """Send the rows of a query to Dub; with a state table, only those that differ from what was last applied.

    The difference is computed by the database of the query. Rows are read with a server-side cursor where the driver
    has one, and wait in a temporary file of the worker, without a name, until it is their turn.

    The policies and what is raised are those of
    :class:`~airflow_provider_dub.operators.customers_sync.CustomersSyncOperator`, with these differences: nothing is
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
    :param batch_size: Rows whose outcome is recorded in one transaction.
    :param dialect: sqlglot's name of the database's SQL, if the connection's type does not tell it.
    :param hook_params: Arguments for the hook of the database.
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
        *CustomersSyncOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameters": "json"}  # noqa: RUF012 - Airflow's own convention
    _returns_records = False

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
        batch_size: int = 500,
        dialect: str | None = None,
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.parameters = parameters
        self.state_table = state_table
        self.latest_by = latest_by
        self.retry_rejected = retry_rejected
        self.retry_missing_after = retry_missing_after
        self.baseline = baseline
        self.on_claimed = on_claimed
        self.batch_size = batch_size
        self.dialect = dialect
        self.hook_params = hook_params
        self._read_from: OperatorLineage[Any, Any] | None = None

    def execute(self, context: Context) -> str | None:
        """Send what changed, and record what became of it."""
        self._check_arguments()
        hook, dialect = self._database()
        with ExitStack() as stack:
            warehouse = Warehouse(hook)
            stack.callback(warehouse.close)
            columns = self._columns(warehouse, dialect)
            table = self._table(warehouse, Statements(dialect, hook.placeholder, self.state_table or ""), context)
            if table and not self.only_validate:
                stack.enter_context(self._claimed(table, hook))
            remembers = table is not None and (not self.only_validate or self._can_read(table))
            changes = Changes(warehouse, self._difference(dialect, columns, remembers), self.parameters)
            return self._transfer(changes, columns, None if self.only_validate else table, context)

    def _transfer(self, changes: Changes, columns: Columns, table: StateTable | None, context: Context) -> str | None:
        if table and self.baseline:
            self._record_baseline(changes, columns, table, _task_of(context))
        counts = changes.counts()
        self._tell_plan(counts)
        found = [status for status in (*TO_SEND, Status.DUPLICATE) if counts[status].rows]
        failed_in = _task_of(context) if table and context["ti"].try_number > 1 else None
        with changes.spool(self._key_name, columns, found, failed_in) as rows:
            journal = None
            if table:
                table.claim.renew()  # not a row that was read after another run took over is sent
                table.mark_pending(rows.remembered_keys())
                journal = StateJournal(table, rows, run=_task_of(context), batch_size=self.batch_size)
            uri = self._sync(rows, context, journal)
        return uri if isinstance(uri, str) else None

    def _results(self, rows: CountedRows, while_waiting: Callable[[], None]) -> Iterator[RowResult]:
        of_warehouse = cast("WarehouseRows", rows)
        keys = of_warehouse.confirmed_keys()
        self._confirmed_ids = keys if self.external_id_column else filter(None, map(external_id_of, keys))
        missing = Outcome.MISSING if self.on_missing == "skip" else Outcome.FAILED
        return chain(super()._results(rows, while_waiting), of_warehouse.told(missing))

    @property
    def _sends_nothing(self) -> bool:
        return self.only_validate or self.baseline == "source"

    @property
    def _on_duplicate(self) -> OnDuplicate:
        return "none"  # those that the database takes for one customer are gone already

    def _record_baseline(self, changes: Changes, columns: Columns, table: StateTable, run: str) -> None:
        with (
            changes.spool(self._key_name, columns, NOT_RECORDED) as rows,
            StateJournal(table, rows, run=run, batch_size=self.batch_size) as journal,
        ):
            if self.baseline == "source":
                self.log.warning('baseline="source": the rows are recorded as applied, and none is sent.')
                applied: Iterator[tuple[int, str | None]] = ((row, None) for row in range(len(rows)))
            else:
                self.log.info("Reading Dub's customers, to record those that are as their row.")
                applied = KnownRows(self._reader(rows)).matching(self.hook.list_customers())
            recorded = 0
            for row, dub_id in applied:
                recorded += journal.take_as_applied(row, dub_id, "baseline")
        self._also_in_summary["baseline"] = recorded
        self.log.info("%s rows are recorded as applied.", f"{recorded:,}")

    def _tell_plan(self, counts: Mapping[Status, Count]) -> None:
        unsure = sum(counts[status].rows - counts[status].with_dub_id for status in UPDATES)
        look_ups = unsure if self.external_id_column and self.check_external_ids else 0
        rows = {status: count.rows for status, count in counts.items()}
        plan = Plan(rows, look_ups, self.hook.requests_per_minute)
        self._also_in_summary["plan"] = plan.summary()
        self.log.info("%s.", plan.in_words())
        if plan.remembered:
            self.log.warning(
                "%s rows are as they were when Dub refused them or did not know the customer, and are not sent again; "
                "the table %s says why.",
                f"{plan.remembered:,}",
                self.state_table,
            )

    def _check_arguments(self) -> None:
        super()._check_arguments()
        if self.baseline not in (None, "", "source", "dub"):
            raise ValueError('baseline must be "source", "dub" or None.')
        if self.on_claimed not in ("fail", "wait"):
            raise ValueError('on_claimed must be "fail" or "wait".')
        if self.on_duplicate not in ("fail", "last", "none"):
            raise ValueError('on_duplicate must be "fail" or "last".')
        if self.on_duplicate == "last" and not self.latest_by:
            raise ValueError('on_duplicate="last" needs latest_by: the rows of a query have no order.')
        if self.state_table is not None and not self.state_table.strip():
            raise ValueError("state_table is empty; None sends every row of the query.")
        if self.baseline and (not self.state_table or self.only_validate):
            raise ValueError("baseline needs a state_table to record the rows in, and no dry_run.")
        if not isinstance(self.retry_missing_after, timedelta) or not timedelta(0) <= self.retry_missing_after <= _LONG:
            raise ValueError(f"retry_missing_after must be a timedelta from 0 to {_LONG.days} days.")
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError("batch_size must be a whole number from 1.")

    def _database(self) -> tuple[DbApiHook, Dialect]:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        connection = BaseHook.get_connection(self.sql_conn_id)
        hook: Any = connection.get_hook(hook_params=dict(self.hook_params or {}))  # type: ignore[no-untyped-call]
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
        latest_by = self.latest_by if self.on_duplicate == "last" else None
        columns = Columns.of_query(found, self._key_name, self.columns, latest_by)
        if columns.ignored:
            self.log.info(
                "Columns that are no Dub fields and are not sent: %s", ", ".join(presentable(columns.ignored))
            )
        return columns

    def _difference(self, dialect: Dialect, columns: Columns, remembers: bool) -> Difference:
        clears = fields_to_clear(self.null_policy, [FIELDS[name] for name in columns.fields.values()])
        source = Source(self.sql, columns.key, columns.fields, frozenset(clears), columns.latest_by)
        if not remembers:
            return Difference(dialect, source)
        missing_before = moment(datetime.now(UTC) - self.retry_missing_after)
        return Difference(dialect, source, Memory(str(self.state_table), self.retry_rejected, missing_before))

    def _table(self, warehouse: Warehouse, statements: Statements, context: Context) -> StateTable | None:
        if not self.state_table:
            return None
        try:
            address = self.hook.workspace.address
        except DubConfigurationError as error:
            raise DubFixSetupError(str(error)) from error
        target = f"{address}, {'external ids' if self.external_id_column else 'Dub ids'}"
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
        self._may_go_on = lambda: table.claim.is_safe
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

    def _reader(self, rows: WarehouseRows) -> UpdateReader:
        return UpdateReader(
            rows,
            id_column=self.id_column,
            external_id_column=self.external_id_column,
            columns=self.columns,
            null_policy=self.null_policy,
        )

    @property
    def _key_name(self) -> str:
        return self.external_id_column or self.id_column


def _task_of(context: Context) -> str:
    ti = context["ti"]
    mapped = "" if ti.map_index in (None, -1) else f"[{ti.map_index}]"
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}{mapped}"
