"""Customers whose ids and names are hard on databases and drivers."""

from __future__ import annotations

#: Values on which engines differ: case, blanks, quotes, percent signs, backslashes, emoji, long ids, line breaks.
HOSTILE = {
    "user_a": "Ada",
    "user_b": "ada ",
    "o'brien": 'O\'Brien "Bob"',
    "100%": "100% {{ ds }} %s :x ? %(y)s @z",
    "back\\slash": "\\N\\0\\' \\u0041",
    "emoji": "Zoë 🦆 日本",
    "9007199254740993": "two\nlines\tand a tab",
    "comment": "-- ; DROP TABLE customers /* */ # $$",
    "null": None,
}
#: The same customers as Dub has them before a run: ``cus_90`` and so on, in this order.
HOSTILE_IN_DUB = [
    {"id": f"cus_9{n}", "externalId": key, "name": "before", "email": None} for n, key in enumerate(HOSTILE)
]
