r"""Checkpoints of the log as C2SP signed notes (tlog-checkpoint, signed-note), no database.

A note is the text ``origin \n tree size \n base64 root \n``, an empty line, and one or more signature
lines ``— name base64(key id of 4 bytes || signature)``. Keys live elsewhere: signing and verifying
are callables.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from registry.errors import ProofInvalid
from registry.merkle import HASH_BYTES

ED25519 = b"\x01"
NOTE_CHARS_MAX = 10_000
_NAME = re.compile(r"[^\s+\x00-\x1f]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSigner:
    """Who signs checkpoints: the log's origin, the key's name and 4-byte id, and the signing callable."""

    origin: str
    name: str
    key_id: bytes
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A parsed note: ``text`` is what was signed; ``signatures`` are (name, key id, signature)."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def ed25519_key_id(name: str, public_key: bytes) -> bytes:
    """Return the 4-byte id of an Ed25519 key (32 raw bytes), as C2SP signed-note defines it."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """Return an Ed25519 key as C2SP signed-note writes it: name, id and key, joined by plus signs."""
    encoded = base64.b64encode(ED25519 + public_key).decode()
    return f"{name}+{ed25519_key_id(name, public_key).hex()}+{encoded}"


def make_note(size: int, root: bytes, signer: NoteSigner) -> str:
    """Return the signed note for a tree."""
    for name in (signer.origin, signer.name):
        if not _NAME.fullmatch(name):
            raise ProofInvalid(f"{name!r} cannot name a log or key: no spaces, no plus sign.")
    return sign_note(f"{signer.origin}\n{size}\n{base64.b64encode(root).decode()}\n", signer)


def sign_note(text: str, signer: NoteSigner) -> str:
    """Return a text of whole lines as a signed note; its first line must tell what it is."""
    signature = base64.b64encode(signer.key_id + signer.sign(text.encode())).decode()
    return f"{text}\n— {signer.name} {signature}\n"


def parse_note(note: str) -> Checkpoint:
    """Read a note, without checking its signatures; `ProofInvalid` for anything not well-formed."""
    text, separator, tail = note.partition("\n\n")
    lines = text.split("\n")
    if len(note) > NOTE_CHARS_MAX or not separator or len(lines) < 3 or not tail.endswith("\n"):
        raise ProofInvalid("This is not a checkpoint: its lines are missing.")
    if not _SIZE.fullmatch(lines[1]) or not lines[0]:
        raise ProofInvalid("This is not a checkpoint: it names no tree size.")
    root = _base64(lines[2])
    if len(root) != HASH_BYTES:
        raise ProofInvalid("This is not a checkpoint: its root is not a SHA-256 hash.")
    return Checkpoint(
        origin=lines[0],
        size=int(lines[1]),
        root=root,
        text=f"{text}\n".encode(),
        signatures=tuple(_signature(line) for line in tail[:-1].split("\n")),
    )


def open_note(
    note: str, *, origin: str, name: str, key_id: bytes, verify: Callable[[bytes, bytes], bool]
) -> Checkpoint:
    """Read a note and check it.

    1. The note is well-formed.
    2. It speaks for the log that is asked about.
    3. ``verify(signature, text)`` accepts the signature of the named key; other keys are ignored.
    """
    checkpoint = parse_note(note)  # 1
    if checkpoint.origin != origin:  # 2
        raise ProofInvalid(f"The checkpoint is of the log {checkpoint.origin!r}, not of {origin!r}.")
    ours = [sig for who, key, sig in checkpoint.signatures if (who, key) == (name, key_id)]
    if not any(verify(signature, checkpoint.text) for signature in ours):  # 3
        raise ProofInvalid(f"The checkpoint bears no valid signature of {name!r}.")
    return checkpoint


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _base64(encoded)
    if dash != "—" or not _NAME.fullmatch(name) or len(raw) <= 4:
        raise ProofInvalid("This is not a checkpoint: a signature line is malformed.")
    return name, raw[:4], raw[4:]


def _base64(text: str) -> bytes:
    """Decode the one right spelling of some bytes; Python alone would take several."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise ProofInvalid("This is not a checkpoint: it holds something that is not base64.")
    return raw
