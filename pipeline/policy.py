"""From check reports to a decision. Pure: the same reports at the same registry position decide the same.

The rules, in order; the strictest that applies decides:
1. a required check that is not configured blocks: nobody has looked, and nobody could;
2. a required check that failed, timed out or was skipped holds for review;
3. a finding at or over its threshold does what the subject's owner wishes for who asks: block, review or
   allow (`registry.ruling`). What a check is not sure of holds at most. Where the policy denies a kind of
   subject by default, only a licence allows; a finding about nobody who is registered holds, and one of
   something unsafe does what the policy says of its category (what is not sure holds at most);
4. sound that nobody has listened to does as the sound rule says: accept, strip or hold; where a speech model
   is set and could not write down what is said, it holds;
5. otherwise it is allowed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from classifiers.base import WORST_LAST, CheckReport, CheckState, Finding
from classifiers.unsafe.taxonomy import Category, category_of
from pipeline.errors import UsageError
from pipeline.reasons import MAX_LOST, Wish, Wishes, intent_of, nobody, reason_of
from pipeline.types import Decision, Json, Opinion, Reason, Ruled, Verdict
from registry.ruling import DISPUTED

NAMES: Final = "prompt_names"
DESCRIPTIONS: Final = "prompt_descriptions"
UNREGISTERED: Final = "unregistered_names"
UNSAFE: Final = "unsafe_content"
FRAMES: Final = "frames"
UNSAFE_FRAMES: Final = "unsafe_frames"
LIKENESS: Final = "likeness"
WORDS: Final = "words"
PRESET: Final = "preset"
AUDIO: Final = "audio"
PROMPT_CHECKS: Final = (NAMES, DESCRIPTIONS, UNREGISTERED, UNSAFE)
CLIP_CHECKS: Final = (FRAMES, UNSAFE_FRAMES, LIKENESS, WORDS)
CHECKS: Final = (*PROMPT_CHECKS, *CLIP_CHECKS)
COMPARED: Final = (NAMES, DESCRIPTIONS, FRAMES, LIKENESS, WORDS)
"""The checks that compare with what is registered."""


class Sound(StrEnum):
    """What to do with a sound track that no check listens to."""

    ACCEPT = "accept"
    STRIP = "strip"
    HOLD = "hold"


NOT_CHECKED: Final = "not_checked"
"""How a decision names a check for which no model is set up, and which nobody demands: nobody looked."""


class SoundState(StrEnum):
    """How a decision names the sound track.

    ``TRANSCRIBED``: what is said was looked through for names; voices and music were not compared.
    """

    ABSENT = "absent"
    STRIPPED = "stripped"
    NOT_CHECKED = "not_checked"
    TRANSCRIBED = "transcribed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A named, versioned set of rules: which checks must have completed, and what is denied by default.

    ``unlicensed``: per kind of subject, what becomes of an owner's allow that is no licence; kinds that are
    not named are left to their owners. ``unsafe``: what becomes of each unsafe category; those that are not
    named hold.
    """

    name: str
    version: int
    required: tuple[str, ...]
    description: str
    unlicensed: Mapping[str, Verdict] = field(default_factory=dict)
    unsafe: Mapping[Category, Verdict] = field(default_factory=dict)

    @property
    def licence_needed(self) -> bool:
        """Whether any kind of subject is denied by default."""
        return bool(self.unlicensed)

    def only(self, checks: Sequence[str]) -> "Policy":
        """The same policy at a stage at which only these checks can have run."""
        return replace(self, required=tuple(check for check in self.required if check in checks))

    def judging_frames(self, asked: bool) -> "Policy":
        """The same policy where frames are judged as well; one that looks at no clip stays as it is."""
        if not asked or FRAMES not in self.required or UNSAFE_FRAMES in self.required:
            return self
        return replace(self, required=(*self.required, UNSAFE_FRAMES))


DEFAULT_DENY: Final[Mapping[str, Verdict]] = {
    "person": Verdict.BLOCK, "character": Verdict.REVIEW, "logo": Verdict.REVIEW,
    "artwork": Verdict.REVIEW, "portfolio": Verdict.REVIEW,
}  # fmt: skip
"""What `permission-first` makes of a subject that is there, and that nobody licensed to the one who asks."""

UNSAFE_REFUSED: Final = dict.fromkeys(
    (
        Category.SEXUAL, Category.SEXUAL_LIKENESS, Category.MINORS, Category.GORE, Category.SELF_HARM,
        Category.HATE, Category.FRAUD,
    ),
    Verdict.BLOCK,
)  # fmt: skip
UNSAFE_LOOKED_AT: Final = dict.fromkeys(
    (
        Category.VIOLENCE, Category.DISTURBING, Category.HARASSMENT, Category.ILLEGAL, Category.POLITICAL,
        Category.MISINFORMATION, Category.OTHER,
    ),
    Verdict.REVIEW,
)  # fmt: skip
UNSAFE_NAMED: Final = (Category.REAL_PERSON, Category.KNOWN_WORK)
"""Names of persons and works that nobody registered: no harm in itself."""

PRESETS: Final = {
    preset.name: preset
    for preset in (
        Policy(
            name="opt-out",
            version=4,
            required=(NAMES, DESCRIPTIONS, UNSAFE, FRAMES, LIKENESS, WORDS),
            description="released unless somebody opted out or it asks for something unsafe: names, "
            "descriptions, unsafe content, frames, faces and words in frames are checked",
            unsafe=UNSAFE_REFUSED | UNSAFE_LOOKED_AT | dict.fromkeys(UNSAFE_NAMED, Verdict.ALLOW),
        ),
        Policy(
            name="permission-first",
            version=3,
            required=(NAMES, DESCRIPTIONS, UNREGISTERED, UNSAFE, FRAMES, LIKENESS, WORDS),
            description="the same checks; what they recognise needs a licence, as do names that look like "
            "persons or works nobody registered",
            unlicensed=DEFAULT_DENY,
            unsafe=UNSAFE_REFUSED | UNSAFE_LOOKED_AT | dict.fromkeys(UNSAFE_NAMED, Verdict.REVIEW),
        ),
        Policy(
            name="marks-only",
            version=1,
            required=(),
            description="no check of content: the clip is marked, signed and recorded, nothing else",
        ),
    )
}


def preset(name: str) -> Policy:
    """The policy preset called `name`. Raises: UsageError when there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no policy {name[:40]!r}; choose one of: {', '.join(PRESETS)}")
    return PRESETS[name]


def not_configured() -> tuple[CheckReport, ...]:
    """Reports of all checks where none is set up."""
    return tuple(CheckReport(check=check, state=CheckState.NOT_CONFIGURED) for check in CHECKS)


def decide(
    policy: Policy,
    reports: Sequence[CheckReport],
    *,
    sound: Sound,
    has_sound: bool,
    registry_seq: int,
    now: str,
    wishes: Wishes = nobody,
    heard: CheckReport | None = None,
) -> Decision:
    """Apply the rules above; `now` is RFC 3339, `wishes` what owners want for the account that asks, `heard`
    how listening to the sound ended, where that was tried.

    A required check without a report is not configured; with several, one that did not complete counts.
    """
    states = dict.fromkeys((*CHECKS, *policy.required), CheckState.NOT_CONFIGURED) | _states(reports)
    judged = [(Verdict.BLOCK, _missing(check, policy)) for check in policy.required if _absent(states[check])]
    judged += [
        (Verdict.REVIEW, _unfinished(check, states[check], reports))
        for check in policy.required if _failed(check, states[check])
    ]  # fmt: skip
    found = [
        (finding, wishes(finding.subject, intent_of(finding)))
        for report in reports
        for finding in _counting(report)
    ]
    ruled = [(_effect(policy, finding, wish), _reason(policy, finding, wish)) for finding, wish in found]
    judged += [(effect, reason) for effect, reason in ruled if effect is not Verdict.ALLOW]
    if has_sound and sound is not Sound.STRIP:
        judged += [(Verdict.REVIEW, reason) for reason in _unheard(sound, heard)]
    strictest_first = sorted(judged, key=lambda pair: pair[0] is not Verdict.BLOCK)
    named = {name: str(state) for name, state in states.items()}
    if UNSAFE_FRAMES not in (*policy.required, *(report.check for report in reports)):
        named[UNSAFE_FRAMES] = NOT_CHECKED
    return Decision(
        verdict=strictest_first[0][0] if judged else Verdict.ALLOW,
        policy=policy.name, policy_version=policy.version,
        reasons=tuple(reason for _, reason in strictest_first),
        checks=named | {AUDIO: _sound(sound, has_sound, heard)},
        registry_seq=registry_seq, decided_at=now,
        permits=tuple(sorted({wish.rule for _, wish in found if wish and wish.rule})),
        allowed=tuple(sorted({one.subject for (one, _), (effect, _) in zip(found, ruled, strict=True)
                              if one.subject and effect is Verdict.ALLOW})),
        rulings=tuple(dict.fromkeys(ruled_of(policy, finding.subject, intent_of(finding), wish)
                                    for finding, wish in found if wish)),
    )  # fmt: skip


def _effect(policy: Policy, finding: Finding, wish: Wish | None) -> Verdict:
    """Rule 3 for a finding."""
    category = category_of(finding.code)
    if category is None:
        return effect_of(policy, sure=finding.sure, wish=wish)
    effect = policy.unsafe.get(category, Verdict.REVIEW)
    return Verdict.REVIEW if effect is Verdict.BLOCK and not finding.sure else effect


def effect_of(policy: Policy, *, sure: bool, wish: Wish | None) -> Verdict:
    """Rule 3: what becomes of a finding that is `sure` or not, when its subject's owner has this wish."""
    if wish is None:
        return Verdict.REVIEW
    effect = _denied(policy, wish) or wish.effect
    return Verdict.REVIEW if effect is Verdict.BLOCK and not sure else effect


def ruled_of(policy: Policy, subject: str, intent: str, wish: Wish) -> Ruled:
    """What decided about a subject; of a finding that is not sure the decision may be milder."""
    denied = _denied(policy, wish)
    return Ruled(
        subject=subject, intent=intent, effect=denied or wish.effect, by=PRESET if denied else wish.by,
        rule=wish.rule, licence=wish.licence, lost=tuple(row.rule for row in wish.lost[:MAX_LOST]),
        asks=wish.asks, credit=wish.credit, licence_ref=wish.licence_ref, permission=wish.permission,
    )  # fmt: skip


def _denied(policy: Policy, wish: Wish) -> Verdict | None:
    """What the preset makes of an allow that is no licence; None where it has nothing to say."""
    if wish.effect is not Verdict.ALLOW or wish.licence or not policy.unlicensed:
        return None
    denied = policy.unlicensed.get(wish.kind, Verdict.REVIEW)
    return Verdict.REVIEW if wish.softened == DISPUTED else denied  # until it is decided, it is held


def _reason(policy: Policy, finding: Finding, wish: Wish | None) -> Reason:
    reason = reason_of(finding, wish)
    if wish is None:
        return reason
    won = {"won": PRESET} if _denied(policy, wish) else {}
    return replace(reason, evidence=reason.evidence | won | {"preset": f"{policy.name}/{policy.version}"})


def to_json(decision: Decision) -> Json:
    """The decision as a job's step records it and a command prints it.

    Evidence is not copied (`dataclasses.asdict` does, for longer than the gate takes): nobody may change it.
    """
    document = _members(decision) | {
        "verdict": str(decision.verdict),
        "reasons": [_members(reason) for reason in decision.reasons],
        "permits": list(decision.permits),
        "allowed": list(decision.allowed),
        "rulings": [
            _members(one) | {"effect": str(one.effect), "lost": list(one.lost)} for one in decision.rulings
        ],
    }
    del document["opinions"], document["cleared"]
    if decision.opinions:
        document["opinions"] = [_members(one) for one in decision.opinions]
    if decision.cleared:
        document["cleared"] = list(decision.cleared)
    return document


def _members(one: Decision | Reason | Ruled | Opinion) -> Json:
    return {member.name: getattr(one, member.name) for member in fields(one)}


SCORES: Final = ("score", "threshold", "probability")
"""With those of unsafe findings the filter could be probed: callers are not told them."""


def for_callers(document: Json) -> Json:
    """`to_json`'s document without the scores of unsafe findings."""
    reasons = document.get("reasons")
    if not isinstance(reasons, list):
        return document
    return document | {"reasons": [_for_callers(reason) for reason in reasons]}


def _for_callers(reason: Any) -> Any:
    if not isinstance(reason, dict) or category_of(str(reason.get("code"))) is None:
        return reason
    evidence = {name: value for name, value in reason.get("evidence", {}).items() if name not in SCORES}
    return reason | {"evidence": evidence}


def from_json(document: dict[str, Any]) -> Decision:
    """Read `to_json`'s document."""
    reasons = tuple(Reason(**reason) for reason in document["reasons"])
    lists = {name: tuple(document.get(name, ())) for name in ("permits", "allowed", "cleared")}
    lists["rulings"] = tuple(
        Ruled(**ruled | {"effect": Verdict(ruled["effect"]), "lost": tuple(ruled["lost"])})
        for ruled in document.get("rulings", ())
    )
    lists["opinions"] = opinions_of(document)
    return Decision(**document | lists | {"reasons": reasons, "verdict": Verdict(document["verdict"])})


def opinions_of(document: Mapping[str, Any]) -> tuple[Opinion, ...]:
    """What a judge said, in `to_json`'s document or in what is stored beside a release."""
    return tuple(Opinion(**one) for one in document.get("opinions", ()))


_SOUND: Final = "The clip has sound and no check listens to it; name --audio accept or --audio strip."


def _states(reports: Sequence[CheckReport]) -> dict[str, CheckState]:
    """The state of each check that has a report; of several, the worst."""
    worst_last = sorted(reports, key=lambda report: WORST_LAST.index(report.state))
    return {report.check: report.state for report in worst_last}


def _missing(check: str, policy: Policy) -> Reason:
    detail = f"The policy {policy.name} needs the check {check}, and it is not configured."
    return Reason(code="check_not_configured", check=check, detail=detail)


def _unfinished(check: str, state: CheckState, reports: Sequence[CheckReport]) -> Reason:
    told = f"The check {check} did not complete: {state}."
    ours = [report for report in reports if report.check == check and report.state is state]
    # What failed or took too long says, as a rule, more of us than of the clip.
    why = {report.detail for report in ours if state is CheckState.SKIPPED or report.plain}
    told = " ".join([told, *(f"{one[:1].upper()}{one[1:]}." for one in sorted(why) if one)])
    return Reason(code="check_unfinished", check=check, detail=told, evidence={"state": str(state)})


def _absent(state: CheckState) -> bool:
    return state is CheckState.NOT_CONFIGURED


def _failed(check: str, state: CheckState) -> bool:
    if state is CheckState.NOT_APPLICABLE:  # a clip always has frames
        return check not in PROMPT_CHECKS
    return state not in (CheckState.COMPLETED, CheckState.NOT_CONFIGURED)


def _counting(report: CheckReport) -> list[Finding]:
    # "not less than", so that a score that is no number counts too
    return [finding for finding in report.findings if not finding.score < finding.threshold]


def _unheard(sound: Sound, heard: CheckReport | None) -> list[Reason]:
    """Why sound that stays in the clip holds it, if it does."""
    if heard is None:
        told = Reason(code="audio_not_checked", check=AUDIO, detail=_SOUND)
        return [told] if sound is Sound.HOLD else []
    return [] if heard.state is CheckState.COMPLETED else [_unfinished(AUDIO, heard.state, [heard])]


def _sound(sound: Sound, has_sound: bool, heard: CheckReport | None) -> str:
    if not has_sound:
        return SoundState.ABSENT
    if sound is Sound.STRIP:
        return SoundState.STRIPPED
    completed = heard is not None and heard.state is CheckState.COMPLETED
    return SoundState.TRANSCRIBED if completed else SoundState.NOT_CHECKED
