"""Many queries about one clip in slightly different forms are an attempt to find where the answer changes.

The rules, for those who have no key:
1. A query is near another where the signatures differ in at most `NEAR` of the bits, at a start at most a
   second apart, plain or mirrored. A signature is the fingerprint at sixteen moments.
2. The same file, byte by byte, is no new query: its answer tells nothing new.
3. So many *different* near-duplicates of one asker, and of all of them together, are answered within the
   window of time. After that the question is refused, and the refusal says until when.
4. What is refused is not remembered. What is older than the window is forgotten.
5. A clip of too few moments with structure is near every other such clip.
6. A signature ends after eight seconds, and whoever asks chooses what those show. So different files whose
   answer leads to one release are counted as well, whatever they look like, by the same numbers.

An answer from memory would be an answer about another file: `intact` for one that was changed. So questions
are refused, never answered from memory.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.fingerprint import BITS, FINEST_STEP, Fingerprint, mirrored_hash
from pipeline.errors import AskedTooOften
from registry.types import Query

NEAR: Final = 0.10  # of the bits: a copy after H.264 crf 35 stays below 0.06, other material above 0.28
MOMENTS: Final = 16
STEP: Final = 0.5  # seconds
SHIFTS: Final = 2  # steps by which two clips may begin apart
FEWEST: Final = 3  # moments in common

Words = NDArray[np.uint64]


class QueryStore(Protocol):
    """Remembers queries; `registry.queries.Queries` does."""

    def note(self, query: Query, *, now: str, since: str, admits: Callable[[Sequence[Query]], bool]) -> bool:
        """Ask `admits` about the queries since then, and remember this one if it agrees."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """Admits queries up to a limit: so many near-duplicates of ``each`` asker, and of ``all``, in ``hours``.

    As many lead to one release. 0: any number.
    """

    store: QueryStore
    each: int
    all: int
    hours: float

    def admit(self, fingerprint: Fingerprint, *, file_sha256: str, asker: str, now: str) -> None:
        """Let a query pass. `now`: RFC 3339. Raises: AskedTooOften when there were too many like it."""
        self._demand(Query(asker=asker, file_sha256=file_sha256, signature=signature(fingerprint)), now)

    def admit_named(self, payload: str, *, file_sha256: str, asker: str, now: str) -> None:
        """Let an answer pass that leads to the release of this payload (6). `file_sha256`: what was asked.

        Raises: AskedTooOften when too many other files led to it.
        """
        asked = hashlib.sha256(f"{payload} {file_sha256}".encode()).hexdigest()
        self._demand(Query(asker=asker, file_sha256=asked, signature=named_signature(payload)), now)

    def _demand(self, query: Query, now: str) -> None:
        if not self.each and not self.all:
            return
        moment = datetime.fromisoformat(now)
        since = (moment - timedelta(hours=self.hours)).isoformat(timespec="seconds").replace("+00:00", "Z")
        if not self.store.note(query, now=now, since=since, admits=lambda known: self._admits(query, known)):
            raise AskedTooOften(
                "this clip was asked about in too many slightly different forms; ask again in "
                f"{self.hours:g} hours, or with an API key"
            )

    def _admits(self, query: Query, known: Sequence[Query]) -> bool:
        if any(one.file_sha256 == query.file_sha256 for one in known):  # 2
            return True
        near = [one for one, is_near in zip(known, alike(query.signature, known), strict=True) if is_near]
        every = {one.file_sha256 for one in near}
        own = {one.file_sha256 for one in near if one.asker == query.asker}
        return not (self.each and len(own) >= self.each) and not (self.all and len(every) >= self.all)


def signature(fingerprint: Fingerprint) -> bytes:
    """Which of the sixteen moments have a hash (16 bits), and the hashes, big-endian."""
    every = STEP / (FINEST_STEP * 2**fingerprint.doublings)
    at = dict(zip(fingerprint.indices, fingerprint.hashes, strict=True))
    found = [at.get(round(moment * every)) if every >= 1 or not moment % round(1 / every) else None
             for moment in range(MOMENTS)]  # fmt: skip
    mask = sum(1 << place for place, bits in enumerate(found) if bits is not None)
    return mask.to_bytes(2, "big") + b"".join((bits or 0).to_bytes(8, "big") for bits in found)


def named_signature(payload: str) -> bytes:
    """A signature that is near no clip's and no other release's."""
    return (2**MOMENTS - 1).to_bytes(2, "big") + hashlib.shake_256(payload.encode()).digest(8 * MOMENTS)


def alike(one: bytes, others: Sequence[Query]) -> list[bool]:
    """Which of the others are near (1 and 5)."""
    if not others:
        return []
    mask, words = _read([one])
    masks, known = _read([other.signature for other in others])
    best = np.full(len(others), 1.0)
    for turned in (words[0], np.array([mirrored_hash(int(bits)) for bits in words[0]], np.uint64)):
        for shift in range(-SHIFTS, SHIFTS + 1):
            mine, theirs = slice(max(0, shift), MOMENTS + min(0, shift)), slice(
                max(0, -shift), MOMENTS - max(0, shift))  # fmt: skip
            both = masks[:, theirs] & mask[0, mine]
            differing = np.bitwise_count(known[:, theirs] ^ turned[mine]) / BITS
            common = both.sum(axis=1)
            mean = (differing * both).sum(axis=1) / np.maximum(common, 1)
            best = np.where(common >= FEWEST, np.minimum(best, mean), best)
    flat = masks.sum(axis=1) < FEWEST
    return [bool(near) for near in (best <= NEAR) | (flat & (mask.sum() < FEWEST))]


def _read(signatures: Sequence[bytes]) -> tuple[NDArray[np.bool_], Words]:
    masks = [
        [bool(int.from_bytes(s[:2], "big") >> place & 1) for place in range(MOMENTS)] for s in signatures
    ]
    words = np.stack([np.frombuffer(s[2:], ">u8") for s in signatures]).astype(np.uint64)
    return np.array(masks), words
