"""Near-duplicate queries of strangers, on both databases."""

import threading
from typing import Any

import numpy as np
import pytest
from registry_builders import Home
from sqlalchemy import func, select

from pipeline.credentials.fingerprint import BITS, Fingerprint, mirrored_hash
from pipeline.errors import AskedTooOften
from pipeline.verify.near_duplicates import NearDuplicates, alike, signature
from registry.db import read
from registry.queries import Queries
from registry.tables_queries import verify_query
from registry.types import Query

NOW, LATER = "2026-11-28T10:00:00Z", "2026-11-29T10:00:01Z"
HASHES = tuple(int(bits) for bits in np.random.default_rng(1).integers(0, 1 << 63, 40))


def clip(flips: int = 0, *, skip: int = 0, hashes: tuple[int, ...] = HASHES, seed: int = 0) -> Fingerprint:
    """A clip sampled eight times a second, each sample with so many other bits; `skip`: trimmed samples."""
    random = np.random.default_rng(seed)
    changed = []
    for bits in hashes[skip:]:
        for place in random.choice(BITS, flips, replace=False):
            bits ^= 1 << int(place)
        changed.append(bits)
    return Fingerprint(doublings=0, indices=tuple(range(len(changed))), hashes=tuple(changed))


def other(seed: int) -> Fingerprint:
    return clip(hashes=tuple(int(b) for b in np.random.default_rng(100 + seed).integers(0, 1 << 63, 40)))


def name(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def guard(home: Home) -> NearDuplicates:
    return NearDuplicates(store=Queries(home.engine), each=3, all=5, hours=24)


def ask(guard: NearDuplicates, number: int, *, asker: str = "a", now: str = NOW, what: Any = None) -> bool:
    try:
        guard.admit(what or clip(3, seed=number), file_sha256=name(number), asker=asker, now=now)
    except AskedTooOften:
        return False
    return True


def test_a_few_forms_are_answered_then_no_more(guard: NearDuplicates) -> None:
    assert [ask(guard, number) for number in range(5)] == [True, True, True, False, False]
    assert ask(guard, 1)  # the very file: its answer tells nothing new
    assert ask(guard, 100, what=other(1))  # another clip
    assert ask(guard, 6, asker="b")
    assert ask(guard, 7, asker="b")
    assert not ask(guard, 8, asker="c")  # five forms in all, whoever asks
    assert ask(guard, 9, now=LATER)  # a day later


def test_so_many_different_files_lead_to_one_release(guard: NearDuplicates) -> None:
    """Other pictures in the first seconds make another signature, and no other release."""

    def named(number: int, payload: str = "40" + "0" * 14, asker: str = "a") -> bool:
        assert ask(guard, number, what=other(number), asker=asker)
        try:
            guard.admit_named(payload, file_sha256=name(number), asker=asker, now=NOW)
        except AskedTooOften:
            return False
        return True

    assert [named(number) for number in (0, 1, 2, 2, 3)] == [True, True, True, True, False]
    assert named(4, payload="41" + "0" * 14)
    assert [named(number, asker="b") for number in (5, 6, 7)] == [True, True, False]  # five, whoever asks


def test_what_is_old_is_forgotten(guard: NearDuplicates, home: Home) -> None:
    ask(guard, 1)
    ask(guard, 2, now=LATER)
    with read(home.engine) as conn:
        assert conn.execute(select(func.count()).select_from(verify_query)).scalar_one() == 1


def test_without_limits_nothing_is_kept(home: Home) -> None:
    free = NearDuplicates(store=Queries(home.engine), each=0, all=0, hours=24)
    assert all(ask(free, number) for number in range(20))
    with read(home.engine) as conn:
        assert conn.execute(select(func.count()).select_from(verify_query)).scalar_one() == 0


def test_many_at_once_are_counted_one_after_another(guard: NearDuplicates) -> None:
    answers: list[bool] = []
    crowd = [threading.Thread(target=lambda n=n: answers.append(ask(guard, n))) for n in range(6)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert sum(answers) == 3


def near(one: Fingerprint, two: Fingerprint) -> bool:
    [found] = alike(signature(one), [Query(asker="a", file_sha256=name(1), signature=signature(two))])
    return found


def test_what_is_near() -> None:
    assert near(clip(), clip(4))
    assert not near(clip(), clip(9))
    assert near(clip(), clip(2, skip=8))  # begins a second later
    assert near(clip(), clip(hashes=tuple(mirrored_hash(bits) for bits in HASHES)))
    assert not near(clip(), other(3))
    thinned = Fingerprint(doublings=2, indices=tuple(range(10)), hashes=HASHES[::4])
    assert near(clip(), thinned)


def test_clips_with_nothing_to_see_are_near_each_other() -> None:
    flat, brief = Fingerprint(doublings=0, indices=(), hashes=()), clip(skip=36)
    assert near(flat, brief)
    assert not near(flat, clip())
