"""From check reports to a decision. Pure: the same reports at the same registry position decide the same.

The rules, in order; the first that applies to any check decides the clip:
1. a required check that is not configured blocks: nobody has looked, and nobody could;
2. a required check that failed, timed out or was skipped holds the clip for review;
3. a finding at or over its threshold holds the clip for review;
4. sound that nobody has listened to does as the sound rule says: accept, strip or hold;
5. otherwise the clip is allowed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from classifiers.base import CheckReport, CheckState
from pipeline.errors import UsageError
from pipeline.types import Decision, Json, Reason, Verdict

NAMES: Final = "prompt_names"
DESCRIPTIONS: Final = "prompt_descriptions"
UNSAFE: Final = "unsafe_content"
FRAMES: Final = "frames"
LIKENESS: Final = "likeness"
AUDIO: Final = "audio"
CHECKS: Final = (NAMES, DESCRIPTIONS, UNSAFE, FRAMES, LIKENESS)


class Sound(StrEnum):
    """What to do with a sound track, which no check listens to."""

    ACCEPT = "accept"
    STRIP = "strip"
    HOLD = "hold"


class SoundState(StrEnum):
    """How a decision names the sound track."""

    ABSENT = "absent"
    STRIPPED = "stripped"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A named, versioned set of rules: which checks must have completed."""

    name: str
    version: int
    required: tuple[str, ...]
    description: str


PRESETS: Final = {
    preset.name: preset
    for preset in (
        Policy(
            name="opt-out",
            version=1,
            required=(NAMES, DESCRIPTIONS, FRAMES, LIKENESS),
            description="released unless somebody opted out: names, descriptions, frames, faces are checked",
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
) -> Decision:
    """Apply the rules above; `now` is RFC 3339.

    A required check without a report is not configured; with several, one that did not complete counts.
    """
    states = dict.fromkeys((*CHECKS, *policy.required), CheckState.NOT_CONFIGURED) | _states(reports)
    blocked = [
        _missing(check, policy) for check in policy.required if states[check] is CheckState.NOT_CONFIGURED
    ]
    held = [_unfinished(check, states[check]) for check in policy.required if _failed(states[check])]
    held += [reason for report in reports for reason in _found(report)]
    if has_sound and sound is Sound.HOLD:
        held.append(Reason(code="audio_not_checked", check=AUDIO, detail=_SOUND))
    verdict = Verdict.BLOCK if blocked else Verdict.REVIEW if held else Verdict.ALLOW
    return Decision(
        verdict=verdict, policy=policy.name, policy_version=policy.version, reasons=(*blocked, *held),
        checks={name: str(state) for name, state in states.items()} | {AUDIO: _sound(sound, has_sound)},
        registry_seq=registry_seq, decided_at=now,
    )  # fmt: skip


def recheck(policy: Policy, decision: Decision, changes: int, *, now: str) -> Decision:
    """What the publish fence asks: do `changes` of the registry since the decision change the verdict?

    A policy that checks nothing against the registry has nothing to change. Any other holds on any change:
    comparing candidate and change arrives with the checks themselves. A decision by another version of the
    policy, made before an update and an interruption, holds too.
    """
    if (policy.name, policy.version) != (decision.policy, decision.policy_version):
        detail = f"The policy {policy.name} changed after the decision; the clip has to be checked again."
        reason = Reason(code="policy_changed", check="publish_fence", detail=detail)
        return replace(decision, verdict=Verdict.REVIEW, reasons=(reason,), decided_at=now)
    if not changes or not policy.required:
        return replace(decision, decided_at=now)
    detail = f"{changes} changes of the registry came after the decision; the clip has to be checked again."
    reason = Reason(code="registry_changed", check="publish_fence", detail=detail)
    return replace(decision, verdict=Verdict.REVIEW, reasons=(reason,), decided_at=now)


def to_json(decision: Decision) -> Json:
    """The decision as a job's step records it and a command prints it."""
    document = asdict(decision)
    return document | {"reasons": list(document["reasons"]), "verdict": str(decision.verdict)}


def from_json(document: dict[str, Any]) -> Decision:
    """Read `to_json`'s document."""
    reasons = tuple(Reason(**reason) for reason in document["reasons"])
    return Decision(**document | {"reasons": reasons, "verdict": Verdict(document["verdict"])})


_SOUND: Final = "The clip has sound and no check listens to it; name --audio accept or --audio strip."


def _states(reports: Sequence[CheckReport]) -> dict[str, CheckState]:
    done = {report.check: report.state for report in reports}
    return done | {r.check: r.state for r in reports if r.state is not CheckState.COMPLETED}


def _missing(check: str, policy: Policy) -> Reason:
    detail = f"The policy {policy.name} needs the check {check}, and it is not configured."
    return Reason(code="check_not_configured", check=check, detail=detail)


def _unfinished(check: str, state: CheckState) -> Reason:
    return Reason(
        code="check_unfinished", check=check, detail=f"The check {check} did not complete: {state}."
    )


def _failed(state: CheckState) -> bool:
    return state not in (CheckState.COMPLETED, CheckState.NOT_CONFIGURED)


def _found(report: CheckReport) -> list[Reason]:
    return [
        Reason(code="match", check=report.check, detail=f"{finding.subject}: {finding.score:.3f}")
        for finding in report.findings
        if not finding.score < finding.threshold  # so that a score that is no number holds too
    ]


def _sound(sound: Sound, has_sound: bool) -> str:
    if not has_sound:
        return SoundState.ABSENT
    return SoundState.STRIPPED if sound is Sound.STRIP else SoundState.NOT_CHECKED
