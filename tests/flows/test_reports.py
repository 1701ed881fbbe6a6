"""Reports as users make and check them: one file, a folder with a bad one, a page, another machine."""

import base64
import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import load
from pipeline.verify.opening import LOCKED
from registry.db import open_database


@pytest.fixture
def clips(tmp_path: Path, make_clip: Any) -> Path:
    """Two tiny clips, and a file that is no video between them."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "c.mp4"):
        make_clip(folder / name, 96, 64, 8, 8, seed=ord(name[0]))
    (folder / "b.mp4").write_bytes(b"no video")
    return folder


def test_a_folder_becomes_reports_that_others_can_check(
    run: Any, home: Path, clips: Path, tmp_path: Path
) -> None:
    run("keys", "init")
    bundle, page, lines = tmp_path / "bundle.json", tmp_path / "page.html", tmp_path / "signed.json"
    assert run("keys", "export-verifier", "-o", bundle).status == 0
    answer = run("verify", clips, "--jobs", "1", "--report", page, "--signed", lines)
    assert [Path(one["file"]).name for one in answer.document] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [one["verdict"] for one in answer.document] == ["none", "unreadable", "none"]
    assert answer.status == 3  # the worst
    assert "b.mp4: unreadable" in answer.words.partition("Not fine")[2]
    assert stat.S_IMODE((home / "keys" / "report.json").stat().st_mode) == 0o600

    elsewhere = ("--home", tmp_path / "elsewhere", "--trust", bundle)
    for report in (page, lines):
        checked = run("report", "check", report, *elsewhere, "--file", clips / "a.mp4", as_json=False)
        assert checked.status == 0, checked.words
        assert "byte by byte" in checked.words
        assert "does not prove" in checked.words
    text = page.read_text()
    assert str(tmp_path) not in text  # it names the files, not our folders
    envelope = json.loads(lines.read_text().splitlines()[0])
    assert str(tmp_path) not in base64.b64decode(envelope["payload"]).decode()

    other = run("report", "check", lines, *elsewhere, "--file", bundle, as_json=False)
    assert (other.status, "NOT a file" in other.words) == (1, True)
    public = run("keys", "list").document["report"]["public"]
    assert run("report", "check", lines, "--key", public, as_json=False).status == 0
    assert run("report", "check", lines, "--key", "ab" * 32, as_json=False).status == 3
    assert run("report", "check", lines, "--key", "ab", as_json=False).status == 2
    assert run("report", "check", bundle, as_json=False).status == 3
    assert run("report", "check", lines, "--home", tmp_path / "elsewhere", as_json=False).status == 3
    page.write_text(text.replace("Nothing found", "Camera recording found"))
    changed = run("report", "check", page, *elsewhere, as_json=False)
    assert (changed.status, "the page was changed" in changed.words) == (1, True)


def test_without_keys_it_is_not_signed_and_says_so(run: Any, home: Path, clips: Path, tmp_path: Path) -> None:
    page, lines = tmp_path / "page.html", tmp_path / "signed.json"
    answer = run("verify", clips / "a.mp4", "--report", page, "--signed", lines)
    assert "not signed" in answer.words
    assert not home.exists()  # asking for a report makes no keys
    for report in (page, lines):
        checked = run("report", "check", report, as_json=False)
        assert (checked.status, "anybody could have written it" in checked.words) == (3, True)


def test_a_bundle_verifies_beside_sealed_keys(
    run: Any, home: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMARK_KEYS_PASSPHRASE", "correct horse battery")
    run("keys", "init")
    bundle, page = tmp_path / "bundle.json", tmp_path / "page.html"
    run("keys", "export-verifier", "--detect", "-o", bundle)
    open_database(load(home).database).dispose()
    monkeypatch.delenv("COUNTERMARK_KEYS_PASSPHRASE")
    answer = run("verify", clips / "a.mp4", "--trust", bundle, "--report", page)
    assert (answer.status, answer.document[0]["verdict"]) == (0, "none"), answer.words
    assert LOCKED in answer.document[0]["notes"]
    told = " ".join(answer.words.split())
    assert "not signed, so anybody could have written it" in told
    assert "no pass phrase is set" in told
    assert "has no keys" not in told
    assert run("report", "check", page, as_json=False).status == 3
    assert run("verify", clips / "a.mp4", "--report", tmp_path / "other.html").status == 3
    monkeypatch.setenv("COUNTERMARK_KEYS_PASSPHRASE", "correct horse staple")
    wrong = run("verify", clips / "a.mp4", "--trust", bundle, "--report", tmp_path / "other.html")
    assert wrong.document["error"]["code"] == "keys_unusable"


def test_why_no_report_key_could_be_made_is_said(run: Any, home: Path, clips: Path, tmp_path: Path) -> None:
    run("keys", "init")
    key, lock = home / "keys" / "report.json", home / "keys" / "report.json.lock"
    key.unlink()
    lock.unlink(missing_ok=True)
    lock.mkdir()  # as where the home may not be written
    answer = run("verify", clips / "a.mp4", "--signed", tmp_path / "signed.json")
    told = " ".join(answer.words.split())
    assert "no report key could be made: cannot use the lock file" in told
    assert "has no keys" not in told
    assert not key.exists()


def test_a_pattern_over_a_closed_folder_is_no_success(
    run: Any, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut, real = clips / "shut", os.scandir
    shut.mkdir()

    def refusing(path: Any = ".") -> Any:
        if str(path) == str(shut):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path)

    run("keys", "init")
    monkeypatch.setattr(os, "scandir", refusing)
    answer = run("verify", clips / "**" / "a.mp4")
    assert [one["verdict"] for one in answer.document] == ["none", "unreadable"]
    assert answer.status == 3


def test_a_damaged_report_key_is_not_replaced(run: Any, home: Path, clips: Path, tmp_path: Path) -> None:
    run("keys", "init")
    (home / "keys" / "report.json").write_text("{}")
    answer = run("verify", clips / "a.mp4", "--signed", tmp_path / "signed.json")
    assert (answer.status, answer.document["error"]["code"]) == (3, "keys_unusable")
    assert (home / "keys" / "report.json").read_text() == "{}"


def test_options_that_exclude_each_other(run: Any, clips: Path, tmp_path: Path) -> None:
    same = tmp_path / "same"
    for options in (("--jsonl",), ("--report", same, "--signed", same), ("--jobs", "0")):
        assert run("verify", clips, *options).status == 2
    assert run("verify", tmp_path / "*.mkv").document["error"]["code"] == "usage"
