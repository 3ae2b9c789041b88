"""The operator: customer rows of a task become updates in Dub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_dub.operators.customers_sync import CustomersSyncOperator
from airflow_provider_dub.operators.hidden_rows import HiddenRows, hide_rows
from airflow_provider_dub.sync.rows import CountedRows, StreamedRows, rows_of

if TYPE_CHECKING:
    import pandas as pd
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_dub.api.customers import Customer


class DubUpdateCustomersOperator(CustomersSyncOperator):
    """Update Dub customers from rows, and return them as Dub shows them afterwards.

    The policies, what is returned and what is raised are those of
    :class:`~airflow_provider_dub.operators.customers_sync.CustomersSyncOperator`.

    :param customers: (templated) A pandas DataFrame, a list or tuple of mappings, one mapping, or an XComArg that
        yields one of these. Airflow's rendered fields show only how many rows there are.
    :raises TypeError: ``customers`` is of another kind.
    """

    template_fields: Sequence[str] = ("customers", *CustomersSyncOperator.template_fields)

    def __init__(
        self,
        *,
        customers: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any] | XComArg,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customers = customers

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
        return self._sync(cast("CountedRows", rows), context)
