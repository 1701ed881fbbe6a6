"""From a check's finding to a reason: a stable code, a sentence for a person, evidence for a program."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from classifiers.base import Finding
from pipeline.types import Json, Reason, Verdict

MAX_QUOTE: Final = 80  # characters of a prompt that a sentence repeats

_SENTENCES: Final = {
    "name_match": "“{quote}” names {whom}.",
    "name_near": "“{quote}” is close to the name of {whom}.",
    "style_of_holder": "“{quote}” asks for the style of {whom}.",
    "description_match": "The prompt describes {whom}.",
    "prompt_resembles_picture": "The prompt describes what the registered pictures of {whom} show.",
    "picture_match": "The clip looks like {whom}{when}.",
    "likeness_match": "A face in the clip looks like {whom}{when}.",
    "unregistered_name": "“{quote}” looks like a name, and this policy releases named persons and works only "
    "with a licence.",
}
_OTHER: Final = "The check {check} found {whom}{when}."
_DOUBT: Final = (
    " What was registered is in quarantine, since it matches too much: it holds, and refuses nothing."
)
_WISHES: Final = {
    Verdict.BLOCK: " The owner opted out.",
    Verdict.REVIEW: " The owner wants to be asked.",
    Verdict.ALLOW: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the owner of a subject wants for one account: the effect, and the rule or licence behind it."""

    effect: Verdict
    name: str
    owner: str
    rule: str | None = None
    licence: bool = False


Wishes = Callable[[str], Wish | None]
"""The wish about a subject by its id; None for a subject that nobody registered."""


def nobody(_subject: str) -> Wish | None:
    """The wishes where nothing is registered."""
    return None


def doubtful(reason: Reason) -> bool:
    """Whether a reason rests on nothing but what is in quarantine: it holds what asks to leave, and takes
    back nothing that is out.
    """
    return reason.evidence.get("quarantined") is True


def reason_of(finding: Finding, wish: Wish | None) -> Reason:
    """The reason that a finding gives."""
    whom = f"{wish.name} ({wish.owner})" if wish else (finding.subject or "something nobody registered")
    when = f" at {finding.times[0]:.1f} s" if finding.times else ""
    sentence = _SENTENCES.get(finding.code, _OTHER)
    told = sentence.format(quote=finding.quote[:MAX_QUOTE], whom=whom, when=when, check=finding.check)
    told += _WISHES[wish.effect] if wish else ""
    return Reason(
        code=finding.code, check=finding.check, detail=told + (_DOUBT if finding.quarantined else ""),
        evidence=_evidence(finding, wish),
    )  # fmt: skip


def _evidence(finding: Finding, wish: Wish | None) -> Json:
    return {
        "subject": finding.subject,
        "subject_name": wish.name if wish else "", "owner": wish.owner if wish else "",
        "rule": wish.rule if wish else None,
        "score": round(finding.score, 4), "threshold": round(finding.threshold, 4),
        "probability": finding.probability, "reference": finding.reference, "sure": finding.sure,
        "quarantined": finding.quarantined,
        "turn": finding.turn, "span": list(finding.span) if finding.span else None, "quote": finding.quote,
        "times": [round(time, 3) for time in finding.times],
        "boxes": [[round(side, 4) for side in box] for box in finding.boxes],
    }  # fmt: skip
