"""Sealing the secret files of a home, taking the seal away, and changing its pass phrase.

Each is a walk over the files, one replacement after another, under every lock under which keys are written.
What a killed one leaves is readable, and the same command goes on:

1. seal: ``seal.json`` (state ``sealing``) first, then file by file, then the state ``sealed``;
2. unseal: the state ``unsealing`` first, then file by file, then ``seal.json`` goes;
3. reseal: in one step ``seal.json`` holds a new data key and the old one under the new pass phrase, and the
   old pass phrase opens nothing any more; then every file moves to the new key; then the old key goes.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pipeline.credentials import anchors, envelope
from pipeline.credentials.envelope import DataKey, DoesNotOpen, SealRecord, State
from pipeline.credentials.keyfiles import locked, read_private, sync_folder, write_private
from pipeline.credentials.safe import LOCKS, SEAL_FILE, SEAL_LOCK, Safe, Secret, strong, write_record
from pipeline.errors import KeysUnusable

Told = Callable[[str], None]
"""Told the name of each file that was changed."""

PUBLIC: Final = (
    SEAL_FILE, "pki/signers.json", "pki/tsa_serial", *(f"pki/{name}" for name in anchors.FILES),
)  # fmt: skip
BUILDING: Final = ".pki.new"  # what a process leaves that was killed while it made the first PKI


def seal(safe: Safe, told: Told = lambda _name: None, *, n: int = envelope.SCRYPT_N) -> list[str]:
    """Seal every secret under the pass phrase of the safe; ``n``: scrypt's cost. The files of nobody's making
    that lie among the keys are left as they are, and returned.

    Raises: KeysUnusable without keys or pass phrase, or with another one than they are sealed under.
    """
    with _quiet(safe):
        record, passphrase = safe.record(), safe.demanded()
        if not safe.present():
            raise KeysUnusable(f"there are no keys in {safe.folder}; make them first: countermark keys init")
        if record is None:
            keys: tuple[DataKey, ...] = (DataKey.fresh(),)
            record = envelope.record_of(keys, strong(passphrase), State.SEALING, n=n)
            write_record(safe.folder, record)
        else:
            keys = safe.unlocked(record)
            if record.state is State.UNSEALING:
                _rewrite(safe, record, keys, passphrase, State.SEALING)
        _settle(safe, keys, passphrase, told)
        return _unknown(safe.folder)


def reseal(safe: Safe, new: bytes, told: Told = lambda _name: None) -> None:
    """Put a new pass phrase and a new data key in place of those that the safe has. With the
    pass phrase of before, the data key alone is another one.

    Raises: KeysUnusable where the keys are not sealed, or where neither pass phrase opens them.
    """
    with _quiet(safe):
        record = safe.record()
        if record is None or record.state is State.UNSEALING:
            raise KeysUnusable(f"the keys in {safe.folder} are not sealed; seal them: countermark keys seal")
        keys = _begun(safe, record, strong(new)) or (DataKey.fresh(), *safe.unlocked(record))
        if len(keys) > len(record.keys):
            write_record(safe.folder, envelope.record_of(keys, new, record.state, n=record.n))
        _settle(safe, keys, new, told)


def unseal(safe: Safe, told: Told = lambda _name: None) -> None:
    """Put every secret back in the clear. Raises: KeysUnusable without the right pass phrase."""
    with _quiet(safe):
        record = safe.record()
        if record is None:
            raise KeysUnusable(f"the keys in {safe.folder} are not sealed; there is nothing to take away")
        keys = safe.unlocked(record)
        _rewrite(safe, record, keys, safe.demanded(), State.UNSEALING)
        for secret in safe.present():
            content = read_private(safe.folder / secret)
            if envelope.is_sealed(content):
                write_private(safe.folder / secret, _plain(safe, keys, secret, content))
                told(secret)
        (safe.folder / SEAL_FILE).unlink()
        sync_folder(safe.folder)


def _settle(safe: Safe, keys: tuple[DataKey, ...], passphrase: bytes, told: Told) -> None:
    """Every secret under the first key, and then no other key any more."""
    for secret in safe.present():
        content = read_private(safe.folder / secret)
        plain = _plain(safe, keys, secret, content)
        if not envelope.is_sealed(content) or envelope.sealed_by(content) != keys[0].id:
            write_private(safe.folder / secret, envelope.seal(keys[0], secret, secret.name, plain))
            told(secret)
    record = safe.record()
    if record is not None and (record.state is not State.SEALED or len(record.keys) > 1):
        _rewrite(safe, record, keys[:1], passphrase, State.SEALED)


def _begun(safe: Safe, record: SealRecord, new: bytes) -> tuple[DataKey, ...] | None:
    """The data keys of a resealing that was killed, or is done; None where there was none yet."""
    try:
        keys = envelope.open_record(record, new)
    except DoesNotOpen:
        return None
    if len(keys) > 1:
        return keys
    try:
        safe.unlocked(record)
    except KeysUnusable:  # the old pass phrase is gone, or opens nothing any more
        return keys
    return None


def _rewrite(
    safe: Safe, record: SealRecord, keys: tuple[DataKey, ...], passphrase: bytes, state: State
) -> None:
    """Put ``seal.json`` into another state; the salt stays, since the pass phrase does."""
    changed = envelope.record_of(keys, passphrase, state, n=record.n, salt=record.salt)
    write_record(safe.folder, changed)


def _plain(safe: Safe, keys: tuple[DataKey, ...], secret: Secret, content: bytes) -> bytes:
    if not envelope.is_sealed(content):
        return content
    try:
        return envelope.unseal(keys, secret, secret.name, content)
    except DoesNotOpen:
        raise KeysUnusable(
            f"{safe.folder / secret} was changed, or is another file in its place; restore it from a backup"
        ) from None


@contextlib.contextmanager
def _quiet(safe: Safe) -> Iterator[None]:
    """Nobody writes keys meanwhile, and what killed writers left of secrets is gone."""
    if not safe.folder.is_dir():
        raise KeysUnusable(f"there are no keys in {safe.folder}; name the home that has them")
    with contextlib.ExitStack() as stack:
        for name in (*LOCKS, SEAL_LOCK):
            stack.enter_context(locked(safe.folder / name))
        _sweep(safe.folder)
        yield


def _unknown(folder: Path) -> list[str]:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return sorted(name for name in names - {*Secret, *PUBLIC} if not name.endswith(".lock"))


def _sweep(folder: Path) -> None:
    """Delete half-written files of secrets: `write_private` names them after what they become."""
    try:
        for name in (*Secret, SEAL_FILE):
            place = folder / name
            for left in place.parent.glob(f".{place.name}.*"):
                left.unlink()
        if (folder / BUILDING).is_dir():
            shutil.rmtree(folder / BUILDING)
    except OSError as error:
        raise KeysUnusable(f"cannot tidy {folder} ({error.strerror}); check the folder") from None
