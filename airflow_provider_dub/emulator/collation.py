"""Which texts the database takes for equal: MySQL's ``utf8mb4_unicode_ci``.

That collation gives each character the primary weights of Unicode's collation algorithm in version 4.0.0, without
contractions, and one weight to everything beyond the Basic Multilingual Plane. ``collation.json`` holds the characters
that share their weights with others, by the text that stands for them: ``"ss"`` for ``ß``, nothing for a combining
accent. It was made from the weights that a server gives for each of the 63,488 characters of that plane
(MariaDB 10.11, ``HEX(WEIGHT_STRING(c COLLATE utf8mb4_unicode_ci))``), and agrees with what was measured on Dub.

No library fits. PyUCA ships Unicode 5.2 and later, where at least 2,898 of these characters compare differently; ICU
has the newest tables only. Both take ``Æ`` for ``AE`` and ``ø`` for ``o``, which Dub does not.
"""

from __future__ import annotations

import functools
import json
from importlib import resources

_LAST_OF_BASIC_PLANE = "\uffff"
_ONE_FOR_ALL_BEYOND = "\U00010000"


def collation_key(text: str) -> str:
    """Return a text that is equal for two values exactly when the database takes them for equal.

    :param text: An id or the value of a column.
    """
    if text.isascii() and text.isprintable():
        return text.lower().rstrip(" ")
    # The shorter text is padded with blanks.
    return "".join(map(_stand_in, text)).rstrip(" ")


@functools.cache
def _stand_ins() -> dict[str, str]:
    """Return what stands for each character that does not stand for itself."""
    table = json.loads(resources.files(__package__).joinpath("collation.json").read_text(encoding="utf-8"))
    return {character: key for key, characters in table.items() for character in characters}


def _stand_in(character: str) -> str:
    if character > _LAST_OF_BASIC_PLANE:
        return _ONE_FOR_ALL_BEYOND
    return _stand_ins().get(character, character)
