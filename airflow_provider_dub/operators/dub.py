"""The operator: customer rows of a task become updates in Dub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.hooks.sending import verified_ids
from airflow_provider_dub.operators.base import FILE_ARGUMENTS, DubSyncOperator, shared_arguments
from airflow_provider_dub.operators.json_lines import names_same_file
from airflow_provider_dub.operators.masked_rows import mask_rows, unmasked
from airflow_provider_dub.operators.xcom import warn_if_large
from airflow_provider_dub.sync.columns import log_unsent
from airflow_provider_dub.sync.inputs import StreamedRows, rows_of
from airflow_provider_dub.sync.options import true_or_false, whole_number
from airflow_provider_dub.sync.results import Outcome, RowResult
from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader, updates_of

if TYPE_CHECKING:
    import pandas as pd

    from airflow_provider_dub.customers.cells import BlankPolicy
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.operators.json_lines import FilePath
    from airflow_provider_dub.sync.arrow import ArrowStream
    from airflow_provider_dub.sync.options import NullPolicy, OnDuplicate, OnEmpty, OnInvalid, OnMissing
    from airflow_provider_dub.sync.rows import CountedRows
    from airflow_provider_dub.version_compat import Context, XComArg

__all__ = ["DubUpdateCustomersOperator"]


class DubUpdateCustomersOperator(DubSyncOperator):
    """Update Dub customers from rows, and return them as Dub shows them afterwards.

    What is returned, pushed and raised is described at
    :class:`~airflow_provider_dub.operators.base.DubSyncOperator`. The
    summary also counts the rows that earlier tries of the task processed, as ``resumed``.

    :param customers: (templated) A DataFrame of pandas, polars or another library that speaks Arrow, an Arrow table, a
        list or tuple of mappings, one mapping, the path or URI of a file of JSON lines, CSV or Parquet, several of
        these in a list, or an XComArg that yields one of these. Airflow's rendered fields show only how many rows
        there are, or the names of files.
    :param resume: Whether a retry sends only the rows that the tries before it did not process, and returns the
        customers of all tries. Needs Airflow 3.3. If the input changed, all rows are sent; Clear starts anew.
    :param checkpoint_every: The number of rows after which results are kept for a retry. If a try is killed, the
        retry sends at most this many rows again, and one for each worker.
    """

    template_fields: Sequence[str] = ("customers", *DubSyncOperator.template_fields)
    _own_checks = {"checkpoint_every": partial(whole_number, least=1), "resume": true_or_false}  # noqa: RUF012

    @DubSyncOperator._checking()
    def __init__(
        self,
        *,
        customers: pd.DataFrame | ArrowStream | Sequence[Any] | Mapping[str, Any] | FilePath | XComArg,
        resume: bool = True,
        checkpoint_every: int = 200,
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
        self._check_own(locals())
        self.customers = customers
        self.resume = resume
        self.checkpoint_every = checkpoint_every

    @property
    def customers(self) -> Any:
        """The rows, masked in Airflow's rendered fields, or the XComArg that will yield them."""
        return self._customers

    @customers.setter
    def customers(self, customers: Any) -> None:
        # What is set a second time is what Airflow has rendered.
        self._customers = mask_rows(customers, is_rendered="_customers" in self.__dict__)

    def execute(self, context: Context) -> list[Customer] | str:
        """Send the updates and return the customers."""
        from airflow_provider_dub.operators.resume import Checkpoints

        with self._checking():
            self._check_templated()
            rows = self._read()
            reader = UpdateReader(rows, self.options)
            log_unsent(reader.matched, self.log)
        with self._fatal_ends(), ExitStack() as until_judged:
            with self._publishing(len(rows), context), self._connected(rows, context) as client:
                resumes = self.resume and client and context.get("task_state_store") is not None
                checkpoints = until_judged.enter_context(Checkpoints(self, reader, context)) if resumes else None
                earlier_result = checkpoints.result_of if checkpoints else None
                self._guard(len(rows), lambda: _count(updates_of(reader, earlier_result)))
                customers = self._send(
                    client,
                    rows,
                    reader.matched,
                    updates_of(reader, earlier_result),
                    verified_ids(client, reader, customer_ids=_sent_ids(updates_of(reader, earlier_result))),
                    [checkpoints] if checkpoints else [],
                    self.checkpoint_every if checkpoints else None,
                )
            self._judge(context)
        if self.do_xcom_push:
            warn_if_large(customers, self.log.warning)
        return customers

    def _read(self) -> CountedRows:
        from airflow_provider_dub.version_compat import ObjectStoragePath

        rows = rows_of(unmasked(self.customers), path_of=ObjectStoragePath)
        for name in FILE_ARGUMENTS:
            path = getattr(self, name)
            if path and any(names_same_file(path, file) for file in getattr(rows, "paths", ())):
                raise ValueError(f"{name} must not be the file of customers: it is overwritten before it is read.")
        if isinstance(rows, StreamedRows):
            raise TypeError("customers must be rows that can be read again, not an iterator: make it a list.")
        return cast("CountedRows", rows)


def _count(updates: Iterable[CustomerUpdate | RowResult]) -> int:
    """Return how many of the updates would be sent."""
    return sum(isinstance(one, CustomerUpdate) or one.outcome is Outcome.WOULD_UPDATE for one in updates)


def _sent_ids(updates: Iterable[CustomerUpdate | RowResult]) -> Iterator[str]:
    """Yield the customers of the updates that will be sent."""
    return (one.customer_id for one in updates if isinstance(one, CustomerUpdate))
