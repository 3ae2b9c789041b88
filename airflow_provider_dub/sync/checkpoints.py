"""What became of rows, kept for the next try of the same task, so that it sends only what is left.

A row is known again by what it would send and to whom, not by its place: rows that changed are sent again, rows in
another order are not. Each is kept under two keyed digests, one of the customer and one of the whole update.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, cast

from airflow_provider_dub.sync.report import Outcome, RowResult

if TYPE_CHECKING:
    from airflow_provider_dub.sync.updates import CustomerUpdate

#: What another try need not ask Dub again.
_SETTLED = frozenset({Outcome.UPDATED, Outcome.MISSING})
#: Batches that are held open: rows come about in the order of the earlier try.
_OPENED = 16
#: Bytes. No two updates of a run share a digest by chance.
_DIGEST_SIZE = 16


class Storage(Protocol):
    """Keeps batches for the next try."""

    #: The most bytes that it takes at once, if there is such a limit.
    max_bytes: int | None

    def load(self) -> Iterable[bytes]:
        """Return the batches of earlier tries, oldest first."""

    def save(self, batch: bytes) -> None:
        """Keep one more batch."""

    def clear(self) -> None:
        """Forget all batches, or raise."""


class Mark(NamedTuple):
    """How a row is known again.

    :param customer: Digest of whom it names.
    :param update: Digest of whom it names and what it sends.
    """

    customer: str
    update: str


#: Rows by their digests of the customer: the digest of the update and the parts of its result.
Batch: TypeAlias = dict[str, tuple[str, dict[str, Any]]]


class Checkpoints:
    """Knows what earlier tries settled, and keeps what this one settles, a batch at a time.

    :param storage: Where batches are kept.
    :param key: Of the digests, at most 64 bytes; made of whatever decides what a row does beside the row itself.
        What was kept under another key is forgotten.
    :param batch_size: Rows of a batch.
    :param keep_records: Keep the updated customers too, so that the next try can return them.
    """

    def __init__(self, storage: Storage, *, key: bytes, batch_size: int, keep_records: bool) -> None:
        self.batch_size: Final = batch_size
        self._storage = storage
        self._key = key
        self._keep_records = keep_records
        self._opened = lru_cache(_OPENED)(self._open)
        self._earlier: list[bytes] = []
        self._batch_of: dict[str, int] = {}
        self._marks: dict[int, Mark] = {}
        self._unsaved: Batch = {}
        self._taken = 0
        self._load()
        self._earlier_is_stored = bool(self._earlier)

    @property
    def settled_rows(self) -> int:
        """Return how many rows earlier tries settled."""
        return len(self._batch_of)

    def settled(self, update: CustomerUpdate) -> RowResult | None:
        """Return what an earlier try made of the row, or None if it must be sent; ask once, before it is sent.

        :param update: The row.
        """
        mark = self._marks[update.row] = self._mark_of(update)
        if mark.customer not in self._batch_of:
            return None
        digest, parts = self._opened(self._earlier[self._batch_of[mark.customer]])[mark.customer]
        if digest == mark.update:
            return _result(update, parts)
        if self._earlier_is_stored:
            # The customer is about to differ from what is stored, and another try must not believe that.
            self._storage.clear()
            self._earlier_is_stored = False
        return None

    def take(self, result: RowResult) -> None:
        """Keep what became of a row; results come in the order of the rows."""
        mark = self._marks.pop(result.row, None)
        is_stored = result.resumed and self._earlier_is_stored
        if mark and result.outcome in _SETTLED and not is_stored:
            self._unsaved[mark.customer] = (mark.update, self._parts(result))
        self._taken += 1
        if self._taken % self.batch_size == 0:
            self.save()

    def save(self) -> None:
        """Keep what was taken so far."""
        batch, self._unsaved = self._unsaved, {}
        for packed in self._packed(batch):
            self._storage.save(packed)

    def clear(self) -> None:
        """Forget everything."""
        self._storage.clear()

    def _load(self) -> None:
        try:
            for at, batch in enumerate(self._storage.load()):
                self._batch_of.update(dict.fromkeys(self._opened(batch), at))
                self._earlier.append(batch)
        except (zlib.error, ValueError):
            # What it says must not come back in a later try, when this one has sent other things.
            self._storage.clear()
            self._earlier, self._batch_of = [], {}

    def _open(self, packed: bytes) -> Batch:
        key, batch = json.loads(zlib.decompress(packed))
        if key != self._digest("key"):
            raise ValueError("kept under another key")
        return cast("Batch", batch)

    def _packed(self, batch: Batch) -> Iterator[bytes]:
        """Yield the batch, in parts if it is too large; a row that is too large by itself will be sent again."""
        if not batch:
            return
        packed = zlib.compress(json.dumps([self._digest("key"), batch]).encode())
        most = self._storage.max_bytes
        if most is None or len(packed) <= most:
            yield packed
        elif len(batch) > 1:
            rows = list(batch.items())
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                yield from self._packed(dict(half))

    def _mark_of(self, update: CustomerUpdate) -> Mark:
        whole = json.dumps([update.customer_id, update.fields])
        return Mark(self._digest(update.customer_id), self._digest(whole))

    def _digest(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST_SIZE, key=self._key).hexdigest()

    def _parts(self, result: RowResult) -> dict[str, Any]:
        return {
            "outcome": result.outcome,
            "record": result.record if self._keep_records else None,
            "ignored_fields": result.ignored_fields,
            "code": result.code,
            "reason": result.reason,
        }


def _result(update: CustomerUpdate, parts: dict[str, Any]) -> RowResult:
    changed = {"outcome": Outcome(parts["outcome"]), "ignored_fields": tuple(parts["ignored_fields"])}
    return RowResult(update.row, update.key, fields=tuple(update.fields), resumed=True, **{**parts, **changed})
