"""Three opinions on one file's credential: ours, c2pa's bare state, and an independent validator's.

All three are given the same roots. `encypher-c2pa` shares no code with c2pa-rs; it is asked in its strict
mode, offline, and what it wants of revocation information (our leaves name no responder) is not counted.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from encypher_c2pa import verify

from benchmarks.trials.tampering import C2PA, ENCYPHER, INTACT, UNREADABLE, worth
from pipeline.credentials.c2pa_context import Builder, C2paError, Reader, Signer, make_context
from pipeline.credentials.child import VIDEO, open_media, pack_ingredient, read_open_file
from pipeline.credentials.manifest import (
    THUMBNAIL,
    Agent,
    Making,
    ManifestDefinition,
    ReleaseFacts,
    Source,
    created,
    guarded,
    new_urn,
)
from pipeline.credentials.pki import Pki, ensure_pki
from pipeline.credentials.reading import PARENT
from pipeline.credentials.sign import ALGORITHMS, SignedClip, sign_clip
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.trust import TrustStore
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import CountermarkError

TRUSTED: Final = "Trusted"
REFUSED: Final = "refused"
NO_CREDENTIAL: Final = "no credential"
NOT_COUNTED: Final = frozenset({"com.encypher.conformance.revocationInformationMissing"})
AGENT: Final = Agent(name="Countermark benchmark", version="1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """What each says, in its own words; `worth` in those of `tampering`."""

    worth: str
    c2pa: str
    encypher: str

    @property
    def accepts(self) -> dict[str, bool]:
        """Which of the others call the file whole and trusted."""
        return {C2PA: self.c2pa == TRUSTED, ENCYPHER: self.encypher == TRUSTED}

    @property
    def stricter(self) -> tuple[str, ...]:
        """Validators that accept what we do not."""
        return tuple(name for name, fine in self.accepts.items() if fine and self.worth != INTACT)

    @property
    def laxer(self) -> tuple[str, ...]:
        """Validators that do not accept what we call intact."""
        return tuple(name for name, fine in self.accepts.items() if not fine and self.worth == INTACT)


def opinions(content: bytes, trust: TrustStore) -> Opinions:
    """Ask all three, in this process."""
    return Opinions(
        worth=_ours(content, trust), c2pa=_c2pa(content, trust), encypher=encypher(content, trust)
    )


def _ours(content: bytes, trust: TrustStore) -> str:
    try:
        return worth(read_open_file(io.BytesIO(content), trust))
    except CountermarkError:
        return UNREADABLE


def _c2pa(content: bytes, trust: TrustStore) -> str:
    try:
        with make_context(trust) as context:
            reader = Reader.try_create(VIDEO, io.BytesIO(content), None, context)
            if reader is None:
                return NO_CREDENTIAL
            with reader:
                return str(reader.get_validation_state())
    except C2paError:
        return REFUSED


def encypher(content: bytes, trust: TrustStore, *, at: str | None = None) -> str:
    """encypher-c2pa's state; a failure that we do count makes "Trusted" "Invalid". `at`: RFC 3339."""
    try:
        report: Mapping[str, Any] = verify(
            content, VIDEO, trust_pem=trust.claim_roots, tsa_trust_pem=trust.tsa_roots, no_default_trust=True,
            strict_conformance=True, validation_time=at, telemetry=False, online=False,
        )  # fmt: skip
    except ValueError:
        return REFUSED
    codes = {row["code"] for row in report["validation_results"]["failure"]} - NOT_COUNTED
    state = str(report["validation_state"])
    if codes:
        return "Invalid"
    if state == "None":
        return NO_CREDENTIAL
    # Strict, what is not counted alone makes it "Invalid"; then nothing else is wrong.
    return TRUSTED if report["hard_binding"] == "match" and state in (TRUSTED, "Invalid") else state


class Desk:
    """Somebody who signs, with a PKI of his own in `folder`; by name it is ours."""

    def __init__(self, folder: Path) -> None:
        self.pki: Pki = ensure_pki(folder / "pki", now=_now())
        encoded, picture = cv2.imencode(".jpg", np.full((36, 64, 3), 128, dtype=np.uint8))
        assert encoded
        self._thumbnail = picture.tobytes()

    def definition(self) -> ManifestDefinition:
        """A manifest of a created clip."""
        return created(self._facts(), Making(model=AGENT, prompt_digest="none"))

    def _facts(self) -> ReleaseFacts:
        return ReleaseFacts(
            urn=new_urn(), title="clip", product=AGENT, created_at=_now().isoformat(timespec="seconds"),
            payload=1, fingerprint=b"\x01\x01\x00\x00", thumbnail=self._thumbnail,
            release={"release_id": "r"},
        )  # fmt: skip

    def sign(self, source: Path, target: Path, definition: ManifestDefinition | None = None) -> SignedClip:
        """Sign a clip by a time-stamp service on this machine, begun and ended for it."""
        with local_tsa(self.pki, clock=_now) as tsa:
            return sign_clip(
                source, target, definition or self.definition(), signer=LocalKeySigner(self.pki), tsa=tsa,
                trust=self.pki.trust,
            )  # fmt: skip

    def sign_over(self, source: Path, target: Path) -> None:
        """Sign a clip with itself as the parent, also one whose credential does not hold: by c2pa alone."""
        wanted = {"label": PARENT, "relationship": "parentOf"}
        with open_media(source) as file:
            archive = pack_ingredient(file, self.pki.trust, wanted)
        parent = Source(label=PARENT, title="import", media=VIDEO, digest="sha256:00", archive=archive)
        made, key = guarded(self._facts(), parent=parent, visible_mark=False), LocalKeySigner(self.pki)
        with local_tsa(self.pki, clock=_now) as tsa:
            signer = Signer.from_callback(key.sign, ALGORITHMS[key.alg], key.chain_pem, tsa.url)
            with (
                make_context(self.pki.trust, signer=signer) as context,
                Builder(made.document, context) as builder,
                source.open("rb") as original, target.open("w+b") as new,
            ):  # fmt: skip
                builder.add_resource(THUMBNAIL, io.BytesIO(made.thumbnail))
                builder.add_ingredient_from_archive(io.BytesIO(archive))
                builder.sign(VIDEO, original, new)


def _now() -> datetime:
    return datetime.now(UTC)
