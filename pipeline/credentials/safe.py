"""The secret files of a home, plain or sealed: the one door through which they are read and written.

Rules: (1) ``seal.json`` beside them says whether they are sealed; without it they are plain; (2) where they
are sealed a plain one is refused, and a sealed one without ``seal.json``; (3) what does not open is never
made anew; (4) a new home that has a pass phrase is sealed from its first key on, so that no secret of it is
ever written in the clear.
"""

import json
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pipeline.credentials import envelope
from pipeline.credentials.envelope import DataKey, DoesNotOpen, SealRecord, State
from pipeline.credentials.keyfiles import locked, read_private, write_private
from pipeline.errors import KeysUnusable
from pipeline.home import Home
from pipeline.settings import Settings

SEAL_FILE: Final = "seal.json"
SEAL_LOCK: Final = "seal.lock"
MIN_PASSPHRASE: Final = 12  # characters
MAX_PASSPHRASE: Final = 4096  # bytes
TRIES: Final = 3  # readings: a command may be sealing just now, file by file
HOW: Final = "set COUNTERMARK_KEYS_PASSPHRASE or keys_passphrase_file"


class Secret(StrEnum):
    """Every secret file of a home: its place in the folder ``keys``. The member's name is its purpose."""

    MARKS = "marks.json"
    SIGHTS = "sights.key"
    WEBHOOKS = "webhooks.key"
    REPORT = "report.json"
    CLAIM_ROOT = "pki/claim_root.pem"
    CLAIM_LEAF = "pki/claim_leaf.pem"
    TSA_ROOT = "pki/tsa_root.pem"
    TSA_LEAF = "pki/tsa_leaf.pem"


LOCKS: Final = ("marks.json.lock", "pki.lock", "sights.key.lock", "webhooks.key.lock", "report.json.lock")
"""Lock files in ``keys`` under which these are written, in the order in which they are taken together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """Reads and writes secrets of one folder ``keys``; `passphrase` is asked each time: it may change."""

    folder: Path
    passphrase: Callable[[], bytes | None] = field(default=lambda: None, repr=False)

    def read(self, path: Path, secret: Secret) -> bytes:
        """What a secret file holds, in the clear.

        Raises: KeysUnusable when it cannot be read, or is sealed and the pass phrase is lacking or wrong.
        """
        for _ in range(TRIES - 1):
            try:
                return self._opened(read_private(path), path, secret)
            except KeysUnusable:
                continue
        return self._opened(read_private(path), path, secret)

    def write(self, path: Path, secret: Secret, content: bytes) -> None:
        """Put a secret in its place in one step, sealed where this folder is; see `write_private`.

        Raises: KeysUnusable.
        """
        record = self.record() or self._begun()
        if record is not None:
            content = envelope.seal(self.unlocked(record)[0], secret, secret.name, content)
        write_private(path, content)

    def record(self) -> SealRecord | None:
        """What ``seal.json`` says; None where the keys are plain. Raises: KeysUnusable."""
        path = self.folder / SEAL_FILE
        if not os.path.lexists(path):
            return None
        try:
            return SealRecord.from_json(read_private(path))
        except ValueError:
            raise KeysUnusable(f"{path} is damaged or of a newer version; restore it from a backup") from None

    def unlocked(self, record: SealRecord) -> tuple[DataKey, ...]:
        """The data keys of the folder. Raises: KeysUnusable."""
        passphrase = self.passphrase()
        if passphrase is None:
            raise KeysUnusable(f"the keys in {self.folder} are sealed, and no pass phrase is set; {HOW}")
        try:
            return envelope.open_record(record, passphrase)
        except DoesNotOpen:
            raise KeysUnusable(
                f"the pass phrase does not open the keys in {self.folder}; {HOW} to the right one, "
                f"or restore {SEAL_FILE} from a backup if it was damaged"
            ) from None

    def demand_open(self) -> None:
        """Raises: KeysUnusable where the keys are sealed and the pass phrase is lacking or wrong."""
        if (record := self.record()) is not None:
            self.unlocked(record)

    def is_locked(self) -> bool:
        """Whether the keys are sealed and no pass phrase is set. Raises: KeysUnusable."""
        return self.record() is not None and self.passphrase() is None

    def demanded(self) -> bytes:
        """The pass phrase. Raises: KeysUnusable where none is set, or it cannot be read."""
        passphrase = self.passphrase()
        if passphrase is None:
            raise KeysUnusable(f"no pass phrase is set for the keys in {self.folder}; {HOW}")
        return passphrase

    def present(self) -> list[Secret]:
        """The secrets that are there."""
        return [secret for secret in Secret if os.path.lexists(self.folder / secret)]

    def _opened(self, content: bytes, path: Path, secret: Secret) -> bytes:
        record = self.record()
        if not envelope.is_sealed(content):
            if record is not None and record.state is State.SEALED:  # rule 2
                raise KeysUnusable(
                    f"{path} is not sealed, though the keys beside it are; "
                    "restore it from a backup, or have it sealed: countermark keys seal"
                )
            return content
        if record is None:
            raise _lost(path)
        try:
            return envelope.unseal(self.unlocked(record), secret, secret.name, content)
        except DoesNotOpen:
            raise KeysUnusable(
                f"{path} was changed, or is another file in its place; restore it from a backup"
            ) from None

    def _begun(self) -> SealRecord | None:
        """Seal a folder without any key from now on, if there is a pass phrase (rule 4)."""
        passphrase = self.passphrase()
        if passphrase is None:
            self._demand_plain()
            return None
        with locked(self.folder / SEAL_LOCK):
            if (record := self.record()) is not None:
                return record
            self._demand_plain()
            if self.present():
                return None
            record = envelope.record_of([DataKey.fresh()], strong(passphrase), State.SEALED)
            write_record(self.folder, record)
        return record

    def _demand_plain(self) -> None:
        for secret in self.present():
            if envelope.is_sealed(read_private(self.folder / secret)):
                raise _lost(self.folder / secret)


def safe_of(settings: Settings) -> Safe:
    """The safe of a home, with the pass phrase of its settings, if any."""
    return Safe(folder=Home(settings.home).keys, passphrase=lambda: _named(settings))


def write_record(folder: Path, record: SealRecord) -> None:
    """Put ``seal.json`` in its place. Raises: KeysUnusable."""
    write_private(folder / SEAL_FILE, json.dumps(record.to_json(), indent=1).encode())


def strong(passphrase: bytes) -> bytes:
    """A pass phrase to seal with. Raises: KeysUnusable for one that anybody would guess."""
    if len(passphrase.decode(errors="replace")) < MIN_PASSPHRASE:
        raise KeysUnusable(f"the pass phrase has fewer than {MIN_PASSPHRASE} characters; take a longer one")
    return passphrase


def read_passphrase(path: Path, home: Path) -> bytes:
    """The pass phrase in a file, without the end of its line.

    A secret manager may mount it as a link and with any owner; but it may not lie in the home: whoever has a
    copy of the home would have it, too. Raises: KeysUnusable.
    """
    try:
        if path.resolve().is_relative_to(home.resolve()):
            raise KeysUnusable(f"{path} lies in the home that it opens; keep the pass phrase elsewhere")
        with path.open("rb") as file:
            content = file.read(MAX_PASSPHRASE + 1)
    except OSError as error:
        raise KeysUnusable(f"cannot read the pass phrase {path} ({error.strerror}); name its file") from None
    return _normal(content, str(path))


def _named(settings: Settings) -> bytes | None:
    if settings.keys_passphrase_file is not None:
        return read_passphrase(settings.keys_passphrase_file, settings.home)
    if settings.keys_passphrase is None:
        return None
    return _normal(settings.keys_passphrase.get_secret_value().encode(), "COUNTERMARK_KEYS_PASSPHRASE")


def _normal(content: bytes, where: str) -> bytes:
    """One form for each pass phrase, whatever keyboard it was typed on (Unicode NFC)."""
    try:
        text = unicodedata.normalize("NFC", content.decode()).rstrip("\r\n")
    except ValueError:
        raise KeysUnusable(f"the pass phrase in {where} is not UTF-8; write it as text") from None
    if not text or len(content) > MAX_PASSPHRASE:
        raise KeysUnusable(f"the pass phrase in {where} is empty or too long; write it as one line")
    return text.encode()


def _lost(path: Path) -> KeysUnusable:
    return KeysUnusable(f"{path} is sealed, but {SEAL_FILE} is gone; restore {SEAL_FILE} from a backup")
