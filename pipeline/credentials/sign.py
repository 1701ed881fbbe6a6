"""Signing a clip. Rules, numbered as in the code below:

1. never in place: c2pa truncates a file that is both source and destination;
2. an exception in the signing callback is kept in a box, since c2pa swallows it into "signature invalid";
3. no time-stamp, no release: without one every clip turns invalid when the leaf certificate ends;
4. what was written is read back by a fresh reader before it gets its name (`verify_after_sign` does not look
   at the content hash);
5. the bytes that `Builder.sign` returns are kept: a reader cannot give them back.
"""

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Protocol

from pipeline.credentials.c2pa_context import Builder, C2paError, C2paSigningAlg, Signer, make_context
from pipeline.credentials.child import VIDEO, open_media, read_open_file
from pipeline.credentials.judge import UNCOVERED
from pipeline.credentials.keyfiles import sync_folder
from pipeline.credentials.manifest import THUMBNAIL, ManifestDefinition
from pipeline.credentials.reading import CredentialReading, TimestampState
from pipeline.credentials.signer import ClaimSigner, SigningAlg
from pipeline.credentials.trust import TrustStore
from pipeline.errors import LimitExceeded, Refused, SigningFailed, StorageFailed, UsageError

ALGORITHMS: Final = {
    SigningAlg.ES256: C2paSigningAlg.ES256, SigningAlg.ES384: C2paSigningAlg.ES384,
    SigningAlg.PS256: C2paSigningAlg.PS256, SigningAlg.ED25519: C2paSigningAlg.ED25519,
}  # fmt: skip

# What the media room takes in at most. Memory is no bound: it stops growing (`c2pa_context.settings`).
MAX_CLIP_BYTES: Final = 8 * 1024 * 1024 * 1024


class TimeStampService(Protocol):
    """Where the RFC 3161 time-stamp comes from; `failures` tells what went wrong there, as far as known."""

    @property
    def url(self) -> str:
        """An http or https address."""
        ...

    @property
    def failures(self) -> list[str]:
        """Sentences, oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalTsa:
    """A time-stamp service of someone else; its root must be among the trust store's ``tsa_roots``."""

    url: str
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedClip:
    """A clip with its credential. `manifest_bytes` are what a manifest store serves; keep them."""

    path: Path
    urn: str
    manifest_bytes: bytes = field(repr=False)
    manifest_sha256: str
    file_sha256: str
    timestamp_time: str
    signer_cert_sha256: str


class _Box:
    """The callback for c2pa: it never raises, since c2pa would only log what it raises (rule 2)."""

    def __init__(self, signer: ClaimSigner) -> None:
        self._signer = signer
        self.failure: BaseException | None = None
        self.signed = False

    def __call__(self, data: bytes) -> bytes:
        try:
            signature = self._signer.sign(data)
        except BaseException as error:  # noqa: BLE001 - raised again by `sign_clip`
            self.failure = error
            return b""
        self.signed = True
        return signature


def sign_clip(source: Path, destination: Path, definition: ManifestDefinition, *, signer: ClaimSigner,
              tsa: TimeStampService, trust: TrustStore) -> SignedClip:  # fmt: skip
    """Sign `source` (a file of our own making) into `destination`, which appears whole or not at all.

    Raises: SigningFailed with the real cause (key service, time-stamp service, c2pa), UsageError when both
    paths are the same file, Refused, LimitExceeded, MediaUnreadable, StorageFailed.
    """
    with open_media(source) as original, _replacing(source, destination) as (new, temporary):
        if os.fstat(original.fileno()).st_size > MAX_CLIP_BYTES:
            raise LimitExceeded("the clip is larger than 8 GiB; make it shorter or encode it smaller")
        manifest = _sign(original, new, definition, signer, tsa, trust)
        new.flush()
        with ThreadPoolExecutor(1) as beside:  # c2pa and hashlib both let go of the interpreter's lock
            kept = beside.submit(_kept, temporary)
            reading = read_open_file(new, trust)
            digest = kept.result()
        demand_whole(reading, definition.urn, carried=bool(definition.archives))
        temporary.replace(destination)
        sync_folder(destination.parent)
    assert reading.timestamp_time and reading.signer_cert_sha256  # noqa: S101, PT018 - `demand_whole` saw both
    return SignedClip(
        path=destination, urn=definition.urn, manifest_bytes=manifest, file_sha256=digest,
        manifest_sha256=hashlib.sha256(manifest).hexdigest(), timestamp_time=reading.timestamp_time,
        signer_cert_sha256=reading.signer_cert_sha256,
    )  # fmt: skip


def _kept(path: Path) -> str:
    """SHA-256 of a file that is on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _replacing(source: Path, destination: Path) -> Iterator[tuple[io.BufferedRandom, Path]]:
    """Rule 1: a temporary file beside the destination, with the source's mode, gone on every failure."""
    if destination.exists() and destination.samefile(source):
        raise UsageError("a clip cannot be signed onto itself; name another file for the signed clip")
    try:
        descriptor, name = tempfile.mkstemp(dir=destination.parent, prefix=".signing-", suffix=".mp4")
    except OSError as error:
        raise StorageFailed(f"cannot write beside {destination} ({error.strerror}); check it") from None
    try:
        with os.fdopen(descriptor, "w+b") as new:
            os.fchmod(new.fileno(), source.stat().st_mode & 0o666)
            yield new, Path(name)
    except OSError as error:
        raise StorageFailed(f"cannot write {destination} ({error.strerror}); free some space") from None
    finally:
        Path(name).unlink(missing_ok=True)


def _sign(original: IO[bytes], new: IO[bytes], definition: ManifestDefinition, signer: ClaimSigner,
          tsa: TimeStampService, trust: TrustStore) -> bytes:  # fmt: skip
    box = _Box(signer)
    try:
        native = Signer.from_callback(box, ALGORITHMS[signer.alg], signer.chain_pem, tsa.url)
        with (
            make_context(trust, signer=native) as context,
            Builder(definition.document, context) as builder,
        ):
            builder.add_resource(THUMBNAIL, io.BytesIO(definition.thumbnail))
            for archive in definition.archives:
                builder.add_ingredient_from_archive(io.BytesIO(archive))
            manifest: bytes = builder.sign(VIDEO, original, new)
    except C2paError as error:
        raise SigningFailed(_cause(box, tsa, error)) from box.failure or error
    return manifest


def _cause(box: _Box, tsa: TimeStampService, error: Exception) -> str:
    if box.failure is not None:
        cause = str(box.failure) or type(box.failure).__name__
        return f"the signing key did not sign ({cause}); check it, sign again"
    if tsa.failures:
        return f"the time-stamp service failed ({tsa.failures[-1]}); check it, sign again"
    if box.signed and isinstance(error, C2paError.Signature):  # the time-stamp is of the signature
        return f"the time-stamp service gave no good time-stamp ({error}); check it and tsa_url, sign again"
    return f"the clip could not be signed ({error}); check the key, sign again"


def demand_whole(reading: CredentialReading, urn: str, *, carried: bool = False) -> None:
    """Rules 3 and 4: a fresh reading of what was just signed. `carried`: over credentials of other files.

    Raises: SigningFailed; Refused where such a one has a form that no signature of ours covers.
    """
    if reading.timestamp is not TimestampState.TRUSTED or reading.timestamp_time is None:
        raise SigningFailed("the time-stamp is missing or not trusted; add its authority's root, sign again")
    if not reading.ours:
        raise SigningFailed("the signer is not in the signer table under our claim root; add it, sign again")
    if reading.revoked_signer:
        raise SigningFailed("the signer has been revoked; renew the keys, sign again")
    if carried and reading.urn == urn and reading.failures == (UNCOVERED,):
        raise Refused(
            "the imported file's credential has a history in a form that cannot be carried along (links of "
            "C2PA 1.0, redactions, or too many steps); get the file without it from its source"
        )
    if reading.urn != urn or not reading.hash_ok or reading.failures:
        found = ", ".join(reading.failures) or "content hash or name differ"
        raise SigningFailed(f"the signed clip does not read back whole ({found}); sign again")
