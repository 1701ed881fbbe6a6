"""Names in layers: always the names in force, whatever was added, taken away and merged."""

import random

import pytest
from registry_builders import NOW, SIGNER, Home, draft

from registry import names as layers
from registry import optouts
from registry.db import read
from registry.names import Layer, Names
from registry.subject_types import NameDraft, NameRow
from registry.subjects import records
from registry.view import View

BY = {"now": NOW, "sign_checkpoint": SIGNER}


def row(subject: str, text: str) -> NameRow:
    return NameRow(subject=subject, text=text, tier="block", context=(), kind="alias", language="")


def merged(names: Names) -> Names:
    old = names.to_merge()
    return names.merged(old, Layer([name for part in old for name in part.living()])) if old else names


@pytest.mark.parametrize("seed", range(5))
def test_they_are_the_names_in_force(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "AT_ONCE", 8)
    chance, names, plain = random.Random(seed), Names(), dict[str, list[NameRow]]()
    waiting: tuple[tuple[layers.Part, ...], Layer] | None = None
    for number in range(400):
        gone = set(chance.sample(sorted(plain), min(len(plain), chance.choice([0, 0, 1, 3]))))
        for subject in gone:
            del plain[subject]
        fresh = [row(f"s{number}", f"{number}.{one}") for one in range(chance.randrange(4))]
        if fresh:
            plain[f"s{number}"] = fresh
        names = names.changed(gone, fresh)
        if waiting is None and (old := names.to_merge()):  # begun now, done later
            waiting = old, Layer([name for part in old for name in part.living()])
        elif waiting is not None and chance.random() < 0.3:
            names, waiting = names.merged(*waiting), None
        wanted = sorted(name.text for group in plain.values() for name in group)
        assert sorted(name.text for name in names) == wanted
        assert len(names) == len(wanted)
    if waiting is not None:
        names = names.merged(*waiting)
    while names.to_merge():
        names = merged(names)
    sizes = [len(part.layer) for part in names.parts]
    assert sizes == sorted(sizes, reverse=True)
    assert len(names.parts) < 12
    assert all(not part.gone for part in names.parts if part.small)


def test_they_are_a_sequence() -> None:
    names = Names().changed(set(), [row("a", "one"), row("b", "two")])
    assert [name.text for name in names] == ["one", "two"]
    assert (names[0].text, [name.text for name in names[1:]], len(names)) == ("one", ["two"], 2)
    assert names == (row("a", "one"), row("b", "two"))
    assert names != ()
    assert Names() == ()


def test_a_view_prepares_what_it_merges(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who looks for names waits until a large layer is indexed."""
    monkeypatch.setattr(layers, "AT_ONCE", 8)
    prepared: list[Layer] = []
    view = View(home.engine, prepare=prepared.append)
    subjects = []
    for number in range(30):
        made = draft(
            f"Zib {number}", names=(NameDraft(text=f"Zib {number}"), NameDraft(text=f"Zab {number}"))
        )
        subjects.append(optouts.add(home.engine, made, **BY).subject)
        if number % 5 == 4:
            optouts.withdraw(home.engine, subjects.pop(0), why={}, **BY)
        snapshot = view.current()
        assert {name.subject for name in snapshot.names} == set(subjects)
    assert view.settle(60)
    known = view.current().names
    with read(home.engine) as conn:
        wanted = sorted(name.text for record in records(conn) for name in record.names)
    assert sorted(name.text for name in known) == wanted
    assert not known.to_merge()
    assert all(part.layer in prepared for part in known.parts if not part.small)
