"""Merges beside the view, and what it does when it cannot keep up."""

import random
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from index_builders import (
    SPACE,
    WAIT,
    add,
    assert_right,
    opened,
    settled,
    withdraw,
)
from registry_builders import NOW, SIGNER, Home

from registry import building, indexes, rules, segments
from registry.errors import RegistryBehind
from registry.snapshot import Snapshot
from registry.subject_types import VectorRow
from registry.view import View


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_changes_merges_and_starts(home: Home, tmp_path: Path, small: None, seed: int) -> None:
    chance, folder, number = random.Random(seed), tmp_path / "index", 0
    view, living = opened(home, folder), list[str]()
    for _ in range(30):
        match chance.choice(["add", "add", "many", "withdraw", "licence", "start"]):
            case "add":
                number += 1
                living += add(home, number)
            case "many":
                living += add(home, *range(number + 1, number + 13))
                number += 12
            case "withdraw" if living:
                withdraw(home, living.pop(chance.randrange(len(living))))
            case "licence" if living:
                rules.grant_licence(home.engine, chance.choice(living), "a", now=NOW, sign_checkpoint=SIGNER)
            case "start":
                if chance.random() < 0.5:
                    view.close()
                view = opened(home, folder)
        if chance.random() < 0.6:
            view.current()
        if chance.random() < 0.3:
            assert_right(home, view.current())
    assert_right(home, settled(view))
    assert_right(home, opened(home, folder).current())
    for shelf in view.current().shelves.values():
        assert not segments.to_merge(shelf)


def test_changes_made_during_a_merge_count(
    home: Home, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An opt-out does not wait for a merge, and what is withdrawn during one stays withdrawn."""
    subjects = add(home, *range(10))
    view = opened(home, tmp_path / "index")
    view.current()
    begun, go_on, plain = threading.Event(), threading.Event(), building.Builder.finish

    def slow(self: building.Builder) -> list[segments.Segment]:
        begun.set()
        assert go_on.wait(WAIT)
        return plain(self)

    monkeypatch.setattr(building.Builder, "finish", slow)
    for number in range(10, 50, 8):
        subjects += add(home, *range(number, number + 8))
        view.current()
    assert begun.wait(WAIT)
    withdraw(home, subjects[0])
    withdraw(home, subjects[20])
    add(home, 90)
    assert_right(home, view.current())
    go_on.set()
    assert_right(home, settled(view))


def test_a_view_that_cannot_catch_up_refuses_to_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(home.engine, behind=0.2)
    [subject] = add(home, 1)
    assert subject in view.current().subjects
    go_on, plain = threading.Event(), Snapshot.advanced

    def slow(self: Snapshot, *arguments: object) -> Snapshot:
        assert go_on.wait(WAIT)
        return plain(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Snapshot, "advanced", slow)
    [later] = add(home, 2)
    for _ in range(2):
        with pytest.raises(RegistryBehind, match="not caught up"):
            view.current()
    go_on.set()
    until = threading.Event()
    for _ in range(200):
        try:
            assert later in view.current().subjects
            break
        except RegistryBehind:
            until.wait(0.05)
    else:
        pytest.fail("it never caught up")


def test_a_closed_view_ends_what_goes_on(home: Home, tmp_path: Path, small: None) -> None:
    add(home, *range(30))
    view = opened(home, tmp_path / "index")
    view.current()
    view.close()
    assert view.settle(0)
    add(home, 31)
    with pytest.raises(RegistryBehind, match="closed"):
        view.current()


@pytest.mark.parametrize("kind", ["picture", "portrait"])
def test_codes_and_re_ranking_find_what_a_full_comparison_finds(kind: str, tmp_path: Path) -> None:
    """At the size that a model's vectors have, in clusters as pictures of subjects are."""
    rng, subjects, size = np.random.default_rng(1), 300, 512
    centres = rng.normal(size=(subjects, 1, size))
    vectors = (centres + 0.8 * rng.normal(size=(subjects, 20, size))).reshape(-1, size)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        VectorRow(
            subject=f"s{number // 20}", reference=f"{number:064x}", space=SPACE, kind=kind, polarity=1,
            vector=vector.astype("<f2").tobytes(), dimension=size,
        )
        for number, vector in enumerate(vectors)
    ]  # fmt: skip
    [flat] = segments.flat_segments(kind, segments.blocks_of(rows))
    stored = np.stack([np.frombuffer(row.vector, "<f2") for row in rows])
    coarse = indexes.Coarse(kind, stored)
    while coarse.step():
        pass
    codes = replace(flat, index=coarse.index, stored=stored)
    places = range(5, len(stored), 400)
    asked = (stored[places].astype(np.float32) + 0.02 * rng.normal(size=(15, size))).astype(np.float32)
    gone = {f"s{place // 20}" for place in places[::2]}
    for out in (set[str](), gone):
        one, other = codes.without(sorted(out)), flat.without(sorted(out))
        for place, ours, theirs in zip(places, one.search(asked, 24), other.search(asked, 24), strict=True):
            assert not {match.subject for match in ours} & out
            if f"s{place // 20}" not in out:
                assert {m.reference for m in theirs[:20]} <= {m.reference for m in ours}
                assert ours[0].reference == theirs[0].reference
                assert ours[0].score == pytest.approx(theirs[0].score, abs=1e-3)
