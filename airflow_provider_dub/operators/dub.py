"""The operator: customer rows of a task become updates in Dub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_dub.operators.customers_sync import CustomersSyncOperator
from airflow_provider_dub.operators.hidden_rows import HiddenRows, hide_rows
from airflow_provider_dub.operators.resume import resumed
from airflow_provider_dub.sync.rows import CountedRows, StreamedRows, rows_of

if TYPE_CHECKING:
    import pandas as pd
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_dub.customers.fields import Customer


class DubUpdateCustomersOperator(CustomersSyncOperator):
    """Update Dub customers from rows, and return them as Dub shows them afterwards.

    The policies, what is returned and what is raised are those of
    :class:`~airflow_provider_dub.operators.customers_sync.CustomersSyncOperator`. The summary also counts what earlier
    tries of the task did, as ``resumed``.

    :param customers: (templated) A pandas DataFrame, a list or tuple of mappings, one mapping, or an XComArg that
        yields one of these. Airflow's rendered fields show only how many rows there are.
    :param resume: From Airflow 3.3 on, a retry sends only what the tries before it did not settle, and returns the
        customers of all tries. Rows are known again by what they send, wherever they stand; Clear starts anew.
    :param batch_size: Rows after which what became of them is kept for a retry. Of a try that is killed, the retry
        sends at most this many rows again, and one for each worker.
    :raises TypeError: ``customers`` is of another kind.
    """

    template_fields: Sequence[str] = ("customers", *CustomersSyncOperator.template_fields)

    def __init__(
        self,
        *,
        customers: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any] | XComArg,
        resume: bool = True,
        batch_size: int = 200,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customers = customers
        self.resume = resume
        self.batch_size = batch_size

    @property
    def customers(self) -> Any:
        """The rows, hidden from Airflow's rendered fields, or the XComArg that will yield them."""
        return self._customers

    @customers.setter
    def customers(self, customers: Any) -> None:
        self._customers = hide_rows(customers)

    def execute(self, context: Context) -> list[Customer] | str:
        """Send the updates and return the customers."""
        rows = rows_of(self.customers.rows if isinstance(self.customers, HiddenRows) else self.customers)
        if isinstance(rows, StreamedRows):
            raise TypeError("customers must be rows that can be read again, not an iterator: make it a list.")
        rows = cast("CountedRows", rows)
        with resumed(self, rows, context) as self._checkpoints:
            return self._sync(rows, context)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError("batch_size must be a whole number of rows, at least 1.")
