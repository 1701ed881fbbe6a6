"""The index by content follows the registry, on both databases."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registry_builders import NOW, SIGNER, Home

from pipeline.credentials.fingerprint import Fingerprint
from pipeline.verify import similar_releases
from pipeline.verify.similar import Hit
from pipeline.verify.similar_files import SimilarFiles
from pipeline.verify.similar_releases import SimilarReleases
from registry import releases
from registry.errors import RegistryBehind
from registry.lookup import Lookup, open_lookup
from registry.types import Release, ReleaseState


def stored(seed: int) -> bytes:
    """A fingerprint of eight moments."""
    hashes = np.random.default_rng(seed).integers(2**64, size=8, dtype=np.uint64)
    return Fingerprint(doublings=1, indices=tuple(range(8)), hashes=tuple(map(int, hashes))).to_bytes()


def opened(home: Home) -> Lookup:
    lookup = open_lookup(home.where)
    assert lookup is not None
    return lookup


def out(home: Home, seed: int) -> Release:
    return home.release(f"k{seed}", fingerprint=stored(seed))


def found(home: Home, seed: int, folder: Path | None = None, wait: float = 60.0) -> tuple[Hit, ...]:
    with opened(home) as lookup:
        return SimilarReleases(lookup, home.where, folder).current(wait).by_fingerprint(stored(seed), 3).hits


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each test were a new process; batches and files of few releases."""
    similar_releases._kept.cache_clear()
    monkeypatch.setattr(similar_releases, "BATCH", 2)
    monkeypatch.setattr(similar_releases, "SAVED", 2)


def test_what_is_released_is_found_from_then_on(home: Home) -> None:
    assert found(home, 1) == ()
    made = [out(home, seed) for seed in range(5)]
    for seed, release in enumerate(made):
        assert [(hit.release, hit.distance) for hit in found(home, seed)] == [(release.id, 0.0)]
    later = out(home, 7)
    assert [hit.release for hit in found(home, 7)] == [later.id]
    assert found(home, 99) == ()


def test_a_withdrawn_release_is_found_and_its_state_is_the_registrys(home: Home) -> None:
    made = out(home, 1)
    releases.withdraw(home.engine, made.id, why={}, now=NOW, sign_checkpoint=SIGNER)
    hit = found(home, 1)[0]
    with opened(home) as lookup:
        row = lookup.find(release_id=hit.release)
    assert row is not None
    assert (row.release_id, row.state) == (made.id, ReleaseState.WITHDRAWN)


def test_a_fingerprint_that_cannot_be_read_stops_nothing_and_is_counted(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.release("other", fingerprint=b"\x07" * 64)
    made = out(home, 1)
    with opened(home) as lookup:
        index = SimilarReleases(lookup, home.where)
        assert [hit.release for hit in index.current(60).by_fingerprint(stored(1), 3).hits] == [made.id]
        assert index.unreadable == 1
    assert "cannot be found by content" in caplog.text


def test_a_start_reads_only_what_came_since(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [out(home, seed) for seed in range(4)]
    found(home, 0, tmp_path / "similar")
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "similar").iterdir()} == {0}
    made.append(out(home, 4))
    similar_releases._kept.cache_clear()
    asked: list[int] = []
    stored_after = Lookup.stored_after

    def watched(self: Lookup, seq: int, most: int) -> Any:
        asked.append(seq)
        return stored_after(self, seq, most)

    monkeypatch.setattr(Lookup, "stored_after", watched)
    for seed, release in enumerate(made):
        assert [hit.release for hit in found(home, seed, tmp_path / "similar")] == [release.id]
    assert min(asked) == made[3].log_seq


@pytest.mark.parametrize("damage", ["words", "rest", "sidecar", "format", "gone"])
def test_a_damaged_file_is_made_again(home: Home, tmp_path: Path, damage: str) -> None:
    made, folder = [out(home, seed) for seed in range(4)], tmp_path / "similar"
    found(home, 0, folder)
    sidecar = next(folder.glob("*.json"))
    words = sidecar.with_name(f"{sidecar.stem}.words.npy")
    if damage == "words":
        content = bytearray(words.read_bytes())
        content[-1] ^= 1
        words.write_bytes(content)
    elif damage == "rest":
        sidecar.with_suffix(".npz").write_bytes(b"no file of arrays")
    elif damage == "sidecar":
        sidecar.write_text("{")
    elif damage == "format":
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"format": "another/1"}))
    else:
        words.unlink()
    assert SimilarFiles(folder).load() == []
    similar_releases._kept.cache_clear()
    for seed, release in enumerate(made):
        assert [hit.release for hit in found(home, seed, folder)] == [release.id]


def test_a_registry_with_another_history_is_read_anew(sqlite_home: Home, tmp_path: Path) -> None:
    out(sqlite_home, 1)
    sqlite_home.engine.dispose()
    backup = tmp_path / "backup.db"
    shutil.copy(sqlite_home.path, backup)
    for seed in (2, 3):
        out(sqlite_home, seed)
    assert found(sqlite_home, 3, tmp_path / "similar")
    sqlite_home.engine.dispose()
    for side in ("-wal", "-shm"):
        sqlite_home.path.with_name(f"{sqlite_home.path.name}{side}").unlink(missing_ok=True)
    shutil.copy(backup, sqlite_home.path)
    with Home(tmp_path) as restored:
        made = restored.release("another", fingerprint=stored(8))
        again = restored.release("and another", fingerprint=stored(9))
        assert [hit.release for hit in found(restored, 8, tmp_path / "similar")] == [made.id]
        assert [hit.release for hit in found(restored, 9, tmp_path / "similar")] == [again.id]
        assert found(restored, 3, tmp_path / "similar") == ()
        assert found(restored, 1, tmp_path / "similar")


def test_who_cannot_catch_up_in_time_says_so_and_gets_on(home: Home) -> None:
    made = [out(home, seed) for seed in range(5)]
    tries = 0
    while True:
        try:
            hits = found(home, 4, wait=0.0)
        except RegistryBehind:
            tries += 1
            assert tries < 5
            continue
        break
    assert tries >= 1
    assert [hit.release for hit in hits] == [made[4].id]
