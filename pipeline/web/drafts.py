"""Opt-outs that are being written on the pages: kept between the steps, so that bad input loses nothing.

1. A draft is a folder that only we may read. Its name is the digest of a secret, and the secret is in the
   address of the pages of who writes it: no cookie, and nobody else can find, read or post to it.
2. Pictures lie in it as they came, under names of ours, until the opt-out is registered or the draft ends.
3. It ends a day after it was last written to. So many at a time, and so many bytes together, are kept.
"""

import base64
import hashlib
import hmac
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.credentials.keyfiles import write_private
from pipeline.errors import LimitExceeded, RouteUnknown, StorageFailed, TooBusy
from registry.locks import exclusive

SECRET_BYTES: Final = 32
KEPT_SECONDS: Final = 86_400.0
MAX_DRAFTS: Final = 500
MAX_BYTES: Final = 2 * 1024**3  # of all drafts together
MAX_PICTURES: Final = 20
FILE: Final = "draft.json"
LOCK: Final = "lock"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_GONE: Final = "this form was begun more than a day ago, or finished, and is gone; begin again"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Shown(BaseModel):
    """A picture of a draft: its digest, what it is called, whether it is taken, what is said of it, and a
    small JPEG in base64.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Digest
    name: str
    taken: bool
    told: str = ""
    small: str = ""


class Written(BaseModel):
    """What was written so far. ``fields``: as it was typed, checked only when it is used; ``kind``: of
    subject, as which the pictures were looked at; ``names``: what is told of each; ``tried``: the answers of
    trying, newest first; ``done``: how it ended.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: int = 1
    fields: dict[str, str] = {}
    kind: str = ""
    pictures: tuple[Shown, ...] = ()
    names: tuple[dict[str, Any], ...] = ()
    tried: tuple[dict[str, Any], ...] = ()
    tries: int = 0
    done: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One draft in somebody's hands."""

    secret: str
    folder: Path
    written: Written

    def picture(self, sha256: str) -> Path:
        """Where a picture of it lies."""
        return self.folder / sha256

    @property
    def key_bytes(self) -> bytes:
        """What the key of a holder is made of who finishes this draft: nothing of it has to be stored."""
        return hmac.new(self.secret.encode(), b"countermark holder key v1", hashlib.sha256).digest()


class Drafts:
    """All drafts of a home."""

    def __init__(self, root: Path) -> None:
        """Use `root`, which is made when the first draft is begun."""
        self._root = root

    def begin(self, fields: dict[str, str]) -> Draft:
        """A new draft. Raises: TooBusy, StorageFailed."""
        self.forget_old()
        if len(list(self._all())) >= MAX_DRAFTS:
            raise TooBusy("too many people are writing opt-outs; try again in a while")
        secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
        folder = self._folder(secret)
        with _storing():
            folder.mkdir(mode=0o700, parents=True)
        return self._write(secret, folder, Written(fields=fields))

    def open(self, secret: str) -> Draft:
        """A draft by its secret. Raises: RouteUnknown for one that is not there any more."""
        folder = self._folder(secret) if _SECRET.fullmatch(secret) else None
        try:
            if folder is None or _over(folder):
                raise RouteUnknown(_GONE)
            written = Written.model_validate_json((folder / FILE).read_bytes())
        except (OSError, ValidationError):
            raise RouteUnknown(_GONE) from None
        return Draft(secret=secret, folder=folder, written=written)

    @contextmanager
    def changing(self, secret: str) -> Iterator[Draft]:
        """A draft that nobody else changes meanwhile. Raises: as `open`."""
        draft = self.open(secret)
        with exclusive(draft.folder / LOCK):
            yield self.open(secret)

    def save(self, draft: Draft, **changes: Any) -> Draft:
        """The draft with other content. Raises: StorageFailed."""
        return self._write(draft.secret, draft.folder, draft.written.model_copy(update=changes))

    def add_picture(self, draft: Draft, sha256: str, data: bytes) -> None:
        """Keep the bytes of a picture. Raises: LimitExceeded, StorageFailed."""
        used = sum(map(_bytes, self._all()))
        if used + len(data) > MAX_BYTES:
            raise LimitExceeded("no room is left for more pictures today; finish with those that are there")
        with _storing():
            draft.picture(sha256).write_bytes(data)

    def forget_pictures(self, draft: Draft, keep: frozenset[str] = frozenset()) -> None:
        """Delete the pictures of a draft but these."""
        for path in draft.folder.iterdir():
            if path.name not in (FILE, LOCK) and path.name not in keep:
                path.unlink(missing_ok=True)

    def _write(self, secret: str, folder: Path, written: Written) -> Draft:
        with _storing():
            write_private(folder / FILE, written.model_dump_json().encode())
        return Draft(secret=secret, folder=folder, written=written)

    def _folder(self, secret: str) -> Path:
        return self._root / hashlib.sha256(secret.encode()).hexdigest()

    def _all(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from self._root.iterdir()

    def forget_old(self) -> None:
        """Delete the drafts that are at their end."""
        for folder in list(self._all()):
            with suppress(FileNotFoundError):
                if _over(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _bytes(folder: Path) -> int:
    """What a draft takes; its files may be deleted meanwhile, and it with them."""
    total = 0
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


def _over(folder: Path) -> bool:
    """Whether a draft is at its end; one that is being begun has no file yet, and its folder is young."""
    file = folder / FILE
    last = (file if file.exists() else folder).stat().st_mtime
    return time.time() - last > KEPT_SECONDS


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"the draft cannot be stored ({error.strerror}); try again later") from None
