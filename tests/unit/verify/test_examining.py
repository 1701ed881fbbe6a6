"""One file to an answer: a file that changes meanwhile, a defect in between; and pages of many files."""

import io
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.verify_outlets import Targets
from pipeline.settings import Settings
from pipeline.types import EvidenceState, FileVerdict
from pipeline.verify.examining import CHANGED, Wanted, examine, lost
from pipeline.verify.html_page import PICTURED, PageWriter
from pipeline.verify.local import Verifier
from pipeline.verify.opening import open_local

DIGEST = Wanted(digest=True)


@pytest.fixture
def verifier(tmp_path: Path) -> Iterator[Verifier]:
    with open_local(Settings(home=tmp_path / "none")) as opened:
        yield opened


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
