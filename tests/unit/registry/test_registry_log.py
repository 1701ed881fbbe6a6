import hashlib
import json

import pytest
from registry_builders import NOW, ORIGIN, SIGNER, Home, raw
from sqlalchemy import Connection, text

from registry import erasure, log
from registry.canonical import canonical
from registry.checkpoint import parse_note
from registry.db import read, write
from registry.errors import ConstraintBroken, EntryInvalid, NotFound, RegistryDamaged
from registry.merkle import EMPTY_ROOT, leaf_hash, root, verify_consistency, verify_inclusion


def fill(home: Home, count: int) -> None:
    with write(home.engine) as conn:
        for number in range(count):
            log.append(conn, "name", {"n": number}, {"name": f"person {number}"}, NOW)


def test_an_empty_log(home: Home) -> None:
    with read(home.engine) as conn:
        assert (log.head(conn), log.registry_seq(conn), log.entries(conn, 0, 9)) == (0, 0, [])
        assert log.audit(conn) == EMPTY_ROOT
        with pytest.raises(NotFound):
            log.prove(conn, 1)
    with pytest.raises(NotFound), write(home.engine) as conn:
        log.add_checkpoint(conn, SIGNER, NOW)


def test_an_entry_is_what_was_hashed(home: Home) -> None:
    with write(home.engine) as conn:
        made = log.append(conn, "opt-out", {"subject": "s1"}, {"name": "Ada"}, NOW)
        salt = conn.execute(text("SELECT salt FROM log_private")).scalar_one()
    expected = {"v": 1, "seq": 1, "kind": "opt-out", "at": NOW, "public": {"subject": "s1"}}
    assert json.loads(made.entry) == expected | {"commitment": made.commitment}
    assert made.leaf_hash == hashlib.sha256(b"\x00" + made.entry).digest()
    opened = hashlib.sha256(log.COMMITMENT_PREFIX + salt + canonical({"name": "Ada"})).hexdigest()
    assert made.commitment == opened
    assert b"Ada" not in made.entry
    with read(home.engine) as conn:
        assert log.entries(conn, 0, 1) == [made]


def test_a_page_of_entries_and_of_changes(home: Home) -> None:
    made = home.release()
    fill(home, 3)
    with read(home.engine) as conn:
        assert [e.seq for e in log.entries(conn, 2, 4)] == [3, 4]
        assert [e.seq for e in log.changes(conn, 0, 5)] == [3, 4, 5]
        assert (log.registry_seq(conn), log.head(conn)) == (5, 5)
        assert log.entries(conn, 1, 2)[0].seq == made.log_seq


def test_registry_seq_passes_over_what_changes_no_verdict(home: Home) -> None:
    for title in ("one", "two"):
        home.opt_out(title)
    with read(home.engine) as conn:
        assert log.registry_seq(conn) == 2
    home.release()
    with read(home.engine) as conn:
        assert (log.registry_seq(conn), log.head(conn)) == (2, 4)


def test_proofs_of_every_size_verify(home: Home) -> None:
    checkpoints = []
    for _ in range(21):
        with write(home.engine) as conn:
            log.append(conn, "rule", {}, None, NOW)
            checkpoints.append(parse_note(log.add_checkpoint(conn, SIGNER, NOW)))
    newest = checkpoints[-1]
    with read(home.engine) as conn:
        assert log.audit(conn) == newest.root
        leaves = [e.leaf_hash for e in log.entries(conn, 0, 21)]
        for checkpoint in checkpoints:
            path = log.prove_extends(conn, checkpoint.size, newest.size)
            verify_consistency(checkpoint.size, newest.size, path, checkpoint.root, newest.root)
            proof = log.prove(conn, checkpoint.size)
            assert leaf_hash(proof.entry) == proof.leaf_hash == leaves[checkpoint.size - 1]
            verify_inclusion(proof.leaf_hash, proof.seq - 1, proof.tree_size, proof.path, newest.root)
        assert root(21, log.nodes(conn)) == newest.root
        with pytest.raises(NotFound):
            log.prove_extends(conn, 1, 22)


def test_a_checkpoint_of_a_size_is_made_once(home: Home) -> None:
    fill(home, 1)
    with write(home.engine) as conn:
        note = log.add_checkpoint(conn, SIGNER, NOW)
        assert log.add_checkpoint(conn, SIGNER, NOW) == note
    assert parse_note(note).origin == ORIGIN


def test_erasing_a_private_part_leaves_the_chain_whole(home: Home) -> None:
    fill(home, 3)
    made = erasure.erase_entries(home.engine, [2], why={}, now=NOW, sign_checkpoint=SIGNER)
    with read(home.engine) as conn:
        assert log.audit(conn) == parse_note(made.note).root
        assert [(e.erased, e.private) for e in log.changes(conn, 0, 3)] == [
            (False, {"name": "person 0"}), (True, None), (False, {"name": "person 2"})
        ]  # fmt: skip


def without_guards(conn: Connection) -> None:
    """What somebody with all rights on the database can do; the log must show it all the same."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        return
    for (name,) in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        conn.exec_driver_sql(f"DROP TRIGGER {name}")
    conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log_entry SET entry = replace(entry, '\"n\":1', '\"n\":7') WHERE seq = 2",
        "UPDATE log_entry SET kind = 'rule' WHERE seq = 2",
        "UPDATE log_entry SET leaf_hash = randomblob(32) WHERE seq = 2",
        "UPDATE log_private SET private = '{}' WHERE seq = 2",
        "UPDATE log_node SET hash = randomblob(32) WHERE level = 1 AND idx = 0",
        "DELETE FROM log_node WHERE level = 2",
        "UPDATE checkpoint SET root = randomblob(32)",
        "DELETE FROM log_entry WHERE seq = 2",
    ],
)
def test_an_audit_finds_what_was_changed_behind_the_triggers(home: Home, damage: str) -> None:
    fill(home, 5)
    with write(home.engine) as conn:
        log.add_checkpoint(conn, SIGNER, NOW)
    with write(home.engine) as conn:
        without_guards(conn)
        if "DELETE" in damage:
            conn.execute(text("DELETE FROM log_private WHERE seq = 2"))
        raw(conn, damage)
    with pytest.raises(RegistryDamaged), read(home.engine) as conn:
        log.audit(conn)


@pytest.mark.parametrize(
    ("kind", "public", "at"),
    [
        ("gossip", {}, NOW),
        ("name", {"x": 1.5}, NOW),
        ("name", {}, "yesterday"),
        ("name", {"x": "y" * (64 << 10)}, NOW),
    ],
)
def test_what_cannot_be_recorded_is_refused(home: Home, kind: str, public: dict, at: str) -> None:
    with pytest.raises(EntryInvalid), write(home.engine) as conn:
        log.append(conn, kind, public, None, at)
    with read(home.engine) as conn:
        assert log.head(conn) == 0


INSERT = "INSERT INTO log_entry VALUES ({seq}, {kind}, '2026-01-31T12:00:00Z', '{{}}', NULL, randomblob(32))"


@pytest.mark.parametrize(
    "statement",
    [
        INSERT.format(seq=1, kind="'name'"),
        INSERT.format(seq=5, kind="'name'"),
        INSERT.format(seq=0, kind="'name'"),
        INSERT.format(seq="NULL", kind="'name'"),
        INSERT.format(seq=4, kind="'gossip'"),
        INSERT.format(seq=1, kind="'name'").replace("INSERT", "INSERT OR REPLACE"),
        "UPDATE log_entry SET at = at",
        "DELETE FROM log_entry WHERE seq = 3",
        "UPDATE log_private SET private = '{}'",
        "INSERT OR REPLACE INTO log_private VALUES (1, randomblob(32), '{}')",
        "UPDATE log_node SET hash = randomblob(32)",
        "DELETE FROM log_node",
        "INSERT OR REPLACE INTO log_node VALUES (1, 0, randomblob(32))",
        "INSERT INTO log_node VALUES (1, 9, randomblob(31))",
        "UPDATE log_kind SET changes_verdict = 0",
        "DELETE FROM log_kind",
        "UPDATE checkpoint SET root = randomblob(32)",
        "DELETE FROM checkpoint",
        "INSERT OR REPLACE INTO checkpoint VALUES (3, randomblob(32), 'x', '2026-01-31T12:00:00Z')",
    ],
)
def test_the_database_refuses_to_rewrite_or_skip(home: Home, statement: str) -> None:
    fill(home, 3)
    with write(home.engine) as conn:
        log.add_checkpoint(conn, SIGNER, NOW)
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        raw(conn, statement)
    with read(home.engine) as conn:
        log.audit(conn)
