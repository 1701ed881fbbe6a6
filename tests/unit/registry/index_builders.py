"""Registries with vectors, and what a view of them must say."""

from itertools import groupby
from pathlib import Path

import numpy as np
from registry_builders import NOW, SIGNER, Home

from registry import optouts
from registry.db import read
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft
from registry.subjects import records
from registry.subjectset import SubjectSet
from registry.vectors import Rows, VectorMatch
from registry.view import Snapshot, View

SPACE, FACES, SIZE = "clip-0a", "dlib-face-0b", 16
WAIT = 60.0


def draft(number: int, pictures: int = 3) -> OptOutDraft:
    rng = np.random.default_rng(number)
    references = tuple(
        ReferenceDraft(
            sha256=f"{number:032x}{index:032x}", polarity=-1 if index == 2 else 1, width=9, height=9
        )
        for index in range(pictures)
    )
    made = [("", SPACE, "description", 1)]
    for reference in references:
        made += [(reference.sha256, SPACE, "picture", reference.polarity)]
        made += [(reference.sha256, FACES, "portrait", reference.polarity)]
    return OptOutDraft(
        kind="character", name=f"Figure {number}", owner="Studio",
        names=(NameDraft(text=f"Figure {number}"),),
        references=references,
        vectors=tuple(
            VectorDraft(
                reference=reference, space=space, kind=kind, polarity=polarity, dimension=SIZE,
                vector=rng.normal(size=SIZE).astype("<f2").tobytes(),
            )
            for reference, space, kind, polarity in made
        ),
    )  # fmt: skip


def add(home: Home, *numbers: int) -> list[str]:
    made = optouts.add_many(home.engine, [draft(n) for n in numbers], now=NOW, sign_checkpoint=SIGNER)
    return [one.subject for one in made]


def withdraw(home: Home, subject: str) -> None:
    optouts.withdraw(home.engine, subject, why={}, now=NOW, sign_checkpoint=SIGNER)


def label(match: VectorMatch) -> tuple[str, str, str, int]:
    return match.subject, match.reference, match.kind, match.polarity


def assert_right(home: Home, snapshot: Snapshot) -> None:
    """The same answers as a plain comparison with what the database has."""
    with read(home.engine) as conn:
        plain = SubjectSet(records(conn))
    assert dict(snapshot.subjects).keys() == plain.subjects.keys()
    assert sorted(name.text for name in snapshot.names) == sorted(name.text for name in plain.names)
    assert snapshot.spaces() == plain.spaces()
    asked = np.random.default_rng(7).normal(size=(5, SIZE)).astype(np.float32)
    for space, kinds in ((SPACE, ["picture", "description"]), (FACES, ["portrait"])):
        for many in (1, 7, 1000):
            ours, theirs = (of.search(space, kinds, asked, many) for of in (snapshot, plain))
            for one, other in zip(ours, theirs, strict=True):
                assert sorted(map(label, one)) == sorted(map(label, other))
                scores = [m.score for m in one], [m.score for m in other]
                assert np.allclose(*scores, atol=1e-4, rtol=1e-4)
    everybody = sorted([*plain.subjects, "nobody"])
    for space, kind in ((SPACE, "picture"), (SPACE, "description"), (FACES, "portrait"), ("none", "picture")):
        told = [rows_by_owner(one.rows_of(space, kind, everybody)) for one in (snapshot, plain)]
        assert told[0] == told[1]
    assert (
        snapshot.rows_of(SPACE, "picture", everybody[:1])[0]
        == plain.rows_of(SPACE, "picture", everybody[:1])[0]
    )


def rows_by_owner(rows: Rows) -> dict[str, list[tuple[int, bytes]]]:
    """The rows of each owner, in one order; an owner's lie together."""
    owners, vectors, signs = rows
    assert vectors.shape[0] == len(owners) == len(signs)
    assert [owner for owner, _ in groupby(owners)] == list(dict.fromkeys(owners))
    found: dict[str, list[tuple[int, bytes]]] = {}
    for owner, row, sign in zip(owners, vectors, signs, strict=True):
        found.setdefault(owner, []).append((int(sign), row.astype("<f2").tobytes()))
    return {owner: sorted(mine) for owner, mine in found.items()}


def opened(home: Home, folder: Path) -> View:
    return View(home.engine, folder)


def settled(view: View) -> Snapshot:
    snapshot = view.current()
    assert view.settle(WAIT)
    assert view.current().seq == snapshot.seq
    return view.current()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.*"))}
