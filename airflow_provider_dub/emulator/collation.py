"""
Which strings the database takes for equal: MySQL's ``utf8mb4_unicode_ci``.

Case, accents and trailing blanks do not count, format characters are invisible, compatibility forms equal their plain
form, and all characters beyond the Basic Multilingual Plane are one and the same.
"""

from __future__ import annotations

import functools
import unicodedata

_LAST_OF_BASIC_PLANE = "\uffff"
_ONE_WEIGHT_FOR_ALL_BEYOND = "\U00010000"
_VISIBLE_CONTROLS = "\t\n\v\f\r\x85"
_VIRAMA = 9

_LIGATURES = {"æ": "ae", "œ": "oe"}
_SMALL_KANA = dict(zip("ぁぃぅぇぉっゃゅょゎゕゖ", "あいうえおつやゆよわかけ", strict=True))
_HIRAGANA_OF_KATAKANA = {chr(code): chr(code - 0x60) for code in range(0x30A1, 0x30F7)}
_SAME_LETTER = str.maketrans(
    _LIGATURES | _SMALL_KANA | {kata: _SMALL_KANA.get(hira, hira) for kata, hira in _HIRAGANA_OF_KATAKANA.items()}
)


def collation_key(text: str) -> str:
    """
    Give a string that is equal for two texts exactly when the database takes them for equal.

    :param text: an identifier or a column value.
    """
    if text.isascii() and text.isprintable():
        return text.lower().rstrip(" ")
    return "".join(map(_weight, text)).rstrip(" ")


@functools.lru_cache(maxsize=65536)
def _weight(char: str) -> str:
    if char > _LAST_OF_BASIC_PLANE:
        return _ONE_WEIGHT_FOR_ALL_BEYOND
    if unicodedata.category(char) in ("Cc", "Cf") and char not in _VISIBLE_CONTROLS:
        return ""
    decomposed = unicodedata.normalize("NFKD", char)
    if decomposed.startswith(" ") and len(decomposed) > 1:
        return char  # a spacing accent such as ¨ is a symbol of its own
    letters = "".join(c for c in decomposed if unicodedata.combining(c) in (0, _VIRAMA))
    return letters.casefold().translate(_SAME_LETTER)
