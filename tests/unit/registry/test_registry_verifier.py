"""The independent verifier: alone in another folder, and no byte of what it is given can be changed."""

import ast
import base64
import json
import random
import sys
import zipfile
from pathlib import Path

import pytest
from log_world import (
    BY,
    LOG_KEY,
    VERIFIER,
    exported,
    fill,
    holds,
    manifest,
    stranger,
    written,
)
from registry_builders import NOW, SIGNER, Home, Judgement

from registry import log, receipts, releases, rules, verify_log
from registry.canonical import Json
from registry.checkpoint import parse_note, sign_note
from registry.db import read, write

CHANGES = 150  # random byte changes; the benchmark makes a thousand


def test_it_is_short_and_imports_nothing_of_ours() -> None:
    text = VERIFIER.read_text()
    assert len(text.splitlines()) < 200
    roots = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert roots <= set(sys.stdlib_module_names) | {"cryptography"}
    assert verify_log.CHANGES == log.VERDICT_CHANGING_KINDS
    assert verify_log.COMMITMENT == log.COMMITMENT_PREFIX


class World:
    """Everything that is handed out, in one folder."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home, self.folder, self.log = home, folder, folder / "log"
        seqs = fill(home)
        published = self.publish()
        exported(home, self.log)
        with read(home.engine) as conn:
            made = {f"receipt-{seq}.json": receipts.receipt(conn, seq, opened=True) for seq in seqs}
            made["release.json"] = receipts.of_release(conn, published[0].log_seq, published[1])
            made["consistency.json"] = receipts.consistency(conn, 1, log.head(conn))
        self.documents = [written(folder, name, document) for name, document in made.items()]

    def publish(self) -> tuple[releases.Release, bytes]:
        """A release whose manifest names the checkpoint it was checked against."""
        with read(self.home.engine) as conn:
            checked = log.registry_seq(conn)
        said = manifest(self.home, checked)
        digest = verify_log.sha(said).hex()
        payload = {"payload": "00" * 8, "detected_payload": "00" * 8}
        said = said.replace(b'"payload": "p"', b'"payload": "' + b"00" * 8 + b'"')
        size = said.index(b"{"), said.index(b"}}") + 2
        said = said[: size[0] - 8] + (size[1] - size[0] + 8).to_bytes(4) + said[size[0] - 4 :]
        digest = verify_log.sha(said).hex()
        made = self.home.release(
            "named", manifest_sha256=digest, decision=Judgement(registry_seq=checked), **payload
        )
        return made, said


@pytest.fixture
def world(home: Home, tmp_path: Path) -> World:
    return World(home, tmp_path)


def test_everything_that_is_handed_out_holds(world: World) -> None:
    answer = stranger(world.log, *world.documents, folder=world.folder)
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.out.splitlines()) == 1 + len(world.documents)
    for document in world.documents:  # each alone, too
        assert holds(document)
    (world.folder / "key").write_text(LOG_KEY + "\n")
    assert stranger(world.log, folder=world.folder, key=str(world.folder / "key")).code == 0


def test_a_receipt_shows_what_was_registered(world: World) -> None:
    told = json.loads(world.documents[0].read_bytes())
    assert told["opened"]["private"]["name"] == "Person 0 Ångström"
    assert "Person" not in told["entry"]
    told["opened"]["private"]["name"] = "Somebody else"
    assert not holds(written(world.folder, "other.json", told))


def test_no_byte_of_the_log_can_be_changed(world: World) -> None:
    files = [path for path in world.log.rglob("*") if path.is_file()]
    assert _undetected(files, [world.log]) == []


def test_no_byte_of_a_document_can_be_changed(world: World) -> None:
    for document in world.documents:
        assert _undetected([document], [document], CHANGES // 5) == []


def _undetected(files: list[Path], paths: list[Path], count: int = CHANGES) -> list[tuple[str, int, int]]:
    chance, missed = random.Random(6962), []
    for _ in range(count):
        file = chance.choice(files)
        content = file.read_bytes()
        at, change = chance.randrange(len(content)), chance.randrange(1, 256)
        file.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
        if holds(*paths):
            missed.append((file.name, at, change))
        file.write_bytes(content)
    return missed


def test_files_that_are_missing_or_added_are_noticed(world: World) -> None:
    for file in [path for path in world.log.rglob("*") if path.is_file()]:
        content = file.read_bytes()
        file.unlink()
        assert not holds(world.log)
        file.write_bytes(content)
    (world.log / "tile/0/001").write_bytes(bytes(32))
    assert not holds(world.log)


def test_a_receipt_of_another_history_is_noticed(world: World, tmp_path: Path) -> None:
    """Two logs under one key: each receipt holds alone, and none beside the other log."""
    (tmp_path / "split").mkdir()
    with Home(tmp_path / "split") as split:
        made = split.opt_out("Somebody else")
        with read(split.engine) as conn:
            told = written(tmp_path, "split.json", receipts.receipt(conn, made.seq, opened=True))
            ours = log.latest(conn)
    assert holds(told)
    assert stranger(world.log, told, folder=tmp_path).code == 1
    with read(world.home.engine) as conn:
        whole: Json = receipts.consistency(conn, 1, log.head(conn))
    assert ours is not None
    assert not holds(written(tmp_path, "forged.json", whole | {"old": ours}))


def test_a_release_that_a_change_overtook_is_noticed(home: Home, tmp_path: Path) -> None:
    """A log can be signed and consistent, and still show that the service broke its promise."""
    public: Json = {"checked_seq": 0, "registry_seq": 0}
    with write(home.engine) as conn:
        log.append(conn, "opt-out", {"subject": "s"}, None, NOW)
        log.append(conn, "release", public, None, NOW)
        log.add_checkpoint(conn, SIGNER, NOW)
    exported(home, tmp_path / "log")
    answer = stranger(tmp_path / "log", folder=tmp_path)
    assert answer.code == 1
    assert "overtaken by change 1" in answer.out


@pytest.mark.parametrize(
    "public", [{"checked_seq": 2, "registry_seq": 1}, {"checked_seq": 1, "registry_seq": 9}, {}]
)
def test_a_release_out_of_order_is_noticed(home: Home, tmp_path: Path, public: Json) -> None:
    with write(home.engine) as conn:
        log.append(conn, "opt-out", {"subject": "s"}, None, NOW)
        log.append(conn, "release", public, None, NOW)
        log.add_checkpoint(conn, SIGNER, NOW)
    exported(home, tmp_path / "log")
    assert stranger(tmp_path / "log", folder=tmp_path).code == 1


def test_a_manifest_with_a_checkpoint_of_later_or_of_another_log_is_noticed(
    world: World, tmp_path: Path
) -> None:
    told = json.loads((world.folder / "release.json").read_bytes())
    said = json.loads(told["assertion"])
    with read(world.home.engine) as conn:
        notes = [log.covering(conn, 1), log.latest(conn)]  # before what it was checked at; after its release
        proof = [log.prove_extends(conn, parse_note(note or "").size, log.head(conn)) for note in notes]
    for note, path in zip(notes, proof, strict=True):
        assert note is not None
        said["log"]["checkpoint"] = note.split("\n")[:-1]
        text = json.dumps(said)
        content = base64.b64encode(text.encode()).decode()
        changed = told | {"assertion": text, "manifest": content, "path": [step.hex() for step in path]}
        known = verify_log.Verifier(LOG_KEY)
        with pytest.raises(ValueError, match="something else"):
            known.check(changed)
        entry = json.loads(changed["receipt"]["entry"])
        entry["public"]["manifest_sha256"] = verify_log.sha(text.encode()).hex()
        known.check_receipt = lambda _receipt, entry=entry: entry  # type: ignore[method-assign]
        with pytest.raises(ValueError, match="of another time"):
            known.check(changed)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"format":1}', b"\xff", b"[" * 100_000])
def test_what_is_no_document_does_not_hold(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "document.json").write_bytes(content)
    answer = stranger(tmp_path / "document.json", folder=tmp_path)
    assert answer.code == 1
    assert answer.out.startswith("DOES NOT HOLD")


def test_a_bundle_is_signed_whole(world: World, tmp_path: Path) -> None:
    files = {"README.md": b"read me", "proofs/a.json": world.documents[0].read_bytes()}
    files["log.vkey"] = LOG_KEY.encode()
    hashes: Json = {name: verify_log.sha(content).hex() for name, content in files.items()}
    listed = receipts.written({"format": verify_log.BUNDLE, "files": hashes})
    note = sign_note(f"{verify_log.BUNDLE}\n{verify_log.sha(listed).hex()}\n", SIGNER)
    files |= {"bundle.json": listed, "bundle.note": note.encode()}
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
            place = tmp_path / "bundle" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    for path in (tmp_path / "bundle.zip", tmp_path / "bundle"):
        assert stranger(path, folder=tmp_path).code == 0
        assert stranger(path, folder=tmp_path, key=None).code == 0  # by the key inside
    inside = [path for path in (tmp_path / "bundle").rglob("*") if path.is_file()]
    assert _undetected(inside, [tmp_path / "bundle"], 60) == []
    (tmp_path / "bundle/more").write_bytes(b"")
    assert not holds(tmp_path / "bundle")
    twice = tmp_path / "twice.zip"  # which of both somebody sees depends on what they open it with
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("README.md", b"read something else")
        for name, content in files.items():
            if name != "README.md":
                archive.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("README.md", files["README.md"])
    assert stranger(twice, folder=tmp_path).code == 1


def test_rules_and_licences_have_receipts(home: Home, tmp_path: Path) -> None:
    made = home.opt_out()
    licence = rules.grant_licence(home.engine, made.subject, "studio", **BY)
    rules.revoke_licence(home.engine, licence.id, **BY)
    with read(home.engine) as conn:
        granted, revoked = (receipts.of_rule(conn, licence.id, removed=gone) for gone in (False, True))
    for told, action in ((granted, "grant"), (revoked, "revoke")):
        assert json.loads(str(told["entry"]))["public"]["action"] == action
        assert told["opened"]["private"]["account"] == "studio"  # type: ignore[index, call-overload]
        assert holds(written(tmp_path, f"{action}.json", told))


def test_what_was_there_before_opens_nothing(home: Home) -> None:
    """The last entry about a subject may be somebody else's act: a licence, with its account."""
    first = home.opt_out()
    assert first.proof.opened is not None
    rules.grant_licence(home.engine, first.subject, "studio", **BY)
    again = home.opt_out()
    assert (again.new, again.proof.opened) == (False, None)
    assert receipts.document(again.proof)["opened"] is None
