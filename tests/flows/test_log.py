"""The transparency log on the command line, and a stranger who checks what was handed out, offline."""

import json
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from registry import verify_log


def stranger(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    """The verifier as it came, alone in a folder of its own."""
    folder.mkdir(exist_ok=True)
    copy = folder / "verify_log.py"
    copy.write_bytes(Path(verify_log.__file__).read_bytes())
    command = [sys.executable, "-I", str(copy), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def released(run: Any, clip: Path, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """An opt-out, then a release that was checked after it."""
    made = run("optout", "add", "Zorblax the Brave", "--owner", "Studio Example").document
    target = tmp_path / "out.mp4"
    answer = run("guard", clip, "-o", target, "--policy", "marks-only", "--audio", "accept")
    assert answer.status == 0, answer.words
    return made, answer.document, target


def test_a_release_and_all_about_it_check_offline(
    run: Any, released: Any, home: Path, tmp_path: Path
) -> None:
    made, release, target = released
    key = run("log", "checkpoint").document["key"]
    exported = run("log", "export", "-o", tmp_path / "log")
    assert (exported.status, exported.document["before"]) == (0, 0)
    assert run("log", "export", "-o", tmp_path / "log").document["files"] == 0
    proof, receipt = tmp_path / "release.json", tmp_path / "receipt.json"
    told = run("log", "prove", "--release", release["release"]["id"], "-o", proof).document
    assert run("log", "prove", str(made["sequence"]), "--opened", "-o", receipt).status == 0
    assert json.loads(receipt.read_text())["opened"]["private"]["owner"] == "Studio Example"
    extends = tmp_path / "extends.json"
    assert run("log", "consistency", "1", str(exported.document["tree_size"]), "-o", extends).status == 0
    documents = (tmp_path / "log", proof, receipt, extends)
    status, words = stranger(tmp_path / "away", "--key", key, *documents)
    assert (status, words.count("\n")) == (0, 4), words
    answer = run("log", "verify", *documents)
    assert (answer.status, answer.document["holds"]) == (0, True)

    said = json.loads(told["assertion"])
    assert said["version"] == 3
    assert said["log"]["tree_size"] == made["sequence"]  # the state that it was checked against
    assert said["log"]["checkpoint"][1] == str(made["sequence"])
    [report] = run("verify", target).document
    against = report["evidence"]["log"]["checked_against"]
    assert against == {"state": "consistent", "checked_seq": 1, "tree_size": 1}
    assert "only grew since" in report["evidence"]["log"]["summary"]

    bundle = tmp_path / "keys.json"
    run("keys", "export-verifier", "-o", bundle, "--detect")
    [report] = run("verify", target, "--home", tmp_path / "elsewhere", "--trust", bundle).document
    assert report["evidence"]["log"]["checked_against"]["state"] == "signed"

    kinds = [row["kind"] for row in run("log", "show", "--last", "3").document]
    assert kinds == ["opt-out", "decision", "release"]
    assert run("log", "audit").status == 0
    _rewrite(home)  # another history under the same numbers: the file's own checkpoint tells
    [report] = run("verify", target).document
    assert report["evidence"]["log"]["state"] == "failed"
    assert report["evidence"]["log"]["checked_against"]["state"] == "contradicted"


def _rewrite(home: Path) -> None:
    with sqlite3.connect(home / "registry.db") as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE log_entry SET leaf_hash = zeroblob(32) WHERE seq = 2")


def test_a_changed_byte_is_found(run: Any, released: Any, tmp_path: Path) -> None:
    run("log", "export", "-o", tmp_path / "log")
    tile = tmp_path / "log/tile/entries/000.p/3"
    tile.write_bytes(tile.read_bytes().replace(b"opt-out", b"opt-oux", 1))
    answer = run("log", "verify", tmp_path / "log")
    assert (answer.status, answer.document["holds"]) == (1, False)
    assert "DOES NOT HOLD" in answer.words


def test_evidence_about_an_opt_out_and_about_a_release(run: Any, released: Any, tmp_path: Path) -> None:
    made, release, _ = released
    ruled = run("rule", "add", made["id"], "allow", "--account", "a friend").document
    assert ruled["receipt"]["opened"]["private"]["account"] == "a friend"
    ended = run("rule", "remove", ruled["rule"]).document
    assert json.loads(ended["receipt"]["entry"])["public"]["action"] == "unset"
    granted = run("licence", "grant", made["id"], "--account", "studio").document
    assert granted["receipt"]["opened"]["private"]["account"] == "studio"
    wanted = ("Zorblax the Brave on a hill", "--generator", "procedural", "-o", tmp_path / "no.mp4")
    refused = run("create", *wanted)
    assert refused.status == 1, refused.words
    first, again = tmp_path / "evidence.zip", tmp_path / "again.zip"
    assert run("evidence", "--subject", made["id"], "-o", first).status == 0
    assert run("evidence", "--subject", made["id"], "-o", again).status == 0
    assert first.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        facts = json.loads(archive.read("facts.json"))
        proofs = [json.loads(archive.read(name)) for name in names if name.startswith("proofs/")]
    assert {"README.md", "verify_log.py", "log.vkey", "log.checkpoint", "bundle.json", "bundle.note"} <= {
        *names
    }
    assert facts["registered"]["owner"] == "Studio Example"
    assert [act["kind"] for act in facts["acts"]] == ["opt-out", "rule", "rule", "licence"]
    [decided] = facts["decisions"]
    assert (decided["public"]["verdict"], decided["reasons"][0]["code"]) == ("block", "name_match")
    opened = {json.loads(proof["entry"])["kind"]: proof["opened"] is not None for proof in proofs}
    assert opened == {
        "opt-out": True,
        "rule": True,
        "licence": True,
        "decision": False,
    }  # those quote other people
    about = tmp_path / "release.zip"
    assert run("evidence", "--release", release["release"]["id"], "-o", about).status == 0
    for path in (first, about):
        status, words = stranger(tmp_path / "away", path)
        assert status == 0, words
    assert "checked, fenced, logged" in words
    assert run("evidence", "--release", "nothing", "-o", tmp_path / "x.zip").status == 3
    assert run("evidence", "-o", tmp_path / "x.zip").status == 2


def test_what_is_personal_is_erased_and_the_log_stays_whole(run: Any, home: Path, tmp_path: Path) -> None:
    made = run("optout", "add", "Ada Lovelace", "--kind", "person", "--owner", "Estate of Ada").document
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(made["receipt"], ensure_ascii=False, separators=(",", ":")))
    assert run("log", "erase", "--subject", made["id"]).status == 1  # it is in force
    gone = run("optout", "withdraw", made["id"]).document
    assert gone["receipt"]["opened"]["private"] == {"why": {"why": ""}}
    kept = [home / "index" / f"old{ending}" for ending in (".segment", ".json")]
    kept[0].parent.mkdir(mode=0o700, exist_ok=True)
    for file in kept:  # a segment that the subject's vectors still stand in
        file.write_bytes(b"vectors")
    erased = run("log", "erase", "--subject", made["id"], "--why", "article 17").document
    assert not any(file.exists() for file in kept)
    assert erased["entries"] == [1, 2]
    assert b"Ada Lovelace" not in (home / "registry.db").read_bytes()
    assert run("log", "audit").status == 0
    assert run("log", "show", "1").document["erased"] is True
    run("log", "export", "-o", tmp_path / "log")
    assert run("log", "verify", tmp_path / "log", receipt).status == 0  # the holder can still show it
    assert run("log", "erase").status == 2
    assert run("log", "erase", "--entry", "1").status == 3


def test_what_is_wrong_is_said_in_one_sentence(run: Any, tmp_path: Path) -> None:
    for arguments in (
        ["checkpoint"],
        ["export", "-o", tmp_path / "log"],
        ["show", "1"],
        ["prove", "1", "-o", "x"],
    ):
        answer = run("log", *arguments)
        assert answer.status == 3, answer.words
        assert answer.document["error"]["code"] == "not_found"
    assert run("log", "prove").status == 2
    assert run("log", "verify", tmp_path / "nothing").status == 3
