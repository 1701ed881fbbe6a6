"""Changes as the fence and the retro-scan read them: whole subjects, as they are now."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_builders import BLOCK, NOW, SIGNER, Home, Judgement, candidate, draft, picture, vector

from registry import apikeys, changes, log, optouts, releases, rules
from registry.db import read, write
from registry.errors import RegistryDamaged
from registry.subject_types import NameDraft, SubjectRecord
from registry.types import Change, Held, Release

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}


def load(home: Home, after: int = 0) -> list[Change]:
    with read(home.engine) as conn:
        return changes.load(conn, after, log.head(conn))


def test_every_kind_brings_the_whole_subject(home: Home) -> None:
    subject = home.opt_out().subject
    optouts.extend(home.engine, subject, names=[NameDraft(text="Zib")], **BY)
    shown = vector(kind="picture", reference=picture(1).sha256)
    optouts.extend(home.engine, subject, references=[picture(1)], vectors=[shown], **BY)
    rules.set_rule(home.engine, subject, "review", **BY)
    licence = rules.grant_licence(home.engine, subject, "a", **BY)
    rules.revoke_licence(home.engine, licence.id, **BY)
    found = load(home)
    assert [c.kind for c in found] == ["opt-out", "name", "reference", "rule", "licence", "licence"]
    now = optouts.get(home.engine, subject)
    assert now is not None
    assert [c.subject for c in found] == [now] * 6
    assert (len(now.names), len(now.vectors), len(now.rules), now.seq) == (2, 1, 1, 6)


def test_changes_of_releases_are_about_no_subject(home: Home) -> None:
    made = home.release()
    releases.withdraw(home.engine, made.id, why={}, **BY)
    (change,) = load(home)
    assert (change.kind, change.subject, change.revoked_key) == ("withdrawal", None, None)


@pytest.mark.parametrize(
    ("kind", "public"),
    [
        ("opt-out", {}),
        ("name", {"subject": "nobody"}),
        ("rule", {"subject": None}),
        ("delegation", {"subject": ["x"]}),
        ("claim", {"claim": "x"}),
        ("claim", {"subject": None}),
        ("claim", {"claim": "x", "subject": "nobody"}),
        ("key", {}),
        ("key", {"key": 5}),
    ],
)
def test_what_cannot_be_compared_does_not_pass(home: Home, kind: str, public: Any) -> None:
    with write(home.engine) as conn:
        log.append(conn, kind, public, None, NOW)
    with pytest.raises(RegistryDamaged):
        load(home)
    with pytest.raises(RegistryDamaged):
        home.publish()
    assert releases.list_releases(home.engine) == []


class Asked:
    """A recheck that remembers what it was asked, and blocks after some changes."""

    def __init__(self, blocks_after: int = 10**9) -> None:
        self.rounds: list[list[int]] = []
        self.blocks_after = blocks_after

    def __call__(self, asked: Sequence[Change]) -> Judgement:
        self.rounds.append([change.seq for change in asked])
        return BLOCK if sum(map(len, self.rounds)) > self.blocks_after else Judgement()

    @property
    def seen(self) -> list[int]:
        return [seq for part in self.rounds for seq in part]


def test_many_changes_are_asked_about_in_rounds_each_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "ROUND", 10)
    made = [draft(f"S{n}") for n in range(47)]
    optouts.add_many(home.engine, made, **BY)
    asked = Asked()
    job = home.jobs.submit("make", "k", {})
    asking = candidate(job, 1, decision=Judgement(registry_seq=3))
    left = releases.publish(home.engine, asking, asked, **BY)
    assert isinstance(left, Release)
    assert asked.seen == list(range(4, 48))
    assert [len(part) for part in asked.rounds] == [10, 10, 10, 10, 4, 0]  # the last inside the transaction
    assert (left.checked_seq, left.registry_seq) == (3, 47)


def test_a_no_in_an_early_round_holds(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "ROUND", 10)
    optouts.add_many(home.engine, [draft(f"S{n}") for n in range(40)], **BY)
    asked = Asked(blocks_after=15)
    held = home.publish("k", asked)
    assert isinstance(held, Held)
    assert (held.reasons, held.registry_seq, len(asked.rounds)) == (BLOCK.reasons, 40, 2)
    assert home.publish("k", Asked()) == held  # and is not asked about again
    released = home.release("other", decision=Judgement(registry_seq=40))
    optouts.add_many(home.engine, [draft(f"T{n}") for n in range(40)], **BY)
    never = Asked(blocks_after=0)
    assert home.publish("other", never) == released
    assert never.rounds == []


def test_what_comes_while_asking_is_asked_too(home: Home) -> None:
    optouts.add_many(home.engine, [draft(f"S{n}") for n in range(20)], **BY)
    asked = Asked()

    def slow(found: Sequence[Change]) -> Judgement:
        if not asked.rounds:
            home.opt_out("in the meantime")
        return asked(found)

    made = home.publish("k", slow)
    assert isinstance(made, Release)
    assert asked.rounds == [list(range(1, 21)), [21], []]
    assert made.registry_seq == 21


def test_what_comes_again_and_again_is_asked_inside(home: Home) -> None:
    home.opt_out("first")
    asked = Asked()

    def slow(found: Sequence[Change]) -> Judgement:
        if len(asked.rounds) < releases.LOOKS_AHEAD:  # the transaction itself keeps everybody else out
            home.opt_out(f"S{len(asked.rounds)}")
        return asked(found)

    made = home.publish("k", slow)
    assert isinstance(made, Release)
    assert asked.rounds == [[1], [2], [3], [4]]
    assert made.registry_seq == 4


OPERATIONS = st.tuples(
    st.sampled_from(["add", "extend", "picture", "withdraw", "rule", "grant", "revoke", "unset", "key"]),
    st.integers(0, 2),
    st.integers(0, 3),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=14))
def test_changes_add_up_to_the_state(
    new_root: Callable[[str], Path], done: list[tuple[str, int, int]]
) -> None:
    """A reader that tails the changes in steps knows what a reader of everything knows."""
    with Home(new_root("property")) as home:
        tailed: dict[str, SubjectRecord] = {}
        seen = 0
        for operation, who, what in done:
            _apply(home, operation, f"S{who}", what)
            for change in load(home, seen):
                seen = change.seq
                if change.subject is not None:
                    tailed[change.subject.id] = change.subject
        with read(home.engine) as conn:
            assert {r.id: r for r in optouts.records(conn)} == tailed
            assert log.registry_seq(conn) == seen
            log.audit(conn)
        for record in tailed.values():
            if record.state == "withdrawn":
                assert (record.names, record.vectors, record.rules) == ((), (), ())


def _apply(home: Home, operation: str, title: str, what: int) -> None:
    known = next((s for s in optouts.list_subjects(home.engine) if s.name == title), None)
    if operation == "key":
        key, _ = apikeys.create(home.engine, "a", "b", ["create"], now=NOW)
        apikeys.revoke(home.engine, key.id, why={}, **BY)
    elif operation == "add" or known is None:
        home.opt_out(title, names=(NameDraft(text=f"name {what}"),))
    elif operation == "withdraw":
        optouts.withdraw(home.engine, known.id, why={}, **BY)
    elif known.state == "withdrawn":
        return
    elif operation == "extend":
        optouts.extend(home.engine, known.id, names=[NameDraft(text=f"name {what}")], **BY)
    elif operation == "picture":
        shown = vector(what, kind="picture", reference=picture(what).sha256)
        optouts.extend(home.engine, known.id, references=[picture(what)], vectors=[shown], **BY)
    elif operation == "rule":
        rules.set_rule(home.engine, known.id, "review", priority=what, **BY)
    elif operation == "grant":
        rules.grant_licence(home.engine, known.id, f"account {what}", **BY)
    else:
        for row in known.rules[:1]:
            (rules.revoke_licence if row.licence else rules.unset_rule)(home.engine, row.id, **BY)
