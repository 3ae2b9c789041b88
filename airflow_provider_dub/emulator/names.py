"""The random names and ids that Dub makes up."""

from __future__ import annotations

import secrets
import string

_ADJECTIVES = ("Able", "Brave", "Calm", "Eager", "Fancy", "Gentle", "Happy", "Jolly")
_COLORS = ("Amber", "Aqua", "Azure", "Beige", "Coral", "Crimson", "Emerald", "Gold")
_ANIMALS = ("Badger", "Bear", "Crane", "Dolphin", "Eagle", "Falcon", "Gecko", "Heron")


def random_name() -> str:
    """Return a made-up name, for a customer who has neither name nor e-mail address."""
    return " ".join(secrets.choice(words) for words in (_ADJECTIVES, _COLORS, _ANIMALS))


def random_id(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Return a made-up identifier.

    :param length: The number of characters.
    :param alphabet: The characters to choose from.
    """
    return "".join(secrets.choice(alphabet) for _ in range(length))
