"""The sandbox child's task: read one credential out of an untrusted file.

Imports stay light (no cryptography, no numpy): the child starts once per file.
"""

import base64
import io
import json
import mmap
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from pipeline.credentials.boxes import MAX_BOXES, is_base_media, scan
from pipeline.credentials.c2pa_context import Builder, C2paError, Reader, make_context
from pipeline.credentials.judge import UNCOVERED, active, judge, reached
from pipeline.credentials.leaf import leaf_sha256
from pipeline.credentials.reading import PARENT, CredentialReading, CredentialState
from pipeline.credentials.trust import SignerTable, TrustStore
from pipeline.errors import LimitExceeded, MediaUnreadable
from pipeline.types import Json

VIDEO: Final = "video/mp4"
PICTURES: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
PICTURE_HEAD: Final = 16
C2PA: Final = b"c2pa"  # in the label of every manifest store
NO_CONTENT: Final = b"\0\0\0\x10ftypisom\0\0\0\0"  # the shortest base media file
_Found = tuple[CredentialReading, frozenset[str]]  # and the names of the store's manifests (`judge.reached`)


def read_credential(request: Json) -> Json:
    """Answer {"reading": …, "archive": base64 or null, "media": the file's media type or null}.

    Request: ``path``, ``trust`` (`TrustStore.to_json`), ``manifest`` (base64 of a stored manifest, or null to
    use the file's own), ``ingredient`` (null, or the label and relationship under which the credential is to
    be packed as an ingredient).
    Raises: MediaUnreadable when the path is not a readable file, LimitExceeded as `read_open_file`.
    """
    trust = TrustStore.from_json(request["trust"])
    manifest = request["manifest"]
    stored = base64.b64decode(manifest) if isinstance(manifest, str) else None
    with open_media(Path(str(request["path"]))) as file:
        reading = read_open_file(file, trust, stored)
        packed, wanted = None, request["ingredient"]
        if isinstance(wanted, dict) and reading.state is CredentialState.PRESENT:
            packed = base64.b64encode(pack_ingredient(file, trust, wanted)).decode()
        media = media_type(file)
    return {"reading": reading.to_json(), "archive": packed, "media": media}


def open_media(path: Path) -> IO[bytes]:
    """Open a regular file for reading. Raises: MediaUnreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MediaUnreadable(f"cannot open the file ({error.strerror}); check its name") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MediaUnreadable("this is not a regular file; name a video file")
    return os.fdopen(descriptor, "rb")


def read_open_file(file: IO[bytes], trust: TrustStore, stored: bytes | None = None) -> CredentialReading:
    """Judge the file's own credential, or `stored` (manifest bytes) against the file.

    Raises: LimitExceeded for so many boxes that a credential may lie behind those that were looked at.
    """
    media = media_type(file)
    if stored is not None and media != VIDEO:
        # A copy in MKV, TS or WebM: no hash of its bytes can hold, but signer, time-stamp and assertions can.
        file, media = io.BytesIO(NO_CONTENT), VIDEO
    if media is None or (media != VIDEO and not _names_c2pa(file)):
        return CredentialReading(state=CredentialState.NONE)
    if media != VIDEO:
        return _judged(file, media, trust, b"", None)[0]  # we sign no pictures
    boxes = scan(file)
    if stored is None and not boxes.credentials:
        if boxes.unfinished:
            raise LimitExceeded(
                f"the file has more than {MAX_BOXES} boxes, so whether it carries a credential is not known; "
                "save it again as one piece"
            )
        return CredentialReading(state=CredentialState.NONE)
    store = boxes.manifest_store(file) if stored is None else stored
    reading, manifests = _judged(file, media, trust, store, stored)
    if reading.ours and stored is None and not boxes.regular(file, manifests):
        failures = (*reading.failures, UNCOVERED)
        return replace(reading, hash_ok=False, content_hash_only_failure=False, failures=failures)
    return reading


def media_type(file: IO[bytes]) -> str | None:
    """The media type of a file that may carry a credential, by its first bytes; None for any other."""
    if is_base_media(file):
        return VIDEO
    file.seek(0)
    head = file.read(PICTURE_HEAD)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media for start, media in PICTURES.items() if head.startswith(start)), None)


def _names_c2pa(file: IO[bytes]) -> bool:
    """Whether a picture may hold a credential: a damaged picture without one has none."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(C2PA) >= 0


def _judged(file: IO[bytes], media: str, trust: TrustStore, store: bytes,
            stored: bytes | None) -> _Found:  # fmt: skip
    """`store`: the manifest store that c2pa reads, be it the file's own or the stored one."""
    # What is ours is judged without foreign roots: c2pa would take a time-stamp of theirs for our claims.
    read = _read(file, media, replace(trust, foreign_roots=""), store, stored)
    if trust.foreign_roots and read[0].state is CredentialState.PRESENT and not read[0].ours:
        # What they vouch for is theirs or nobody's: their time-stamp would let a key of ours sign for ever.
        # c2pa finds a root that is in both lists in that of the time-stamps, where it vouches for no signer.
        from pipeline.credentials.profile import roots_without  # seldom needed, and slow to import

        stamps = roots_without(trust.tsa_roots, trust.foreign_roots)
        theirs = replace(trust, signers=SignerTable(), tsa_roots=stamps)
        read = _read(file, media, theirs, store, stored)
    return read


def _read(file: IO[bytes], media: str, trust: TrustStore, store: bytes,
          stored: bytes | None) -> _Found:  # fmt: skip
    file.seek(0)
    try:
        with make_context(trust) as context:
            reader = Reader.try_create(media, file, stored, context)
            if reader is None:
                return CredentialReading(state=CredentialState.NONE), frozenset()
            with reader:
                report = _document(reader.json())
        return judge(report, leaf_sha256(store, active(report)), trust.signers), reached(report)
    except (C2paError, ValueError, RecursionError):
        # There is a credential (or one was brought along), but it cannot be made sense of.
        return CredentialReading(state=CredentialState.UNREADABLE), frozenset()


def pack_ingredient(file: IO[bytes], trust: TrustStore, wanted: dict[str, Any]) -> bytes:
    """The file's credential as an ingredient, so that the signing process need not parse the file.

    `wanted`: its ``label`` and ``relationship``.
    """
    media = media_type(file)
    file.seek(0)
    label = str(wanted["label"])
    title = "imported clip" if label == PARENT else f"imported {(media or VIDEO).partition('/')[0]}"
    ingredient = {"title": title, "label": label, "relationship": str(wanted["relationship"])}
    packed = io.BytesIO()
    definition = {"claim_generator_info": [{"name": "Countermark"}], "assertions": []}
    with make_context(trust) as context, Builder(definition, context) as builder:
        builder.add_ingredient(ingredient, media, file)
        builder.write_ingredient_archive(label, packed)
    return packed.getvalue()


def _document(text: str) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("c2pa's report is not an object")
    return document
