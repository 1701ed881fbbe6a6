"""Real tiny clips, keys and signatures for the credentials' tests."""

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from benchmarks.tools.local_softhsm import SOFTHSM, LocalModule
from pipeline.credentials.c2pa_context import Builder, C2paSigningAlg, Signer, make_context
from pipeline.credentials.certs import KeyPair, claim_certificate
from pipeline.credentials.child import open_media, read_open_file
from pipeline.credentials.manifest import (
    Agent,
    Making,
    ManifestDefinition,
    ReleaseFacts,
    Source,
    created,
    new_urn,
)
from pipeline.credentials.manifest import guarded as guarded_definition
from pipeline.credentials.pki import Pki, ensure_pki, load_pair
from pipeline.credentials.read import IngredientJudgement
from pipeline.credentials.reading import PARENT, CredentialReading
from pipeline.credentials.sign import SignedClip, sign_clip
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.trust import TrustStore
from pipeline.credentials.tsa import local_tsa
from pipeline.sandbox import ProcessLimits

PAYLOAD = 0x8123_4567_89AB_CDEF
FINGERPRINT = b"\x01\x01\x00\x00"
MAKING = Making(model=Agent(name="tiny", version="1"), prompt_digest="hmac-sha256:00ff")


def now() -> datetime:
    return datetime.now(UTC)


def write_clip(path: Path, seed: int = 1, frames: int = 16) -> Path:
    """A noisy H.264 clip of 96 x 64 at 8 frames per second."""
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(frames):
            picture = random.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Desk:
    """Signs and reads in the tests' place."""

    pki: Pki
    source: Path
    thumbnail: bytes
    limits: ProcessLimits

    def facts(self, **changes: Any) -> ReleaseFacts:
        given: dict[str, Any] = {
            "urn": new_urn(), "title": "clip", "product": Agent(name="Countermark", version="0.1.0"),
            "created_at": "2026-11-22T12:00:00Z", "payload": PAYLOAD, "fingerprint": FINGERPRINT,
            "thumbnail": self.thumbnail, "release": {"release_id": "r-1", "checked_seq": 7},
        }  # fmt: skip
        return ReleaseFacts(**{**given, **changes})

    @staticmethod
    def imported(
        label: str = PARENT, media: str = "video/mp4", archive: bytes | None = None
    ) -> Source:  # fmt: skip
        """A file that somebody gave, as an ingredient."""
        return Source(label=label, title="import", media=media, digest="sha256:00", archive=archive)

    def created(self, **changes: Any) -> ManifestDefinition:
        return created(self.facts(**changes), MAKING)

    def sign(self, destination: Path, definition: ManifestDefinition | None = None, *,
             pki: Pki | None = None, source: Path | None = None) -> SignedClip:  # fmt: skip
        pki = pki or self.pki
        with local_tsa(pki, clock=now) as tsa:
            return sign_clip(
                source or self.source, destination, definition or self.created(),
                signer=LocalKeySigner(pki), tsa=tsa, trust=pki.trust,
            )  # fmt: skip

    def raw_sign(self, destination: Path, pair: KeyPair, trust: TrustStore, *, tsa_of: Pki | None,
                 document: dict[str, Any] | None = None, remote_url: str | None = None,
                 embed: bool = True) -> Path:  # fmt: skip
        """What an attacker does: c2pa directly, any key, none of our checks."""
        pki = Pki(folder=self.pki.folder, claim=pair, tsa=self.pki.tsa, trust=trust)
        document = document or self.created().document
        with contextlib.ExitStack() as stack:
            url = stack.enter_context(local_tsa(tsa_of, clock=now)).url if tsa_of else None
            sign = LocalKeySigner(pki).sign
            signer = Signer.from_callback(sign, C2paSigningAlg.ES256, pair.certificate_pem, url)
            context = stack.enter_context(make_context(trust, signer=signer))
            builder = stack.enter_context(Builder(document, context))
            builder.add_resource("thumbnail.jpg", io.BytesIO(self.thumbnail))
            if remote_url:
                builder.set_remote_url(remote_url)
            if not embed:
                builder.set_no_embed()
            with self.source.open("rb") as original, destination.open("w+b") as new:
                builder.sign("video/mp4", original, new)
        return destination

    def read(
        self, path: Path, trust: TrustStore | None = None, stored: bytes | None = None
    ) -> CredentialReading:
        """The child's reading without the child, for speed."""
        with open_media(path) as file:
            return read_open_file(file, trust or self.pki.trust, stored)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("credentials")


@pytest.fixture(scope="session")
def desk(workshop: Path) -> Desk:
    encoded, jpeg = cv2.imencode(".jpg", np.full((36, 64, 3), 128, dtype=np.uint8))
    assert encoded
    return Desk(
        pki=ensure_pki(workshop / "keys" / "pki", now=now()), source=write_clip(workshop / "plain.mp4"),
        thumbnail=jpeg.tobytes(), limits=ProcessLimits(memory_mib=2048, cpu_seconds=20, wall_seconds=60),
    )  # fmt: skip


@pytest.fixture(scope="session")
def rogue(workshop: Path) -> Pki:
    """Someone else's PKI with exactly our names."""
    return ensure_pki(workshop / "rogue" / "pki", now=now())


@pytest.fixture(scope="session")
def signed(desk: Desk, workshop: Path) -> SignedClip:
    return desk.sign(workshop / "signed.mp4")


@pytest.fixture(scope="session")
def guarded(desk: Desk) -> Callable[[IngredientJudgement], ManifestDefinition]:
    """The definition of a guarded import over a judged parent."""

    def make(parent: IngredientJudgement) -> ManifestDefinition:
        return guarded_definition(
            desk.facts(), parent=desk.imported(archive=parent.archive), visible_mark=True
        )

    return make


@pytest.fixture(scope="session")
def module(workshop: Path) -> Iterator[LocalModule]:
    """A SoftHSM with one token, and in it a key of each kind that signs claims (`LocalModule.uri`)."""
    if not SOFTHSM.exists():
        pytest.skip("SoftHSM is not installed here; install the package softhsm2")
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed here")
    with LocalModule(workshop / "hsm") as made:
        yield made


@pytest.fixture(scope="session")
def certified(desk: Desk) -> Callable[..., str]:
    """PEM of a certificate of the C2PA profile for a public key, by the desk's own claim root."""

    def make(key: Any, *, start: datetime | None = None, life: timedelta = timedelta(days=90)) -> str:
        root = load_pair(desk.pki.folder / "claim_root.pem")
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Countermark tests")])
        issued = claim_certificate(root, subject, key, start or now(), life)
        return issued.public_bytes(Encoding.PEM).decode()

    return make
