"""Likenesses of the living and the dead: decided alike, told apart in the reason, of persons alone."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from classifiers.base import Kind, Seen, Sight
from classifiers.faces import check_faces
from classifiers.thresholds import FACE_PORTRAIT, Calibration, Layer
from pipeline import policy
from pipeline.policy import PRESETS, Sound
from pipeline.recheck import wishes_of
from pipeline.types import Decision
from registry.ruling import Ask
from registry.subject_types import RuleRow, SubjectRecord, VectorRow
from registry.subjectset import SubjectSet
from registry.vocabulary import Conditions

NOW = "2026-01-02T00:00:00Z"
FACE = "face-test"
HERS = np.eye(8, dtype=np.float32)[0]
DIED = "1987-03-04"
KNOWN = {
    FACE: Calibration(
        space=FACE, version=1, made={},
        layers={FACE_PORTRAIT: Layer(threshold=-0.6, slope=25.0, intercept=15.0)},
    )
}  # fmt: skip
SEEN = Sight(
    seen=(Seen(kind=Kind.FACE, space=FACE, vectors=HERS[None], times=(1.5,), boxes=((0, 0, 1, 1),)),)
)


def person(kind: str = "person", row: str = "portrait") -> SubjectRecord:
    vector = VectorRow(
        subject="s1", reference="ab" * 32, space=FACE, kind=row, polarity=1,
        vector=HERS.astype("<f2").tobytes(), dimension=8,
    )  # fmt: skip
    return SubjectRecord(
        id="s1", kind=kind, name="Quimberley Vantrossen", owner="Estate of Vantrossen", party="p1",
        mode="block", description="", attributes=(), exclusions=(), names=(), vectors=(vector,), rules=(),
        state="active", seq=1,
    )  # fmt: skip


def rule(effect: str, *, licence: bool = False, purposes: tuple[str, ...] = ()) -> RuleRow:
    return RuleRow(
        id="r1", subject="s1", effect=effect, account=None, valid_from=None, valid_until=None, priority=0,
        licence=licence, conditions=Conditions(purposes=purposes),
    )  # fmt: skip


def decided(record: SubjectRecord, preset: str = "opt-out", purpose: str = "") -> Decision:
    only = PRESETS[preset].only([policy.LIKENESS])
    report = check_faces(SEEN, SubjectSet([record]), KNOWN)
    return policy.decide(
        only, (report,), sound=Sound.ACCEPT, has_sound=False, registry_seq=1, now=NOW,
        wishes=wishes_of({record.id: record}, Ask(account="a", purpose=purpose), NOW),
    )  # fmt: skip


RULES = ((), (rule("allow"),), (rule("allow", licence=True),), (rule("review"),), (rule("block"),),
         (rule("allow", purposes=("parody",)),))  # fmt: skip


@pytest.mark.parametrize("preset", ["opt-out", "permission-first"])
def test_the_dead_are_protected_like_the_living(preset: str) -> None:
    outcomes = set()
    for mode, rules, purpose in product(("block", "ask", "allow"), RULES, ("", "parody")):
        living = replace(person(), mode=mode, rules=rules)
        dead = replace(living, died_on=DIED)
        one, other = (decided(record, preset, purpose) for record in (living, dead))
        assert (one.verdict, one.rulings, one.allowed) == (other.verdict, other.rulings, other.allowed)
        assert [reason.code for reason in one.reasons] == [reason.code for reason in other.reasons]
        outcomes.add(str(one.verdict))
    assert outcomes == {"allow", "review"}  # a resemblance: never refused unseen


def test_a_parody_of_the_dead_is_never_allowed_unseen() -> None:
    carved = replace(person(), died_on=DIED, rules=(rule("allow", purposes=("parody",)),))
    assert decided(carved, purpose="parody").verdict == "review"


def test_the_reason_says_whose_estate_speaks_and_since_when() -> None:
    [living] = decided(person()).reasons
    [dead] = decided(replace(person(), died_on=DIED)).reasons
    assert living.detail == (
        "A face in the clip looks like Quimberley Vantrossen (Estate of Vantrossen) at 1.5 s. "
        "The owner opted out."
    )
    assert "(Estate of Vantrossen), who died on 1987-03-04 at 1.5 s." in dead.detail
    assert "died_on" not in living.evidence
    assert dead.evidence["died_on"] == DIED
    assert dead.evidence["owner"] == "Estate of Vantrossen"


def test_a_face_finds_persons_only() -> None:
    """A picture or description that lies in the same place of the same space is no portrait."""
    for kind, row in (("character", "picture"), ("artwork", "picture"), ("character", "description")):
        assert decided(person(kind, row)).verdict == "allow"
    assert decided(person()).verdict == "review"
