"""The sandbox child's task: read one credential out of an untrusted file.

Imports stay light (no cryptography, no numpy): the child starts once per file.
"""

import base64
import io
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from pipeline.credentials.boxes import MAX_BOXES, is_base_media, scan
from pipeline.credentials.c2pa_context import Builder, C2paError, Reader, make_context
from pipeline.credentials.judge import UNCOVERED, judge
from pipeline.credentials.reading import CredentialReading, CredentialState
from pipeline.credentials.trust import SignerTable, TrustStore
from pipeline.errors import LimitExceeded, MediaUnreadable
from pipeline.types import Json

VIDEO: Final = "video/mp4"
PARENT: Final = "parent"
NO_CONTENT: Final = b"\0\0\0\x10ftypisom\0\0\0\0"  # the shortest base media file


def read_credential(request: Json) -> Json:
    """Answer {"reading": …, "archive": base64 or null}.

    Request: ``path``, ``trust`` (`TrustStore.to_json`), ``manifest`` (base64 of a stored manifest, or null to
    use the file's own), ``archive`` (whether to pack the credential as a parent ingredient, with its title).
    Raises: MediaUnreadable when the path is not a readable file, LimitExceeded as `read_open_file`.
    """
    trust = TrustStore.from_json(request["trust"])
    manifest = request["manifest"]
    stored = base64.b64decode(manifest) if isinstance(manifest, str) else None
    with open_media(Path(str(request["path"]))) as file:
        reading = read_open_file(file, trust, stored)
        packed = None
        if request["archive"] and reading.state is CredentialState.PRESENT:
            packed = base64.b64encode(pack_parent(file, trust)).decode()
    return {"reading": reading.to_json(), "archive": packed}


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
    if not is_base_media(file):
        if stored is None:
            return CredentialReading(state=CredentialState.NONE)
        # A copy in MKV, TS or WebM: no hash of its bytes can hold, but signer, time-stamp and assertions can.
        file = io.BytesIO(NO_CONTENT)
    boxes = scan(file)
    if stored is None and not boxes.credentials:
        if boxes.unfinished:
            raise LimitExceeded(
                f"the file has more than {MAX_BOXES} boxes, so whether it carries a credential is not known; "
                "save it again as one piece"
            )
        return CredentialReading(state=CredentialState.NONE)
    # What is ours is judged without foreign roots: c2pa would take a time-stamp of theirs for our claims.
    reading = _read(file, replace(trust, foreign_roots=""), stored)
    if trust.foreign_roots and reading.state is CredentialState.PRESENT and not reading.ours:
        # What they vouch for is theirs or nobody's: their time-stamp would let a key of ours sign for ever.
        reading = _read(file, replace(trust, signers=SignerTable()), stored)
    if reading.ours and stored is None and not boxes.regular(file):
        failures = (*reading.failures, UNCOVERED)
        return replace(reading, hash_ok=False, content_hash_only_failure=False, failures=failures)
    return reading


def _read(file: IO[bytes], trust: TrustStore, stored: bytes | None) -> CredentialReading:
    file.seek(0)
    try:
        with make_context(trust) as context:
            reader = Reader.try_create(VIDEO, file, stored, context)
            if reader is None:
                return CredentialReading(state=CredentialState.NONE)
            with reader:
                report, certificates = _document(reader.json()), _document(reader.crjson())
        return judge(report, certificates, trust.signers)
    except (C2paError, ValueError, RecursionError):
        # There is a credential (or one was brought along), but it cannot be made sense of.
        return CredentialReading(state=CredentialState.UNREADABLE)


def pack_parent(file: IO[bytes], trust: TrustStore) -> bytes:
    """The file's credential as a parent ingredient, so that the signing process need not parse the file."""
    file.seek(0)
    ingredient = {"title": "imported clip", "label": PARENT, "relationship": "parentOf"}
    packed = io.BytesIO()
    definition = {"claim_generator_info": [{"name": "Countermark"}], "assertions": []}
    with make_context(trust) as context, Builder(definition, context) as builder:
        builder.add_ingredient(ingredient, VIDEO, file)
        builder.write_ingredient_archive(PARENT, packed)
    return packed.getvalue()


def _document(text: str) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("c2pa's report is not an object")
    return document
