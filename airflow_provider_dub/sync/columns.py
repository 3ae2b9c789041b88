"""Which columns of an input are which fields of a customer, however they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from airflow_provider_dub.customers.fields import FIELDS, Field, field_named, normalized_name
from airflow_provider_dub.sync.shown import listed, one_line

#: How alike two names are that may be one with a slip of the pen, and two that are equally long.
_ALIKE, _ALIKE_AND_EQUALLY_LONG = 0.85, 0.8
#: What people write after the name of a field that means the same: ``email_address``.
_ENDINGS = ("address", "code", "url", "id")
#: How the columns begin that a file of rejected rows has besides those of the rows: ``dub_reason`` and others.
RESULT_PREFIX = "dub_"


@dataclass(frozen=True, kw_only=True)
class MatchedColumns:
    """The columns of an input that a sync uses, as the input writes them.

    :param key: Holds the customers' ids.
    :param fields: Column to field: in the order of ``columns`` where it is given, else in the input's.
    :param latest_by: The column that says which of several rows for one customer is the latest, if one does.
    :param ignored: The columns that are not sent.
    :param warnings: What may not be as the user meant it, each on one line.
    """

    key: str
    fields: Mapping[str, Field]
    latest_by: str | None = None
    ignored: Sequence[Any] = ()
    warnings: Sequence[str] = ()


def match_columns(
    found: Sequence[Any] | None,
    *,
    key_column: str,
    columns: Mapping[str, str] | None = None,
    latest_by: str | None = None,
    has_rows: bool = True,
    source: Literal["input", "query"] = "input",
) -> MatchedColumns:
    """Match the columns of an input with the fields of a customer.

    A name that is written exactly so goes first; else capitals, blanks, ``_`` and ``-`` make no difference. A field
    that is sent only if it is named (``externalId``) is never matched by the name of a column alone.

    :param found: The names of the input's columns, or None if they are only known row by row: then the names of the
        fields are returned, and the rows themselves are asked for them however they are written.
    :param key_column: The column of the customers' ids, as the user names it.
    :param columns: Column to field, as the user names them; None matches every column that is named like a field.
    :param latest_by: The column that says which of several rows for one customer is the latest, as the user names it.
    :param has_rows: Whether the input has rows. One without any may lack columns, and is warned of nothing.
    :param source: What the input is. No two columns of a query may have one name, even if they are not used.
    :raises ValueError: A column is missing, there twice, or means what another one means; or there is no field to
        send although there are rows.
    """
    wanted = None if columns is None else fields_named(columns)
    if found is None:
        unnamed = [one for one in _sent_unnamed() if field_named(key_column) is not one]
        by_name = {one.name: one for one in unnamed} if wanted is None else wanted
        return MatchedColumns(key=key_column, fields=by_name, latest_by=latest_by)
    names = _Names(found, source)
    if source == "query":
        check_unique(found)
    if not has_rows and not names.has(key_column, *(wanted or ()), *([latest_by] if latest_by else [])):
        return MatchedColumns(key=key_column, fields=wanted or {}, latest_by=latest_by, ignored=list(found))
    key = names.find(key_column, _KEY_ADVICE + (_INDEX_ADVICE if source == "input" else ""))
    latest_by = names.find(latest_by, "latest_by names it.") if latest_by else None
    used = {key, *([latest_by] if latest_by is not None else [])}
    fields = _recognised(names, key) if wanted is None else _named(names, wanted)
    ignored = [name for name in found if name not in used and name not in fields and not _is_result(name)]
    if has_rows and not fields:
        raise ValueError(_nothing_to_send(source, found, key, ignored))
    warnings = _warnings(fields, ignored) if has_rows and wanted is None else []
    return MatchedColumns(key=key, fields=fields, latest_by=latest_by, ignored=ignored, warnings=warnings)


def log_unsent(matched: MatchedColumns, log: Any) -> None:
    """Log which columns are not sent, and what may not be as the user meant it.

    :param matched: The columns of an input.
    :param log: The logger.
    """
    if matched.ignored:
        log.info("Columns that are not Dub fields and are not sent: %s", listed(matched.ignored))
    for warning in matched.warnings:
        log.warning("%s", warning)


def check_unique(found: Sequence[Any], *, in_any_case: bool = False) -> None:
    """Check that no two columns of a query have one name.

    :param found: The names of the columns.
    :param in_any_case: Whether names that differ only in case are one.
    :raises ValueError: Two have.
    """
    alike = [str(name).lower() for name in found] if in_any_case else [*found]
    count = Counter(alike)
    if twice := [*dict.fromkeys(name for name, one in zip(found, alike, strict=True) if count[one] > 1)]:
        but = ", and one that differs by more than case" if in_any_case else ""
        raise ValueError(
            f"The query has more than one column {listed(twice)}: give each column a name of its own{but}."
        )


_KEY_ADVICE = "The column of the ids is named by id_column (cus_... or ext_...) or external_id_column (your own ids)."
#: A file without a header has the first customer in place of the names.
_NO_NAMES = "None of its {:,} columns is named like a field, and their names are not shown: is there a header?"
_INDEX_ADVICE = " The index of a DataFrame is not a column: reset_index() makes it one."


class _Names:
    """The names of an input's columns."""

    def __init__(self, found: Sequence[Any], source: str) -> None:
        self._source = source
        self.texts: list[str] = [name for name in found if isinstance(name, str)]
        self._found = found
        #: Whether they are surely names, and not the cells of a first row.
        self._are_names = source == "query" or any(map(field_named, self.texts))

    def has(self, *wanted: str) -> bool:
        """Return whether all these columns are there."""
        return all(self._matching(name) for name in wanted)

    def find(self, wanted: str, advice: str) -> str:
        """Return the one column that a name means."""
        matching = self._matching(wanted)
        if len(matching) == 1:
            self._are_names = True
            return matching[0]
        name = one_line(wanted)
        if not matching:
            suggestion = [text for text in self.texts if _is_slip(normalized_name(wanted), normalized_name(text))][:1]
            hint = f" Is {listed(suggestion, self._found)} meant?" if suggestion else ""
            are_names = suggestion or self._are_names
            has = f"It has {listed(self._found)}." if are_names else _NO_NAMES.format(len(self._found))
            raise ValueError(f'The {self._source} has no column "{name}". {has}{hint} {advice}'.rstrip())
        if len(set(matching)) == 1:
            raise ValueError(
                f'The {self._source} has {len(matching)} columns "{name}": give each column a name of its own.'
            )
        shown = listed(matching, self._found)
        raise ValueError(
            f'The {self._source} has no column "{name}" but {len(matching)} that may be meant, {shown}: '
            "name one of them exactly."
        )

    def _matching(self, wanted: str) -> list[str]:
        exact = [text for text in self.texts if text == wanted]
        return exact or [text for text in self.texts if normalized_name(text) == normalized_name(wanted)]


def fields_named(columns: Mapping[str, str]) -> dict[str, Field]:
    """Return the field that each column means, as the user names them.

    :param columns: Column to field.
    :raises ValueError: It is not a mapping, is empty, or names what is not a field, or one field twice.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise ValueError('columns must be a mapping from column to Dub field, such as {"mail": "email"}.')
    fields = {column: field_named(name) for column, name in columns.items()}
    if unknown := [columns[column] for column, one in fields.items() if one is None]:
        raise ValueError(
            f"columns: {unknown[0]!r} is not a Dub field; those are {', '.join(FIELDS)}. The column of the customers' "
            "ids is named by id_column or external_id_column."
        )
    found = {column: one for column, one in fields.items() if one}
    _one_column_each(found)
    return found


def _named(names: _Names, wanted: Mapping[str, Field]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for column, one in wanted.items():
        name = names.find(column, "columns names it.")
        if name in fields:
            raise ValueError(
                f"columns names the column {listed([name])} twice, for {fields[name].name} and {one.name}: "
                "it can be only one of them."
            )
        fields[name] = one
    return fields


def _recognised(names: _Names, key: str) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for text in names.texts:
        if text == key or (one := field_named(text)) is None or one.only_if_named:
            continue
        if text in fields:
            names.find(text, "")  # which raises
        fields[text] = one
    _one_column_each(fields)
    return fields


def _one_column_each(by_column: Mapping[str, Field]) -> None:
    first: dict[str, str] = {}
    for column, one in by_column.items():
        if one.name in first:
            raise ValueError(
                f"The columns {listed([first[one.name]])} and {listed([column])} both mean the Dub field {one.name}: "
                "name one of them in columns."
            )
        first[one.name] = column


def _sent_unnamed() -> list[Field]:
    return [one for one in FIELDS.values() if not one.only_if_named]


def _is_result(name: object) -> bool:
    return isinstance(name, str) and name.startswith(RESULT_PREFIX)


def _nothing_to_send(source: str, found: Sequence[Any], key: str, ignored: Sequence[Any]) -> str:
    others = [name for name in found if name != key]
    has = f"It has {listed(others)} besides {listed([key], found)}" if others else f"It has only {listed([key], found)}"
    would_do = listed(one.column for one in _sent_unnamed())
    hints = " ".join(_warnings({}, ignored))
    return (
        f"No column of the {source} is a field of a customer, so that nothing would be sent. {has}. "
        f"These names would do: {would_do}. Rename the columns, or say which column is which field with columns, such "
        f'as columns={{"mail": "email"}}. {hints}'.rstrip()
    )


def _warnings(fields: Mapping[str, Field], ignored: Sequence[Any]) -> list[str]:
    return [*_not_sent(fields, ignored), *_near_misses(fields, ignored)]


def _not_sent(fields: Mapping[str, Field], ignored: Sequence[Any]) -> list[str]:
    """Return how a field is sent that is sent only if it is named, for the columns that are named like it."""
    lines = []
    for name in dict.fromkeys(ignored):
        one = field_named(name)
        if one is None or not one.only_if_named or one.name in {sent.name for sent in fields.values()}:
            continue
        mapping = {**{column: sent.name for column, sent in fields.items()}, name: one.name}
        shown = ", ".join(f'{listed([column])}: "{field_name}"' for column, field_name in mapping.items())
        lines.append(
            f"The column {listed([name])} is not sent, as it would change the customers' {one.name}. If it is to be, "
            f"say columns={{{shown}}}; if it holds the ids of the customers, name it in external_id_column."
        )
    return lines


def _near_misses(fields: Mapping[str, Field], ignored: Sequence[Any]) -> list[str]:
    sent = {one.name for one in fields.values()}
    free = {normalized_name(one.name): one for one in FIELDS.values() if one.name not in sent}
    unknown = [name for name in dict.fromkeys(ignored) if isinstance(name, str) and field_named(name) is None]
    meant = {name: _meant(normalized_name(name), free) for name in unknown}
    return [
        f"The column {listed([name], ignored)} is not sent. If it is meant for {one.name}, "
        + ("name it in columns." if one.only_if_named else f'name it "{one.column}", or name it in columns.')
        for name, one in meant.items()
        if one is not None
    ]


def _meant(name: str, free: Mapping[str, Field]) -> Field | None:
    slips = [one for known, one in free.items() if _is_slip(name, known)]
    longer = [one for known, one in free.items() if _is_longer(name, known)]
    return next(iter(slips + longer), None)


def _is_slip(name: str, known: str) -> bool:
    ratio = SequenceMatcher(None, name, known).ratio()
    alike = ratio >= _ALIKE or (len(name) == len(known) and ratio >= _ALIKE_AND_EQUALLY_LONG)
    return alike or (len(known) > 2 and sorted(name) == sorted(known))


def _is_longer(name: str, known: str) -> bool:
    """Return whether a name says more than a field's: ``user_email``, ``country_code``. Too many end with ``name``."""
    return (name.endswith(known) and known != "name") or name.removeprefix(known) in _ENDINGS
