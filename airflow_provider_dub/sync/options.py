"""The options of a sync, in one object that checks itself and travels whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from airflow_provider_dub.customers.cells import BlankPolicy
from airflow_provider_dub.customers.fields import FIELDS, Field, field_named
from airflow_provider_dub.customers.ids import EXTERNAL_PREFIX
from airflow_provider_dub.sync.columns import fields_named

__all__ = ["SyncOptions"]

NullPolicy: TypeAlias = Literal["omit", "clear"]
OnMissing: TypeAlias = Literal["fail", "skip"]
OnDuplicate: TypeAlias = Literal["fail", "last"]
OnEmpty: TypeAlias = Literal["succeed", "skip", "fail"]
OnInvalid: TypeAlias = Literal["reject", "omit_field"]

#: What judges a task, so that it means nothing where there is none.
_TASK_OPTIONS = ("max_failures", "max_failure_rate", "max_changes", "on_empty")
#: The most threads of a run, and so the most connections to Dub.
MAX_WORKERS = 64


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """What a sync does with its rows.

    :param id_column: The column that holds Dub's ids (``cus_…``) or ``ext_`` followed by an external id. By default
        ``id``, where ``external_id_column`` is not given. The two exclude each other.
    :param external_id_column: The column that holds external ids, as they stand in Dub.
    :param columns: A mapping from column to Dub field. By default every column that is named like a field is sent.
        Other columns are not sent, and the log names them once.
    :param null_policy: What an empty cell (None, NaN, NaT, NA) does: ``"omit"`` the field, or ``"clear"`` it in Dub. A
        mapping gives a policy per field. A mapping row that lacks the column never clears a field.
    :param blanks: What a blank (empty text, or white space only) is: a missing value (``"missing"``), or a value like
        others (``"keep"``). A blank key is always missing.
    :param strip: Whether blanks around names and ids are removed. Around e-mails, countries, URLs and timestamps they
        always are.
    :param on_missing: What a customer that Dub does not know is: a failure (``"fail"``), or counted apart (``"skip"``).
    :param on_duplicate: What happens to several rows for one customer: ``"fail"`` rejects all of them, ``"last"`` sends
        the last one. Of rows that can be read only once, ``"fail"`` rejects those after the first.
    :param on_invalid: What happens to a row with a value that Dub would refuse: ``"reject"`` does not send the row,
        ``"omit_field"`` sends it without the field and counts the field as omitted.
    :param max_failures: The number of rows that may fail. By default none, or any number where ``max_failure_rate``
        is given. The task fails in any case if the run ended before all rows were attempted.
    :param max_failure_rate: The share of all rows that may fail, from 0 to 1. With ``max_failures`` too, both hold.
    :param max_changes: The most rows that a run may send. If there are more, it ends before its first request.
    :param on_empty: What an input without rows is: a success (``"succeed"``), a skipped task (``"skip"``) or a failure
        (``"fail"``).
    :param limit: The most rows that one try sends; the rows after the first so many stay as they are for the next run.
    :param show_keys: Whether the customers' ids stand in logs, errors and the summary: by default all but those that
        look like an e-mail address or a phone number, which are masked; True shows all of them, False none.
    :param include_expanded_fields: Whether the customers also have ``link``, ``programId``, ``partner`` and
        ``discount``.
    :param check_external_ids: Whether an external id must be an exact match before its customer is updated: Dub
        ignores case, accents and trailing blanks. Costs a request per 100 customers of the workspace, or one per row
        where that is faster; nothing for Dub's own ids. Without it, a customer whose id differs only in these is
        updated, and the row fails.
    :param dry_run: Whether everything is checked and counted, but nothing is sent. Rows that would be rejected are
        counted, and fail the task only if ``max_failures`` or ``max_failure_rate`` is given.
    :param max_workers: The number of threads that send, from 1 to 64. Rows are sent side by side, in no order.
    :raises ValueError: An option is impossible; the message names it.
    """

    id_column: str | None = None
    external_id_column: str | None = None
    columns: Mapping[str, str] | None = None
    null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit"
    blanks: BlankPolicy = "missing"
    strip: bool = False
    on_missing: OnMissing = "fail"
    on_duplicate: OnDuplicate = "fail"
    on_invalid: OnInvalid = "reject"
    max_failures: int | None = None
    max_failure_rate: float | None = None
    max_changes: int | None = None
    on_empty: OnEmpty = "succeed"
    limit: int | None = None
    show_keys: bool | None = None
    include_expanded_fields: bool = False
    check_external_ids: bool = True
    dry_run: bool = False
    max_workers: int = 8

    def __post_init__(self) -> None:
        if self.id_column is not None and self.external_id_column is not None:
            raise ValueError(
                "id_column and external_id_column exclude each other: give the one that the rows have, "
                "id_column for cus_... or ext_..., external_id_column for your own ids."
            )
        for name in ("id_column", "external_id_column"):
            column = getattr(self, name)
            if column is not None and (not isinstance(column, str) or not column):
                raise ValueError(f"{name} must be the name of a column.")
        one_of("on_missing", self.on_missing, OnMissing)
        one_of("on_duplicate", self.on_duplicate, OnDuplicate)
        one_of("on_invalid", self.on_invalid, OnInvalid)
        one_of("on_empty", self.on_empty, OnEmpty)
        one_of("blanks", self.blanks, BlankPolicy)
        if self.show_keys is not None and not isinstance(self.show_keys, bool):
            raise ValueError("show_keys must be True, False or None.")
        for name in ("strip", "include_expanded_fields", "check_external_ids", "dry_run"):
            true_or_false(name, getattr(self, name))
        whole_number("max_workers", self.max_workers, 1, MAX_WORKERS)
        for name, least in (("max_failures", 0), ("max_changes", 0), ("limit", 1)):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), least)
        rate = self.max_failure_rate
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1):
            raise ValueError("max_failure_rate must be a share of the rows from 0 to 1, such as 0.05.")
        self._check_fields()

    def _check_fields(self) -> None:
        if self.columns is not None:
            fields_named(self.columns)
        if not isinstance(self.null_policy, Mapping):
            one_of("null_policy", self.null_policy, NullPolicy)
            return
        for policy in self.null_policy.values():
            one_of("null_policy", policy, NullPolicy)
        named = {name: field_named(name) for name in self.null_policy}
        if unknown := [name for name, field in named.items() if field is None]:
            raise ValueError(f"null_policy: {unknown[0]!r} is not a Dub field; those are {', '.join(FIELDS)}.")
        fields = [*named.values()]
        if twice := [field.name for field in fields if field and fields.count(field) > 1]:
            raise ValueError(f"null_policy: {twice[0]} is named twice.")
        self.cleared_fields(FIELDS.values())

    @property
    def key_column(self) -> str:
        """The column that holds the customers' ids."""
        return self.external_id_column or self.id_column or "id"

    @property
    def key_prefix(self) -> str:
        """What stands before a cell of the key column to make it an id of the API."""
        return EXTERNAL_PREFIX if self.external_id_column else ""

    def cleared_fields(self, fields: Iterable[Field]) -> set[str]:
        """Return the names of those fields that an empty cell clears.

        :param fields: The fields that are sent.
        :raises ValueError: Dub cannot clear one of them.
        """
        given = self.null_policy
        policies = given if isinstance(given, Mapping) else dict.fromkeys(FIELDS, given)
        clears = {field_named(name) for name, policy in policies.items() if policy == "clear"}
        cleared = [field for field in fields if field in clears]
        if kept := [field.name for field in cleared if not field.nullable]:
            raise ValueError(
                f'null_policy: Dub cannot clear {kept[0]}. Give a policy per field, such as {{"name": "clear"}}; '
                "fields that are not named are omitted."
            )
        return {field.name for field in cleared}

    @property
    def task_options(self) -> list[str]:
        """The names of those options that are given and judge a task."""
        return [name for name in _TASK_OPTIONS if getattr(self, name) != getattr(SyncOptions, name)]

    def allows(self, failed: int, total: int) -> bool:
        """Return whether so many failures are within the limits.

        :param failed: The number of rows that failed.
        :param total: The number of all rows.
        """
        is_limited = self.max_failures is not None or self.max_failure_rate is not None
        most = self.max_failures if is_limited or self.dry_run else 0
        # A quotient: 0.29 * 100 is less than 29.
        within_rate = self.max_failure_rate is None or not total or failed / total <= self.max_failure_rate
        return (most is None or failed <= most) and within_rate

    @property
    def limits(self) -> str:
        """The limits of failures, as a message names them."""
        given = {"max_failures": self.max_failures, "max_failure_rate": self.max_failure_rate}
        named = [f"{name}={value}" for name, value in given.items() if value is not None]
        return ", ".join(named or ["max_failures=0"])


def one_of(name: str, value: object, allowed: Any) -> None:
    """Check that an argument is one of some.

    :param name: The argument's name.
    :param value: The argument.
    :param allowed: A ``Literal`` of those that it may be.
    :raises ValueError: It is none of them.
    """
    if value not in get_args(allowed):
        raise ValueError(f"{name} must be {' or '.join(map(repr, get_args(allowed)))}, not {value!r}.")


def true_or_false(name: str, value: object) -> None:
    """Check that an argument is a bool: the text "False" would be true.

    :param name: The argument's name.
    :param value: The argument.
    :raises ValueError: It is none.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False.")


def whole_number(name: str, value: object, least: int, most: int | None = None) -> None:
    """Check that an argument is a whole number.

    :param name: The argument's name.
    :param value: The argument.
    :param least: The least that it may be.
    :param most: The most that it may be, if there is a bound.
    :raises ValueError: It is none, or out of bounds.
    """
    bounds = f"from {least}" + ("" if most is None else f" to {most}")
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not (least <= value and (most is None or value <= most)):  # type: ignore[operator]
        raise ValueError(f"{name} must be a whole number {bounds}.")
