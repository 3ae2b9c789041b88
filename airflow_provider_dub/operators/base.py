"""What the operators that update customers share: the options, one run, its summary, and when the task fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_dub.api.stop import Stop
from airflow_provider_dub.assets.dub import count_in_events
from airflow_provider_dub.exceptions import (
    DubError,
    DubFixRowsError,
    DubFixSetupError,
    DubRetryLaterError,
    DubReviewChangesError,
)
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.hooks.sending import sender
from airflow_provider_dub.links.dub import DUB_LINKS, push_links
from airflow_provider_dub.operators.json_lines import JsonLinesFile, check_place, check_storage, names_same_file
from airflow_provider_dub.operators.rejected_rows import RejectedRows
from airflow_provider_dub.operators.templated import (
    is_none,
    is_reference,
    is_template,
    read_flag,
    read_number,
    read_rendered,
)
from airflow_provider_dub.operators.xcom import Records, as_storable
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.progress import Progress
from airflow_provider_dub.sync.results import NOT_APPLIED, Outcome, SyncSummary
from airflow_provider_dub.sync.run import run_sync
from airflow_provider_dub.sync.shown import counted, path_shown
from airflow_provider_dub.version_compat import AirflowException, AirflowSkipException, BaseOperator, Stats

if TYPE_CHECKING:
    from typing import Self

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dub.api.client import DubClient
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.hooks.workspace import Workspace
    from airflow_provider_dub.operators.json_lines import FilePath
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.sync.results import RowResult, Sink
    from airflow_provider_dub.sync.rows import CountedRows
    from airflow_provider_dub.sync.updates import CustomerUpdate
    from airflow_provider_dub.version_compat import Context

__all__ = ["DubSyncOperator", "shared_arguments", "too_many_changes"]

#: The arguments that name a file which a run writes.
FILE_ARGUMENTS = ("rejected_path", "records_path")
#: Groups of failures that the exception of a task names.
_GROUPS_IN_MESSAGE = 3


class DubSyncOperator(BaseOperator):
    """Sends customer rows to Dub, one ``PATCH /customers/{id}`` per row; where the rows come from is its subclasses'.

    Every row is tried before the task fails. What every row would meet (a refused key, a plan without customers, a
    wrong address) ends the task at once, without Airflow retries, and so does a wrong argument.

    XCom ``return_value``: the updated customers in input order, a list of dicts as the API gives them (with ``dry_run``
    an empty one), or the URI of ``records_path``. XCom ``summary``, pushed before a failure is raised, once the rows
    are known: ``total``; the number of rows by outcome
    (``updated, unchanged, missing, superseded, would_update, over_limit, rejected, failed, not_attempted``);
    ``failures``, the first 20 by row (position from 0), key, code, field and message; ``resumed``, the rows that an
    earlier try processed; ``fields``, how often each was sent; ``accepted_but_not_applied``, how often Dub dropped
    each; ``omitted_fields``, which values were left out and why; ``requests_sent``, ``rate_limited``,
    ``seconds_waited_for_rate_limit``; ``not_in_rejected_path`` and ``not_in_records_path``, the rows that a file should
    have and lacks, where there are any. Neither it nor any log line or error holds a field's value, except for the
    country code that is meant where a row has the country's name or another code.

    :param options: What the sync does with its rows.
    :param dub_conn_id: (templated) The connection to Dub; its password is the API key.
    :param rejected_path: (templated) The path or URI for the rows that were not applied, whole, as JSON lines with the
        reason, ready to be sent again. It is written anew by every run that comes to its rows, even if there are none.
    :param records_path: (templated) The path or URI for the updated customers as JSON lines; its URI is returned
        instead of the list.
    :raises AirflowSkipException: The input has no rows, and ``on_empty="skip"``.
    :raises DubReviewChangesError: More rows would be sent than allowed; nothing was sent.
    :raises DubFixSetupError: No row can work, or an argument is wrong.
    :raises DubFixRowsError: Too many rows failed, and a retry would not help.
    :raises DubRetryLaterError: Too many rows failed, and a retry may help.
    """

    template_fields: Sequence[str] = (
        "dub_conn_id",
        "rejected_path",
        "records_path",
        "only_validate",
        "limit",
        "max_changes",
    )
    #: What checks the arguments that only a subclass has and that are not templated, by name.
    _own_checks: ClassVar[Mapping[str, Callable[[str, Any], None]]] = {}
    ui_color = "#e7e5e4"
    operator_extra_links = DUB_LINKS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the parameters that the operators share in the help of each."""
        super().__init_subclass__(**kwargs)
        shared = [*_parameters_of(SyncOptions), *_parameters_of(DubSyncOperator)]
        cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__ or ""), *shared])

    def __init__(
        self,
        *,
        options: SyncOptions,
        dub_conn_id: str = DubHook.default_conn_name,
        rejected_path: FilePath | None = None,
        records_path: FilePath | None = None,
        dry_run: bool | str = False,
        limit: int | str | None = None,
        max_changes: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.multiple_outputs:  # found by Airflow when all rows are sent
            raise ValueError("multiple_outputs is for tasks that return a dict; the summary is the XCom `summary`.")
        self.options = options
        self.only_validate = dry_run  # BaseOperator.dry_run is a method
        self.limit = limit
        self.max_changes = max_changes
        self._read_templated(rendered=False)
        self.dub_conn_id = dub_conn_id
        self.rejected_path = rejected_path
        self.records_path = records_path
        self._check_places(rendered=False)
        self.workspace: Workspace | None = None
        self._stop = Stop()
        self._summary = SyncSummary()
        #: The files of this run, by argument.
        self._files: dict[str, JsonLinesFile] = {}
        #: What the summary also says.
        self._details: dict[str, Any] = {}

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task.

        :param kwargs: The arguments that all its instances share.
        :raises ValueError: One is impossible; or all instances would write one file; or ``dry_run`` is the output of a
            task, for which Airflow would not wait, since its template field has another name: the rows would be sent.
        """
        mapped = super().partial(**kwargs)
        scopes = (mapped.kwargs.get(name) for name in ("dag", "task_group"))
        defaults = [getattr(scope, "default_args", None) or {} for scope in scopes]
        cls._check_shared({**defaults[0], **defaults[1], **kwargs})
        return mapped

    @classmethod
    def _check_shared(cls, given: Mapping[str, Any]) -> None:
        """Check the arguments that all instances of a mapped task share.

        :param given: Arguments by name.
        :raises ValueError: As :meth:`partial` does.
        """
        options_of(given)
        cls._check_own(given)
        if is_reference(given.get("dry_run")):
            raise ValueError(
                "dry_run of a mapped task cannot be the output of a task, which Airflow would not wait for. Write "
                "dry_run=\"{{ ti.xcom_pull('decide') }}\", and decide >> mapped_task."
            )
        for name in FILE_ARGUMENTS:
            if given.get(name) and not is_template(given[name]):
                raise ValueError(
                    f"{name} of a mapped task must name another file for each: put {{{{ ti.map_index }}}} in."
                )

    @classmethod
    def _check_own(cls, given: Mapping[str, Any]) -> None:
        """Check the arguments that only a subclass has and that are not templated, as far as they are given.

        :param given: Arguments by name.
        :raises ValueError: One is impossible; the message names it.
        """
        for name in cls._own_checks.keys() & given.keys():
            cls._own_checks[name](name, given[name])

    @cached_property
    def hook(self) -> DubHook:
        """The hook of this task."""
        return DubHook(self.dub_conn_id)

    @property
    def wants_records(self) -> bool:
        """Whether somebody will have the updated customers."""
        return bool(self.records_path or self.do_xcom_push)

    def prepare_for_execution(self) -> Self:
        """Return a copy for one try: in Airflow's ``dag.test()`` all tries are made of one object, in one process."""
        one_try = super().prepare_for_execution()
        one_try._stop = Stop()
        one_try._details = {}
        return one_try

    def on_kill(self) -> None:
        """Send no further request; rows that wait are reported as not attempted."""
        self._stop.set(urgent=True)

    # The steps of execute.

    @staticmethod
    @contextmanager
    def _checking() -> Iterator[None]:
        """Let a wrong argument, also one from ``expand_kwargs``, or input end the task without Airflow retries."""
        try:
            yield
        except (ValueError, TypeError, FileNotFoundError, ModuleNotFoundError) as error:
            raise DubFixSetupError(str(error)) from error

    def _read_templated(self, *, rendered: bool) -> None:
        """Take over the options that may come from a template or a trigger form.

        :param rendered: Whether Airflow has rendered them.
        """
        given = {
            "dry_run": (read_flag, self.only_validate),
            "limit": (read_number, self.limit),
            "max_changes": (read_number, self.max_changes),
        }
        self.options = replace(self.options, **read_rendered(given, rendered=rendered))

    def _check_templated(self) -> None:
        """Check the arguments that Airflow has rendered."""
        self._read_templated(rendered=True)
        for name in FILE_ARGUMENTS:
            if is_none(getattr(self, name)):
                setattr(self, name, None)
        self._check_places(rendered=True)
        if self.rejected_path and self.records_path and names_same_file(self.rejected_path, self.records_path):
            raise ValueError("rejected_path and records_path must be two files.")
        for file in self._files_to_write().values():
            file.check()

    def _files_to_write(self) -> dict[str, JsonLinesFile]:
        """Return the files of a run, by argument."""
        written = FILE_ARGUMENTS if not self.options.dry_run else ("rejected_path",)
        return {name: JsonLinesFile(path) for name in written if (path := getattr(self, name))}

    def _check_places(self, *, rendered: bool) -> None:
        for name in FILE_ARGUMENTS:
            path = getattr(self, name)
            if path and (rendered or not is_template(path)):
                check_place(name, path)
                if rendered:
                    check_storage(name, path)

    @contextmanager
    def _fatal_ends(self) -> Iterator[None]:
        """Let an error that every row would meet, such as a refused key, end the task without Airflow retries."""
        try:
            yield
        except DubError as error:
            if error.fatal:
                raise DubFixSetupError(f"{error} (connection {self.dub_conn_id})") from error
            raise

    @contextmanager
    def _publishing(self, total: int, context: Context) -> Iterator[None]:
        """Publish the summary of the run inside, however that ends.

        :param total: The number of rows.
        :param context: The task's context.
        """
        self._summary = SyncSummary(self.options.show_keys)
        self._files = {}
        try:
            yield
        finally:
            self._summary.close(range(self._summary.total, total))
            self._log_summary()
            self._push_summary(context)

    def _guard(self, rows: int, changes: Callable[[], int], plan: str = "") -> None:
        """End the task before the first request if there is nothing to do, or too much.

        :param rows: The number of rows of the input.
        :param changes: Returns the number of rows that would be sent.
        :param plan: What the run would do, where that is known.
        :raises AirflowSkipException: There are no rows, and ``on_empty="skip"``.
        :raises DubFixRowsError: There are no rows, and ``on_empty="fail"``.
        :raises DubReviewChangesError: There are more changes than ``max_changes``.
        """
        if not rows and self.options.on_empty == "skip":
            raise AirflowSkipException('The input has no rows, and on_empty="skip".')
        if not rows and self.options.on_empty == "fail":
            raise DubFixRowsError('The input has no rows, and on_empty="fail".')
        most = self.options.max_changes
        if most is not None and (found := changes()) > most:
            raise too_many_changes(f"{counted(found, 'row')} of {rows:,} would be sent", "max_changes", most, plan)

    @contextmanager
    def _connected(self, rows: CountedRows, context: Context) -> Iterator[DubClient | None]:
        """Give the client of this run, or None where nothing is sent.

        :param rows: The rows.
        :param context: The task's context.
        """
        self._files = self._files_to_write()
        sends_nothing = self.options.dry_run or not rows
        try:
            self.workspace = self.hook.settings.workspace  # links and lineage are asked for later, and elsewhere
        except (AirflowException, DubError):
            if not sends_nothing:
                raise
        else:
            with self._best_effort("the links to Dub's app"):
                push_links(self.workspace, context)
        if sends_nothing:
            yield None
            return
        self.hook.report_lineage()
        with closing(self.hook.client.for_run(self._stop)) as client:
            yield client

    def _send(
        self,
        client: DubClient | None,
        rows: CountedRows,
        columns: MatchedColumns,
        updates: Iterable[CustomerUpdate | RowResult],
        verified_ids: Container[str] | None,
        sinks: Sequence[Sink] = (),
        checkpoint_every: int | None = None,
    ) -> list[Customer] | str:
        """Send the updates, and return the customers or the URI of the file that holds them.

        :param client: The client of this run, if anything is sent.
        :param rows: The rows that the updates are about.
        :param columns: The columns that are used, as the rows spell them.
        :param updates: What each row asks for.
        :param verified_ids: External ids that need no look-up; None checks none.
        :param sinks: Whoever takes the results besides the files.
        :param checkpoint_every: The number of rows that are delivered at a time.
        """
        records, files = self._open_files(rows, columns)
        seconds_to_send = client.rate_limiter.seconds_to_send if client else lambda _requests: None
        progress = Progress(len(rows), self.options.max_workers, seconds_to_send)
        run_sync(
            updates,
            sender(client, self.options, verified_ids),
            self.options,
            [*sinks, *files],
            summary=self._summary,
            total=len(rows),
            stop=self._stop,
            poll=lambda: self._log_progress(progress),
            checkpoint_every=checkpoint_every,
        )
        if records.replaced:
            self.log.warning(
                "%s came back with characters that Airflow's database cannot hold, which are replaced.",
                counted(records.replaced, "customer"),
            )
        return records.returned

    def _judge(self, context: Context) -> None:
        """Fail if more rows failed than allowed, or else count them in the events of the task's assets.

        :param context: The task's context.
        """
        summary = self._summary
        if summary.fatal:
            where = f"(connection {self.dub_conn_id}; {summary.log_line()})"
            raise DubFixSetupError(f"{summary.fatal} {where}") from summary.fatal
        if summary.ended_early or not self.options.allows(summary.failed, summary.total):
            message = f"{summary.log_line()}; {self.options.limits}, connection {self.dub_conn_id}. {self._why()}"
            if summary.transient_codes:
                raise DubRetryLaterError(message, summary.transient_codes)
            raise DubFixRowsError(message)
        if summary.failed and not self.options.dry_run:
            self.log.warning("%s failed, within the limits: %s.", counted(summary.failed, "row"), self.options.limits)
        with self._best_effort("the counts in the events of assets"):
            count_in_events(summary.numbers(), self.outlets, context)

    # What the steps need.

    def _open_files(self, rows: CountedRows, columns: MatchedColumns) -> tuple[Records, list[Sink]]:
        for file in self._files.values():
            file.open()
        records = Records(self._files.get("records_path"))
        sinks: list[Sink] = [records] if self.wants_records else []
        if "rejected_path" in self._files:
            sinks.append(RejectedRows(self._files["rejected_path"], rows, columns))
        return records, sinks

    def _not_in_files(self) -> dict[str, int]:
        """Return how many rows lack in a file that should have them, by the file's argument."""
        counts = self._summary.counts
        outcomes = {"records_path": {Outcome.UPDATED}, "rejected_path": NOT_APPLIED}
        lack = {name: sum(counts[one] for one in outcomes[name]) - file.lines for name, file in self._files.items()}
        return {name: rows for name, rows in lack.items() if rows > 0}

    def _log_progress(self, progress: Progress) -> None:
        if line := progress.line(self._summary.total, self.hook.traffic, self._summary.resumed.total()):
            self.log.info("%s", line)

    def _log_summary(self) -> None:
        summary = self._summary
        requests = counted(self.hook.traffic.requests_sent, "request")
        self.log.info("Dub customers: %s; %s.", summary.log_line(), requests)
        for name, count in summary.unapplied_fields.items():
            self.log.warning(
                "Dub accepted the field %s but did not apply it, for %s: this server does not know it.",
                name,
                counted(count, "row"),
            )
        for (field, reason), count in summary.omitted_fields.items():
            self.log.warning("The field %s was left out of %s: it %s.", field, counted(count, "row"), reason)
        for group in summary.failure_groups.values():
            self.log.warning("%s", group.line())
        rejected = self._files.get("rejected_path")
        if summary.failed and rejected and rejected.lines:
            self.log.warning("The rows that were not applied are in %s.", path_shown(self.rejected_path))
        for name, rows in self._not_in_files().items():
            self.log.warning("%s could not be written to %s any more.", counted(rows, "row"), name)

    def _push_summary(self, context: Context) -> None:
        traffic = self.hook.traffic
        summary = {
            **self._summary.as_json(),
            **{f"not_in_{name}": rows for name, rows in self._not_in_files().items()},
            **self._details,
            "requests_sent": traffic.requests_sent,
            "rate_limited": traffic.rate_limited,
            "seconds_waited_for_rate_limit": round(traffic.seconds_waited, 3),
        }
        with self._best_effort("the metrics"):
            for outcome, count in self._summary.counts.items():
                Stats.incr(f"dub.customers.{outcome}", count - self._summary.resumed[outcome])
        with self._best_effort("the XCom summary"):
            context["ti"].xcom_push(key="summary", value=as_storable(summary)[0])

    @contextmanager
    def _best_effort(self, what: str) -> Iterator[None]:
        """Warn of what cannot be reported, and leave the outcome of the run as it is.

        :param what: What is reported.
        """
        try:
            yield
        except Exception as error:
            self.log.warning("Airflow did not take %s (%s).", what, type(error).__name__)

    def _why(self) -> str:
        summary = self._summary
        groups = [*summary.failure_groups.values()]
        why = [group.line() for group in groups[:_GROUPS_IN_MESSAGE]]
        if summary.ended_early and summary.last_error:
            why.insert(0, f"The run ended early, after this: {summary.last_error}")
        if len(groups) > _GROUPS_IN_MESSAGE:
            why.append("More reasons are in the log and the XCom `summary`.")
        if "rejected_path" in self._files:
            why.append(f"The rows are in {path_shown(self.rejected_path)}.")
        return " ".join(why)

    # What Airflow asks for.

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the run wrote. An operator that knows its source merges that into it.

        :param task_instance: The task instance.
        """
        from airflow_provider_dub.lineage import customers_lineage

        written_to = None if self.options.dry_run else self.workspace
        return customers_lineage(written_to, self._summary.counts[Outcome.UPDATED])

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return what the run wrote all the same.

        :param task_instance: The task instance.
        """
        return self.get_openlineage_facets_on_complete(task_instance)


def too_many_changes(found: str, argument: str, most: float, plan: str = "") -> DubReviewChangesError:
    """Return the error of a run that would send more rows than an argument allows.

    :param found: What would be sent.
    :param argument: The argument.
    :param most: Its value.
    :param plan: What the run would do, where that is known.
    """
    return DubReviewChangesError(
        f"{found}, and {argument}={most} allows fewer: nothing was sent. {f'{plan}. ' if plan else ''}Look at the "
        f"rows, for instance with dry_run and without {argument}; if they are right, run the task with a higher one."
    )


#: The arguments that the operators share; of the options, those that are not templates are checked at once.
_ARGUMENTS = set(inspect.signature(DubSyncOperator.__init__).parameters) - {"self", "options", "kwargs"}
_OPTIONS = {field.name for field in fields(SyncOptions)} - _ARGUMENTS


def shared_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of :class:`DubSyncOperator` among those of an operator.

    :param given: The operator's arguments by name: ``locals()`` at the beginning of its ``__init__``. Airflow and IDEs
        read signatures, so each operator spells its arguments out there; this is not done a second time.
    :raises ValueError: An option is impossible; the message names it.
    """
    return {"options": options_of(given), **{name: given[name] for name in _ARGUMENTS}}


def options_of(given: Mapping[str, Any]) -> SyncOptions:
    """Return the options among arguments of an operator, those that are not templated.

    :param given: Arguments by name.
    :raises ValueError: An option is impossible; the message names it.
    """
    return SyncOptions(**{name: value for name, value in given.items() if name in _OPTIONS})


def _parameters_of(documented: type) -> list[str]:
    """Return the lines about parameters in the docstring of a class."""
    lines = inspect.cleandoc(documented.__doc__ or "").splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith(":param")), len(lines))
    last = next((at for at, line in enumerate(lines) if line.startswith(":raises")), len(lines))
    return [line for line in lines[first:last] if not line.startswith(":param options:")]
