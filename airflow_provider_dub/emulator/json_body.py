"""JSON as JavaScript reads it: lenient about the encoding, strict about the syntax, and of any depth."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from airflow_provider_dub.emulator.errors import ApiError

_BYTE_ORDER_MARK = "\ufeff"
_BLANKS = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_WORDS = {"true": True, "false": False, "null": None}


def parse_json(body: bytes) -> Any:
    """Return the value of a request's body; all numbers are floats.

    :param body: The bytes as they were received, whatever their content type.
    """
    text = body.decode(errors="replace")
    # One is removed with the encoding, one more by the framework.
    text = text.removeprefix(_BYTE_ORDER_MARK).removeprefix(_BYTE_ORDER_MARK)
    try:
        # Numbers are only ever named in an error, and Python limits the length of an int.
        return json.loads(text, parse_int=float, parse_constant=_reject_constant)
    except RecursionError:
        return _parse_deep(text)
    except ValueError:
        raise _not_json() from None


def _parse_deep(text: str) -> Any:
    """Return what ``json.loads`` would, however deep: it keeps the open containers itself."""
    try:
        value, end = _DeepReader(text).read()
    except (ValueError, IndexError):
        raise _not_json() from None
    if end != len(text):
        raise _not_json()
    return value


class _DeepReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> tuple[Any, int]:
        """Return the first value and where it ends, blanks included."""
        open_containers: list[tuple[Any, str]] = []
        key = ""
        while True:
            opening = self._next()
            if opening in "{[":
                container: Any = {} if opening == "{" else []
                self._at += 1
                if self._next() not in "}]":
                    open_containers.append((container, key))
                    key = self._key() if opening == "{" else ""
                    continue
                self._close(container)
                value = container
            else:
                value = self._scalar(opening)
            while open_containers:
                container, key_of_container = open_containers[-1]
                if isinstance(container, dict):
                    container[key] = value
                else:
                    container.append(value)
                if self._next() == ",":
                    self._at += 1
                    key = self._key() if isinstance(container, dict) else ""
                    break
                self._close(container)
                open_containers.pop()
                value, key = container, key_of_container
            else:
                return value, self._skip_blanks()

    def _skip_blanks(self) -> int:
        self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
        return self._at

    def _next(self) -> str:
        return self._text[self._skip_blanks()]

    def _take(self, expected: str) -> None:
        if self._next() != expected:
            raise ValueError
        self._at += 1

    def _close(self, container: Any) -> None:
        self._take("}" if isinstance(container, dict) else "]")

    def _key(self) -> str:
        self._take('"')
        key: str
        key, self._at = scanstring(self._text, self._at, True)
        self._take(":")
        return key

    def _scalar(self, opening: str) -> Any:
        if opening == '"':
            value, self._at = scanstring(self._text, self._at + 1, True)
            return value
        found = _SCALAR.match(self._text, self._at)
        if found is None:
            raise ValueError
        self._at = found.end()
        return _WORDS[found[0]] if found[0] in _WORDS else float(found[0])


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is Python, not JSON")


def _not_json() -> ApiError:
    return ApiError(
        "bad_request",
        "Invalid JSON format in request body. Please ensure the request body is a valid JSON object.",
    )
