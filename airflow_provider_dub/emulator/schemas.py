"""What requests may say: queries and bodies, checked field by field with zod's codes and messages.

A schema is a mapping from name to parser, in the order in which the server checks them. Only the first issue counts.
The schema of a customer is the table of fields, as it is at the time of the request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import Url, ValidationError

from airflow_provider_dub.customers import fields
from airflow_provider_dub.emulator.errors import ApiError
from airflow_provider_dub.emulator.timestamps import read_timestamp

Parser = Callable[[Any], Any]
Schema = Mapping[str, Parser]

MAX_PAGE_SIZE = 100
_MAX_SAFE_INTEGER = 2**53 - 1

_EMAIL = re.compile(r"(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}")
_DECIMAL_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_RADIX_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
# What JavaScript's trim() removes; Python's strip() differs in a few control characters and the BOM.
_JS_WHITESPACE = (
    "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_MISSING = object()
_JSON_TYPE_NAMES = {
    str: "string",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
    type(_MISSING): "undefined",
}


class _IssueError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse(schema: Schema, values: Mapping[str, str]) -> dict[str, Any]:
    """Check a query and return its values; names that the schema does not know are dropped.

    :param schema: A parser for each name.
    :param values: The query.
    """
    return {name: _parsed(parser, values[name], name) for name, parser in schema.items() if name in values}


def parse_update(body: Any, unchecked: Collection[str] = ()) -> dict[str, Any]:
    """Check the body of an update and return the fields that it sets.

    :param body: The decoded JSON.
    :param unchecked: Names of fields that the server does not know.
    """
    _require_object(body)
    return {
        name: _parsed(_parser_of(field), body[name], name)
        for name, field in fields.FIELDS.items()
        if name in body and name not in unchecked
    }


def parse_new(body: Any, unchecked: Collection[str] = ()) -> dict[str, Any]:
    """Check the body of a new customer and return its fields; those that cannot be null are required.

    :param body: The decoded JSON.
    :param unchecked: Names of fields that the server does not know.
    """
    _require_object(body)
    return {
        name: _parsed(_parser_of(field), body.get(name, _MISSING), name)
        for name, field in fields.FIELDS.items()
        if (name in body or not field.nullable) and name not in unchecked
    }


def invalid(code: str, path: str, message: str) -> ApiError:
    """Word one zod issue as an error.

    :param code: Zod's code of the issue.
    :param path: The field.
    :param message: Zod's message.
    """
    return ApiError("unprocessable_entity", f"{code}: {path}: {message}")


def _require_object(body: Any) -> None:
    if not isinstance(body, dict):
        raise invalid("invalid_type", "", _expected("object", body))


def _parsed(parser: Parser, value: Any, name: str) -> Any:
    try:
        return parser(value)
    except _IssueError as issue:
        raise invalid(issue.code, name, issue.message) from None


def _parser_of(field: fields.Field) -> Parser:
    parser = _external_id if field.name == "externalId" else _PARSERS[field.server_type]
    return _or_null(parser) if field.nullable else parser


def _or_null(parser: Parser) -> Parser:
    return lambda value: None if value is None else parser(value)


def _expected(expected: str, value: Any) -> str:
    return f"Invalid input: expected {expected}, received {_JSON_TYPE_NAMES[type(value)]}"


def _string(value: Any, message: str | None = None) -> str:
    if not isinstance(value, str):
        raise _IssueError("invalid_type", message or _expected("string", value))
    return value


def _external_id(value: Any) -> str:
    return _string(value, "External ID is required")


def _email(value: Any) -> str:
    if not _EMAIL.fullmatch(_string(value)):
        raise _IssueError("invalid_format", "Invalid email address")
    return str(value)


def _url(value: Any) -> str:
    trimmed = _string(value).strip(_JS_WHITESPACE)
    try:
        Url(trimmed.encode(errors="replace").decode())
    except ValidationError:
        raise _IssueError("invalid_format", "Invalid URL") from None
    return trimmed


def _timestamp(value: Any) -> str:
    read = read_timestamp(_string(value), datetime.now(UTC))
    if read is None:
        raise _IssueError("custom", "Invalid date")
    return read.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


_PARSERS: Mapping[fields.ServerType, Parser] = {
    "email": _email,
    "text": _string,
    "url": _url,
    "timestamp": _timestamp,
}


def _one_of(*options: str) -> Parser:
    def parse_option(value: str) -> str:
        if value not in options:
            listed = "|".join(f'"{option}"' for option in options)
            raise _IssueError("invalid_value", f"Invalid option: expected one of {listed}")
        return value

    return parse_option


_true_or_false = _one_of("true", "false")


def _boolean(value: str) -> bool:
    return bool(_true_or_false(value.lower()) == "true")


def _javascript_number(text: str) -> float:
    text = text.strip(_JS_WHITESPACE)
    if not text:
        return 0.0
    if _RADIX_NUMBER.fullmatch(text):
        try:
            return float(int(text, 0))
        except OverflowError:
            return math.inf
    return float(text) if _DECIMAL_NUMBER.fullmatch(text) else math.nan


def _positive_integer(label: str, maximum: int | None = None) -> Parser:
    def parse_number(text: str) -> int:
        number = _javascript_number(text)
        if not math.isfinite(number):
            raise _IssueError("invalid_type", f"{label} must be a number.")
        if not number.is_integer():
            raise _IssueError("invalid_type", f"{label} must be an integer.")
        if abs(number) > _MAX_SAFE_INTEGER:
            raise _IssueError("too_big" if number > 0 else "too_small", f"{label} must be an integer.")
        if number <= 0:
            raise _IssueError("too_small", f"{label} must be greater than 0.")
        if maximum is not None and number > maximum:
            raise _IssueError("too_big", f"Max {label.lower()} is {maximum}.")
        return int(number)

    return parse_number


_FILTERS: Schema = {
    "email": _string,
    "externalId": _string,
    "search": _string,
    "country": _string,
    "linkId": _string,
    "programId": _string,
    "partnerId": _string,
}
_ORDER: Schema = {
    "sortBy": _one_of("createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt"),
    "sortOrder": _one_of("asc", "desc"),
    "endingBefore": _string,
    "startingAfter": _string,
}

COUNT_QUERY: Schema = {**_FILTERS, "groupBy": _one_of("country", "linkId", "partnerId")}

# One customer's routes check all of these too, though they only use includeExpandedFields.
CUSTOMER_QUERY: Schema = {
    **_FILTERS,
    "includeExpandedFields": _boolean,
    **_ORDER,
    "page": _positive_integer("Page"),
    "pageSize": _positive_integer("Page size", MAX_PAGE_SIZE),
}

LIST_QUERY: Schema = {**CUSTOMER_QUERY, "customerIds": lambda value: value.split(",")}


def export_query(columns: Collection[str]) -> Schema:
    """Return what an export may be asked for.

    :param columns: The columns that there are.
    """

    def parse_columns(value: str) -> list[str]:
        wanted = [name for each in value.split(",") if (name := each.strip(_JS_WHITESPACE))]
        if not set(wanted).issubset(columns):
            message = "Invalid column IDs provided. Please check the available columns."
            raise _IssueError("custom", message)
        return wanted

    return {**_FILTERS, **_ORDER, "columns": parse_columns}
