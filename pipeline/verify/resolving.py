"""Which releases a soft binding, a clip or a picture leads to: what others' verifiers look manifests up by.

The rules (C2PA 2.2, section 18.10.5.1: whoever matches by one soft binding checks the manifest's others):

1. A watermark's value leads to the release with exactly this payload, or to none: whoever asks looks it up.
2. A fingerprint's value leads to the releases within 0.15 (`similar.PRINT_DISTANCE`), the nearest first, at
   most 24. Those are candidates: clips of one generator are alike.
3. A clip whose mark leads to a release is that release's alone, if what it shows confirms it: its moments are
   the release's, or its fingerprint is and its moments are not another's. Others whose fingerprint is alike
   carry another mark, and are none of its matches.
4. Otherwise a clip's matches are those of what it shows, at most 8. Where that proves the release that its
   mark leads to, it is the only one. A mark can be moved to other pictures, so unproven that release is none;
   and where it looks like the clip, others that do are none either: they are less likely still. A payload
   that somebody hints at counts if the fingerprint agrees.
5. A picture's matches are the releases of which a moment looks like it. A single picture bears no readable
   mark.
6. Withdrawn releases count like others: their clips are still about, and are to be recognised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np

from pipeline.credentials import fingerprint as prints
from pipeline.errors import LimitExceeded, UsageError
from pipeline.media.limits import media_limits
from pipeline.pictures.reader import load_picture, read_all
from pipeline.pictures.types import GIVEN
from pipeline.verify.content import Content
from pipeline.verify.ladder import FingerprintMatch
from pipeline.verify.local import Admit, Verifier
from pipeline.verify.matching import Compared, compare
from pipeline.verify.observe import Observation, observe
from registry.lookup import Lookup
from registry.types import FoundRelease
from watermark.detector import HiddenMarkDetector
from watermark.payload import as_hex

CHANCE: Final = 0.5
"""Distance of two clips, or pictures, that have nothing to do with each other."""
LONGEST_QUERY: Final = 7200.0  # seconds that a fingerprint spans which somebody else made
LAST_INDEX: Final = 4095  # of its grid; comparing costs as much as there are samples, wherever they lie
STILL_SAMPLES: Final = 4
STILL_DOUBLINGS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A release that something leads to, with the URN of its manifest.

    ``distance``: of the fingerprints, 0 … 1; None where a value of the watermark named it exactly, or no
    fingerprint could be compared. ``proven``: the pictures show this very release.
    """

    release_id: str
    urn: str
    distance: float | None
    proven: bool = False

    @classmethod
    def of(cls, release: FoundRelease, distance: float | None, *, proven: bool = False) -> "Match":
        """A match of this release."""
        return cls(release_id=release.release_id, urn=release.urn, distance=distance, proven=proven)

    @property
    def score(self) -> int | None:
        """Strength of the match from 0, as by chance, to 100; None where there is no distance."""
        return None if self.distance is None else max(0, round(100 * (1 - self.distance / CHANCE)))


class Search(Protocol):
    """Finds releases by what they look like, the nearest first, at most so many."""

    def clip(self, observation: Observation, most: int) -> Sequence[Match]:
        """Those that a clip may show."""
        ...

    def value(self, query: prints.Fingerprint, most: int) -> Sequence[Match]:
        """Those whose fingerprint is like this one."""
        ...

    def picture(self, luma: prints.Luma, most: int) -> Sequence[Match]:
        """Those that a picture, luma ``uint8[h, w]``, may be a moment of."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted: by which bindings, how many at most, and a payload that somebody hints at."""

    most: int
    watermark: bool = True
    fingerprint: bool = True
    hint: int | None = None


def by_clip(verifier: Verifier, search: Search, path: Path, asked: Asked, admit: Admit) -> tuple[Match, ...]:
    """The releases of an untrusted clip (rules 3 and 4). `admit`: as of `Verifier.verify`.

    Raises: MediaUnreadable, MediaUnsupported, LimitExceeded, SandboxFailed, RegistryError, what `admit` does.
    """
    observation = _observed(verifier, path, asked)
    admit(observation.fingerprint)
    lookup = verifier.lookup
    if lookup is None:
        return ()
    named = _named(lookup, observation)
    if named is not None and asked.watermark:
        compared = _compared(observation, named, marked=True)
        if compared is not None and _confirmed(compared):
            return (Match.of(named, _distance(compared)),)
    if not asked.fingerprint:
        return ()
    hinted = _hinted(lookup, observation, asked.hint)
    found = [*hinted, *search.clip(observation, asked.most + 2)]
    return _settled(found, asked.most, named)


def by_picture(search: Search, path: Path, asked: Asked, admit: Admit) -> tuple[Match, ...]:
    """The releases of an untrusted picture (rule 5).

    Raises: LimitExceeded, PictureRefused, SandboxFailed, RegistryError, what `admit` does.
    """
    if path.stat().st_size > GIVEN.bytes:
        raise LimitExceeded(f"the picture is larger than {GIVEN.bytes} bytes; make it smaller")
    [picture] = read_all([load_picture(path, GIVEN)], GIVEN)
    luma = cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    bits = prints.frame_hash(luma)
    admit(as_clip(bits))
    if bits is None or not asked.fingerprint:
        return ()
    return _first(search.picture(luma, asked.most), asked.most)


def as_clip(bits: int | None) -> prints.Fingerprint:
    """A picture's hash as the fingerprint of a still clip, so that near-duplicates are told from others."""
    indices = tuple(range(STILL_SAMPLES)) if bits is not None else ()
    return prints.Fingerprint(
        doublings=STILL_DOUBLINGS, indices=indices, hashes=() if bits is None else (bits,) * STILL_SAMPLES
    )


def query_of(value: bytes) -> prints.Fingerprint:
    """The fingerprint of a soft binding's value that a stranger sent.

    Raises: UsageError for other bytes, and for one that spans more than comparing with it is worth.
    """
    query = prints.Fingerprint.from_bytes(value)
    last = query.indices[-1] if query.indices else 0
    if last > LAST_INDEX or last * query.step > LONGEST_QUERY or len(query.indices) > prints.QUERY.cap:
        raise UsageError(
            f"the fingerprint has more than {prints.QUERY.cap} samples, a grid of more than {LAST_INDEX + 1} "
            f"places, or spans more than {LONGEST_QUERY:g} s; make it of fewer"
        )
    return query


def stored_print(content: bytes) -> prints.Fingerprint:
    """The fingerprint of what a release stores, without its moments. Raises: UsageError."""
    return prints.Fingerprint.from_bytes(content[: prints.Fingerprint.length(content)])


def _observed(verifier: Verifier, path: Path, asked: Asked) -> Observation:
    detector = None
    if verifier.keys and asked.watermark:
        issued = verifier.issued.current() if verifier.issued else None
        detector = HiddenMarkDetector(verifier.keys, verifier.accepts, issued)
    limits = media_limits(verifier.settings)
    return observe(path, detector, limits, strip=False, progress=lambda _done, _all: None)


def _named(lookup: Lookup, observation: Observation) -> FoundRelease | None:
    payload = observation.detection.payload if observation.detection else None
    return None if payload is None else lookup.find(payload=as_hex(payload))


def _compared(observation: Observation, release: FoundRelease, *, marked: bool) -> Compared | None:
    try:
        return compare(observation, bytes(release.fingerprint), marked=marked)
    except UsageError:  # of a later version, or damaged: nothing confirms it
        return None


def _confirmed(compared: Compared) -> bool:
    if compared.match is FingerprintMatch.SAME:
        return True
    told = compared.content.content if compared.content else Content.UNDECIDED
    near = _distance(compared)
    return told is not Content.OTHER and near is not None and near < prints.MATCH_DISTANCE


def _distance(compared: Compared) -> float | None:
    return compared.alignments[0].distance if compared.alignments else None


def _hinted(lookup: Lookup, observation: Observation, payload: int | None) -> Iterator[Match]:
    """The release of a hint, if the fingerprint is its own."""
    release = None if payload is None else lookup.find(payload=as_hex(payload))
    compared = _compared(observation, release, marked=False) if release else None
    if release and compared and compared.match is FingerprintMatch.SAME:
        yield Match.of(release, _distance(compared))


def _settled(found: Sequence[Match], most: int, named: FoundRelease | None) -> tuple[Match, ...]:
    """The matches of a clip whose mark, if it has one, leads to `named` and was not confirmed (rule 4)."""
    own = [match for match in found if named is not None and match.release_id == named.release_id]
    if any(match.proven for match in own):
        return tuple(match for match in own if match.proven)[:1]
    if own and not any(match.proven for match in found):
        return ()
    return _first([match for match in found if match not in own], most)


def _first(found: Sequence[Match], most: int) -> tuple[Match, ...]:
    """The first of them, each release once."""
    once = {match.release_id: match for match in reversed(found)}
    return tuple(once[one] for one in dict.fromkeys(match.release_id for match in found))[:most]
