"""`countermark keys` on the command line: seal, reseal, unseal, rotate, revoke, signers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.keyring import MARGIN, load_keyring
from registry.counter import last_payload_counter, reserve_payload_counter
from registry.db import open_database

Command = Callable[..., Any]


def test_sealed_resealed_and_unsealed(
    run: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = run("keys", "init").document
    assert shown["sealed"] is False
    assert "no pass phrase is set" in run("keys", "seal").words
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("correct horse battery\n")
    new.write_text("staple of another kind\n")
    monkeypatch.setenv("COUNTERMARK_KEYS_PASSPHRASE_FILE", str(old))
    assert len(run("keys", "seal").document["sealed"]) == 6
    assert run("keys", "seal").document["sealed"] == []
    assert run("keys", "list").document == shown | {"sealed": True}
    again = run("keys", "reseal", "--new-passphrase-file", old)
    assert "the pass phrase is the same" in again.words
    assert len(again.document["resealed"]) == 6
    assert "opens nothing" in run("keys", "reseal", "--new-passphrase-file", new).words
    old.write_text(new.read_text())  # as a secret manager would
    assert run("keys", "list").document == shown | {"sealed": True}
    assert run("keys", "rotate", "marks").document == {"epoch": 2, "epochs": 2}
    monkeypatch.delenv("COUNTERMARK_KEYS_PASSPHRASE_FILE")
    for command in ("worker", "serve"):
        assert "no pass phrase is set" in run(command, as_json=False).words
    monkeypatch.setenv("COUNTERMARK_KEYS_PASSPHRASE_FILE", str(old))
    assert len(run("keys", "unseal").document["unsealed"]) == 6
    monkeypatch.delenv("COUNTERMARK_KEYS_PASSPHRASE_FILE")
    assert run("keys", "list").document["detection"] == [{"epoch": 2}, {"epoch": 1}]
    assert "not sealed" in run("keys", "unseal").words


def test_the_report_key_is_rotated(run: Command, clip: Path, tmp_path: Path) -> None:
    run("keys", "init")
    [old, new, bundle] = [tmp_path / name for name in ("old.json", "new.json", "bundle.json")]
    run("verify", clip, "--signed", old)
    first = run("keys", "list").document["report"]
    told = run("keys", "rotate", "reports").document
    assert told["reports_before"] == [first]
    shown = run("keys", "list").document
    assert (shown["report"], shown["reports_before"]) == (told["report"], [first])
    run("verify", clip, "--signed", new)
    run("keys", "export-verifier", "-o", bundle)
    for report in (old, new):
        assert run("report", "check", report, "--trust", bundle).status == 0
        assert run("report", "check", report).status == 0
    assert run("report", "check", new, "--key", first["public"]).status == 3
    assert run("keys", "rotate", "signer", "--leaked").document["error"]["code"] == "usage"
    run("keys", "rotate", "reports", "--leaked")  # the second one
    assert run("report", "check", old).status == 0
    assert run("report", "check", new).status == 3


def test_signers_are_rotated_and_revoked(run: Command) -> None:
    run("keys", "init")
    [first] = run("keys", "signers").document["signers"]
    assert first["use"] == "current"
    second = run("keys", "rotate", "signer").document["cert_sha256"]
    shown = run("keys", "signers").document["signers"]
    assert [(row["use"], row["cert_sha256"]) for row in shown] == [
        ("retired", first["cert_sha256"]), ("current", second)
    ]  # fmt: skip
    printed = ":".join(second[at : at + 2] for at in range(0, 64, 2)).upper()  # as openssl does
    for wrong in ("2999-01-01T00:00:00Z", "2026-11-01T00:00:00", "yesterday"):
        refused = run("keys", "revoke", printed, "--at", wrong)
        assert (refused.status, refused.document["error"]["code"]) == (2, "usage")
    assert run("keys", "revoke", second[:16]).status == 2
    assert run("keys", "revoke", "00" * 32).document["error"]["code"] == "keys_unusable"
    told = run("keys", "revoke", printed, "--at", "2026-11-01T02:00:00+02:00").document
    assert told == {"cert_sha256": second, "revoked_at": "2026-11-01T00:00:00Z"}
    assert run("keys", "signers").document["signers"][1]["use"] == "revoked"
    run("keys", "init")  # the next use
    assert [row["use"] for row in run("keys", "signers").document["signers"]] == [
        "retired", "revoked", "current"
    ]  # fmt: skip


def test_the_counter_jumps_to_the_range_of_a_new_minting_key(run: Command, home: Path) -> None:
    run("keys", "init")
    assert run("keys", "rotate", "minting").document["error"]["code"] == "usage"  # no payload yet
    engine = open_database(home / "registry.db")
    try:
        last = reserve_payload_counter(engine)
        first = run("keys", "rotate", "minting").document["first"]
        assert first == last + 1 + MARGIN
        assert last_payload_counter(engine) == first - 1
        assert reserve_payload_counter(engine) == load_keyring(home / "keys").minting.first
    finally:
        engine.dispose()
