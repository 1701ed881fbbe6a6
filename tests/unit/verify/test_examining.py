"""One file to an answer: a file that changes meanwhile, a defect in between; and pages of many files."""

import io
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from pipeline.cli.output import COULD_NOT, OK
from pipeline.cli.report_words import status
from pipeline.cli.verify_outlets import Targets
from pipeline.credentials.pki import ensure_pki
from pipeline.home import Home
from pipeline.keyring import ensure_keyring
from pipeline.settings import Settings, load
from pipeline.types import Evidence, EvidenceState, FileVerdict
from pipeline.verify.examining import CHANGED, Wanted, examine, lost
from pipeline.verify.html_page import PICTURED, PageWriter
from pipeline.verify.local import Verifier
from pipeline.verify.opening import open_local
from pipeline.verify.statement import at_hand
from pipeline.verify.types import CREDENTIAL
from registry.db import open_database
from registry.log import append

DIGEST = Wanted(digest=True)


@pytest.fixture
def verifier(tmp_path: Path) -> Iterator[Verifier]:
    with open_local(Settings(home=tmp_path / "none")) as opened:
        yield opened


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Verifier]:
    """With keys: it can say that there is nothing."""
    settings = Settings(home=tmp_path / "keyed")
    settings.home.mkdir(mode=0o700, exist_ok=True)
    ensure_keyring(Home(settings.home).keys)
    ensure_pki(Home(settings.home).pki, now=datetime.now(UTC))
    with open_local(settings) as opened:
        yield opened


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Engine]:
    """For `keyed`, to be asked for before it."""
    home = tmp_path / "keyed"
    home.mkdir(mode=0o700)
    engine = open_database(load(home).database)
    yield engine
    engine.dispose()


@pytest.fixture
def clip(tmp_path: Path, make_clip: Any) -> Path:
    return make_clip(tmp_path / "clip.mp4", 96, 64, 4, 8)


def test_a_file_that_changes_meanwhile_gets_no_statement(verifier: Verifier, clip: Path) -> None:
    unchanged = examine(verifier, clip, DIGEST)
    assert unchanged.file is not None
    assert unchanged.having is not None
    assert CHANGED not in unchanged.report.notes

    def change(_done: float, _whole: float) -> None:
        with clip.open("ab") as file:
            file.write(b"x")

    changed = examine(verifier, clip, DIGEST, progress=change)
    assert (changed.file, changed.having) == (None, None)
    assert CHANGED in changed.report.notes


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def another(path: Path) -> None:
    """As long, and as old."""
    old, other = path.stat(), path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(old.st_atime_ns, old.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("wanted", [Wanted(), DIGEST], ids=["words", "statement"])
@pytest.mark.parametrize("change", [longer, another, Path.unlink])
def test_what_changes_meanwhile_has_no_verdict(
    keyed: Verifier, clip: Path, wanted: Wanted, change: Callable[[Path], None]
) -> None:
    """Whatever was found is of no certain version, so nothing of it is told."""
    changes = [change]

    def once(_done: float, _whole: float) -> None:
        while changes:
            changes.pop()(clip)

    found = examine(keyed, clip, wanted, progress=once)
    assert (found.report.verdict, found.report.notes) == (FileVerdict.INCONCLUSIVE, (CHANGED,))
    assert (found.report.release, found.report.flags, found.file) == (None, (), None)
    assert {line.state for line in found.report.evidence.values()} == {EvidenceState.FAILED}
    assert status(found.report) == COULD_NOT


def test_what_stays_as_it_is_has_one(keyed: Verifier, clip: Path) -> None:
    found = examine(keyed, clip, Wanted())
    assert (found.report.verdict, status(found.report)) == (FileVerdict.NONE, OK)


def test_a_statement_names_no_newer_registry_than_was_asked(
    registry: Engine, keyed: Verifier, clip: Path
) -> None:
    def grow(_line: str, _evidence: Evidence | None) -> None:
        with registry.begin() as conn:
            append(conn, "party", {"name": "Studio"}, None, "2026-11-29T12:00:00Z")

    found = examine(keyed, clip, DIGEST, tell=grow)
    assert found.having, found.report.notes
    assert (found.having.registry, found.having.head) == ("read", 0)
    assert at_hand(keyed).head


def test_a_registry_that_did_not_answer_is_told_as_failed(
    registry: Engine, keyed: Verifier, clip: Path
) -> None:
    def hide(line: str, evidence: Evidence | None) -> None:
        if (line, evidence) == (CREDENTIAL, None):
            with registry.begin() as conn:
                conn.execute(text("DROP VIEW verify_release_v1"))

    found = examine(keyed, clip, DIGEST, tell=hide)
    assert found.having, found.report.notes
    assert (found.having.registry, found.having.head, found.having.checkpoint) == ("failed", None, None)


def test_a_defect_makes_one_file_inconclusive(verifier: Verifier, clip: Path) -> None:
    def fail(_done: float, _whole: float) -> None:
        raise ZeroDivisionError

    found = examine(verifier, clip, DIGEST, progress=fail)
    assert found.report.verdict is FileVerdict.INCONCLUSIVE
    assert {line.state for line in found.report.evidence.values()} == {EvidenceState.FAILED}
    assert "ZeroDivisionError (test_examining.py" in found.report.notes[0]
    assert found.file is None


def test_nothing_is_stated_about_what_cannot_be_read(verifier: Verifier, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.mp4"):
        found = examine(verifier, path, DIGEST)
        assert (found.report.verdict, found.file) == (FileVerdict.UNREADABLE, None)


def test_a_page_of_many_files_waits_on_the_disk() -> None:
    """What a writer keeps in memory of each file is its line in the list, and no more."""
    count, one = PICTURED + 1, lost(Path("clip.mp4"), "A sentence.")
    spool, out = io.BytesIO(), io.BytesIO()
    page = PageWriter(spool, service="x", expected=count)
    for place in range(count):
        page.add(replace(one, file=f"{place}.mp4"))
    page._spool = io.BytesIO()
    assert len(pickle.dumps(page)) < 100 * count < spool.tell() / 20
    page._spool = spool
    page.write(out)
    text = out.getvalue().decode()
    assert f"{count} files checked; pictures are shown for up to {PICTURED}" in text
    assert text.count("<article") == count


def test_a_page_says_what_is_missing() -> None:
    page, out = PageWriter(io.BytesIO(), service="x", expected=3), io.BytesIO()
    page.add(lost(Path("a.mp4"), "A sentence."))
    page.write(out)
    assert b"Broken off: 1 of 3 files checked" in out.getvalue()
    assert Targets(page=Path("x")).pictures(PICTURED)
    assert not Targets(page=Path("x")).pictures(PICTURED + 1)
