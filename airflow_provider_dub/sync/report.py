"""What became of every row, counted once, and told without any field value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.exceptions import DubError

#: Failures that the summary tells one by one.
FAILURES_TOLD = 20


class Outcome(StrEnum):
    """What became of a row. Every row has exactly one."""

    UPDATED = "updated"
    #: Nothing to send.
    UNCHANGED = "unchanged"
    #: Dub has no such customer, and ``on_missing="skip"``.
    MISSING = "missing"
    #: A later row names the same customer, and ``on_duplicate="last"``.
    SUPERSEDED = "superseded"
    #: ``dry_run``: valid, and would be sent.
    WOULD_UPDATE = "would_update"
    #: Refused here, before a request was spent.
    REJECTED = "rejected"
    #: Sent, and not confirmed by Dub.
    FAILED = "failed"
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted"


#: Outcomes that count towards ``max_failures``.
FAILURES = frozenset({Outcome.REJECTED, Outcome.FAILED, Outcome.NOT_ATTEMPTED})
#: Outcomes of rows that belong into the file of rejected rows.
NOT_APPLIED = FAILURES | {Outcome.MISSING}


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row.

    :param row: Position of the row in the input, from 0.
    :param key: The customer's id as the row gives it, if it does.
    :param outcome: What became of it.
    :param record: The customer as Dub answered, for an updated row.
    :param fields: The names of the fields that were, or would be, sent.
    :param ignored_fields: Fields that Dub accepted but did not apply.
    :param error: What Dub answered, or why it could not.
    :param code: A short name of what is wrong.
    :param field: The column or Dub field that is wrong, if one is.
    :param reason: What is wrong and what to do, without any value.
    :param resumed: Whether an earlier try of the task did it.
    """

    row: int
    key: str | None
    outcome: Outcome
    record: Customer | None = dataclass_field(default=None, repr=False)
    fields: tuple[str, ...] = ()
    ignored_fields: tuple[str, ...] = ()
    error: DubError | None = None
    code: str | None = None
    field: str | None = None
    reason: str | None = None
    resumed: bool = False

    def told(self) -> dict[str, Any]:
        """Return what is wrong with the row, as JSON: row, key, code, field and message."""
        return {"row": self.row, "key": self.key, "code": self.code, "field": self.field, "message": self.reason}


@dataclass
class Report:
    """Counts outcomes while they arrive."""

    counts: Counter[Outcome] = dataclass_field(default_factory=Counter)
    failures: list[dict[str, Any]] = dataclass_field(default_factory=list)
    ignored_fields: Counter[str] = dataclass_field(default_factory=Counter)
    sent_fields: Counter[str] = dataclass_field(default_factory=Counter)
    #: Of the counts, what earlier tries of the task did.
    resumed: Counter[Outcome] = dataclass_field(default_factory=Counter)
    #: The error that ended the run, because every row would have met it.
    fatal: DubError | None = None
    #: The last failure of a row that was sent: when a run ends early, it tells why.
    last_error: DubError | None = None
    #: The codes of failures that a retry of the whole may not meet again.
    transient_codes: set[str] = dataclass_field(default_factory=set)

    def add(self, result: RowResult) -> None:
        """Count one row."""
        self.counts[result.outcome] += 1
        self.resumed[result.outcome] += result.resumed
        self.sent_fields.update(result.fields)
        self.ignored_fields.update(result.ignored_fields)
        if result.outcome in FAILURES and len(self.failures) < FAILURES_TOLD:
            self.failures.append(result.told())
        if result.outcome is Outcome.FAILED:
            self.last_error = result.error or self.last_error
        if result.error is not None and result.error.fatal:
            self.fatal = self.fatal or result.error
        if result.outcome is Outcome.NOT_ATTEMPTED or (result.error is not None and result.error.transient):
            self.transient_codes.add(str(result.code))

    def add_not_reached(self, first: int, count: int) -> None:
        """Count rows that a stopped run did not come to.

        :param first: Position of the first one.
        :param count: How many there are.
        """
        self.counts[Outcome.NOT_ATTEMPTED] += count
        self.transient_codes.add("not_attempted")
        if len(self.failures) < FAILURES_TOLD:
            reason = f"the run was stopped before it came to this row and the {count - 1:,} after it"
            self.failures.append(
                RowResult(first, None, Outcome.NOT_ATTEMPTED, code="not_attempted", reason=reason).told()
            )

    @property
    def total(self) -> int:
        """Return the number of rows."""
        return self.counts.total()

    @property
    def failed(self) -> int:
        """Return the number of rows that count as failures."""
        return sum(self.counts[outcome] for outcome in FAILURES)

    def exceeds(self, max_failures: int | float) -> bool:
        """Tell whether more rows failed than allowed: a whole number of them, or a share as a float."""
        if isinstance(max_failures, float):
            return self.failed > 0 and self.failed / self.total > max_failures
        return self.failed > max_failures

    def numbers(self) -> dict[str, int]:
        """Return the number of rows, in all and by outcome."""
        return {"total": self.total, **{outcome.value: self.counts[outcome] for outcome in Outcome}}

    def summary(self) -> dict[str, Any]:
        """Return the counts by outcome and what is worth telling, as JSON, without any field value."""
        return {
            **self.numbers(),
            "resumed": self.resumed.total(),
            "failures": self.failures,
            "fields": dict(self.sent_fields),
            "accepted_but_not_applied": dict(self.ignored_fields),
        }

    def in_words(self) -> str:
        """Return the counts as one line."""
        told = [f"{self.counts[outcome]} {outcome.replace('_', ' ')}" for outcome in Outcome if self.counts[outcome]]
        resumed = f" ({self.resumed.total()} of them by an earlier try)" if self.resumed.total() else ""
        return f"{self.total} rows: {', '.join(told) or 'nothing to do'}{resumed}"
