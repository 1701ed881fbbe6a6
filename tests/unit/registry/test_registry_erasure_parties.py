"""What erasing reaches beyond names: claims, evidence, delegations, works, estates, quarantine."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from party_builders import BY, delegate, filing, party, said
from registry_builders import NOW, Home
from sqlalchemy import select
from test_registry_erasure import everything
from test_registry_notices import notice

from registry import (
    claims,
    delegations,
    erasure,
    evidence,
    log,
    optouts,
    parties,
    quarantine,
    rules,
)
from registry.canonical import Json, canonical
from registry.db import read, write
from registry.errors import ConstraintBroken, ErasureRefused, NotFound
from registry.party_types import Estate, Party, Terms
from registry.store import Area, FileStore
from registry.subject_types import QuarantineDraft
from registry.tables import log_private
from registry.types import OptOut

STUDIO, AGENT, NOTE, WORK = "Ada Lovelace", "Grace Hopper", "a contract of Ada", "Notes by Ada"
NAMES = [STUDIO, AGENT, NOTE, WORK, "Mary Shelley", "Zibble"]


def grown(home: Home, folder: Path) -> tuple[Party, Party, OptOut, str]:
    """A party with an agent, an opt-out that is over, evidence, a draft; and the delegation."""
    ada = party(home, STUDIO, "person", of=Estate(deceased="George Byron", died_on="1824-04-19"))
    grace = party(home, AGENT, "agency")
    given = delegate(home, ada, grace)
    made = said(home, grace, "Zibble", owner=STUDIO, work=WORK)
    assert made.claim is not None
    evidence.add(home.engine, FileStore(folder), made.claim, b"%PDF", media_type="a/b", note=NOTE, **BY)
    doubted = [QuarantineDraft(kind="name", item="Zibble", why="a dance", figures={})]
    quarantine.quarantine(home.engine, made.subject, doubted, cause="operator", **BY)
    rules.set_rule(home.engine, made.subject, "allow", account="x", by=grace.id, **BY)
    draft = said(home, ada, "Ada as a draft", terms=Terms(cap=0))
    assert draft.standing == "draft"
    optouts.withdraw(
        home.engine, made.subject, why={"why": "Ada asked"}, filing=filing(ada, "withdraw"), **BY
    )
    return ada, grace, made, given.id


def privates(home: Home) -> list[tuple[bytes, Json]]:
    with read(home.engine) as conn:
        rows = conn.execute(select(log_private)).all()
    return [(bytes(row.salt), json.loads(row.private)) for row in rows]


def test_a_subject_takes_what_was_stated_about_it_along(home: Home, tmp_path: Path) -> None:
    _, _, made, _ = grown(home, tmp_path / "files")
    erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    left = everything(home)
    for word in (b"Zibble", NOTE.encode(), b"Ada asked", b"good_faith"):
        assert (word in left) is (word == b"good_faith")  # the draft of another stands
    assert made.claim is not None
    kept = claims.get(home.engine, made.claim)
    assert (kept.state, dict(kept.statements), kept.signature) == ("withdrawn", {}, "")
    [file] = evidence.of_claim(home.engine, made.claim)
    assert (file.note, file.purged_at is None) == ("", False)
    store = FileStore(tmp_path / "files")
    evidence.purge_due(home.engine, store, NOW, BY["sign_checkpoint"])
    assert list(store.digests(Area.EVIDENCE)) == []
    with pytest.raises(NotFound, match="purged"):
        evidence.open_file(home.engine, store, file.id, who="a", why="b", now=NOW)
    with read(home.engine) as conn:
        log.audit(conn)


def test_after_erasing_a_party_no_list_of_names_confirms_anything(home: Home, tmp_path: Path) -> None:
    ada, grace, made, given = grown(home, tmp_path / "files")
    other = said(home, party(home, "Mary Shelley", level="trusted"), "Victor")
    before = {seq: _entry(home, seq) for seq in range(1, _head(home) + 1)}
    tried, salts = guesses(ada, grace, given), [salt for salt, _ in privates(home)]
    assert confirmed(home, tried, salts) == {"party", "delegation"}  # the guesses are the right ones
    erasure.erase_party(home.engine, ada.id, why={}, **BY)
    left = everything(home)
    for word in (STUDIO, NOTE, WORK, "Zibble", "Ada as a draft", "George Byron"):
        assert word.lower().encode() not in left.lower(), word
    for _, told in privates(home):
        assert ada.id not in (told.get("from_party"), told.get("to_party"), told.get("party"))
    left_salts = [*(salt for salt, _ in privates(home)), b"", bytes(32)]
    mine = [told for told in tried if told.get("name") not in (AGENT, "Mary Shelley")]
    assert confirmed(home, mine, left_salts) == set()
    with read(home.engine) as conn:
        log.audit(conn)
        assert delegations.reaching(conn, ada.id) == []  # nobody acts for it any more
    assert {seq: _entry(home, seq) for seq in before} == before  # the chain is what it was
    assert [one.state for one in claims.list_claims(home.engine, state="draft")] == []
    record = optouts.get(home.engine, other.subject)
    assert record is not None
    assert (record.owner, record.state, made.subject != other.subject) == ("Mary Shelley", "active", True)
    erasure.erase_party(home.engine, grace.id, why={}, **BY)
    assert AGENT.encode() not in everything(home)
    with read(home.engine) as conn:
        log.audit(conn)


def guesses(ada: Party, grace: Party, given: str) -> list[Json]:
    """What a stranger would try who has a list of names, and knows everything else."""
    edge: Json = {
        "id": given, "from_party": ada.id, "to_party": grace.id, "scope": {"of": "all", "items": []},
        "acts": ["answer", "dispute", "register", "rules", "withdraw"], "may_subdelegate": 0,
        "valid_from": None, "valid_until": None,
    }  # fmt: skip
    byron: Json = {"estate": ["George Byron", "1824-04-19"]}
    named: list[Json] = [{"name": name, "estate": None} for name in NAMES]
    return [edge, *named, *({"name": name} | byron for name in NAMES)]


def confirmed(home: Home, tried: list[Json], salts: list[bytes]) -> set[str]:
    """Kinds of entries whose commitment one of these opens."""
    with read(home.engine) as conn:
        kinds = {one.commitment: one.kind for one in log.entries(conn, 0, log.head(conn))}
    made = {log.commit(salt, canonical(told)) for salt, told in product(salts, tried)}
    return {kind for told, kind in kinds.items() if told in made}


def _head(home: Home) -> int:
    with read(home.engine) as conn:
        return log.head(conn)


def _entry(home: Home, seq: int) -> tuple[Any, ...]:
    with read(home.engine) as conn:
        (entry,) = log.entries(conn, seq - 1, seq)
    return entry.kind, entry.public, entry.commitment, entry.leaf_hash


def test_a_notice_that_counts_keeps_its_party(home: Home) -> None:
    ada, release = party(home, STUDIO, "person"), home.release().id
    made = notice(home, ada.id, "takedown48", release)
    with pytest.raises(ErasureRefused, match=made.id):
        erasure.erase_party(home.engine, ada.id, why={}, **BY)
    assert parties.find(home.engine, STUDIO).id == ada.id
    claims.decide(home.engine, made.id, accept=False, why={}, **BY)
    erasure.erase_party(home.engine, ada.id, why={}, **BY)
    left = everything(home)
    assert STUDIO.encode() not in left
    assert b"a@b.example" not in left  # of the notice's statements


def test_what_an_agency_signed_for_others_stays_while_it_counts(home: Home) -> None:
    ada, grace = party(home, STUDIO, "person"), party(home, AGENT, "agency")
    delegate(home, ada, grace)
    made = said(home, grace, "Zibble", owner=STUDIO)
    erasure.erase_party(home.engine, grace.id, why={}, **BY)
    record = optouts.get(home.engine, made.subject)
    assert record is not None
    assert (record.state, record.owner) == ("active", STUDIO)
    assert made.claim is not None
    assert claims.get(home.engine, made.claim).signature == AGENT
    optouts.withdraw(home.engine, made.subject, why={}, **BY)
    erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    assert AGENT.encode() not in everything(home)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claim SET statements = '{}', signature = ''",
        "UPDATE evidence SET note = ''",
        "UPDATE work SET title = 'x'",
        "UPDATE estate SET deceased = 'x'",
        "UPDATE estate SET died_on = '2001-01-01'",
        "UPDATE work SET party_id = id",
    ],
)
def test_nothing_of_it_goes_without_an_erasure_of_whom_it_is_about(
    home: Home, tmp_path: Path, statement: str
) -> None:
    grown(home, tmp_path / "files")
    for whom in (None, {"party": "x" * 36}, {"subject": "x" * 36}):

        def attempt(whom: Json | None = whom) -> None:
            with write(home.engine) as conn:
                if whom is not None:
                    log.append(conn, "erasure", whom, None, NOW)
                conn.exec_driver_sql(statement)

        with pytest.raises(ConstraintBroken):
            attempt()
