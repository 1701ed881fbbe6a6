"""Which wish counts: a pure function over a subject's rules, whose answer says what won and what lost.

The order is total; of the rules that apply, the first difference decides:
1. the narrower scope: a rule for this job, for accounts by name, for accounts by tag, for everybody. An
   explicit licence so counts before the general block;
2. the subject's own rule before one inherited from its owner's portfolio;
3. the stricter effect: block, review, allow;
4. the higher priority;
5. the younger rule, by its id.

Where no rule applies the subject's mode decides; where its owner's name is only used as a style, a mode of
block asks for a look instead. Then:
6. a claim that is disputed still holds: what it would block is held for review, and nothing is allowed by it:
   its licences, and those of a provisional claim, are allows like any other, which open no policy that denies
   by default;
7. a parody of a person is never allowed unseen: an allow for parody, unless it is a licence, counts as
   review there;
8. a subject that is out of force wishes nothing.

What is not said makes nothing milder: a review or block that asks for a region, purpose or class of content
applies to who says none, unless it is milder than the mode that counts without it; an allow never does.
An allow whose cap for the day is used up does not apply. It follows that a rule that is added changes the
outcome to its own effect or not at all, and that adding a block never turns a block into an allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from registry.ids import parse_time
from registry.subject_types import RuleRow, SubjectRecord
from registry.vocabulary import DEPICT, EFFECTS, STYLE

OF_MODE: Final = {"block": "block", "ask": "review", "allow": "allow"}
UNSAID: Final = ("", "unspecified")
MODE: Final = "mode"
RULE: Final = "rule"
NOTHING: Final = "nothing"
DISPUTED: Final = "disputed"
PARODY: Final = "parody"
USED_UP: Final = ("used up for today by this account", "used up for today")
JOB, NAMED, TAGGED, EVERYBODY = 3, 2, 1, 0
_SCOPES: Final = ("everybody", "tag", "account", "job")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """How often a rule was used today: by the account that asks, and by all."""

    account: int = 0
    everybody: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks, and what for. Empty: not said. ``job``: the job's id; ``uses``: of capped rules, by id.

    ``account``: None asks for nobody in particular; ``intent``: depict | style.
    """

    account: str | None = None
    tags: frozenset[str] = frozenset()
    region: str = ""
    purpose: str = ""
    content_class: str = ""
    intent: str = DEPICT
    job: str = ""
    uses: Mapping[str, Used] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A rule that did not count, and why."""

    rule: str
    effect: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What counts for an ask: ``outcome`` allow | review | block.

    ``by``: rule | mode | nothing (out of force); ``rule``: the winner, or None; ``lost``: every rule that
    applied and lost, strongest first; ``not_applying``: the others, with what did not hold; ``softened``:
    disputed | parody where that changed the outcome, or made a licence none; ``asks``: whether the holder is
    to be asked; ``capped``, ``credit``, ``licence_ref``, ``permission``: of the rule that won; ``used_up``:
    whether an allow would apply but for its cap.
    """

    outcome: str
    by: str
    rule: str | None = None
    licence: bool = False
    lost: tuple[Lost, ...] = ()
    not_applying: tuple[Lost, ...] = ()
    softened: str = ""
    asks: bool = False
    capped: bool = False
    credit: str = ""
    licence_ref: str = ""
    permission: str = ""
    used_up: bool = False


def ruling(record: SubjectRecord, ask: Ask, now: str) -> Ruling:
    """Apply the order above to a subject, for an ask, at a time (UTC, ISO 8601 with Z)."""
    if record.state != "active":  # 8
        return Ruling(outcome="allow", by=NOTHING)
    own, at = {row.id for row in record.rules}, parse_time(now)
    rows = {row.id: row for row in (*record.inherited, *record.rules)}
    least = EFFECTS.index(_of_mode(record, ask))
    missing = {row.id: _missing(row, ask, at, least) for row in rows.values()}
    applying = [row for row in rows.values() if not missing[row.id]]
    others = tuple(
        Lost(rule=row.id, effect=row.effect, why=missing[row.id])
        for row in sorted(rows.values(), key=lambda row: row.id) if missing[row.id]
    )  # fmt: skip
    used_up = any(one.why in USED_UP for one in others)
    if not applying:
        outcome, softened = _disputed(record, _of_mode(record, ask))
        return Ruling(
            outcome=outcome, by=MODE, not_applying=others, softened=softened, asks=record.mode == "ask",
            used_up=used_up,
        )  # fmt: skip
    ranked = sorted(applying, key=lambda row: _rank(record, row, ask, row.id in own), reverse=True)
    first = ranked[0]
    lost = tuple(
        Lost(rule=row.id, effect=row.effect, why=_why(record, first, row, ask, own)) for row in ranked[1:]
    )
    outcome, softened = _disputed(record, _effect(record, first, ask))
    counts = first.licence and record.standing == "active"  # 6
    if first.licence and record.standing == DISPUTED:
        softened = DISPUTED
    return Ruling(
        outcome=outcome, by=RULE, rule=first.id, licence=counts, lost=lost, not_applying=others,
        softened=softened or (PARODY if outcome != first.effect else ""), asks=first.conditions.ask,
        capped=first.conditions.capped, credit=first.conditions.credit,
        licence_ref=first.conditions.licence_ref, permission=first.conditions.permission,
        used_up=used_up,
    )  # fmt: skip


def scope(row: RuleRow) -> int:
    """How narrow a rule is: for a job, for accounts by name, for accounts by tag, for everybody."""
    conditions = row.conditions
    if conditions.job:
        return JOB
    if row.account is not None or conditions.accounts:
        return NAMED
    return TAGGED if conditions.tags else EVERYBODY


def _of_mode(record: SubjectRecord, ask: Ask) -> str:
    outcome = OF_MODE[record.mode]
    return "review" if outcome == "block" and ask.intent == STYLE else outcome


def _disputed(record: SubjectRecord, outcome: str) -> tuple[str, str]:
    """Rule 6."""
    return ("review", DISPUTED) if record.standing == DISPUTED and outcome == "block" else (outcome, "")


def _effect(record: SubjectRecord, row: RuleRow, ask: Ask) -> str:
    """Rule 7."""
    carved = ask.purpose == PARODY and PARODY in row.conditions.purposes and not row.licence
    return "review" if carved and record.kind == "person" and row.effect == "allow" else row.effect


def _rank(record: SubjectRecord, row: RuleRow, ask: Ask, own: bool) -> tuple[int, bool, int, int, str]:
    return scope(row), own, EFFECTS.index(_effect(record, row, ask)), row.priority, row.id


def _why(record: SubjectRecord, first: RuleRow, row: RuleRow, ask: Ask, own: set[str]) -> str:
    """What decided between the winner and this rule."""
    ranks = zip(
        _rank(record, first, ask, first.id in own), _rank(record, row, ask, row.id in own),
        (f"a rule for {_article(first)} counts before one for {_article(row)}",
         "the subject's own rule counts before its portfolio's",
         "the stricter effect counts", "the higher priority counts", "the younger rule counts"),
        strict=True,
    )  # fmt: skip
    return next(told for one, other, told in ranks if one != other)


def _article(row: RuleRow) -> str:
    return {"job": "this job", "account": "an account", "tag": "a tag"}.get(_SCOPES[scope(row)], "everybody")


def _missing(row: RuleRow, ask: Ask, at: datetime, least: int) -> str:
    """Which condition of a rule does not hold; empty if it applies. ``least``: how strict the mode is."""
    conditions = row.conditions
    if row.valid_from is not None and at < parse_time(row.valid_from):
        return "not yet"
    if row.valid_until is not None and parse_time(row.valid_until) <= at:
        return "ended"
    named = (row.account,) if row.account is not None else conditions.accounts
    if named and ask.account not in named:
        return "another account"
    if conditions.tags and not ask.tags & frozenset(conditions.tags):
        return "another tag"
    if conditions.job and conditions.job != ask.job:
        return "another job"
    if conditions.intent and conditions.intent != ask.intent:
        return "another intent"
    strict = row.effect != "allow" and EFFECTS.index(row.effect) >= least
    for what, said, wanted in (
        ("region", ask.region, conditions.countries()), ("purpose", ask.purpose, conditions.purposes),
        ("class of content", ask.content_class, conditions.content),
    ):  # fmt: skip
        if wanted and (not strict if said in UNSAID else said not in wanted):
            return f"no {what} was said" if said in UNSAID else f"another {what}"
    return _used_up(row, ask)


def _used_up(row: RuleRow, ask: Ask) -> str:
    used, conditions = ask.uses.get(row.id, Used()), row.conditions
    if conditions.cap_account is not None and used.account >= conditions.cap_account:
        return USED_UP[0]
    if conditions.cap_all is not None and used.everybody >= conditions.cap_all:
        return USED_UP[1]
    return ""
