"""Which hits of the index by content are matches."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.credentials.fingerprint import Fingerprint, Fingerprinter
from pipeline.credentials.moments import Taker, with_moments
from pipeline.verify import resolving
from pipeline.verify.content import SAME_STRUCTURE
from pipeline.verify.near_duplicates import alike, signature
from pipeline.verify.resolving import Asked
from pipeline.verify.resolving_index import Index
from pipeline.verify.similar import ClipQuery, Confirmed, Found, Hit, Similar
from registry.types import Query


class Answers:
    """An index that answers with these hits, and a registry without the release that is called gone."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits

    def search(self, _query: Any, _most: int) -> Found:
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


class Rows(dict[str, bytes]):
    """What releases store, and the registry that knows them."""

    def find(self, *, release_id: str) -> Any:
        return type("Row", (), {"release_id": release_id, "urn": f"urn:c2pa:{release_id}"})


def index_of(stored: dict[str, bytes]) -> Index:
    rows: Any = Rows(stored)
    similar = Similar(rows.get)
    similar.add_all(rows.items())
    return Index(similar=similar, lookup=rows)


def made(*hashes: int) -> Fingerprint:
    return Fingerprint(doublings=1, indices=tuple(range(len(hashes))), hashes=hashes)


def turned(bits: int) -> bytes:
    """Six moments, each with so many other bits than `WORD`."""
    return made(*([WORD ^ (2**bits - 1)] * 6)).to_bytes()


WORD = 0xFF00FF00FF00FF00


def test_releases_by_a_fingerprint_the_nearest_first() -> None:
    index = index_of({"near": turned(9), "far": turned(10), "nearer": turned(1)})  # of 64: 0.15 are 9.6
    found = index.value(made(*([WORD] * 6)), 10)
    assert [match.urn for match in found] == ["urn:c2pa:nearer", "urn:c2pa:near"]
    assert [(match.score, match.proven) for match in found] == [(97, False), (72, False)]
    assert [match.release_id for match in index.value(made(*([WORD] * 6)), 1)] == ["nearer"]


def test_so_many_by_a_value_are_the_most() -> None:
    index = index_of({f"release-{number:02}": turned(number % 9) for number in range(40)})
    assert len(index.value(made(*([WORD] * 6)), 100)) == 24


def drawn(seed: int) -> Any:
    rough = np.random.default_rng(seed).integers(0, 255, (12, 16), dtype=np.uint8)
    return cv2.resize(rough, (160, 120), interpolation=cv2.INTER_CUBIC)


def of_stills(*seeds: int) -> bytes:
    """What a clip of these pictures, half a second each, stores."""
    prints, taker = Fingerprinter(), Taker()
    for number, seed in enumerate(np.repeat(seeds, 4)):
        prints.add(number / 8, drawn(int(seed)))
        taker.add(number / 8, drawn(int(seed)), None, None)
    return with_moments(prints.finish(), taker.finish())


def test_releases_by_a_picture(tmp_path: Path) -> None:
    index, path = index_of({name: of_stills(seed, seed + 10) for seed, name in enumerate("abc")}), tmp_path
    seen: list[Fingerprint] = []

    def found(picture: Any, **asked: bool) -> list[str]:
        cv2.imwrite(str(path / "asked.png"), picture)
        told = resolving.by_picture(index, path / "asked.png", Asked(most=10, **asked), seen.append)
        assert not any(match.proven for match in told)
        return [match.release_id for match in told]

    for picture in (drawn(12), drawn(12)[:, ::-1]):
        assert found(picture) == ["c"]
        assert found(picture, fingerprint=False) == []
    assert found(drawn(77)) == []
    assert found(np.full((90, 120), 128, np.uint8)) == []
    signatures = [signature(one) for one in seen]
    others = [Query("somebody", "0" * 64, one) for one in signatures]
    assert alike(signatures[0], others) == [True, True, True, True, False, False]


def test_what_is_proven_is_told() -> None:
    frames = [(number / 8, drawn(int(seed))) for number, seed in enumerate(np.repeat([1, 2, 3, 4, 5, 6], 4))]
    query = ClipQuery.from_frames((time, luma, None, None) for time, luma in frames)
    [match] = index_of({"one": of_stills(1, 2, 3, 4, 5, 6)}).clip(query, 10)  # type: ignore[arg-type]
    assert (match.release_id, match.proven) == ("one", True)
