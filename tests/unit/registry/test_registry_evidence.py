"""Evidence is kept apart, read under a name, and gone after its day."""

from pathlib import Path
from typing import Any

import pytest
from party_builders import BY, party, said
from registry_builders import NOW, SIGNER, Home

from registry import evidence, log
from registry.db import read
from registry.errors import ClaimInvalid, NotFound, RegistryDamaged
from registry.store import Area, FileStore

AFTER = "2026-02-10T12:00:00Z"
PASSPORT = b"%PDF a passport"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def add(home: Home, store: FileStore, claim: str | None, data: bytes = PASSPORT, **how: Any) -> Any:
    told: dict[str, Any] = {"media_type": "application/pdf", "days": 10} | how
    return evidence.add(home.engine, store, claim or "", data, **told, **BY)


def test_it_is_kept_read_and_purged(home: Home, store: FileStore) -> None:
    claim = said(home, party(home, "Someone")).claim
    made = add(home, store, claim, note="her passport")
    assert evidence.of_claim(home.engine, claim or "") == [made]
    found, place = evidence.open_file(home.engine, store, made.id, who="ada", why="to decide", now=NOW)
    assert (found, place.read_bytes(), place.stat().st_mode & 0o077) == (made, PASSPORT, 0)
    assert evidence.accesses(home.engine, made.id) == [("ada", "to decide", NOW)]
    assert evidence.purge_due(home.engine, store, "2026-02-10T11:59:59.9Z", SIGNER) == []
    assert evidence.purge_due(home.engine, store, AFTER, SIGNER) == [made.id]
    assert evidence.purge_due(home.engine, store, AFTER, SIGNER) == []
    assert not place.exists()
    [gone] = evidence.of_claim(home.engine, claim or "")
    assert (gone.sha256, gone.purged_at) == (made.sha256, AFTER)
    with pytest.raises(NotFound, match="was purged on 2026-02-10"):
        evidence.open_file(home.engine, store, made.id, who="ada", why="", now=AFTER)
    with read(home.engine) as conn:
        log.audit(conn)
        public = b"".join(entry.entry for entry in log.entries(conn, 0, log.head(conn)))
    assert b"passport" not in public
    assert made.sha256.encode() not in public


def test_the_same_file_stays_while_another_claim_needs_it(home: Home, store: FileStore) -> None:
    someone = party(home, "Someone")
    one, two = said(home, someone, "One").claim, said(home, someone, "Two").claim
    first, second = add(home, store, one), add(home, store, two, days=20)
    assert evidence.purge_due(home.engine, store, AFTER, SIGNER) == [first.id]
    _, place = evidence.open_file(home.engine, store, second.id, who="ada", why="", now=AFTER)
    assert place.exists()
    assert evidence.purge_due(home.engine, store, "2026-03-01T00:00:00Z", SIGNER) == [second.id]
    assert not place.exists()


def test_a_purge_that_was_cut_off_is_finished(
    home: Home, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = said(home, party(home, "Someone")).claim
    made = add(home, store, claim)
    monkeypatch.setattr(FileStore, "remove", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        evidence.purge_due(home.engine, store, AFTER, SIGNER)
    monkeypatch.undo()
    assert store.digests(Area.EVIDENCE) == [made.sha256]
    assert evidence.purge_due(home.engine, store, AFTER, SIGNER) == []
    assert store.digests(Area.EVIDENCE) == []


def test_an_adding_that_was_cut_off_leaves_nothing(
    home: Home, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = said(home, party(home, "Someone")).claim
    monkeypatch.setattr(log, "append", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        add(home, store, claim)
    monkeypatch.undo()
    assert len(store.digests(Area.EVIDENCE)) == 1
    evidence.purge_due(home.engine, store, NOW, SIGNER)
    assert (store.digests(Area.EVIDENCE), evidence.of_claim(home.engine, claim or "")) == ([], [])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_no_evidence(home: Home, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = said(home, party(home, "Someone")).claim
    for data, how in ((b"", {}), (PASSPORT, {"media_type": ""}), (PASSPORT, {"note": "\x07"})):
        with pytest.raises(ClaimInvalid):
            add(home, store, claim, data, **how)
    with pytest.raises(NotFound):
        add(home, store, "nothing")
    monkeypatch.setattr(evidence, "FILES_MAX", 1)
    made = add(home, store, claim)
    with pytest.raises(ClaimInvalid, match="at most 1 files"):
        add(home, store, claim)
    store.find(Area.EVIDENCE, made.sha256).chmod(0o600)
    store.find(Area.EVIDENCE, made.sha256).write_bytes(b"forged")
    with pytest.raises(RegistryDamaged):
        evidence.open_file(home.engine, store, made.id, who="ada", why="", now=NOW)
