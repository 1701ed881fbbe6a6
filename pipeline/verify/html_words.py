"""What the report says in plain words: verdicts, flags, states, lines of evidence, and our limits.

The words judge files, never what they show: nothing here says that a clip is true or untrue to life.
``{service}`` is replaced by the service's name.
"""

from dataclasses import dataclass
from typing import Final

from pipeline.types import EvidenceState, FileVerdict
from pipeline.verify.types import (
    CREDENTIAL,
    FORGED_LABEL,
    HIDDEN_MARK,
    LAUNDERED_PARENT,
    LOG,
    REVOKED_SIGNER,
    VISIBLE_MARK,
    VISIBLE_MARK_REMOVED,
    WITHDRAWN_RELEASE,
)

KNOWN: Final = "known"
CAUTION: Final = "caution"
OPEN: Final = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictWords:
    """`word`: for the chip. `tone`: its colour, which never speaks alone. `means`, `not_means`: sentences."""

    word: str
    tone: str
    means: str
    not_means: str


VERDICTS: Final[dict[FileVerdict, VerdictWords]] = {
    FileVerdict.INTACT: VerdictWords(
        word="Intact",
        tone=KNOWN,
        means="The file carries a content credential of {service}. Its signature and its time-stamp hold, "
        "and every byte is as it was when {service} released the clip.",
        not_means="It says where the file comes from. It does not say that what the clip shows took place, "
        "or that the words it was shared with are right.",
    ),
    FileVerdict.RECOVERED: VerdictWords(
        word="Recovered",
        tone=KNOWN,
        means="The file no longer carries a credential. Its hidden mark led to a release of {service}, and "
        "the picture matches what was released. The credential kept there is sound, but it describes the "
        "clip as released: this copy was changed on its way, at least repackaged or re-encoded.",
        not_means="It does not say who changed the copy, or why. Most platforms drop the credential from "
        "every upload, so a missing one is no sign of bad intent.",
    ),
    FileVerdict.RECOVERED_UNCONFIRMED: VerdictWords(
        word="Recovered, not confirmed",
        tone=CAUTION,
        means="The hidden mark led to a release of {service}, but the picture is too plain, too short or "
        "too much changed to be called the same as what was released.",
        not_means="It does not yet tie this clip to that release: a hidden mark can be copied from one clip "
        "into another. Compare the two by eye, or look for a longer copy.",
    ),
    FileVerdict.ALTERED: VerdictWords(
        word="Altered",
        tone=CAUTION,
        means="The file carries a credential signed by {service}, but its content is not what was signed. It "
        "was changed after its release.",
        not_means="It does not say what was changed, by whom or to what end. A harmless re-encoding and a "
        "deceptive edit look the same to this check: compare with the clip as released.",
    ),
    FileVerdict.CONFLICT: VerdictWords(
        word="Evidence disagrees",
        tone=CAUTION,
        means="The lines of evidence contradict each other: they point to different sources for this file. "
        "A mark may have been copied into it.",
        not_means="It does not say which line is right. Do not rely on any one of them alone; ask for the "
        "file from which this one was made.",
    ),
    FileVerdict.UNTRUSTED_CLAIM: VerdictWords(
        word="Untrusted claim",
        tone=CAUTION,
        means="The file carries a credential that this check cannot trust: it is damaged, or nobody on the "
        "trust list vouches for its signer or its time-stamp. Nothing that it states about itself is "
        "supported, so no name from it is shown here.",
        not_means="It does not mean that the claim is wrong, only that nothing here supports it. Anyone can "
        "sign a file under a name of their choosing.",
    ),
    FileVerdict.FOREIGN: VerdictWords(
        word="Another service",
        tone=OPEN,
        means="The file carries a credential signed by another service, one that is on the trust list of "
        "this check. No release of {service} was recognised in it.",
        not_means="It does not mean that {service} stands behind what the other service states, nor by "
        "itself that the content is as it was signed: the table below says so. Ask that service.",
    ),
    FileVerdict.TRACES: VerdictWords(
        word="Traces",
        tone=CAUTION,
        means="A hidden mark like that of {service} is there, more than chance explains, but it is too weak "
        "to be read, or it leads to no known release.",
        not_means="It is not enough to say that the clip comes from {service}. A longer, larger or less "
        "compressed copy may settle it.",
    ),
    FileVerdict.INCONCLUSIVE: VerdictWords(
        word="Inconclusive",
        tone=OPEN,
        means="A line of evidence that could have spoken was not checked or its check failed, and the others "
        "do not settle where the file comes from.",
        not_means="It is neither a finding nor an all-clear. The table below names what was not checked; "
        "check the file again where keys and registry can be asked.",
    ),
    FileVerdict.NONE: VerdictWords(
        word="Nothing found",
        tone=OPEN,
        means="Credential, hidden mark and log were checked, and none leads to {service} or to another "
        "service on the trust list.",
        not_means="It does not mean that the clip is a camera recording. Other generators leave none of "
        "these marks, and marks can be lost or destroyed.",
    ),
    FileVerdict.UNREADABLE: VerdictWords(
        word="Unreadable",
        tone=OPEN,
        means="The file could not be read as a video, so nothing could be established.",
        not_means="It says nothing about the clip. A broken download is the usual cause: fetch the file "
        "again.",
    ),
}

STATES: Final[dict[EvidenceState, str]] = {
    EvidenceState.FOUND: "Found",
    EvidenceState.ABSENT: "Absent",
    EvidenceState.NOT_CHECKED: "Not checked",
    EvidenceState.FAILED: "Check failed",
}
TONES: Final = {EvidenceState.FOUND: KNOWN, EvidenceState.FAILED: CAUTION}
OPEN_STATES: Final = "“Not checked” and “check failed” count neither as found nor as absent."


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWords:
    """`title`: its name. `what`: a few words. `know`, `wrong`: how it convinces, how it can mislead."""

    title: str
    what: str
    know: str
    wrong: str


LINES_OF_EVIDENCE: Final[dict[str, LineWords]] = {
    CREDENTIAL: LineWords(
        title="Content credential",
        what="a signed statement inside the file",
        know="A signature under the C2PA standard covers the bytes of the file and the time of signing. "
        "Changing one byte breaks it.",
        wrong="It is easily lost: saving, sending or editing a clip usually drops it. A signer whose key was "
        "stolen can sign anything until the key is revoked.",
    ),
    HIDDEN_MARK: LineWords(
        title="Hidden mark",
        what="a keyed pattern in the picture",
        know="The pattern follows a secret key. A chance of error in the table above is an upper bound, "
        "calculated for the whole search through that file: how likely it is that a clip without the mark "
        "would read as strongly. It assumes that the key is secret.",
        wrong="Strong compression, small pictures, a few seconds of plain content or regeneration by another "
        "model can destroy it; then we miss it. It can be copied into another clip, which is why the picture "
        "is also compared with the release.",
    ),
    VISIBLE_MARK: LineWords(
        title="Visible mark",
        what="a moving label over the picture",
        know="The hidden mark tells which path the visible mark took, so the check knows where it must be in "
        "every frame and looks there, also in a picture that was cut, turned or sped up. Painting over it "
        "leaves a hole in the hidden mark, which tells a removal from a path that was misjudged.",
        wrong="An overlay or heavy compression can hide it without anyone having painted over it. Without "
        "the hidden mark its path is unknown: a label like ours is then called forged, or not checked where "
        "compression may have destroyed the hidden mark that it had.",
    ),
    LOG: LineWords(
        title="Log",
        what="the record of releases",
        know="Each release is an entry in an append-only log with a cryptographic proof: an entry cannot be "
        "changed or removed later without being noticed by whoever kept an earlier checkpoint.",
        wrong="It proves that the entry exists, not that this file is that release: the other lines show "
        "that. Where no registry could be asked, it is not checked.",
    ),
}

FLAGS: Final[dict[str, tuple[str, str]]] = {
    REVOKED_SIGNER: (
        "Signer revoked",
        "The certificate that signed this credential was withdrawn, and the withdrawal covers this "
        "signature. Do not rely on the credential.",
    ),
    LAUNDERED_PARENT: (
        "Broken source",
        "The clip was made from another file whose own credential was already broken. The newest signature "
        "holds, but it does not mend what came before.",
    ),
    VISIBLE_MARK_REMOVED: (
        "Visible mark missing",
        "The hidden mark tells where the visible mark must be, and it is not there for part or all of the "
        "clip: painted over or covered.",
    ),
    FORGED_LABEL: (
        "Label without its hidden mark",
        "A label like that of {service} is in the picture, but the hidden mark that belongs to it is not, or "
        "puts it elsewhere. Anyone can draw such a label: it does not show that {service} made the clip.",
    ),
    WITHDRAWN_RELEASE: (
        "Release withdrawn",
        "{service} released this clip and later withdrew it, for example because a rights holder opted out. "
        "It should not be shared further.",
    ),
}
UNKNOWN_FLAG: Final = "This report has no explanation for this flag; ask {service}."

HOW_INTRO: Final = (
    "Four lines of evidence are checked one by one, so that one failing does not silence the others. The "
    "verdict follows from fixed rules; nobody's opinion enters."
)
KEEPING: Final = (
    "This page is a record, not a proof: anyone can edit a page. To be sure, check the video file itself "
    "again with {service}, and keep the file together with this report."
)
KEEPING_SIGNED: Final = (
    "This page carries the report under a signature of {service} (report key {key}), and is signed as a "
    "whole. Whoever has the page and the public half of that key can check both without any network: "
    "“countermark report check” notices a page of which one character was changed. The signature says who "
    "checked which file, and what they found. On paper none of it can be checked: keep the page, and the "
    "video file together with it."
)
SCOPE: Final = (
    "The verdict is about where a file comes from and whether it was changed. Whether what it shows took "
    "place is for people to judge."
)
