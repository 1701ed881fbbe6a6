"""From a check's finding to a reason: a stable code, a sentence for a person, evidence for a program."""

from dataclasses import dataclass
from typing import Final, Protocol

from classifiers.base import Finding
from classifiers.unsafe import taxonomy
from pipeline.types import Json, Reason, Verdict
from registry.ruling import Lost
from registry.vocabulary import DEPICT, STYLE

STYLE_CODE: Final = "style_of_holder"
PART: Final = "part"
"""In the evidence: the number of the pass over the texts, until `pipeline.texts` says which text that is."""
MAX_LOST: Final = 20  # rules that a reason names beside the one that won
MAX_QUOTE: Final = 80  # characters of a prompt that a sentence repeats

_SENTENCES: Final = {
    "name_match": "“{quote}” names {whom}.",
    "name_near": "“{quote}” is close to the name of {whom}.",
    "style_of_holder": "“{quote}” asks for the style of {whom}.",
    "description_match": "The prompt describes {whom}.",
    "prompt_resembles_picture": "The prompt describes what the registered pictures of {whom} show.",
    "picture_match": "The clip looks like {whom}{when}.",
    "likeness_match": "A face in the clip looks like {whom}{when}.",
    "words_match": "“{quote}”, in the clip{when}{where}, names {whom}.",
    "words_near": "“{quote}”, in the clip{when}{where}, is close to the name of {whom}.",
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
    """What the owner of a subject wants for who asks: the effect, and the rule or licence behind it.

    ``kind``: of the subject; ``died_on``: of a person who died, the day, as their estate told it; ``by``:
    rule | mode | nothing; the rest as in `registry.ruling.Ruling`.
    """

    effect: Verdict
    name: str
    owner: str
    rule: str | None = None
    licence: bool = False
    kind: str = ""
    died_on: str | None = None
    by: str = "mode"
    lost: tuple[Lost, ...] = ()
    softened: str = ""
    asks: bool = False
    credit: str = ""
    licence_ref: str = ""
    permission: str = ""
    used_up: bool = False


class Wishes(Protocol):
    """The wish about a subject by its id and what is asked; None for a subject that nobody registered."""

    def __call__(self, subject: str, intent: str = DEPICT, /) -> Wish | None: ...  # noqa: D102


def nobody(_subject: str, _intent: str = DEPICT, /) -> Wish | None:
    """The wishes where nothing is registered."""
    return None


def intent_of(finding: Finding) -> str:
    """Whether a finding is about the subject itself, or about a style that bears its owner's name."""
    return STYLE if finding.code == STYLE_CODE else DEPICT


def doubtful(reason: Reason) -> bool:
    """Whether a reason rests on nothing but what is in quarantine: it holds what asks to leave, and takes
    back nothing that is out.
    """
    return reason.evidence.get("quarantined") is True


def reason_of(finding: Finding, wish: Wish | None) -> Reason:
    """The reason that a finding gives."""
    category = taxonomy.category_of(finding.code)
    whom = _whom(wish) if wish else (finding.subject or "something nobody registered")
    when = f" at {finding.times[0]:.1f} s" if finding.times else ""
    if category is not None:
        return _unsafe(finding, category, when, wish)
    sentence = _SENTENCES.get(finding.code, _OTHER)
    told = sentence.format(
        quote=finding.quote[:MAX_QUOTE], whom=whom, when=when, where=_where(finding), check=finding.check
    )
    told += _WISHES[wish.effect] if wish else ""
    return Reason(
        code=finding.code, check=finding.check, detail=told + (_DOUBT if finding.quarantined else ""),
        evidence=_evidence(finding, wish),
    )  # fmt: skip


def _where(finding: Finding) -> str:
    if not finding.boxes:
        return ""
    left, top, right, bottom = finding.boxes[0]
    return f" ({left:.0%} to {right:.0%} from the left, {top:.0%} to {bottom:.0%} from the top)"


def _whom(wish: Wish) -> str:
    """Whom it is about; of the dead, since when: their likeness is protected like that of the living."""
    died = f", who died on {wish.died_on}" if wish.died_on else ""
    return f"{wish.name} ({wish.owner}){died}"


def _unsafe(finding: Finding, category: taxonomy.Category, when: str, wish: Wish | None) -> Reason:
    """Whose likeness it is stands in it; what they wish does not: it decides nothing here."""
    side = next(side for side in taxonomy.Side if taxonomy.code(category, side) == finding.code)
    whom = {} if wish is None else {
        "subject_name": wish.name, "owner": wish.owner, "subject_kind": wish.kind
    }  # fmt: skip
    return Reason(
        code=finding.code, check=finding.check,
        detail=taxonomy.sentence(
            category, side, finding.quote[:MAX_QUOTE], when, _whom(wish) if wish else ""
        ),
        evidence=_evidence(finding, None) | whom | {"category": str(category)},
    )  # fmt: skip


def _evidence(finding: Finding, wish: Wish | None) -> Json:
    return {
        "subject": finding.subject,
        "subject_name": wish.name if wish else "", "owner": wish.owner if wish else "",
        "subject_kind": wish.kind if wish else "",
        **({"died_on": wish.died_on} if wish and wish.died_on else {}),
        "rule": wish.rule if wish else None, **(_ruled(finding, wish) if wish else {}),
        "score": round(finding.score, 4), "threshold": round(finding.threshold, 4),
        "probability": finding.probability, "reference": finding.reference, "sure": finding.sure,
        "quarantined": finding.quarantined, "calibration": finding.calibration,
        "turn": finding.turn, "span": list(finding.span) if finding.span else None, "quote": finding.quote,
        "times": [round(time, 3) for time in finding.times],
        "boxes": [[round(side, 4) for side in box] for box in finding.boxes],
        **({} if finding.part is None else {PART: finding.part}),
    }  # fmt: skip


def _ruled(finding: Finding, wish: Wish) -> Json:
    """What won and what lost; ``asks``: the holder is asked, and may lift the hold."""
    return {
        "intent": intent_of(finding), "won": wish.rule or wish.by, "asks": wish.asks,
        "lost": [{"rule": row.rule, "effect": row.effect, "why": row.why} for row in wish.lost[:MAX_LOST]],
        "softened": wish.softened,
    }  # fmt: skip
