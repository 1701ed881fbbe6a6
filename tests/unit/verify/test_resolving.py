"""What a soft binding, a clip or a picture leads to: the rules of `pipeline.verify.resolving`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from pipeline.verify.resolving import Asked, Match
from pipeline.verify.resolving_index import Index
from pipeline.verify.similar import Similar

EVERYTHING = Asked(most=10)
NOWHERE: Any = Index(similar=Similar({}.get), lookup=None)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Row:
    """As much of a release as is compared with matches."""

    release_id: str


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


def test_pictures_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "asked.png"
    path.write_bytes(b"nothing")
    with pytest.raises(PictureRefused):
        resolving.by_picture(NOWHERE, path, EVERYTHING, lambda _print: None)
    with path.open("wb") as file:
        file.truncate(GIVEN.bytes + 1)
    with pytest.raises(LimitExceeded):
        resolving.by_picture(NOWHERE, path, EVERYTHING, lambda _print: None)


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


def match(name: str, *, proven: bool = False) -> Match:
    return Match(release_id=name, urn=f"urn:{name}", distance=0.1, proven=proven)


def settled(found: list[Match], named: str | None = None, most: int = 10) -> list[str]:
    row: Any = None if named is None else Row(named)
    return [one.release_id for one in resolving._settled(found, most, row)]


def test_each_release_once() -> None:
    found = [match(name) for name in "abacd"]
    assert settled(found) == ["a", "b", "c", "d"]
    assert settled(found, most=2) == ["a", "b"]


def test_a_mark_that_was_not_confirmed() -> None:
    alike, own, proven = match("alike"), match("own"), match("own", proven=True)
    assert settled([match("other", proven=True), proven], "own") == ["own"]  # the pictures prove it: alone
    assert settled([own, proven], "own") == ["own"]  # also after an unproven hint at it
    assert settled([alike, own], "own") == []  # others that look like it carry another mark
    assert settled([own, match("other", proven=True)], "own") == ["other"]  # the mark was moved there
    assert settled([alike], "own") == ["alike"]


def test_scores() -> None:
    told = [Match(release_id="", urn="", distance=one).score for one in (None, 0.0, 0.125, 0.5, 0.9)]
    assert told == [None, 100, 75, 0, 0]
