"""Customers whose ids and names are hard on databases and drivers."""

from __future__ import annotations

#: Values on which engines differ: case, accents, blanks, quotes, percent signs, backslashes, emoji, long ids.
HOSTILE = {
    "user_a": "Ada",
    "user_b": "ada ",
    "o'brien": 'O\'Brien "Bob"',
    "100%": "100% {{ ds }} %s :x ?",
    "back\\slash": "\\N\\0\\'",
    "emoji": "Zoë 🦆 日本",
    "9007199254740993": "a long id",
    "comment": "-- ; DROP TABLE customers",
    "null": None,
}
