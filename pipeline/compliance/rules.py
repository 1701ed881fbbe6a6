"""The rules as tables: what each asks for, where it is looked for, and what would add it.

From secondary sources (docs/compliance.md), in the words of somebody who reads files, not law.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from pipeline.compliance import layers
from pipeline.compliance.layers import FOUND
from pipeline.compliance.pictures import visible_label
from pipeline.compliance.types import Facts, Finding, Row, Rule

Look = Callable[[Facts], Finding]

RELEASE: Final = "Release the clip with `create` or `guard`, and pass on that very file."
RELEASE_AGAIN: Final = "Pass on the file as it was released, or release it again."
MAKER: Final = "Its maker says it: hand in the maker's own file, or make the clip with `create`."
STAND: Final = "Set `standing_label`, and release the clip again."
NEXT: Final = "Whoever passes it on adds it."
NUMBER: Final = "Verify with the keys of whoever released it (--home, --trust), or release it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One field of one rule; see `Row`."""

    field: str
    asks: str
    look: Look
    remedy: str
    required: bool = True


def _aigc(field: str, *, may_be_empty: bool = False) -> Look:
    return lambda facts: layers.aigc(facts, field, may_be_empty=may_be_empty)


def _ai_flag(facts: Facts) -> Finding:
    return layers.any_of(
        (layers.signed_source_type(facts), layers.source_type(facts), layers.aigc_label(facts))
    )


def _provider(facts: Facts) -> Finding:
    """Of what made the clip: who only guarded it, and says so, is not its provider."""
    made = facts.credential is not None and bool(facts.credential.digital_source_types)
    signer = facts.credential.signer_name if facts.credential and made else None
    role = layers.xmp(facts, "cm:Role")
    ours = (layers.xmp(facts, "cm:Provider"),) if role.value == "created" else ()
    return layers.any_of((
        *ours, layers.believed(facts, "signer", signer), layers.aigc(facts, "ContentProducer"),
    ))  # fmt: skip


def _system(facts: Facts) -> Finding:
    told = facts.credential.system if facts.credential else None
    return layers.any_of((
        layers.xmp(facts, "cm:System", "Iptc4xmpExt:AISystemUsed"),
        layers.believed(facts, "c2pa.actions, softwareAgent", told),
    ))  # fmt: skip


def _version(facts: Facts) -> Finding:
    told = facts.credential.system_version if facts.credential else None
    return layers.any_of((
        layers.xmp(facts, "cm:SystemVersion", "Iptc4xmpExt:AISystemVersionUsed"),
        layers.believed(facts, "c2pa.actions, softwareAgent", told),
    ))  # fmt: skip


def _time(facts: Facts) -> Finding:
    told = facts.credential.made_at if facts.credential else None
    return layers.any_of((
        layers.xmp(facts, "cm:At"), layers.believed(facts, "c2pa.actions, when", told),
        layers.stamped(facts),
    ))  # fmt: skip


def _unique(facts: Facts) -> Finding:
    urn = facts.credential.urn if facts.credential else None
    return layers.any_of((
        layers.xmp(facts, "cm:Number"), layers.asserted(facts, "name", urn), layers.aigc(facts, "ProduceID"),
    ))  # fmt: skip


def _fingerprint(facts: Facts) -> Finding:
    found = facts.credential.fingerprint if facts.credential else None
    return layers.asserted(facts, "c2pa.soft-binding", f"{len(found)} bytes" if found else None)


def _inbound(facts: Facts) -> Finding:
    opened = facts.credential is not None and "c2pa.opened" in facts.credential.actions
    return layers.any_of((
        layers.asserted(facts, "ingredient, what was opened", "kept or named" if opened else None),
        layers.xmp(facts, "cm:InboundAIGC"), layers.xmp(facts, "cm:InboundXMP"),
    ))  # fmt: skip


QUESTIONS: Final[dict[Rule, tuple[Question, ...]]] = {
    Rule.EU: (
        Question(
            field="signed_metadata", look=layers.credential, remedy=RELEASE_AGAIN,
            asks="a layer of metadata that is signed",
        ),
        Question(
            field="timestamp", look=layers.stamped, remedy=RELEASE_AGAIN, asks="time-stamped",
        ),
        Question(
            field="ai_flag", look=_ai_flag, remedy=RELEASE, asks="saying that a model made or changed it",
        ),
        Question(
            field="watermark", look=layers.hidden_mark, remedy=NUMBER,
            asks="a second layer: an imperceptible watermark",
        ),
        Question(
            field="identifier", look=layers.identifier, remedy=NUMBER,
            asks="a number by which the layers lead to each other",
        ),
        Question(
            field="inbound_marks", look=_inbound, remedy=MAKER, required=False,
            asks="marks that a clip came with are kept",
        ),
        Question(
            field="fingerprint", look=_fingerprint, remedy=RELEASE, required=False, asks="a fingerprint",
        ),
        Question(
            field="log", look=layers.logged, remedy=NUMBER, required=False, asks="an entry of a log",
        ),
        Question(
            field="visible_label", look=visible_label, remedy=STAND, required=False,
            asks="a label that people see",
        ),
    ),
    Rule.SB942: (
        Question(field="provider", look=_provider, remedy=RELEASE, asks="name of the provider"),
        Question(field="system", look=_system, remedy=MAKER, asks="name of the system"),
        Question(field="system_version", look=_version, remedy=MAKER, asks="and its version"),
        Question(field="time", look=_time, remedy=RELEASE, asks="time and date of creation or alteration"),
        Question(field="unique_identifier", look=_unique, remedy=RELEASE, asks="a unique identifier"),
        Question(
            field="durable", look=layers.hidden_mark, remedy=NUMBER,
            asks="a disclosure that is hard to remove: the hidden mark",
        ),
        Question(
            field="visible_disclosure", look=visible_label, remedy=STAND, required=False,
            asks="a visible disclosure, where the user wants one",
        ),
    ),
    Rule.GB45438: (
        Question(
            field="visible_label", look=visible_label, remedy=STAND,
            asks="a label from the start for 2 s, its letters 5 % of the shorter side",
        ),
        Question(
            field="Label", look=layers.aigc_label, remedy=RELEASE,
            asks="AIGC: 1 generated, 2 maybe, 3 suspected",
        ),
        Question(
            field="ContentProducer", look=_aigc("ContentProducer"), remedy=MAKER, asks="AIGC: who made it"
        ),
        Question(field="ProduceID", look=_aigc("ProduceID"), remedy=MAKER, asks="AIGC: its number there"),
        Question(
            field="ReservedCode1", look=_aigc("ReservedCode1", may_be_empty=True), remedy=MAKER,
            asks="AIGC: what guards it, as the maker likes",
        ),
        Question(
            field="ContentPropagator", look=_aigc("ContentPropagator"), remedy=NEXT, required=False,
            asks="AIGC: who passes it on",
        ),
        Question(
            field="PropagateID", look=_aigc("PropagateID"), remedy=NEXT, required=False,
            asks="AIGC: its number there",
        ),
        Question(
            field="ReservedCode2", look=_aigc("ReservedCode2", may_be_empty=True), remedy=RELEASE,
            asks="AIGC: what guards it, as they like",
        ),
    ),
    Rule.IPTC: (
        Question(
            field="DigitalSourceType", look=layers.source_type, remedy=MAKER,
            asks="XMP: a source type that says that a model made it",
        ),
        Question(
            field="AISystemUsed", look=lambda facts: layers.xmp(facts, "Iptc4xmpExt:AISystemUsed"),
            remedy=MAKER, required=False, asks="XMP: the system",
        ),
        Question(
            field="AISystemVersionUsed", remedy=MAKER, required=False, asks="XMP: its version",
            look=lambda facts: layers.xmp(facts, "Iptc4xmpExt:AISystemVersionUsed"),
        ),
    ),
}  # fmt: skip


def judge(facts: Facts, rules: Collection[Rule]) -> tuple[Row, ...]:
    """A row for each field of these rules, in the order of the tables."""
    return tuple(
        _row(rule, one, one.look(facts))
        for rule, questions in QUESTIONS.items()
        if rule in rules
        for one in questions
    )


def _row(rule: Rule, asked: Question, told: Finding) -> Row:
    return Row(
        rule=rule, field=asked.field, asks=asked.asks, required=asked.required, finding=told,
        remedy="" if told.state is FOUND else asked.remedy,
    )  # fmt: skip
