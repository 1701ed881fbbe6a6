"""What a verification has at hand: keys and trust of a home or of a bundle, and the home's registry."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.credentials.pki import load_pki
from pipeline.credentials.safe import safe_of
from pipeline.credentials.trust import SignerTable, TrustStore
from pipeline.home import Home
from pipeline.keyring import MARKS_FILE, load_keyring, read_bundle
from pipeline.roots import with_roots
from pipeline.settings import Settings
from pipeline.storage import open_store
from pipeline.verify.issued_list import IssuedList
from pipeline.verify.local import Verifier
from registry.lookup import Lookup, open_lookup
from registry.store import FileStore
from watermark.keys import DetectionKey

NO_TRUST: Final = TrustStore(claim_roots="", tsa_roots="", signers=SignerTable())
LOCKED: Final = (
    "The keys of the home are sealed and no pass phrase is set, so faint marks of its releases were not "
    "looked for."
)


@contextlib.contextmanager
def open_local(settings: Settings, bundle: Path | None = None) -> Iterator[Verifier]:
    """A verifier for `settings.home`; with `bundle`, keys and trust come from there instead, also
    where those of the home are sealed and there is no pass phrase: every report says what was lacking.

    A home that does not exist is no error: whatever needs keys is then not checked.
    Raises: KeysUnusable for keys that are there but cannot be used, RegistryUnusable for such a registry.
    """
    home = Home(settings.home)
    lookup = open_lookup(settings.database)
    with lookup or contextlib.nullcontext():
        common = _Common(
            lookup=lookup, issued=IssuedList(lookup, settings.database) if lookup else None,
            manifests=open_store(settings, create=False) if lookup else None,
            interrupted=lookup.interrupted_jobs(home.locks) if lookup else 0,
        )  # fmt: skip
        yield _with_bundle(settings, bundle, common) if bundle else _with_home(settings, common)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    lookup: Lookup | None
    issued: IssuedList | None
    manifests: FileStore | None
    interrupted: int


def _with_bundle(settings: Settings, path: Path, common: _Common) -> Verifier:
    bundle = read_bundle(path, now=datetime.now(UTC))
    # Another service's marks are not read by the list of what was released here.
    locked = safe_of(settings).is_locked()
    issued = common.issued if not locked and _may_be_ours(settings, bundle.detection) else None
    return Verifier(
        settings=settings, trust=bundle.trust, keys=bundle.detection, log_key=bundle.log_key,
        lookup=common.lookup, issued=issued, manifests=common.manifests, interrupted=common.interrupted,
        notes=(LOCKED,) if locked and common.issued and bundle.detection else (),
    )  # fmt: skip


def _may_be_ours(settings: Settings, keys: Sequence[DetectionKey]) -> bool:
    """Whether no keys lie here, as beside a copy of a registry, or these are among them."""
    home = Home(settings.home)
    if not os.path.lexists(home.keys / MARKS_FILE):
        return True
    own = load_keyring(home.keys, safe_of(settings)).detection
    return all(key in own for key in keys)


def _with_home(settings: Settings, common: _Common) -> Verifier:
    home = Home(settings.home)
    if not os.path.lexists(home.keys / MARKS_FILE):
        return Verifier(
            settings=settings, trust=with_roots(NO_TRUST, settings), lookup=common.lookup,
            issued=common.issued, manifests=common.manifests, interrupted=common.interrupted,
        )  # fmt: skip
    safe = safe_of(settings)
    keyring, trust = load_keyring(home.keys, safe), load_pki(home.pki, safe).trust
    return Verifier(
        settings=settings, trust=with_roots(trust, settings), keys=keyring.detection,
        accepts=keyring.mint.accepts, log_key=keyring.log_key,
        lookup=common.lookup, issued=common.issued, manifests=common.manifests,
        interrupted=common.interrupted,
    )  # fmt: skip
