"""The work in progress of one job: files of its staging folder, named by their content."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.credentials.text import safe_text
from pipeline.errors import MediaUnreadable, StorageFailed
from registry.store import FileStore, storing

COPY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Staging:
    """One job's folder in the store, in the hands of one ``owner`` of the job."""

    store: FileStore
    job_id: str
    owner: str = ""

    def path(self, name: str) -> Path:
        """Where a file of that name lies or may be written."""
        return self.store.staging(self.job_id) / name

    def draft(self, name: str) -> Path:
        """Where this owner may write a file that is not finished: one that lost the job writes elsewhere."""
        return self.path(f"{self.owner}{name}")

    def forget_drafts(self) -> None:
        """Delete what this owner has written and not finished. Raises: StorageFull."""
        with storing():
            for path in self.store.staging(self.job_id).glob(f"{self.owner}*"):
                path.unlink(missing_ok=True)

    def take_in(self, source: Path, sha256: str, suffix: str) -> str:
        """Copy somebody's file, which must have that digest. Raises: MediaUnreadable, StorageFailed."""
        name = safe_text(source.name)
        target = self.draft("incoming")
        try:
            with source.open("rb") as original, target.open("wb") as copy:
                shutil.copyfileobj(original, copy, COPY_BYTES)
        except FileNotFoundError:
            raise MediaUnreadable(f"{name} is no longer there; nothing was released") from None
        except OSError as error:
            raise StorageFailed(
                f"cannot copy the clip into the home ({error.strerror}); free some space"
            ) from None
        kept = self.keep(target, suffix)
        if kept != f"{sha256}{suffix}":
            raise StorageFailed(f"{name} changed while it was read; start again")
        return kept

    def keep(self, made: Path, suffix: str) -> str:
        """Give a finished file the name of its content."""
        name = _digest(made) + suffix
        made.rename(made.with_name(name))
        return name

    def whole(self, name: str) -> Path:
        """A kept file that still is what its name says: after a power cut it may not be.

        Raises: StorageFailed.
        """
        path = self.path(name)
        if _digest(path) != path.stem:
            raise StorageFailed("the work in progress was damaged while it was interrupted; start again")
        return path


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """What goes wrong with a file and no library speaks for. Raises: StorageFailed."""
    try:
        yield
    except BrokenPipeError:
        raise  # of whoever reads our output
    except OSError as error:
        raise StorageFailed(f"the home cannot be written ({error.strerror}); free some space") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
