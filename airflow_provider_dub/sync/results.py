"""The outcome of every row, counted once, and shown without any field value."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_dub.sync.shown import counted, shown_key

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.exceptions import DubError

__all__ = ["Outcome", "RowResult", "Sink", "SyncSummary"]

#: Failures that the summary lists one by one.
FAILURES_LISTED = 20
#: Groups of failures that are kept, how many of them one field may have, and ids that each shows.
_MOST_GROUPS = 12
_MOST_GROUPS_OF_A_FIELD = 4
_KEYS_IN_GROUP = 3


class Outcome(StrEnum):
    """The outcome of a row. Every row has exactly one."""

    UPDATED = "updated"
    #: Nothing to send.
    UNCHANGED = "unchanged"
    #: Dub has no such customer, and ``on_missing="skip"``.
    MISSING = "missing"
    #: A later row names the same customer, and ``on_duplicate="last"``.
    SUPERSEDED = "superseded"
    #: ``dry_run``: valid, and would be sent.
    WOULD_UPDATE = "would_update"
    #: Valid, but after the first ``limit`` rows: left for the next run.
    OVER_LIMIT = "over_limit"
    #: Refused here, before a request was spent.
    REJECTED = "rejected"
    #: Sent, and not confirmed by Dub.
    FAILED = "failed"
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted"


#: Outcomes that count as failures.
FAILURES = frozenset({Outcome.REJECTED, Outcome.FAILED, Outcome.NOT_ATTEMPTED})
#: Outcomes of rows that belong into the file of rejected rows.
NOT_APPLIED = FAILURES | {Outcome.MISSING}


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of one row.

    :param row: The position of the row in the input, from 0.
    :param key: The customer's id as the row gives it, or None where that is what is wrong.
    :param outcome: The row's outcome.
    :param record: The customer as Dub shows it, for an updated row.
    :param fields: The names of the fields that were, or would be, sent.
    :param unapplied_fields: The names of the fields that Dub accepted but did not apply.
    :param omitted_fields: The fields that were not sent since their values were refused here, with the reason.
    :param error: The error that Dub's response became, or why there was none.
    :param code: A short name of what is wrong.
    :param field: The column or Dub field that is wrong, if one is.
    :param reason: What is wrong and what to do, without any value.
    :param resumed: Whether an earlier try of the task processed the row.
    """

    row: int
    key: str | None
    outcome: Outcome
    record: Customer | None = dataclass_field(default=None, repr=False)
    fields: tuple[str, ...] = ()
    unapplied_fields: tuple[str, ...] = ()
    omitted_fields: tuple[tuple[str, str], ...] = ()
    error: DubError | None = None
    code: str | None = None
    field: str | None = None
    reason: str | None = None
    resumed: bool = False

    def as_failure(self, show_keys: bool | None = None) -> dict[str, Any]:
        """Return what is wrong with the row, as JSON: row, key, code, field and message.

        :param show_keys: Which keys are shown.
        """
        return {
            "row": self.row,
            "key": shown_key(self.key, show_keys),
            "code": self.code,
            "field": self.field,
            "message": self.reason,
        }

    @property
    def message(self) -> str | None:
        """What is wrong with the row, and with which of its fields, if it is one."""
        return f"{self.field}: {self.reason}" if self.field else self.reason

    @property
    def is_transient(self) -> bool:
        """Whether a retry may end otherwise."""
        return self.outcome is Outcome.NOT_ATTEMPTED or (self.error is not None and self.error.transient)


def rejected(row: int, key: str | None, field: str | None, reason: str, code: str = "rejected") -> RowResult:
    """Return the result of a row that is not sent.

    :param row: The position of the row.
    :param key: The id as the row gives it, if it does.
    :param field: The column or Dub field that is wrong.
    :param reason: What is wrong, without any value.
    :param code: A short name of the kind of reason.
    """
    return RowResult(row, key, Outcome.REJECTED, field=field, code=code, reason=reason)


def not_attempted(row: int, key: str | None = None) -> RowResult:
    """Return the result of a row whose turn did not come.

    :param row: The position of the row.
    :param key: The id as the row gives it, if the row was read.
    """
    reason = "the run ended before this row was sent"
    return RowResult(row, key, Outcome.NOT_ATTEMPTED, code="not_attempted", reason=reason)


class Sink(Protocol):
    """Takes every result of a run exactly once, in input order, in the run's own thread."""

    def write(self, result: RowResult) -> None:
        """Take one result.

        :param result: The result of the next row.
        """

    def close(self, unread: range) -> None:
        """Take note that there are no more results; called once, even after a failure.

        :param unread: The positions of the rows that an urgent stop left unread.
        """


@dataclass
class FailureGroup:
    """Rows that failed for the same reason.

    :param example: The first of them.
    :param rows: How many there are.
    :param keys: The ids of the first of them.
    """

    example: RowResult
    rows: int = 0
    keys: list[str] = dataclass_field(default_factory=list)

    def add(self, key: str, rows: int) -> None:
        """Count more rows.

        :param key: What the first of them is shown as.
        :param rows: How many there are.
        """
        self.rows += rows
        if len(self.keys) < _KEYS_IN_GROUP:
            self.keys.append(key)

    def line(self) -> str:
        """Return the group as one line of a log."""
        more = f" and {self.rows - len(self.keys):,} more" if self.rows > len(self.keys) else ""
        message = (self.example.message or "").rstrip(".")
        return f"{counted(self.rows, 'row')} ({', '.join(self.keys)}{more}): {message} [{self.example.code}]."


@dataclass
class SyncSummary:
    """Counts results; a :class:`Sink`.

    :param show_keys: Which keys are shown; see :func:`~airflow_provider_dub.sync.shown.shown_key`.
    """

    show_keys: bool | None = None
    counts: Counter[Outcome] = dataclass_field(default_factory=Counter)
    failures: list[dict[str, Any]] = dataclass_field(default_factory=list)
    #: By code, field and reason.
    failure_groups: dict[tuple[str | None, ...], FailureGroup] = dataclass_field(default_factory=dict)
    unapplied_fields: Counter[str] = dataclass_field(default_factory=Counter)
    omitted_fields: Counter[tuple[str, str]] = dataclass_field(default_factory=Counter)
    sent_fields: Counter[str] = dataclass_field(default_factory=Counter)
    #: Of the counts, what earlier tries of the task did.
    resumed: Counter[Outcome] = dataclass_field(default_factory=Counter)
    #: The error that ended the run, because every row would have met it.
    fatal: DubError | None = None
    #: The last failure of a row that was sent: when a run ends early, it says why.
    last_error: DubError | None = None
    #: The codes of failures that a retry of the task may not meet again.
    transient_codes: set[str] = dataclass_field(default_factory=set)

    def write(self, result: RowResult) -> None:
        """Count one row."""
        self.counts[result.outcome] += 1
        self.resumed[result.outcome] += result.resumed
        self.sent_fields.update(result.fields)
        self.unapplied_fields.update(result.unapplied_fields)
        self.omitted_fields.update(result.omitted_fields)
        if result.outcome in FAILURES:
            self._group(result)
            if len(self.failures) < FAILURES_LISTED:
                self.failures.append(result.as_failure(self.show_keys))
        if result.outcome is Outcome.FAILED:
            self.last_error = result.error or self.last_error
        if result.error is not None and result.error.fatal:
            self.fatal = self.fatal or result.error
        if result.is_transient:
            self.transient_codes.add(str(result.code))

    def close(self, unread: range) -> None:
        """Count the rows that were not read."""
        if not unread:
            return
        self.counts[Outcome.NOT_ATTEMPTED] += len(unread)
        self.transient_codes.add("not_attempted")
        self._group(not_attempted(unread.start), len(unread))
        if len(self.failures) < FAILURES_LISTED:
            first = not_attempted(unread.start).as_failure()
            self.failures.append({**first, "message": f"{first['message']}, like {len(unread) - 1:,} after it"})

    def _group(self, result: RowResult, rows: int = 1) -> None:
        # The numbers of other rows in a reason make no group of its own.
        reason = re.sub(r"\d+", "#", result.reason or "")
        group: tuple[str | None, ...] = (result.code, result.field, reason)
        if group not in self.failure_groups and self._has_no_place(group):
            group = (None, None, None)
            result = replace(result, code="other", field=None, reason="other reasons, see the summary")
        self.failure_groups.setdefault(group, FailureGroup(result)).add(
            shown_key(result.key, self.show_keys) or f"row {result.row}", rows
        )

    def _has_no_place(self, group: tuple[str | None, ...]) -> bool:
        of_the_field = sum(known[:2] == group[:2] for known in self.failure_groups)
        return of_the_field >= _MOST_GROUPS_OF_A_FIELD or len(self.failure_groups) >= _MOST_GROUPS

    @property
    def total(self) -> int:
        """The number of rows."""
        return self.counts.total()

    @property
    def failed(self) -> int:
        """The number of rows that count as failures."""
        return sum(self.counts[outcome] for outcome in FAILURES)

    @property
    def ended_early(self) -> bool:
        """Whether the run ended before all rows were attempted."""
        return self.counts[Outcome.NOT_ATTEMPTED] > 0

    def numbers(self) -> dict[str, int]:
        """Return the number of rows, in all and by outcome."""
        return {"total": self.total, **{outcome.value: self.counts[outcome] for outcome in Outcome}}

    def as_json(self) -> dict[str, Any]:
        """Return the counts by outcome and the first failures, as JSON, without any field value."""
        return {
            **self.numbers(),
            "resumed": self.resumed.total(),
            "failures": self.failures,
            "fields": dict(self.sent_fields),
            "accepted_but_not_applied": dict(self.unapplied_fields),
            "omitted_fields": [
                {"field": field, "reason": reason, "rows": rows}
                for (field, reason), rows in self.omitted_fields.items()
            ],
        }

    def log_line(self) -> str:
        """Return the counts as one line."""
        counts = [f"{self.counts[one]:,} {one.replace('_', ' ')}" for one in Outcome if self.counts[one]]
        resumed = f" ({self.resumed.total():,} of them by an earlier try)" if self.resumed.total() else ""
        return f"{counted(self.total, 'row')}: {', '.join(counts) or 'nothing to do'}{resumed}"
