"""Words that stand in frames, looked back at: found, kept apart, and counted where nobody read them."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from classifiers.base import Kind, Line, Sight
from classifiers.words import ReadLine, seen_words
from pipeline.clock import clock
from registry import cases, optouts
from registry.db import read
from registry.subject_types import NameDraft, OptOutDraft
from registry.types import Release

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks.tools import fence_world as world
from benchmarks.tools.past_home import PastHome, opened


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PastHome]:
    with opened(tmp_path / "home", list(world.CALIBRATIONS.values())) as made:
        yield made


def name(home: PastHome, text: str) -> None:
    draft = OptOutDraft(kind="character", name=text, owner="Studio", names=(NameDraft(text=text),))
    optouts.add(home.app.engine, draft, now=clock(), sign_checkpoint=home.app.signer)


def sign(home: PastHome, *lines: str, **facts: Any) -> Release:
    """A release in which these lines stand."""
    seen = world.sight(world.HARMLESS, np.random.default_rng(len(lines)))
    others = tuple(part for part in seen.seen if part.kind is not Kind.WORDS)
    read = [ReadLine(line=Line(text=line, confidence=0.9), box=(0.1, 0.8, 0.9, 0.9)) for line in lines]
    return home.publish(Sight(texts=seen.texts, seen=(*others, seen_words([(0.5, read)]))), **facts)


def test_words_in_frames_are_found_later(home: PastHome) -> None:
    made = [
        sign(home, "welcome to", "H0LLOWMERE TIX"),
        sign(home, "HOLLOW", "MERE TIX"),
        sign(home, "Hollowmere Tik"),
    ]
    spared = [sign(home, "welcome"), sign(home), sign(home, "Hollowmere Tix", policy="marks-only")]
    name(home, "Hollowmere Tix")
    report = home.app.retroscan()
    assert {one.release for one in report.recalled} == {one.id for one in made}
    assert {one.outcome for one in report.recalled} == {"held"}
    assert (report.compared, report.unclear) == (6, 0)
    assert [home.state(one.id) for one in spared] == ["released"] * 3
    with read(home.app.engine) as conn:
        codes = {reason["code"] for case in cases.page(conn) for reason in case.reasons}
    assert codes == {"words_match", "words_near"}


def test_what_nobody_read_is_unclear_for_who_has_a_name(home: PastHome) -> None:
    seen = world.sight(world.HARMLESS, np.random.default_rng(3))
    home.publish(Sight(texts=seen.texts, seen=tuple(p for p in seen.seen if p.kind is not Kind.WORDS)))
    sign(home)
    name(home, "Hollowmere Tix")
    report = home.app.retroscan()
    assert (report.compared, report.unclear, report.recalled) == (2, 1, ())
    ids = world.Ids(subjects={}, licences={}, keys={})
    world.opt_out(home.app.engine, world.KINDS.index("pictures"), ids, clock(), home.app.signer)
    assert home.app.retroscan().unclear == 0


def test_damaged_words_count_as_not_compared(home: PastHome, monkeypatch: Any) -> None:
    rows = home._sealer.rows

    def damaged(sight: Sight) -> Any:
        spoilt = {row: replace(row, vectors=b"{" * len(row.vectors)) for row in rows(sight)}
        return tuple(changed if row.kind == Kind.WORDS else row for row, changed in spoilt.items())

    monkeypatch.setattr(home, "_sealer", SimpleNamespace(rows=damaged))
    sign(home, "Hollowmere Tix")
    name(home, "Hollowmere Tix")
    report = home.app.retroscan()
    assert (report.compared, report.unclear, report.recalled) == (1, 1, ())
