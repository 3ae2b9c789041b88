"""Names that a caller gives, checked before anything is sent: Dub ignores those that it does not know."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def check_names(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise an error that names each unknown name, and what may be meant.

    :param what: What the names are of, such as "filter".
    :param given: The names to check.
    :param known: All names that there are.
    :raises ValueError: A name is unknown.
    """
    for name in given:
        if name not in known:
            close = get_close_matches(str(name), known, n=2, cutoff=0.5)
            hint = f"Did you mean {' or '.join(close)}? " if close else ""
            raise ValueError(f'There is no {what} "{name}". {hint}The {what}s are: {", ".join(known)}.')
