from dataclasses import replace
from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home, candidate, raw

from registry import releases, sights
from registry.db import read, write
from registry.errors import ConstraintBroken, EntryInvalid
from registry.types import SightRow

FRAMES = SightRow(
    kind="frame", space="clip", dimension=8, count=3, vectors=bytes(48), times=bytes(12), boxes=b"",
    sealed=False,
)  # fmt: skip
FACES = SightRow(
    kind="face", space="faces", dimension=128, count=1, vectors=b"sealed", times=b"", boxes=bytes(16),
    sealed=True,
)  # fmt: skip
NOTHING = replace(FACES, count=0, vectors=b"", boxes=b"", sealed=False)
LATER = "2026-01-31T12:00:01Z"


def kept(home: Home, *release_ids: str, kinds: Any = None) -> dict[str, tuple[SightRow, ...]]:
    with read(home.engine) as conn:
        return sights.of(conn, release_ids, kinds)


def test_what_was_seen_is_stored_with_the_release(home: Home) -> None:
    made = home.release("one", sight=(FRAMES, FACES, NOTHING))
    other = home.release("two")
    assert kept(home, made.id, other.id) == {made.id: (FRAMES, FACES, NOTHING)}
    assert kept(home, made.id, kinds=["face"]) == {made.id: (FACES, NOTHING)}


def test_nothing_is_stored_of_what_does_not_leave(home: Home) -> None:
    with pytest.raises(ConstraintBroken):
        home.publish(sight=(FRAMES, replace(FRAMES, count=4)))
    with pytest.raises(EntryInvalid, match="too much"):
        home.publish(sight=(FRAMES,) * (sights.ROWS_MAX + 1))
    assert releases.list_releases(home.engine) == []


@pytest.mark.parametrize(
    "changes",
    [{"kind": ""}, {"space": ""}, {"dimension": 0}, {"count": -1}, {"vectors": b"x"}, {"times": b"x"},
     {"boxes": b"x"}],
)  # fmt: skip
def test_a_row_of_the_wrong_size_is_refused(home: Home, changes: dict[str, Any]) -> None:
    with pytest.raises(ConstraintBroken):
        home.publish(sight=(replace(FRAMES, **changes),))


def test_what_was_seen_is_fixed_and_not_added_later(home: Home) -> None:
    made = home.release("one", sight=(FRAMES,))
    home.release("two")
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        raw(conn, "UPDATE release_sight SET vectors = vectors")
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        sights.store(conn, made.id, [FRAMES])
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        raw(conn, "INSERT OR REPLACE INTO release_sight SELECT * FROM release_sight")
    assert kept(home, made.id) == {made.id: (FRAMES,)}


def test_forgetting(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sights, "FORGET_BATCH", 2)
    old = [home.release(f"k{n}", sight=(FRAMES, FACES)).id for n in range(5)]
    job = home.jobs.submit("make", "late", {})
    made = releases.publish(
        home.engine, candidate(job, 99, sight=(FACES,)), lambda _: candidate(job, 99).decision,
        now=LATER, sign_checkpoint=SIGNER,
    )  # fmt: skip
    assert sights.forget_sights(home.engine, "face", before=NOW) == 0
    assert sights.forget_sights(home.engine, "face", before=LATER) == 5
    assert kept(home, *old, made.id) == {**dict.fromkeys(old, (FRAMES,)), made.id: (FACES,)}
    with pytest.raises(EntryInvalid):
        sights.forget_sights(home.engine, "face", before="yesterday")
