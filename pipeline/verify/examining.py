"""One file from bytes to a report, with the digest of those bytes; whatever it is, there is an answer."""

import hashlib
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.credentials.child import open_media
from pipeline.credentials.text import safe_text
from pipeline.errors import CountermarkError, describe
from pipeline.types import Evidence, EvidenceState, FileVerdict
from pipeline.verify import types, words
from pipeline.verify.local import Progress, Tell, Verifier
from pipeline.verify.statement import AtHand, FileDigest, as_used, at_hand
from pipeline.verify.types import VerificationReport

CHUNK_BYTES: Final = 1 << 20
CHANGED: Final = "The file changed while it was checked; this report is of no certain version of it."
NOT_ENDED: Final = "The check did not come to its end."


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A report; the bytes it is about (None: not wanted, not readable, or changed meanwhile); with what."""

    report: VerificationReport
    file: FileDigest | None = None
    having: AtHand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What else is wanted of each file: pictures for the page, the digest for a statement."""

    pictures: bool = False
    digest: bool = False


def examine(
    verifier: Verifier, path: Path, wanted: Wanted, *, progress: Progress = lambda _done, _all: None,
    tell: Tell = lambda _line, _evidence: None,
) -> Examined:  # fmt: skip
    """Verify one file. What goes wrong with it becomes the verdict *inconclusive*, also a defect of ours.

    So does a file that changed between its two looks at device, inode, size and times.
    """
    try:
        return _examine(verifier, path, wanted, progress, tell)
    except MemoryError:
        return Examined(report=lost(path, "There is not enough memory for this file."))
    except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
        return Examined(report=lost(path, _why(error)))


def lost(path: Path, why: str, verdict: FileVerdict = FileVerdict.INCONCLUSIVE) -> VerificationReport:
    """The report of a file whose check did not end; every line of evidence failed. `why`: a sentence."""
    failed = Evidence(state=EvidenceState.FAILED, summary=NOT_ENDED)
    return VerificationReport(
        file=safe_text(str(path), 1000), verdict=verdict,
        headline=words.headline(verdict, "", None, None, None), release=None, flags=(),
        evidence=dict.fromkeys(types.LINES, failed), notes=(safe_text(why, 500),), media={}, strip=(),
        path=(), checked_at=datetime.now(UTC).isoformat(timespec="seconds"), seconds=None,
    )  # fmt: skip


def _examine(verifier: Verifier, path: Path, wanted: Wanted, progress: Progress, tell: Tell) -> Examined:
    before = _state(path)
    file = digest_of(path) if wanted.digest and before else None
    having = at_hand(verifier) if file else None
    report = verifier.verify(path, strip=wanted.pictures, progress=progress, tell=tell)
    if _state(path) != before:  # its parts were read one after the other: no finding is of one version
        return Examined(report=lost(path, CHANGED))
    return Examined(report=report, file=file, having=having and as_used(having, report))


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def digest_of(path: Path) -> FileDigest | None:
    """The digest of a regular file; None for what cannot be read."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_media(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except (CountermarkError, OSError):
        return None
    return FileDigest(sha256=digest.hexdigest(), size=size)


def _why(error: Exception) -> str:
    try:
        return describe(error).message
    except Exception:  # noqa: BLE001 - `describe` raises again what is not ours
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in last)
        return f"a defect of the verifier ended the check: {type(error).__name__}{where}; please report it"
