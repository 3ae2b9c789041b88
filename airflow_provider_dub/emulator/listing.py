"""Lists of customers: filters, full-text search, sorting and the two kinds of pagination."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.emulator.collation import collation_key
from airflow_provider_dub.emulator.errors import ApiError
from airflow_provider_dub.emulator.schemas import MAX_PAGE_SIZE

if TYPE_CHECKING:
    from airflow_provider_dub.emulator.access import Workspace
    from airflow_provider_dub.emulator.store import CustomerStore, Row

_MAX_PAGE = 1000

# Words that are not in InnoDB's full-text index: short ones and its stop words.
_UNINDEXED = re.compile(r".{1,2}|about|are|com|for|from|how|that|the|this|was|what|when|where|who|will|with|und|www")
_PHRASE_OR_WORDS = re.compile(r'"(?P<phrase>[^"\n]*)"|[^"]+')
_SEARCH_OPERATORS = re.compile(r"[*+\-()~@%<>!=?:]")


def matching(store: CustomerStore, workspace: Workspace, query: Mapping[str, Any]) -> list[Row]:
    """Return all customers of a workspace that pass the filters, in no order.

    :param store: All customers.
    :param workspace: The workspace that they must be of.
    :param query: The checked query; an empty filter is no filter.
    """
    wanted = _wanted_columns(workspace, query)
    customers: Iterable[Row]
    if "externalId" in wanted:
        found = store.with_external_id(workspace.id, wanted.pop("externalId"))
        customers = [found] if found else []
    else:
        customers = store.of_workspace(workspace.id)
    for column, value in wanted.items():
        customers = filter(_column_equals(column, value), customers)
    if "customerIds" in query:
        ids = {collation_key(customer_id) for customer_id in query["customerIds"]}
        customers = (customer for customer in customers if collation_key(customer["id"]) in ids)
    if _is_full_text_search(query):
        is_found = _full_text_search(query["search"])
        customers = (customer for customer in customers if is_found(customer))
    return list(customers)


def counts_by(customers: Iterable[Row], column: str) -> list[dict[str, Any]]:
    """Return how many customers have each value of a column, the most frequent value first and null last.

    :param customers: The customers to count.
    :param column: The column; what the database takes for equal is one value.
    """
    groups: dict[str | None, list[Row]] = {}
    for customer in sorted(customers, key=_by_id):
        value = customer[column]
        groups.setdefault(None if value is None else collation_key(value), []).append(customer)
    frequent_first = sorted(groups, key=lambda key: (key is None, -len(groups[key]), key))
    return [{"_count": len(groups[key]), column: groups[key][0][column]} for key in frequent_first]


def page_of(store: CustomerStore, workspace: Workspace, query: Mapping[str, Any]) -> list[Row]:
    """Return one page of the matching customers, in order.

    :param store: All customers.
    :param workspace: The workspace that they must be of.
    :param query: The checked query.
    """
    customers = matching(store, workspace, query)
    _check_pagination(query)
    size = query.get("pageSize", MAX_PAGE_SIZE)
    descending = query.get("sortOrder", "desc") == "desc"
    if query.get("startingAfter"):
        return _after(_cursor(store, workspace, query["startingAfter"]), customers, descending)[:size]
    if query.get("endingBefore"):
        return _after(_cursor(store, workspace, query["endingBefore"]), customers, not descending)[:size][::-1]
    start = (query.get("page", 1) - 1) * size
    sort_key = _sort_key(query.get("sortBy", "createdAt"))
    return sorted(customers, key=sort_key, reverse=descending)[start : start + size]


def _check_pagination(query: Mapping[str, Any]) -> None:
    after, before = query.get("startingAfter"), query.get("endingBefore")
    page = query.get("page")
    problem = None
    if after and before:
        problem = "You cannot use both startingAfter and endingBefore at the same time."
    elif (after or before) and query.get("sortBy", "createdAt") != "createdAt":
        problem = (
            "Cursor-based pagination only supports sorting by `createdAt`."
            " Use offset-based pagination (page/pageSize) for other sort fields."
        )
    elif (after or before) and page:
        problem = (
            "You cannot use both page and startingAfter/endingBefore at the same time."
            " Please use one pagination method."
        )
    elif page and page > _MAX_PAGE:
        problem = f"Page is too big (cannot be more than {_MAX_PAGE}), recommend using cursor-based pagination instead."
    if problem:
        raise ApiError("unprocessable_entity", problem)


def _cursor(store: CustomerStore, workspace: Workspace, customer_id: str) -> str:
    customer = store.with_id(customer_id)
    if customer is None or customer["projectId"] != workspace.id:
        raise ApiError("unprocessable_entity", "Invalid cursor: the provided ID does not exist.")
    return _by_id(customer)


def _after(cursor: str, customers: list[Row], descending: bool) -> list[Row]:
    ahead = [c for c in customers if (_by_id(c) <= cursor if descending else _by_id(c) >= cursor)]
    # The database client skips one row, which it takes to be the cursor's own, even where a filter left that out.
    return sorted(ahead, key=_by_id, reverse=descending)[1:]


def _by_id(customer: Row) -> str:
    return collation_key(customer["id"])


def _sort_key(column: str) -> Callable[[Row], tuple[bool, Any, str]]:
    """Nulls come first in ascending order; ties follow the id, as in the column's index."""
    return lambda customer: (customer[column] is not None, customer[column] or 0, _by_id(customer))


def _wanted_columns(workspace: Workspace, query: Mapping[str, Any]) -> dict[str, str]:
    wanted = {column: query[column] for column in ("country", "linkId", "partnerId") if query.get(column)}
    if query.get("programId") or query.get("partnerId"):
        if not workspace.default_program:
            raise ApiError("not_found", "Program not found")
        # Whichever program was asked for.
        wanted["programId"] = workspace.default_program
    if query.get("email"):
        wanted["email"] = query["email"]
    elif query.get("externalId"):
        wanted["externalId"] = query["externalId"]
    elif "@" in query.get("search", ""):
        wanted["email"] = query["search"]
    return wanted


def _column_equals(column: str, value: str) -> Callable[[Row], bool]:
    wanted = collation_key(value)
    return lambda customer: customer[column] is not None and collation_key(customer[column]) == wanted


def _is_full_text_search(query: Mapping[str, Any]) -> bool:
    search = query.get("search", "")
    return bool(search) and "@" not in search and not query.get("email") and not query.get("externalId")


def _full_text_search(search: str) -> Callable[[Row], bool]:
    """Return whether a customer is found: by any word of the search, or by any phrase in quotes."""
    words: set[str] = set()
    phrases = []
    for match in _PHRASE_OR_WORDS.finditer(_SEARCH_OPERATORS.sub("", search)):
        if match["phrase"] is None:
            words.update(filter(_is_indexed, _words(match[0])))
        # A phrase is looked up by its first word in the index, and then compared with the text.
        elif phrase := list(itertools.dropwhile(lambda word: not _is_indexed(word), _words(match["phrase"]))):
            phrases.append(phrase)

    def is_found(customer: Row) -> bool:
        texts = [_words(customer[column] or "") for column in ("email", "name")]
        return any(not words.isdisjoint(text) or any(_has_phrase(text, phrase) for phrase in phrases) for text in texts)

    return is_found


def _has_phrase(text: list[str], phrase: list[str]) -> bool:
    return any(text[start : start + len(phrase)] == phrase for start in range(len(text)))


def _words(text: str) -> list[str]:
    return [collation_key(word) for word in re.findall(r"\w+", text.lower())]


def _is_indexed(word: str) -> bool:
    return not _UNINDEXED.fullmatch(word)
