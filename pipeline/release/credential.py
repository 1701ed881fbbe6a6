"""The credential of a release: definition, signature, time-stamp, and a reading by a fresh process."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.credentials.choice import Choice, choice_of, open_signer
from pipeline.credentials.manifest import (
    Agent,
    Making,
    ManifestDefinition,
    ReleaseFacts,
    Source,
    created,
    extended,
    guarded,
)
from pipeline.credentials.pki import Pki, ensure_pki, load_pki
from pipeline.credentials.read import read_credential
from pipeline.credentials.safe import safe_of
from pipeline.credentials.sign import ExternalTsa, SignedClip, TimeStampService, sign_clip
from pipeline.credentials.signer import ClaimSigner
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable, NotInstalled, SigningFailed, UsageError
from pipeline.home import Home
from pipeline.roots import with_roots
from pipeline.sandbox import ProcessLimits
from pipeline.settings import Settings
from pipeline.types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Somebody else's clip."""

    parent: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A clip that a model made for us. `extends`: the clip that it goes on with, whose frames it begins with,
    and `of_a_model`: whether a model made all of that one.
    """

    making: Making
    extends: Source | None = None
    of_a_model: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRequest:
    """What the credential of one clip says; see `pipeline.credentials.manifest.ReleaseFacts`."""

    urn: str
    payload: int
    fingerprint: bytes
    thumbnail: bytes
    created_at: str
    product: Agent
    release: Json
    origin: Imported | Generated


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The signing keys of a home as they are now: its own, which key signs claims, and whom it believes."""

    pki: Pki
    choice: Choice
    trust: TrustStore

    def claim_signer(self) -> ClaimSigner:
        """Who signs claims. Raises: SigningFailed when that key cannot be used, so that the job waits."""
        try:
            return open_signer(self.choice, self.pki, self.trust, datetime.now(UTC))
        except (KeysUnusable, NotInstalled, UsageError) as error:
            raise SigningFailed(str(error)) from None


def keys_now(settings: Settings) -> Keys:
    """The signing keys as they are now: since a process began, a signer may have been revoked, or be near its
    end, and is then replaced.

    Raises: SigningFailed where they cannot be used, so that the job waits until they can.
    """
    folder = Home(settings.home).pki
    try:
        # Keys that are gone are not made anew: new ones would hide that the old ones are lost.
        pki = _ensured(settings) if os.path.lexists(folder) else load_pki(folder)
        trust = with_roots(pki.trust, settings)
        return Keys(pki=pki, choice=choice_of(settings), trust=trust)
    except KeysUnusable as error:
        raise SigningFailed(str(error)) from None


def _ensured(settings: Settings) -> Pki:
    return ensure_pki(Home(settings.home).pki, now=datetime.now(UTC), safe=safe_of(settings))


def definition(request: SignRequest) -> ManifestDefinition:
    """The manifest of a clip; own credentials of what it was made from are kept as ingredients."""
    facts = ReleaseFacts(
        urn=request.urn, title=f"release {request.payload:016x}", product=request.product,
        created_at=request.created_at, payload=request.payload, fingerprint=request.fingerprint,
        thumbnail=request.thumbnail, release=request.release,
    )  # fmt: skip
    origin = request.origin
    if isinstance(origin, Imported):
        return guarded(facts, parent=origin.parent, visible_mark=True)
    if origin.extends is not None:
        return extended(facts, origin.making, parent=origin.extends, generated=origin.of_a_model)
    return created(facts, origin.making)


def sign(
    source: Path, target: Path, document: ManifestDefinition, keys: Keys, service: TimeStampService
) -> SignedClip:
    """Sign `source` into `target`. Raises: SigningFailed, StorageFailed."""
    return sign_clip(source, target, document, signer=keys.claim_signer(), tsa=service, trust=keys.trust)


@contextlib.contextmanager
def time_stamps(keys: Keys, url: str | None, now: datetime) -> Iterator[TimeStampService]:
    """The configured time-stamp service, or the local one on loopback while the block lasts."""
    if url:
        yield ExternalTsa(url=url)
        return
    # Needs the extra "guard"; verifying never comes here.
    from pipeline.credentials.tsa import local_tsa

    with local_tsa(keys.pki, clock=lambda: now) as service:
        yield service


def believed(keys: Keys, signer_sha256: str, stamped_at: str) -> bool:
    """Whether a claim of that signer, time-stamped then (RFC 3339), is ours by the signer table as it is."""
    entry = keys.trust.signers.find(signer_sha256)
    return entry is not None and not entry.revoked_for(stamped_at)


def reread(signed: Path, keys: Keys, payload: int, limits: ProcessLimits) -> str:
    """The verdict of a fresh reader in another process on the signed file: ``intact``, or it raises.

    Raises: SigningFailed for anything that is not our whole, trusted, time-stamped credential.
    """
    reading = read_credential(signed, keys.trust, limits=limits)
    if not reading.intact or reading.payload != payload:
        found = ", ".join(reading.failures) or reading.state
        raise SigningFailed(f"the signed file does not read back as ours ({found}); it stays held: try again")
    return "intact"
