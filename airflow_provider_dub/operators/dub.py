"""The operator: customer rows of a task become updates in Dub."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Sized
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, Stats

from airflow_provider_dub.api.errors import DubConfigurationError
from airflow_provider_dub.exceptions import (
    DubCustomersNotUpdatedError,
    DubCustomersRefusedError,
    DubSyncImpossibleError,
)
from airflow_provider_dub.hooks.dub import MAX_WORKERS, DubHook
from airflow_provider_dub.operators.hidden_rows import HiddenRows, hide_rows
from airflow_provider_dub.operators.json_lines import JsonLinesFile
from airflow_provider_dub.sync.progress import Progress
from airflow_provider_dub.sync.report import NOT_APPLIED, Outcome, Report, rejected_line
from airflow_provider_dub.sync.rows import rows_of

if TYPE_CHECKING:
    import pandas as pd
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath, XComArg

    from airflow_provider_dub.api.customers import Customer
    from airflow_provider_dub.sync.duplicates import OnDuplicate
    from airflow_provider_dub.sync.engine import OnMissing
    from airflow_provider_dub.sync.rows import Rows
    from airflow_provider_dub.sync.updates import NullPolicy

#: More records than this are better kept out of Airflow's database.
_MANY_RECORDS = 10_000
_FAILURES_IN_MESSAGE = 3


class DubUpdateCustomersOperator(BaseOperator):
    """Update Dub customers, one ``PATCH /customers/{id}`` per row, and return them as Dub shows them afterwards.

    Every row is tried before the task fails; see ``max_failures``. What would hit every row (a refused key, a plan
    without customers, a wrong address) ends the task at once, without Airflow retries.

    XCom ``return_value``: the updated customers in input order, a list of dicts as the API gives them, or the URI of
    ``records_path``. XCom ``summary``, pushed before any failure is raised: ``total``; the number of rows by outcome
    (``updated, unchanged, missing, superseded, would_update, rejected, failed, not_attempted``); ``failures``, the
    first 20 by row (position from 0), key, code, field and message; ``fields``, how often each was sent;
    ``accepted_but_not_applied``, how often Dub dropped each; ``requests_sent``, ``rate_limited``,
    ``seconds_waited_for_rate_limit``. Neither it nor any log line or error holds a field's value.

    :param customers: (templated) A pandas DataFrame, a list or tuple of mappings, one mapping, or an XComArg that
        yields one of these. Airflow's rendered fields show only how many rows there are.
    :param dub_conn_id: (templated) The connection; its password is the API key.
    :param id_column: The column that holds Dub's ids (``cus_…``) or ``ext_`` and an external id.
    :param external_id_column: The column that holds bare external ids; goes before ``id_column``.
    :param columns: Column to Dub field. By default every column that is named like a field: ``email``, ``name``,
        ``avatar``, ``externalId``, ``stripeCustomerId``, ``country``, ``subscriptionCanceledAt``, or the same in
        snake_case. Other columns are not sent and are named once in the log.
    :param null_policy: What an empty cell (None, NaN, NaT, NA) does: ``"omit"`` the field or ``"clear"`` it; a
        mapping sets it per field. A mapping row that lacks the column never clears.
    :param on_missing: A customer that Dub does not know is a failure (``"fail"``) or counted apart (``"skip"``).
    :param on_duplicate: Of several rows for one customer, reject all but the first (``"fail"``) or send only the
        last (``"last"``).
    :param max_failures: The task fails if more rows failed than this number (int) or share of all rows (float).
    :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
    :param dry_run: Validate everything and count what would be sent, but send nothing. Returns an empty list.
    :param rejected_path: (templated) Path or URI for the rows that were not applied, whole, as JSON lines with the
        reason, ready to be sent again. Written anew by every run, also when there are none.
    :param records_path: (templated) Path or URI for the updated customers as JSON lines; its URI is returned instead
        of the list.
    :param max_workers: Threads that send, at most 64.
    :raises DubSyncImpossibleError: Every row would fail.
    :raises DubCustomersRefusedError: Too many rows failed, and a retry would not help.
    :raises DubCustomersNotUpdatedError: Too many rows failed, and a retry may help.
    :raises ValueError: An argument is impossible, or a column is missing.
    """

    template_fields: Sequence[str] = ("customers", "dub_conn_id", "rejected_path", "records_path")
    ui_color = "#e7e5e4"

    def __init__(
        self,
        *,
        customers: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any] | XComArg,
        dub_conn_id: str = DubHook.default_conn_name,
        id_column: str = "id",
        external_id_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit",
        on_missing: OnMissing = "fail",
        on_duplicate: OnDuplicate = "fail",
        max_failures: float = 0,
        include_expanded_fields: bool = False,
        dry_run: bool = False,
        rejected_path: str | ObjectStoragePath | None = None,
        records_path: str | ObjectStoragePath | None = None,
        max_workers: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customers = customers
        self.dub_conn_id = dub_conn_id
        self.id_column = id_column
        self.external_id_column = external_id_column
        self.columns = columns
        self.null_policy = null_policy
        self.on_missing = on_missing
        self.on_duplicate = on_duplicate
        self.max_failures = max_failures
        self.include_expanded_fields = include_expanded_fields
        self.only_validate = dry_run  # BaseOperator.dry_run is a method
        self.rejected_path = rejected_path
        self.records_path = records_path
        self.max_workers = max_workers

    @property
    def customers(self) -> Any:
        """The rows, hidden from Airflow's rendered fields, or the XComArg that will yield them."""
        return self._customers

    @customers.setter
    def customers(self, customers: Any) -> None:
        self._customers = hide_rows(customers)

    @cached_property
    def hook(self) -> DubHook:
        """The hook of this task."""
        return DubHook(self.dub_conn_id)

    def execute(self, context: Context) -> list[Customer] | str:
        """Send the updates and return the customers."""
        self._check_arguments()
        rows = rows_of(self.customers.rows if isinstance(self.customers, HiddenRows) else self.customers)
        report = Report()
        try:
            records = self._update(rows, report)
        except DubConfigurationError as error:
            raise DubSyncImpossibleError(str(error)) from error
        finally:
            self._tell(report, context)
        self._raise_if_too_many_failed(report)
        return records

    def on_kill(self) -> None:
        """Send no further request; rows that wait are reported as not attempted."""
        self.hook.stopped.set()

    def _update(self, rows: Rows, report: Report) -> list[Customer] | str:
        results = self.hook.update_customers(
            rows,
            id_column=self.id_column,
            external_id_column=self.external_id_column,
            columns=self.columns,
            null_policy=self.null_policy,
            on_missing=self.on_missing,
            on_duplicate=self.on_duplicate,
            include_expanded_fields=self.include_expanded_fields,
            dry_run=self.only_validate,
            max_workers=self.max_workers,
        )
        progress = Progress(len(rows) if isinstance(rows, Sized) else None, self.max_workers)
        with ExitStack() as files:
            rejected = files.enter_context(JsonLinesFile(self.rejected_path)) if self.rejected_path else None
            records = files.enter_context(JsonLinesFile(self.records_path)) if self.records_path else None
            updated: list[Customer] = []
            for result in results:
                report.add(result)
                if line := progress.line(report.total, self.hook.traffic):
                    self.log.info("%s", line)
                if rejected and result.outcome in NOT_APPLIED:
                    rejected.write(rejected_line(result, rows.whole(result.row)))
                if result.record is not None:
                    if records:
                        records.write(json.dumps(result.record))
                    else:
                        updated.append(result.record)
        return records.uri if records else updated

    def _check_arguments(self) -> None:
        _one_of("on_missing", self.on_missing, ("fail", "skip"))
        _one_of("on_duplicate", self.on_duplicate, ("fail", "last"))
        limit = self.max_failures
        most = 1 if isinstance(limit, float) else math.inf
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= most:
            raise ValueError("max_failures must be a number of rows (0, 10) or a share of them (0.05).")
        if not isinstance(self.max_workers, int) or not 1 <= self.max_workers <= MAX_WORKERS:
            raise ValueError(f"max_workers must be a whole number from 1 to {MAX_WORKERS}.")

    def _tell(self, report: Report, context: Context) -> None:
        traffic = self.hook.traffic
        summary = {
            **report.summary(),
            "requests_sent": traffic.requests_sent,
            "rate_limited": traffic.rate_limited,
            "seconds_waited_for_rate_limit": round(traffic.seconds_waited, 3),
        }
        context["ti"].xcom_push(key="summary", value=summary)
        for outcome, count in report.counts.items():
            Stats.incr(f"dub.customers.{outcome}", count)
        self.log.info("Dub customers: %s; %s requests.", report.in_words(), traffic.requests_sent)
        for name, count in report.ignored_fields.items():
            self.log.warning(
                "Dub accepted the field %s but did not apply it, for %s rows: this server does not know it.",
                name,
                count,
            )
        for failure in report.failures:
            self.log.warning("%s", _in_words(failure))
        if report.counts[Outcome.UPDATED] > _MANY_RECORDS and not self.records_path:
            self.log.warning("Many records go through XCom; records_path writes them to a file instead.")

    def _raise_if_too_many_failed(self, report: Report) -> None:
        if report.fatal:
            raise DubSyncImpossibleError(
                f"{report.fatal} (connection {self.dub_conn_id}; {report.in_words()})"
            ) from report.fatal
        if not report.exceeds(self.max_failures):
            return
        first = " ".join(_in_words(failure) for failure in report.failures[:_FAILURES_IN_MESSAGE])
        more = " More in the XCom `summary`." if report.failed > _FAILURES_IN_MESSAGE else ""
        message = f"{report.in_words()}; max_failures={self.max_failures}, connection {self.dub_conn_id}. {first}{more}"
        raise (DubCustomersNotUpdatedError if report.transient else DubCustomersRefusedError)(message)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}.")


def _in_words(failure: Mapping[str, Any]) -> str:
    where = f"Row {failure['row']}" + (f" ({failure['key']})" if failure["key"] is not None else "")
    field = f"{failure['field']}: " if failure["field"] else ""
    return f"{where}: {field}{failure['message'].rstrip('.')} [{failure['code']}]."
