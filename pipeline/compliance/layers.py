"""What each layer of a file says: the credential, AIGC and XMP, the marks in the pictures.

1. A credential whose content hash does not hold tells that the file was changed after it was signed: then
   nothing that stands beside it is believed either, and counts as failed.
2. A signer whom nobody here trusts, or of whom it is not known whether the key was revoked where that must be
   asked, is not checked, never found.
3. Without a credential, AIGC and XMP are found and unsigned: anybody may have written them.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pipeline.compliance.types import Facts, Finding, worst
from pipeline.credentials.file_labels import AigcText
from pipeline.credentials.judge import TRUST_FAILURES
from pipeline.credentials.reading import CredentialState, RevocationState, TimestampState
from pipeline.types import EvidenceState, FileVerdict
from pipeline.verify import types

FOUND: Final = EvidenceState.FOUND
ABSENT: Final = EvidenceState.ABSENT
NOT_CHECKED: Final = EvidenceState.NOT_CHECKED
FAILED: Final = EvidenceState.FAILED

MANIFEST: Final = "credential"
CHANGED: Final = "The credential says that the file was changed after it was signed."
STRANGER: Final = "Signed by somebody who is on no trust list here (--trust brings one)."
UNASKED: Final = (
    "Whether its signer's key was revoked must be asked here (ocsp), and nobody answered for certain."
)
ELSE_MARKED: Final = "No mark of the keys here was found; one of another service would not be recognised."
UNREAD: Final = "The file's metadata could not be read."
AI_FLAGS: Final = frozenset({
    "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia",
    "compositeSynthetic",
})  # fmt: skip
OUR_NUMBER: Final = {  # by cm:Role: in AIGC, who the provider is, and where its number stands
    "created": ("ContentProducer", "ProduceID"), "guarded": ("ContentPropagator", "PropagateID"),
}  # fmt: skip
SOURCE_TYPES: Final = ("http://cv.iptc.org/newscodes/digitalsourcetype/",)
SOURCE_TYPE: Final = "Iptc4xmpExt:DigitalSourceType"


def credential(facts: Facts) -> Finding:
    """The signed layer: whole, and signed by somebody who is trusted here."""
    reading = facts.credential
    if reading is None:
        return Finding(state=FAILED, why="The credential could not be read.")
    if reading.state is CredentialState.NONE:
        return Finding(state=ABSENT, why="The file carries no credential.")
    where = ("uuid box c2pa",)
    if reading.state is CredentialState.UNREADABLE:
        return Finding(state=FAILED, where=where, why="There is a credential, damaged beyond reading.")
    changed = set(reading.failures) - TRUST_FAILURES
    if not reading.hash_ok or not reading.signature_ok or changed:
        return Finding(state=FAILED, where=where, why=CHANGED)
    if reading.revoked_signer:
        return Finding(state=FAILED, where=where, why="Its signer's key was revoked.")
    if reading.revocation is RevocationState.NOT_CHECKED:
        return Finding(state=NOT_CHECKED, where=where, why=UNASKED)
    if not reading.trusted:
        return Finding(state=NOT_CHECKED, where=where, why=STRANGER)
    return Finding(state=FOUND, where=where, value=reading.urn or "")


def asserted(facts: Facts, place: str, value: str | None) -> Finding:
    """Something that the credential says; `place`: the assertion, `value`: as read."""
    layer = credential(facts)
    if layer.state in (ABSENT, FAILED):
        return Finding(state=layer.state, why=layer.why)
    if not value:
        return Finding(state=ABSENT, why="The credential does not say it.")
    return Finding(state=layer.state, where=(f"{MANIFEST}: {place}",), value=value, why=layer.why)


def believed(facts: Facts, place: str, value: str | None) -> Finding:
    """The same of what a reading keeps of trusted credentials alone: of others it is unknown, not absent."""
    layer = credential(facts)
    return layer if layer.state is NOT_CHECKED else asserted(facts, place, value)


def stamped(facts: Facts) -> Finding:
    """The credential's time-stamp."""
    reading = facts.credential
    if reading is not None and reading.timestamp is TimestampState.UNTRUSTED:
        state = FAILED if credential(facts).state is FAILED else NOT_CHECKED
        return Finding(state=state, why="Time-stamped by an authority that is on no trust list here.")
    return asserted(facts, "time-stamp", reading.timestamp_time if reading else None)


def aigc(facts: Facts, field: str, *, may_be_empty: bool = False) -> Finding:
    """One field of the AIGC label of GB 45438."""
    if facts.labels is None:
        return Finding(state=FAILED, why=UNREAD)
    texts = facts.labels.aigc
    broken = next((text for text in texts if text.fields is None), None)
    if broken is not None:
        return Finding(state=FAILED, where=(broken.place,), value=broken.text[:80], why=_fault(broken.fault))
    values = [text.fields[field] for text in texts if text.fields is not None and field in text.fields]
    if not values:
        return _nothing(facts, "No AIGC label is in the file." if not texts else "The AIGC label lacks it.")
    if len(set(values)) > 1 or len(values) < len(texts):
        return Finding(state=FAILED, where=_places(texts), why="Its AIGC labels contradict each other.")
    value = values[0]
    if not value and not may_be_empty:
        return replace(_nothing(facts, "The field is there, and empty."), where=_places(texts))
    return _beside(facts, Finding(state=FOUND, where=_places(texts), value=value or "(empty)"))


def xmp(facts: Facts, *names: str) -> Finding:
    """A property of XMP, under one of these names; several values are a contradiction."""
    if facts.labels is None:
        return Finding(state=FAILED, why=UNREAD)
    packets = facts.labels.xmp
    broken = next((packet for packet in packets if packet.properties is None), None)
    if broken is not None:
        return Finding(state=FAILED, where=(f"{broken.place} XMP",), why=_fault(broken.fault))
    values = {name: facts.labels.values(name) for name in names if facts.labels.values(name)}
    if not values:
        return _nothing(facts, "No XMP in the file says it." if packets else "No XMP is in the file.")
    where = tuple(f"XMP {name}" for name in values)
    if len({value for told in values.values() for value in told}) > 1:
        return Finding(state=FAILED, where=where, why="XMP says several things.")
    return _beside(facts, Finding(state=FOUND, where=where, value=next(iter(values.values()))[0]))


def source_type(facts: Facts) -> Finding:
    """IPTC's digital source type in XMP: one that says that a model made it, and what the credential says."""
    told = xmp(facts, SOURCE_TYPE)
    if told.state is not FOUND:
        return told
    signed = facts.credential.digital_source_types if facts.credential else ()
    if not _is_flag(told.value):
        return replace(told, state=FAILED, why="It says something else than AI.")
    if signed and told.value not in signed:
        return replace(told, state=FAILED, why="The credential says another one.")
    return told


def signed_source_type(facts: Facts) -> Finding:
    """The same in the credential's actions."""
    kinds = facts.credential.digital_source_types if facts.credential else ()
    flagged = [kind for kind in kinds if _is_flag(kind)]
    return asserted(facts, "c2pa.actions, digitalSourceType", flagged[0] if flagged else None)


def aigc_label(facts: Facts) -> Finding:
    """GB 45438's grade, which is 1, 2 or 3."""
    told = aigc(facts, "Label")
    if told.state is FOUND and told.value not in ("1", "2", "3"):
        return replace(told, state=FAILED, why="The grade is not 1, 2 or 3.")
    return told


def hidden_mark(facts: Facts) -> Finding:
    """The watermark, where keys are at hand."""
    line = facts.report.evidence[types.HIDDEN_MARK]
    where = ("pixels, hidden mark",)
    if facts.report.verdict is FileVerdict.CONFLICT:
        return Finding(state=FAILED, where=where, why="The mark belongs to another clip.")
    ours = facts.credential is not None and facts.credential.ours
    if line.state is ABSENT and not ours:
        return Finding(state=NOT_CHECKED, why=ELSE_MARKED)
    if line.state is not FOUND:
        return Finding(state=line.state, why=line.summary)
    payload = line.found.get("payload")
    return Finding(state=FOUND, where=where, value=str(payload) if payload else "present, not readable")


def logged(facts: Facts) -> Finding:
    """The entry of the log, where one can be asked."""
    line = facts.report.evidence[types.LOG]
    value = f"entry {line.found.get('entry')}" if line.state is FOUND else ""
    return Finding(state=line.state, where=("log",) if value else (), value=value, why=line.summary)


def any_of(findings: Iterable[Finding]) -> Finding:
    """Several places that may carry the same: where it is, or why nowhere."""
    told = tuple(findings)
    state = worst(told)
    at = [finding for finding in told if finding.state is state]
    value = next((finding.value for finding in at if finding.value), "")
    why = "" if state is FOUND else " ".join(dict.fromkeys(finding.why for finding in at if finding.why))
    where = tuple(place for finding in at for place in finding.where)
    return Finding(state=state, where=where, value=value, why=why)


def numbers(facts: Facts) -> dict[str, Finding]:
    """The release's number by layer, as far as the layers name one."""
    reading = facts.credential
    payload = reading.payload if reading else None
    found = {
        "hidden mark": hidden_mark(facts),
        "credential": asserted(facts, "c2pa.soft-binding", None if payload is None else f"{payload:016x}"),
        "XMP": xmp(facts, "cm:Number"),
    }
    # The producer's number in a guarded clip is another release's, even where both are the same service.
    pair = OUR_NUMBER.get(xmp(facts, "cm:Role").value)
    provider = xmp(facts, "cm:Provider").value
    if pair and provider and aigc(facts, pair[0]).value == provider:
        found[f"AIGC {pair[1]}"] = aigc(facts, pair[1])
    return found


def identifier(facts: Facts) -> Finding:
    """Whether the layers name the same number, so that each leads to the others."""
    layers = numbers(facts)
    named = {name: told for name, told in layers.items() if told.state is FOUND and len(told.value) == 16}
    where = tuple(place for told in named.values() for place in told.where)
    values = {told.value for told in named.values()}
    if len(values) > 1 or _names_differ(facts):
        return Finding(state=FAILED, where=where, why="The layers name different numbers or credentials.")
    failed = [told for told in layers.values() if told.state is FAILED]
    if failed:
        return Finding(state=FAILED, where=where, why=failed[0].why)
    if len(named) >= 2:
        return Finding(state=FOUND, where=where, value=next(iter(values)))
    if any(told.state is NOT_CHECKED for told in layers.values()):
        return Finding(state=NOT_CHECKED, where=where, why="Not all layers could be read.")
    return Finding(state=ABSENT, where=where, why="Fewer than two layers name the same number.")


def _names_differ(facts: Facts) -> bool:
    """Whether XMP names another credential than the one that is here."""
    reading, named = facts.credential, xmp(facts, "cm:Manifest")
    if reading is None or not reading.urn or named.state is not FOUND:
        return False
    return named.value != reading.urn


def _nothing(facts: Facts, why: str) -> Finding:
    """Nothing was found."""
    return _searched(facts, Finding(state=ABSENT, why=why))


def _searched(facts: Facts, told: Finding) -> Finding:
    """What was found or not, where all was searched; else what lies further on may say something else."""
    fault = facts.labels.fault if facts.labels is not None else UNREAD
    return replace(told, state=NOT_CHECKED, why=_fault(fault)) if fault else told


def _beside(facts: Facts, told: Finding) -> Finding:
    """What stands beside a credential: rule 1."""
    layer = credential(facts)
    if layer.state is FAILED:
        return replace(told, state=FAILED if facts.credential else NOT_CHECKED, why=layer.why)
    signed = {ABSENT: "", FOUND: ", signed"}.get(layer.state, ", not signed for certain")
    return _searched(facts, replace(told, where=tuple(f"{place}{signed}" for place in told.where)))


def _places(texts: Iterable[AigcText]) -> tuple[str, ...]:
    return tuple(text.place for text in texts)


def _fault(fault: str) -> str:
    return f"It cannot be read: {fault}."


def _is_flag(kind: str) -> bool:
    return any(kind.startswith(start) and kind.removeprefix(start) in AI_FLAGS for start in SOURCE_TYPES)
