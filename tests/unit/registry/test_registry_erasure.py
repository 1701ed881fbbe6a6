import hashlib
from itertools import product
from pathlib import Path

import pytest
from log_world import BY, exported, fill, stranger
from registry_builders import NOW, Home, picture
from sqlalchemy import select, text

from registry import erasure, log, optouts, receipts, rules
from registry.canonical import Json, canonical
from registry.db import read, write
from registry.errors import ConstraintBroken, ErasureRefused, NotFound, RegistryDamaged
from registry.tables import metadata
from registry.types import OptOut

NAMES = ["Ada Lovelace", "Grace Hopper", "Zibble", "Mary Shelley"]


def withdrawn(home: Home, title: str = "Ada Lovelace") -> OptOut:
    made = home.opt_out(title, references=(picture(1, name="ada at home.png"),), description="a countess")
    rules.set_rule(home.engine, made.subject, "allow", account="a friend", **BY)
    optouts.withdraw(home.engine, made.subject, why={"why": "Ada asked"}, **BY)
    return made


def everything(home: Home) -> bytes:
    """All that lies in the registry, as text."""
    with read(home.engine) as conn:
        rows = [row for table in metadata.sorted_tables for row in conn.execute(select(table))]
    return repr([tuple(row) for row in rows]).encode()


def guesses(home: Home, seq: int, salts: list[bytes]) -> list[str]:
    """Try a list of names against the commitment of an opt-out by name alone."""
    with read(home.engine) as conn:
        (entry,) = log.entries(conn, seq - 1, seq)

    def private(title: str) -> bytes:
        listed = {"count": 1, "sha256": hashlib.sha256(canonical([title])).hexdigest(), "first": [title]}
        nothing = {"count": 0, "sha256": hashlib.sha256(canonical([])).hexdigest(), "first": []}
        texts = hashlib.sha256(canonical(["", [], []])).hexdigest()
        told = {"name": title, "names": listed, "references": nothing, "vectors": nothing}
        return canonical(told | {"owner": "Acme", "texts_sha256": texts})

    tried = product(NAMES, salts)
    return [title for title, salt in tried if log.commit(salt, private(title)) == entry.commitment]


def test_after_erasure_no_list_of_names_can_be_tried(home: Home) -> None:
    made = home.opt_out("Zibble")
    with read(home.engine) as conn:
        salt = bytes(conn.execute(text("SELECT salt FROM log_private WHERE seq = 1")).scalar_one())
    assert guesses(home, made.seq, [salt]) == ["Zibble"]  # whoever has the salt can
    optouts.withdraw(home.engine, made.subject, why={}, **BY)
    erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    with read(home.engine) as conn:
        left = [bytes(salt) for salt in conn.execute(text("SELECT salt FROM log_private")).scalars()]
    assert guesses(home, made.seq, [b"", bytes(32), *left]) == []
    if isinstance(home.where, Path):  # nor in what SQLite leaves lying in its files
        assert salt not in home.path.read_bytes()
        assert salt not in home.path.with_name("registry.db-wal").read_bytes()


def test_a_subject_leaves_nothing_personal_and_the_chain_whole(home: Home, tmp_path) -> None:
    fill(home, 2)
    made = withdrawn(home)
    other = home.opt_out("Grace Hopper")
    before = {seq: _proof(home, seq) for seq in (made.seq, other.seq)}
    gone = erasure.erase_subject(home.engine, made.subject, why={"article": "17"}, **BY)
    assert gone.entries == (made.seq, made.seq + 1, made.seq + 2)
    left = everything(home)
    for word in (b"Ada Lovelace", b"Ada asked", b"ada at home", b"countess", b"a friend"):
        assert word not in left
    record = optouts.get(home.engine, made.subject)
    assert record is not None
    assert (record.name, record.state, record.names, record.rules) == ("erased", "withdrawn", (), ())
    with read(home.engine) as conn:
        log.audit(conn)
        (entry,) = log.entries(conn, gone.seq - 1, gone.seq)
        assert entry.public == {
            "v": 1, "action": "erase", "subject": made.subject, "entries": [[made.seq, made.seq + 2]]
        }  # fmt: skip
        assert log.registry_seq(conn) < gone.seq
        told = receipts.receipt(conn, made.seq, opened=True)
        assert told["opened"] is None
    exported(home, tmp_path / "log")
    for document in [told, *before.values()]:  # what was handed out before still holds, also opened
        (tmp_path / "receipt.json").write_bytes(receipts.written(document))
        assert stranger(tmp_path / "log", tmp_path / "receipt.json", folder=tmp_path).code == 0
    assert b"Grace Hopper" in left


def _proof(home: Home, seq: int):
    with read(home.engine) as conn:
        return receipts.receipt(conn, seq, opened=True)


def test_erasing_again_does_nothing_more_and_the_name_is_free(home: Home) -> None:
    made = withdrawn(home)
    first = erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    again = erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    assert (again.entries, again.seq) == ((), first.seq)
    assert home.opt_out("Ada Lovelace").subject != made.subject


def test_what_is_in_force_is_not_erased(home: Home) -> None:
    made = home.opt_out()
    with pytest.raises(ErasureRefused):
        erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    with pytest.raises(NotFound):
        erasure.erase_subject(home.engine, "nobody", why={}, **BY)
    with pytest.raises(NotFound):
        erasure.erase_entries(home.engine, [made.seq, 99], why={}, **BY)
    with pytest.raises(NotFound):
        erasure.erase_entries(home.engine, [], why={}, **BY)
    with read(home.engine) as conn:
        assert log.head(conn) == made.seq


def test_a_party_goes_with_all_its_subjects(home: Home) -> None:
    subjects = [withdrawn(home, title) for title in ("Ada Lovelace", "Ada King")]
    with read(home.engine) as conn:
        party = str(conn.execute(text("SELECT id FROM party")).scalar_one())
    still = home.opt_out("Ada Byron")
    with pytest.raises(ErasureRefused):
        erasure.erase_party(home.engine, party, why={}, **BY)
    optouts.withdraw(home.engine, still.subject, why={}, **BY)
    gone = erasure.erase_party(home.engine, party, why={}, **BY)
    assert set(gone.subjects) == {made.subject for made in [*subjects, still]}
    left = everything(home)
    for word in (b"Ada Lovelace", b"Ada King", b"Ada Byron", b"ada at home", b"'Acme'"):
        assert word not in left
    with read(home.engine) as conn:
        log.audit(conn)
    with pytest.raises(NotFound):
        erasure.erase_party(home.engine, "nobody", why={}, **BY)


def test_many_ranges_take_several_entries(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "RANGES_MAX", 2)
    with write(home.engine) as conn:
        for number in range(11):
            log.append(conn, "name", {"n": number}, {"name": f"person {number}"}, NOW)
    gone = erasure.erase_entries(home.engine, [1, 3, 5, 7, 8], why={}, **BY)
    with read(home.engine) as conn:
        made = [entry.public["entries"] for entry in log.entries(conn, 11, 99)]
        assert made == [[[1, 1], [3, 3]], [[5, 5], [7, 8]]]
        assert gone.seq == 13
        log.audit(conn)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_private WHERE seq = 1",
        "DELETE FROM name",
        "DELETE FROM reference",
        "DELETE FROM rule",
        "UPDATE party SET name = 'nobody'",
        "UPDATE subject SET name = 'nobody', changed_seq = changed_seq + 1",
        "UPDATE subject SET description = '', changed_seq = changed_seq + 1",
    ],
)
def test_nothing_personal_goes_without_an_erasure_that_says_so(home: Home, statement: str) -> None:
    """Neither without one, nor with one about somebody else."""
    made = withdrawn(home)
    _refused(home, statement)
    if "log_private" not in statement:
        _refused(home, statement, {"subject": "somebody else"})
    assert optouts.get(home.engine, made.subject) is not None


def test_a_subject_in_force_is_not_erased_by_hand(home: Home) -> None:
    made = home.opt_out()
    for change in ("name = 'erased'", "description = ''"):
        statement = f"UPDATE subject SET {change}, changed_seq = {made.seq + 1}"
        _refused(home, statement, {"subject": made.subject})


def _refused(home: Home, statement: str, erasure_of: Json | None = None) -> None:
    def attempt() -> None:
        with write(home.engine) as conn:
            if erasure_of is not None:
                log.append(conn, "erasure", erasure_of, None, NOW)
            conn.exec_driver_sql(statement)

    with pytest.raises(ConstraintBroken):
        attempt()


def test_an_audit_notices_a_private_part_that_is_gone_without_an_erasure(sqlite_home: Home) -> None:
    home = sqlite_home
    made = home.opt_out()
    with write(home.engine) as conn:
        conn.exec_driver_sql("DROP TRIGGER log_private_erased")
        conn.exec_driver_sql(f"DELETE FROM log_private WHERE seq = {made.seq}")
    with pytest.raises(RegistryDamaged, match="lost"), read(home.engine) as conn:
        log.audit(conn)
    with write(home.engine) as conn:
        log.append(conn, "erasure", {"entries": [[2, 9]]}, None, NOW)
    with pytest.raises(RegistryDamaged, match="lost"), read(home.engine) as conn:
        log.audit(conn)
