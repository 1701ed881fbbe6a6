"""Negative references suppress look-alikes before a release, in the publish fence and looking back alike;
what is in quarantine holds in the first two, and takes nothing back."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_simulate import CALIBRATIONS, CLIP, FACE, NOW, Registry

from classifiers.base import Kind, Seen, Sight
from classifiers.words import seen_words
from pipeline import policy as policies
from pipeline.examine import examine
from pipeline.policy import PRESETS
from pipeline.reasons import doubtful
from pipeline.recheck import Question, compare, recheck, wishes_of
from pipeline.types import Decision, Verdict
from registry.subject_types import SubjectRecord, VectorRow
from registry.subjectset import SubjectSet
from registry.types import Change, LogEntry
from registry.view import EMPTY

MEANT, LOOKALIKE = "aa" * 32, "bb" * 32
SEEN, MINE, OTHER = np.zeros((3, 8), np.float32)
SEEN[0], SEEN[1] = 0.85, 0.527
MINE[0] = 1.0
OTHER[0], OTHER[1] = 0.7, 0.714


def row(reference: str, kind: str, polarity: int, direction: Any) -> VectorRow:
    return VectorRow(
        subject="s1", reference=reference, space=FACE if kind == "portrait" else CLIP, kind=kind,
        polarity=polarity, vector=np.asarray(direction, "<f2").tobytes(), dimension=8,
    )  # fmt: skip


def subject(kind: str, *, negative: bool, quarantined: frozenset[str] = frozenset()) -> SubjectRecord:
    rows = [row(MEANT, kind, 1, MINE)] + ([row(LOOKALIKE, kind, -1, OTHER)] if negative else [])
    return SubjectRecord(
        id="s1", kind="person" if kind == "portrait" else "character", name="Zorbolino", owner="Studio",
        party="p1", mode="block", description="", attributes=(), exclusions=(), names=(), rules=(),
        vectors=tuple(rows), state="active", seq=5, quarantined=quarantined,
    )  # fmt: skip


def sight() -> Sight:
    kinds = ((Kind.FRAME, CLIP), (Kind.FACE, FACE))
    seen = (Seen(kind=kind, space=space, vectors=SEEN[None], times=(0.5,)) for kind, space in kinds)
    return Sight(seen=(*seen, seen_words([])))


def question() -> Question:
    decision = Decision(
        verdict=Verdict.ALLOW, policy="opt-out", policy_version=PRESETS["opt-out"].version, reasons=(),
        checks={}, registry_seq=4, decided_at=NOW,
    )  # fmt: skip
    return Question(policy=PRESETS["opt-out"], decision=decision, sight=sight(), account="a", key="")


def everywhere(record: SubjectRecord) -> list[Decision]:
    """Before a release, with the view and with a set; in the fence; looking back."""
    clip = PRESETS["opt-out"].only(policies.CLIP_CHECKS)
    found = []
    for references in (EMPTY.advanced(5, [record]), Registry([record])):
        reports = examine(policies.CLIP_CHECKS, sight(), references, CALIBRATIONS)
        found.append(
            policies.decide(
                clip, reports, sound=policies.Sound.ACCEPT, has_sound=False, registry_seq=5, now=NOW,
                wishes=wishes_of({record.id: record}, "a", NOW),
            )
        )  # fmt: skip
    entry = LogEntry(
        seq=5, kind="reference", at=NOW, public={}, private=None, commitment=None, entry=b"", leaf_hash=b""
    )
    found.append(
        recheck(question(), [Change(entry=entry, subject=record, revoked_key=None)], CALIBRATIONS, now=NOW)
    )
    found.append(compare(question(), [record], SubjectSet([record]), CALIBRATIONS, now=NOW))
    return found


@pytest.mark.parametrize("kind", ["picture", "portrait"])
def test_a_negative_reference_suppresses_what_is_nearer_to_it(kind: str) -> None:
    assert [one.verdict for one in everywhere(subject(kind, negative=False))] == [Verdict.REVIEW] * 4
    assert [one.verdict for one in everywhere(subject(kind, negative=True))] == [Verdict.ALLOW] * 4


@pytest.mark.parametrize("kind", ["picture", "portrait"])
def test_one_in_quarantine_suppresses_nothing(kind: str) -> None:
    record = subject(kind, negative=True, quarantined=frozenset({LOOKALIKE}))
    assert [one.verdict for one in everywhere(record)] == [Verdict.REVIEW] * 4


@pytest.mark.parametrize("kind", ["picture", "portrait"])
def test_what_is_in_quarantine_holds_everywhere_and_says_so(kind: str) -> None:
    record = subject(kind, negative=False, quarantined=frozenset({MEANT}))
    for one in everywhere(record):
        assert one.verdict is Verdict.REVIEW
        [reason] = one.reasons
        assert "is in quarantine" in reason.detail
        assert doubtful(reason)
    assert not doubtful(everywhere(replace(record, quarantined=frozenset()))[0].reasons[0])
