"""What the operators that update customers share: the policies, one run, its account, and when the task fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, Stats

from airflow_provider_dub.assets.customers import count_in_events
from airflow_provider_dub.exceptions import (
    DubConfigurationError,
    DubFixRowsError,
    DubFixSetupError,
    DubRetryLaterError,
)
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.links.dub import DUB_LINKS, push_links
from airflow_provider_dub.operators.delivery import Delivery
from airflow_provider_dub.operators.large_result import warn_if_large
from airflow_provider_dub.sync.progress import Progress
from airflow_provider_dub.sync.report import Outcome, Report

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.hooks.workspace import Workspace
    from airflow_provider_dub.operators.delivery import Journal
    from airflow_provider_dub.sync.checkpoints import Checkpoints
    from airflow_provider_dub.sync.duplicates import OnDuplicate
    from airflow_provider_dub.sync.engine import OnMissing
    from airflow_provider_dub.sync.report import RowResult
    from airflow_provider_dub.sync.rows import CountedRows
    from airflow_provider_dub.sync.updates import NullPolicy

_FAILURES_IN_MESSAGE = 3


class CustomersSyncOperator(BaseOperator):
    """Sends customer rows to Dub, one ``PATCH /customers/{id}`` per row; where the rows come from is its subclasses'.

    Every row is tried before the task fails; see ``max_failures``. What would hit every row (a refused key, a plan
    without customers, a wrong address) ends the task at once, without Airflow retries.

    XCom ``return_value``: the updated customers in input order, a list of dicts as the API gives them, or the URI of
    ``records_path``. XCom ``summary``, pushed before any failure is raised: ``total``; the number of rows by outcome
    (``updated, unchanged, missing, superseded, would_update, rejected, failed, not_attempted``); ``failures``, the
    first 20 by row (position from 0), key, code, field and message; ``fields``, how often each was sent;
    ``accepted_but_not_applied``, how often Dub dropped each; ``requests_sent``, ``rate_limited``,
    ``seconds_waited_for_rate_limit``. Neither it nor any log line or error holds a field's value.

    :param dub_conn_id: (templated) The connection; its password is the API key.
    :param id_column: The column that holds Dub's ids (``cus_…``) or ``ext_`` and an external id.
    :param external_id_column: The column that holds bare external ids; goes before ``id_column``.
    :param columns: Column to Dub field. By default every column that is named like a field: ``email``, ``name``,
        ``avatar``, ``externalId``, ``stripeCustomerId``, ``country``, ``subscriptionCanceledAt``, or the same in
        snake_case. Other columns are not sent and are named once in the log.
    :param null_policy: What an empty cell (None, NaN, NaT, NA) does: ``"omit"`` the field or ``"clear"`` it; a
        mapping sets it per field. A mapping row that lacks the column never clears.
    :param on_missing: A customer that Dub does not know is a failure (``"fail"``) or counted apart (``"skip"``).
    :param on_duplicate: Of several rows for one customer, reject all but the first (``"fail"``), send only the last
        (``"last"``), or reject them all (``"none"``).
    :param max_failures: The task fails if more rows failed than this number (int) or share of all rows (float), and
        in any case if the run ended before all rows were attempted.
    :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
    :param check_external_ids: Make sure before an update that its external id exists in exactly this spelling: Dub
        ignores case, accents and trailing blanks. Costs a request per 100 customers of the workspace, or one per row
        where that is less; nothing for Dub's own ids. Without it, a customer whose id only looks alike is updated, and
        the row fails.
    :param dry_run: Validate everything and count what would be sent, but send nothing. Returns an empty list.
    :param rejected_path: (templated) Path or URI for the rows that were not applied, whole, as JSON lines with the
        reason, ready to be sent again. Written anew by every run, also when there are none.
    :param records_path: (templated) Path or URI for the updated customers as JSON lines; its URI is returned instead
        of the list.
    :param max_workers: Threads that send, at most 64. Rows are sent side by side, not one after the other.
    :raises DubFixSetupError: Every row would fail.
    :raises DubFixRowsError: Too many rows failed, and a retry would not help.
    :raises DubRetryLaterError: Too many rows failed, and a retry may help.
    :raises ValueError: An argument is impossible, or a column is missing.
    """

    template_fields: Sequence[str] = ("dub_conn_id", "rejected_path", "records_path")
    ui_color = "#e7e5e4"
    operator_extra_links = DUB_LINKS
    #: Whether the updated customers are returned where they are not written to a file.
    _returns_records = True
    #: What earlier tries of the task settled, where tries know of each other.
    _checkpoints: Checkpoints | None = None
    #: External ids that Dub has shown in this spelling before.
    _confirmed_ids: Iterable[str] = ()
    #: Whether requests may be sent; asked before each of them.
    _may_go_on: Callable[[], bool] = staticmethod(lambda: True)

    def __init__(
        self,
        *,
        dub_conn_id: str = DubHook.default_conn_name,
        id_column: str = "id",
        external_id_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit",
        on_missing: OnMissing = "fail",
        on_duplicate: OnDuplicate = "fail",
        max_failures: float = 0,
        include_expanded_fields: bool = False,
        check_external_ids: bool = True,
        dry_run: bool = False,
        rejected_path: str | ObjectStoragePath | None = None,
        records_path: str | ObjectStoragePath | None = None,
        max_workers: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dub_conn_id = dub_conn_id
        self.id_column = id_column
        self.external_id_column = external_id_column
        self.columns = columns
        self.null_policy = null_policy
        self.on_missing = on_missing
        self.on_duplicate = on_duplicate
        self.max_failures = max_failures
        self.include_expanded_fields = include_expanded_fields
        self.check_external_ids = check_external_ids
        self.only_validate = dry_run  # BaseOperator.dry_run is a method
        self.rejected_path = rejected_path
        self.records_path = records_path
        self.max_workers = max_workers
        self.workspace: Workspace | None = None
        self._report = Report()
        self._also_in_summary: dict[str, Any] = {}

    @cached_property
    def hook(self) -> DubHook:
        """The hook of this task."""
        return DubHook(self.dub_conn_id)

    def on_kill(self) -> None:
        """Send no further request; rows that wait are reported as not attempted."""
        self.hook.stop()

    def _sync(self, rows: CountedRows, context: Context, journal: Journal | None = None) -> list[Customer] | str:
        """Send the rows, tell what became of them, and fail if too many failed.

        :param rows: The rows.
        :param context: Of the task.
        :param journal: Where outcomes are kept as they become known.
        """
        self._check_arguments()
        report = self._report = Report()
        progress = Progress(len(rows), self.max_workers)
        try:
            results = self._results(rows, lambda: self._tell_progress(progress, report))
        except DubConfigurationError as error:
            self._push_summary(report, context)
            raise DubFixSetupError(str(error)) from error
        self._show_workspace(context)
        try:
            records = self._deliver(results, rows, report, progress, journal)
        finally:
            self._tell(report)
            self._push_summary(report, context)
        self._raise_if_too_many_failed(report)
        count_in_events(report.numbers(), self.outlets, context)
        if self.do_xcom_push:
            warn_if_large(records, self.log.warning)
        return records

    @property
    def _sends_nothing(self) -> bool:
        return self.only_validate

    @property
    def _on_duplicate(self) -> OnDuplicate:
        return self.on_duplicate

    def _show_workspace(self, context: Context) -> None:
        """Keep what links and lineage need: they are asked for later, and elsewhere."""
        try:
            self.workspace = self.hook.workspace
        except (AirflowException, DubConfigurationError):  # nothing was to be sent, and nothing is to be shown
            return
        push_links(self.workspace, context)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the run wrote. An operator that knows its source merges that into it.

        :param task_instance: Of the task.
        """
        from airflow_provider_dub.openlineage import customers_lineage

        written_to = None if self.only_validate else self.workspace
        return customers_lineage(written_to, self._report.counts[Outcome.UPDATED])

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return what the run wrote all the same.

        :param task_instance: Of the task.
        """
        return self.get_openlineage_facets_on_complete(task_instance)

    def _results(self, rows: CountedRows, while_waiting: Callable[[], None]) -> Iterator[RowResult]:
        return self.hook.update_customers(
            rows,
            id_column=self.id_column,
            external_id_column=self.external_id_column,
            columns=self.columns,
            null_policy=self.null_policy,
            on_missing=self.on_missing,
            on_duplicate=self._on_duplicate,
            include_expanded_fields=self.include_expanded_fields,
            check_external_ids=self.check_external_ids,
            dry_run=self._sends_nothing,
            max_workers=self.max_workers,
            while_waiting=while_waiting,
            checkpoints=self._checkpoints,
            confirmed_ids=self._confirmed_ids,
            may_go_on=self._may_go_on,
        )

    def _deliver(
        self,
        results: Iterator[RowResult],
        rows: CountedRows,
        report: Report,
        progress: Progress,
        journal: Journal | None,
    ) -> list[Customer] | str:
        """Consume the results; if that is interrupted, still account for every row."""
        with Delivery(
            rows,
            report,
            key_column=self.external_id_column or self.id_column,
            rejected_path=self.rejected_path,
            records_path=None if self.only_validate else self.records_path,
            keep_records=self._returns_records,
            journal=journal,
        ) as delivery:
            result: RowResult | None = None
            writes = True
            try:
                for result in results:
                    delivery.take(result)
                    self._tell_progress(progress, report)
            except BaseException as interruption:
                self.hook.stop()
                writes = not isinstance(interruption, Exception)  # if not, it was the writing that failed
                for one in chain(() if result is None else (result,), results):
                    (delivery.take if writes else delivery.count)(one)
                raise
            finally:
                self._tell_unwritten(delivery.count_rest(write=writes))
        return delivery.returned

    def _tell_unwritten(self, rows: int) -> None:
        if rows and self.rejected_path:
            self._also_in_summary["not_in_rejected_path"] = rows
            self.log.warning("The run had to end before %s rows were written to rejected_path.", f"{rows:,}")

    def _tell_progress(self, progress: Progress, report: Report) -> None:
        if line := progress.line(report.total, self.hook.traffic, report.resumed.total()):
            self.log.info("%s", line)

    def _check_arguments(self) -> None:
        limit = self.max_failures
        most = 1 if isinstance(limit, float) else math.inf
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= most:
            raise ValueError("max_failures must be a number of rows (0, 10) or a share of them (0.05).")
        if self.rejected_path and str(self.rejected_path) == str(self.records_path):
            raise ValueError("rejected_path and records_path must be two files.")

    def _tell(self, report: Report) -> None:
        self.log.info("Dub customers: %s; %s requests.", report.in_words(), self.hook.traffic.requests_sent)
        for name, count in report.ignored_fields.items():
            self.log.warning(
                "Dub accepted the field %s but did not apply it, for %s rows: this server does not know it.",
                name,
                count,
            )
        for failure in report.failures:
            self.log.warning("%s", _in_words(failure))

    def _push_summary(self, report: Report, context: Context) -> None:
        traffic = self.hook.traffic
        summary = {
            **report.summary(),
            **self._also_in_summary,
            "requests_sent": traffic.requests_sent,
            "rate_limited": traffic.rate_limited,
            "seconds_waited_for_rate_limit": round(traffic.seconds_waited, 3),
        }
        for outcome, count in report.counts.items():
            Stats.incr(f"dub.customers.{outcome}", count - report.resumed[outcome])
        context["ti"].xcom_push(key="summary", value=summary)

    def _raise_if_too_many_failed(self, report: Report) -> None:
        if report.fatal:
            raise DubFixSetupError(
                f"{report.fatal} (connection {self.dub_conn_id}; {report.in_words()})"
            ) from report.fatal
        cut_short = report.counts[Outcome.NOT_ATTEMPTED] > 0
        if not (cut_short or report.exceeds(self.max_failures)):
            return
        why = [_in_words(failure) for failure in report.failures[:_FAILURES_IN_MESSAGE]]
        if cut_short and report.last_error:
            why.insert(0, f"The run ended early, after this: {report.last_error}")
        if report.failed > _FAILURES_IN_MESSAGE:
            why.append("More in the XCom `summary`.")
        limits = f"max_failures={self.max_failures}, connection {self.dub_conn_id}"
        message = f"{report.in_words()}; {limits}. {' '.join(why)}"
        if report.transient_codes:
            raise DubRetryLaterError(message, report.transient_codes)
        raise DubFixRowsError(message)


def _in_words(failure: Mapping[str, Any]) -> str:
    # repr() keeps a line break in an id from starting a log line of its own.
    where = f"Row {failure['row']}" + (f" ({repr(failure['key'])[1:-1]})" if failure["key"] is not None else "")
    field = f"{failure['field']}: " if failure["field"] else ""
    return f"{where}: {field}{failure['message'].rstrip('.')} [{failure['code']}]."
