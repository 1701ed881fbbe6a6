"""What a verification says to a person. Never that something is real, always what was found."""

import math
from dataclasses import replace
from datetime import datetime
from typing import Final

from pipeline.credentials.reading import CredentialReading, CredentialState, RevocationState, TimestampState
from pipeline.types import Evidence, EvidenceState, FileVerdict, Json, JsonValue
from pipeline.verify.checked import Checked, CheckedState
from pipeline.verify.content import Content, ContentMatch
from pipeline.verify.types import ReleaseSummary
from watermark.base import MAX_SLANT, Detection, Geometry
from watermark.detector import MAX_LOG10_CHANCE
from watermark.payload import as_hex

LOOKED_FOR: Final = "Looked for, not found."
LOOKED_FOR_IN_PARTS: Final = (
    "Looked for, not found. Parts of the clip are too short to be looked at, or come too late in it."
)
TOO_SHORT: Final = "Not looked for: the clip is too short, or its frames lie too far apart."
NOT_ASKED_ABOUT: Final = (
    "There is one, but nobody could say whether its signer was revoked; it is not relied on."
)
COVERED: Final = "It shows the release, but something in the picture was covered, added or changed."
TOLD_PACE: Final = 0.03  # relative; the mark measures the speed of a short clip about so well
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip

_BY_CREDENTIAL: Final = (FileVerdict.INTACT, FileVerdict.ALTERED)
_HEADLINES: Final = {
    FileVerdict.UNREADABLE: "This file cannot be read as a video.",
    FileVerdict.CONFLICT: "The evidence disagrees: do not rely on it.",
    FileVerdict.INTACT: "Released by {service}{when}; every byte is as it was signed.",
    FileVerdict.ALTERED: "Signed by {service}{when}; what it holds now is not what was signed.",
    FileVerdict.UNTRUSTED_CLAIM: "It carries a credential that cannot be relied on.",
    FileVerdict.RECOVERED: "Released by {service}{when}. Later changed: the credential was lost{how}.",
    FileVerdict.RECOVERED_UNCONFIRMED: (
        "It carries the hidden mark of a release by {service}{when}; its pictures could not be confirmed."
    ),
    FileVerdict.FOREIGN: "It carries an intact credential of another signer we trust{signer}.",
    FileVerdict.TRACES: "Traces of {service}, not enough to be sure.",
    FileVerdict.INCONCLUSIVE: "Not everything could be checked, so there is no answer.",
    FileVerdict.NONE: "Nothing found. This does not mean that it is a camera recording.",
}
_REVOKED: Final = "Signed with a key of {service} that was revoked: do not rely on the credential."


def headline(
    verdict: FileVerdict,
    service: str,
    release: ReleaseSummary | None,
    geometry: Geometry | None,
    credential: CredentialReading | None,
) -> str:
    """One sentence; names come from our own keys or a trusted credential only."""
    day = _day(release.published_at) if release and release.published_at else ""
    signer = credential.signer_name if credential and credential.trusted and not credential.ours else None
    revoked = credential is not None and credential.revoked_signer
    sentence = _REVOKED if revoked and verdict in _BY_CREDENTIAL else _HEADLINES[verdict]
    return sentence.format(
        service=service, when=f" on {day}" if day else "", how=_how(geometry),
        signer=f" ({signer})" if signer else "",
    )  # fmt: skip


def _day(moment: str) -> str:
    date = datetime.fromisoformat(moment)
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}"


def _how(geometry: Geometry | None) -> str:
    if geometry is None:
        return ""
    changes = [
        "the picture mirrored" if geometry.mirrored else "",
        "the picture turned" if abs(geometry.rotation) >= MAX_SLANT else "",
        "the picture cut or zoomed" if abs(geometry.scale - 1) >= 0.01 else "",
        "the speed changed" if abs(geometry.speed - 1) >= TOLD_PACE else "",
    ]
    told = [change for change in changes if change]
    return f", {' and '.join(told)}" if told else ""


def credential_line(
    reading: CredentialReading | None, *, recovered: bool, stored: CredentialReading | None = None
) -> Evidence:
    """The credential's line; `recovered`: the file has none, but the `stored` one was found by the mark."""
    if reading is None:
        return Evidence(state=EvidenceState.FAILED, summary="The credential could not be read.")
    if RevocationState.NOT_CHECKED in (reading.revocation, stored and stored.revocation):
        return Evidence(state=EvidenceState.NOT_CHECKED, summary=NOT_ASKED_ABOUT)
    if reading.state is CredentialState.NONE:
        text = "Removed; the stored credential was found through the hidden mark." if recovered else "None."
        return Evidence(state=EvidenceState.ABSENT, summary=text, found={"recovered": recovered})
    if reading.state is CredentialState.UNREADABLE:
        return Evidence(state=EvidenceState.FAILED, summary="There is one, but it is damaged beyond reading.")
    return Evidence(state=EvidenceState.FOUND, summary=_credential(reading), found=_details(reading))


def _credential(reading: CredentialReading) -> str:
    if not reading.trusted:
        return "Signed by somebody we do not know or trust; what it claims is not shown."
    whose = "Ours" if reading.ours else f"Of {reading.signer_name or 'another trusted signer'}"
    whole = "the file is as it was signed" if reading.hash_ok else "the file was changed afterwards"
    stamped = (
        f", time-stamped {reading.timestamp_time}" if reading.timestamp is TimestampState.TRUSTED else ""
    )
    return f"{whose}{stamped}; {whole}."


def _details(reading: CredentialReading) -> Json:
    found: Json = {
        "trusted": reading.trusted, "ours": reading.ours, "hash_ok": reading.hash_ok,
        "signature_ok": reading.signature_ok, "timestamp": str(reading.timestamp),
        "timestamp_time": reading.timestamp_time, "failures": list(reading.failures),
        "ingredients": reading.ingredients, "laundered_parent": reading.laundered_parent,
        "revoked_signer": reading.revoked_signer, "revocation": str(reading.revocation),
    }  # fmt: skip
    if reading.trusted:
        found |= {
            "signer": reading.signer_name, "generator": reading.generator, "urn": reading.urn,
            "actions": list(reading.actions), "release": reading.release,
        }  # fmt: skip
    return found


def hidden_line(detection: Detection | None, *, failed: bool) -> Evidence:
    """The hidden mark's line; without keys, or anything to search, it is not checked, never absent."""
    if failed:
        return Evidence(state=EvidenceState.FAILED, summary="The frames could not be read.")
    if detection is None:
        summary = "Not looked for: there is no detection key here (--trust with a bundle brings one)."
        return Evidence(state=EvidenceState.NOT_CHECKED, summary=summary)
    numbers: Json = {
        "payload": None if detection.payload is None else as_hex(detection.payload),
        "log10_chance": round(detection.log10_chance, 1), "span": _span(detection),
        "presence_log10_chance": round(detection.presence_log10_chance, 1), "frames": detection.frames,
        "geometry": _geometry(detection.geometry), "key_epoch": detection.key_epoch,
        "listed": detection.listed,
    }  # fmt: skip
    if detection.payload is not None:
        start, end = detection.span or (0.0, 0.0)
        summary = (
            f"Found, first at {start:.1f} s and last at {end:.1f} s; an unmarked clip would be read so with "
            f"a chance below 1 in 10^{math.floor(-detection.log10_chance)}."
        )
        if detection.listed:
            summary += " It was recognised among the payloads released here, without being decoded."
        return Evidence(state=EvidenceState.FOUND, summary=summary, found=numbers)
    if present(detection):
        summary = "A mark of this key is there, but too weak to be read."
        return Evidence(state=EvidenceState.FOUND, summary=summary, found=numbers)
    if not detection.searched:
        return Evidence(state=EvidenceState.NOT_CHECKED, summary=TOO_SHORT)
    summary = LOOKED_FOR if detection.searched == detection.blocks else LOOKED_FOR_IN_PARTS
    return Evidence(state=EvidenceState.ABSENT, summary=summary, found=numbers)


def with_pictures(line: Evidence, found: ContentMatch) -> Evidence:
    """The hidden mark's line with how the pictures compare with those of the release that it names."""
    numbers: Json = {
        "pictures": str(found.content), "structure": _rounded(found.structure),
        "least_structure": _rounded(found.least), "differs": _rounded(found.differs),
        "moments": found.moments,
    }  # fmt: skip
    return replace(line, found=line.found | numbers)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def pictures_note(found: ContentMatch | None) -> tuple[str, ...]:
    """Says that a part of the picture was changed, where that is why it could not be confirmed."""
    if found is None or found.content is not Content.UNDECIDED or not found.alike:
        return ()
    return (COVERED,)


def present(detection: Detection | None) -> bool:
    """Whether a mark of our key is there, readable or not."""
    return detection is not None and (
        detection.payload is not None or detection.presence_log10_chance <= MAX_LOG10_CHANCE
    )


def _span(detection: Detection) -> list[JsonValue] | None:
    return None if detection.span is None else [round(moment, 2) for moment in detection.span]


def _geometry(geometry: Geometry | None) -> Json | None:
    if geometry is None:
        return None
    return {
        "scale": round(geometry.scale, 4), "mirrored": geometry.mirrored,
        "rotation": round(geometry.rotation, 2), "speed": round(geometry.speed, 3),
        "shift": [round(part, 4) for part in geometry.shift], "time_offset": round(geometry.time_offset, 3),
    }  # fmt: skip


_LOG: Final = {
    EvidenceState.FOUND: "The release is entry {seq} of the log, and the log proves it.",
    EvidenceState.ABSENT: "The log knows no release of this clip.",
    EvidenceState.FAILED: "The log entry does not prove itself; ask the service for its log.",
    EvidenceState.NOT_CHECKED: "Not asked: there is no registry here, or nothing to ask it about.",
}


_CHECKED: Final = {
    CheckedState.SIGNED: " Its credential names the state of the log it was checked against: entry {seq}.",
    CheckedState.CONSISTENT: " It was checked against entry {seq}; the log is that one, and only grew since.",
    CheckedState.CONTRADICTED: " The log is not the one that its credential was checked against.",
}


def log_line(
    state: EvidenceState, seq: int | None, tree_size: int | None, checked: Checked | None = None
) -> Evidence:
    """The log's line; `checked`: what the checkpoint in the credential says of the log."""
    found: Json = {} if seq is None else {"entry": seq, "tree_size": tree_size}
    summary = _LOG[state].format(seq=seq)
    if checked is not None and checked.state is not CheckedState.NONE:
        found |= {"checked_against": checked.to_json()}
        summary += _CHECKED.get(checked.state, "").format(seq=checked.seq)
    return Evidence(state=state, summary=summary, found=found)
