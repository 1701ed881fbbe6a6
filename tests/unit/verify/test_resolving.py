"""What a soft binding, a clip or a picture leads to: the rules of `pipeline.verify.resolving`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.credentials import fingerprint as prints
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.errors import LimitExceeded, PictureRefused, UsageError
from pipeline.pictures.types import GIVEN
from pipeline.verify import resolving
from pipeline.verify.content import Content, ContentMatch
from pipeline.verify.ladder import FingerprintMatch
from pipeline.verify.matching import Compared
from pipeline.verify.near_duplicates import alike, signature
from pipeline.verify.resolving import Asked, Match
from registry.types import Query

EVERYTHING = Asked(most=10)
STILL_DISTANCE = 0.15  # of a picture's 64 signs


@dataclass(frozen=True)
class Row:
    """As much of a release as a search reads."""

    release_id: str
    fingerprint: bytes

    @property
    def urn(self) -> str:
        return f"urn:c2pa:{self.release_id}"


class Scan:
    """A `Search` that compares with every release, one after the other."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows

    def clip(self, observation: Any, most: int) -> Sequence[Match]:
        return self.value(observation.fingerprint, most)

    def value(self, query: prints.Fingerprint, most: int) -> Sequence[Match]:
        """Those within `MATCH_DISTANCE` of a fingerprint."""
        return self._nearest(lambda stored: prints.distance(query, stored), prints.MATCH_DISTANCE, most)

    def picture(self, luma: prints.Luma, most: int) -> Sequence[Match]:
        """Those with a moment within `STILL_DISTANCE` of a picture, plain or mirrored."""
        bits = prints.frame_hash(luma)
        turned = () if bits is None else (bits, prints.mirrored_hash(bits))

        def nearest(stored: prints.Fingerprint) -> float | None:
            differing = [(one ^ other).bit_count() for one in turned for other in stored.hashes]
            return min(differing) / prints.BITS if differing else None

        return self._nearest(nearest, STILL_DISTANCE, most)

    def _nearest(
        self, distance: Callable[[prints.Fingerprint], float | None], within: float, most: int
    ) -> list[Match]:
        found = []
        for release in self.rows:
            try:
                stored = resolving.stored_print(bytes(release.fingerprint))
            except UsageError:  # of a later version
                continue
            near = distance(stored)
            if near is not None and near < within:
                found.append(Match(release_id=release.release_id, urn=release.urn, distance=near))
        return sorted(found, key=lambda match: match.distance or 0.0)[:most]


def made(*hashes: int) -> Fingerprint:
    return Fingerprint(doublings=1, indices=tuple(range(len(hashes))), hashes=hashes)


def drawn(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 255, (6, 8), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)


def compared(match: FingerprintMatch, content: Content | None, distance: float | None) -> Compared:
    alignment = (
        None if distance is None else prints.Alignment(distance=distance, offset=0, step=1, mirrored=False)
    )
    return Compared(
        match=match, alignments=(alignment,) if alignment else (),
        content=ContentMatch(content=content) if content else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "distance", "confirmed"),
    [
        (Content.OTHER, 0.05, False),  # other pictures of the same composition
        (Content.UNDECIDED, 0.05, True), (None, 0.05, True),
        (Content.UNDECIDED, prints.MATCH_DISTANCE, False), (None, 0.4, False),
        (Content.UNDECIDED, None, False), (None, None, False),
    ],
)  # fmt: skip
def test_what_confirms_a_mark(content: Content | None, distance: float | None, confirmed: bool) -> None:
    assert resolving._confirmed(compared(FingerprintMatch.UNDECIDED, content, distance)) is confirmed
    assert resolving._confirmed(compared(FingerprintMatch.SAME, Content.SAME, 0.4))  # what is shown counts


def test_releases_by_a_fingerprint_the_nearest_first() -> None:
    query = made(*([0xFF00FF00FF00FF00] * 6))
    near, nearer = made(*([0xFF00FF00FF00FF0F] * 6)), made(*([0xFF00FF00FF00FF01] * 6))
    far = made(*([0x123456789ABCDEF0] * 6))
    rows = [Row(name, one.to_bytes()) for name, one in (("near", near), ("far", far), ("nearer", nearer))]
    rows.append(Row("of a later version", b"\x09\0\0\0"))
    search = Scan(*rows)
    assert [match.release_id for match in search.value(query, 10)] == ["nearer", "near"]
    assert [match.urn for match in search.value(query, 1)] == ["urn:c2pa:nearer"]
    assert [match.score for match in search.value(query, 10)] == [97, 88]


def test_releases_by_a_picture(tmp_path: Path) -> None:
    shown = [drawn(seed) for seed in range(6)]
    rows = []
    for name, picture in zip("abcdef", shown, strict=True):
        bits = prints.frame_hash(picture)
        assert bits is not None
        rows.append(Row(name, made(bits).to_bytes()))
    search, path = Scan(*rows), tmp_path / "asked.png"
    seen: list[Fingerprint] = []
    for told in (shown[2], shown[2][:, ::-1]):
        cv2.imwrite(str(path), told)
        found = resolving.by_picture(search, path, EVERYTHING, seen.append)
        assert [match.release_id for match in found] == ["c"]
        assert resolving.by_picture(search, path, Asked(most=10, fingerprint=False), seen.append) == ()
    cv2.imwrite(str(path), drawn(77))
    assert resolving.by_picture(search, path, EVERYTHING, seen.append) == ()
    cv2.imwrite(str(path), np.full((90, 120), 128, np.uint8))
    assert resolving.by_picture(search, path, EVERYTHING, seen.append) == ()
    signatures = [signature(one) for one in seen]
    others = [Query("somebody", "0" * 64, one) for one in signatures]
    assert alike(signatures[0], others) == [True, True, True, True, False, False]


def test_pictures_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "asked.png"
    path.write_bytes(b"nothing")
    with pytest.raises(PictureRefused):
        resolving.by_picture(Scan(), path, EVERYTHING, lambda _print: None)
    with path.open("wb") as file:
        file.truncate(GIVEN.bytes + 1)
    with pytest.raises(LimitExceeded):
        resolving.by_picture(Scan(), path, EVERYTHING, lambda _print: None)


@given(st.binary(max_size=60), st.integers(0, 30), st.lists(st.integers(0, 65535), max_size=5))
def test_what_strangers_send_is_cheap_to_compare_or_refused(
    content: bytes, doublings: int, indices: list[int]
) -> None:
    known = tuple(sorted(set(indices)))
    told = Fingerprint(doublings=doublings, indices=known, hashes=(7,) * len(known)).to_bytes()
    for value in (content, told):
        try:
            query = resolving.query_of(value)
        except UsageError:
            continue
        last = query.indices[-1] if query.indices else 0
        assert last <= resolving.LAST_INDEX
        assert last * query.step <= resolving.LONGEST_QUERY
        Scan(Row("one", made(1, 2, 3, 4).to_bytes())).value(query, 1)


def test_each_release_once_without_the_one_that_was_not_confirmed() -> None:
    found = [Match(release_id=name, urn=f"urn:{name}", distance=0.1) for name in "abacd"]
    named: Any = Row("c", b"")
    assert [match.release_id for match in resolving._first(found, 10, without=named)] == ["a", "b", "d"]
    assert [match.release_id for match in resolving._first(found, 2)] == ["a", "b"]


def test_scores() -> None:
    told = [Match(release_id="", urn="", distance=one).score for one in (None, 0.0, 0.125, 0.5, 0.9)]
    assert told == [None, 100, 75, 0, 0]
