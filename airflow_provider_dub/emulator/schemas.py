"""
What requests may say: the query and the body of a PATCH, checked field by field with zod's codes and messages.

A schema is a mapping from field to parser, in the order in which the server checks them. Only the first issue counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import Url, ValidationError

from airflow_provider_dub.emulator.errors import ApiError

Parser = Callable[[Any], Any]
Schema = Mapping[str, Parser]

MAX_PAGE_SIZE = 100
_MAX_SAFE_INTEGER = 2**53 - 1

_EMAIL = re.compile(r"(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})")
_DECIMAL_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_RADIX_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
# What JavaScript's trim() removes; Python's strip() differs in a few control characters and the BOM.
_JS_WHITESPACE = (
    "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_JSON_TYPE_NAMES = {
    str: "string",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


class _IssueError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse(schema: Schema, values: Any) -> dict[str, Any]:
    """
    Check values against a schema; fields that the schema does not know are dropped.

    :param schema: a parser per field.
    :param values: a decoded JSON body, or a query.
    """
    if not isinstance(values, dict):
        raise invalid("invalid_type", "", _expected("object", values))
    parsed = {}
    for field, parser in schema.items():
        if field in values:
            try:
                parsed[field] = parser(values[field])
            except _IssueError as issue:
                raise invalid(issue.code, field, issue.message) from None
    return parsed


def invalid(code: str, path: str, message: str) -> ApiError:
    """
    Word one zod issue as an error.

    :param code: zod's issue code.
    :param path: the field.
    :param message: zod's message.
    """
    return ApiError("unprocessable_entity", f"{code}: {path}: {message}")


def parse_json(body: bytes) -> Any:
    """
    Decode a request body as JavaScript does: lenient about encoding, strict about JSON.

    :param body: the bytes as received, whatever their content type.
    """
    try:
        # Numbers are only ever named in an error, and Python limits the length of an int.
        text = body.decode("utf-8-sig", errors="replace")
        return json.loads(text, parse_int=float, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise ApiError(
            "bad_request",
            "Invalid JSON format in request body. Please ensure the request body is a valid JSON object.",
        ) from None


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is Python, not JSON")


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
    try:
        if not _DATETIME.fullmatch(_string(value)):
            raise ValueError
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _IssueError("invalid_format", "Invalid ISO datetime") from None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _or_null(parser: Parser) -> Parser:
    return lambda value: None if value is None else parser(value)


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
        return float(int(text, 0))
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


UPDATE_BODY: Schema = {
    "email": _or_null(_email),
    "name": _or_null(_string),
    "avatar": _or_null(_url),
    "externalId": _external_id,
    "stripeCustomerId": _or_null(_string),
    "country": _string,
    "subscriptionCanceledAt": _or_null(_timestamp),
}

COUNT_QUERY: Schema = {
    "email": _string,
    "externalId": _string,
    "search": _string,
    "country": _string,
    "linkId": _string,
    "programId": _string,
    "partnerId": _string,
}

# One customer's routes check all of these too, though they only use includeExpandedFields.
CUSTOMER_QUERY: Schema = {
    **COUNT_QUERY,
    "includeExpandedFields": _boolean,
    "sortBy": _one_of("createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt"),
    "sortOrder": _one_of("asc", "desc"),
    "endingBefore": _string,
    "startingAfter": _string,
    "page": _positive_integer("Page"),
    "pageSize": _positive_integer("Page size", MAX_PAGE_SIZE),
}

LIST_QUERY: Schema = {**CUSTOMER_QUERY, "customerIds": lambda value: value.split(",")}
