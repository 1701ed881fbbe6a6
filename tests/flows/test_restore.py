"""A backup as docs/operations.md says, taken while jobs may run, and a home that is brought back from it."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from watermark.payload import ID_COUNT

GUARD = ("--policy", "marks-only", "--audio", "accept")


def back_up(home: Path, copy: Path) -> None:
    """The database first and by its own means, then held files, then the rest."""
    copy.mkdir()
    with sqlite3.connect(home / "registry.db") as source, sqlite3.connect(copy / "registry.db") as target:
        source.backup(target)
    source.close()
    target.close()
    shutil.copytree(home / "files" / "held", copy / "files" / "held")
    shutil.copytree(home / "files", copy / "files", dirs_exist_ok=True)
    shutil.copytree(home / "keys", copy / "keys")
    for folder in (copy, *copy.rglob("*")):
        folder.chmod(0o700 if folder.is_dir() else 0o600)


def test_a_restored_home_knows_old_releases_and_gives_no_payload_twice(
    run: Any, home: Path, clip: Path, other_clip: Path, tmp_path: Path, make_landscape: Any
) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    assert run("guard", clip, "-o", first, *GUARD).status == 0
    before = run("log", "checkpoint").document["tree_size"]
    back_up(home, tmp_path / "copy")
    lost = run("guard", other_clip, "-o", second, *GUARD).document["release"]
    assert run("log", "consistency", str(before), str(before + 2)).status == 0

    shutil.rmtree(home)
    (tmp_path / "copy").rename(home)
    answer = run("restore")
    assert (answer.status, answer.document["entries"], answer.document["releases"]) == (0, before, 1)
    [report] = run("verify", first).document
    assert (report["verdict"], report["release"]["state"]) == ("intact", "released")
    assert report["evidence"]["log"]["state"] == "found"
    assert run("log", "audit").document["tree_size"] == before
    third = make_landscape(tmp_path / "third.mp4", seed=11)
    made = run("guard", third, "-o", tmp_path / "out.mp4", *GUARD).document["release"]
    assert made["payload"] != lost["payload"]
    assert run("log", "audit").document["tree_size"] > before


def test_what_is_lacking_is_named(run: Any, home: Path, clip: Path, tmp_path: Path) -> None:
    release = run("guard", clip, "-o", tmp_path / "out.mp4", *GUARD).document["release"]
    for area in ("released", "manifests"):
        shutil.rmtree(home / "files" / area)
    answer = run("restore")
    assert answer.status == 1
    assert answer.document["without_file"] == answer.document["without_manifest"] == [release["id"]]


def test_a_log_that_is_not_whole_is_refused(run: Any, home: Path, clip: Path, tmp_path: Path) -> None:
    assert run("guard", clip, "-o", tmp_path / "out.mp4", *GUARD).status == 0
    conn = sqlite3.connect(home / "registry.db")
    names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for name in names:
        conn.execute(f'DROP TRIGGER "{name}"')
    conn.execute("UPDATE log_entry SET entry = replace(entry, '1', '2') WHERE seq = 1")
    conn.commit()
    conn.close()
    answer = run("restore")
    assert answer.status == 3
    assert "damaged" in answer.words or "restore a backup" in answer.words


def test_the_jump_is_small_beside_what_there_is() -> None:
    restoring = pytest.importorskip("pipeline.restoring")
    assert restoring.SKIPPED * 10_000 < ID_COUNT
