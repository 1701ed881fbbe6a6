"""Which hits of the index by content are matches."""

from typing import Any

from pipeline.credentials.fingerprint import Fingerprint
from pipeline.verify.content import SAME_STRUCTURE
from pipeline.verify.resolving_index import Index
from pipeline.verify.similar import Confirmed, Found, Hit


class Answers:
    """An index that answers with these hits, and a registry without the release that is called gone."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits

    def search(self, _query: Any, _most: int) -> Found:
        return Found(hits=self.hits)

    def by_fingerprint(self, _content: bytes, _most: int) -> Found:
        return Found(hits=self.hits)

    def find(self, *, release_id: str) -> Any:
        return (
            None if release_id == "gone" else type("Row", (), {"release_id": release_id, "urn": release_id})
        )


def hit(name: str, structure: float, *, proven: bool = False, distance: float = 0.1) -> Hit:
    return Hit(
        release=name, distance=distance, mirrored=False, offset_seconds=0.0, structure=structure,
        confirmed=Confirmed.SAME if proven else Confirmed.UNDECIDED,
    )  # fmt: skip


def matches(*hits: Hit) -> list[str]:
    answers: Any = Answers(*hits)
    index, nothing = Index(similar=answers, lookup=answers), Fingerprint(doublings=0, indices=(), hashes=())
    shown: Any = type("Shown", (), {"fingerprint": nothing, "moments": None})
    return [match.urn for match in index.clip(shown, 10)]


def test_what_is_proven_excludes_what_looks_like_it() -> None:
    alike, other = hit("alike", SAME_STRUCTURE), hit("other", SAME_STRUCTURE - 0.01)
    assert matches(hit("proven", 0.8, proven=True), alike, other) == ["proven"]
    assert matches(alike, other, hit("gone", 1.0)) == ["alike"]
    assert matches(other) == []


def test_a_value_matches_within_the_distance() -> None:
    answers: Any = Answers(hit("near", 0.0, distance=0.24), hit("far", 1.0, distance=0.25))
    known = Fingerprint(doublings=1, indices=(0,), hashes=(1,))
    assert [match.urn for match in Index(similar=answers, lookup=answers).value(known, 10)] == ["near"]
