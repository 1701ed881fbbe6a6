"""Erasure: what is personal goes, the chain stays.

An entry of the log commits to its private part with a salt that nobody else knows. Deleting salt and private
part leaves the entry, its hash and every proof whole, and makes the commitment say nothing: a list of all
names in the world cannot be tried against it any more. What was erased is itself an entry of the log, without
a name, and the database lets nothing go without one.

1. With a subject go its names, texts, pictures' names, quarantine, rules, and what is told of the line of a
   catalogue that it came by; of the claims about it, what was stated, who signed it, and the evidence.
2. With a party go its name, all its subjects, its works and whom it spoke for among the dead; its claims'
   statements, signatures and evidence; and what the log committed to about its delegations, which end.
3. What is in force is not erased: an opt-out, or a notice that counts, would end with it (`ErasureRefused`).
   A draft is withdrawn.

Kept, because the law demands reasons and order: that there was a subject, of which kind, since when and until
when; decisions and holds, with the sentences that were given to a person; releases; what a party signed for
others whose opt-outs are in force; who looked at evidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, or_, select

from registry import claim_log, delegations, evidence, import_requests, log
from registry.canonical import Json, JsonValue
from registry.checkpoint import NoteSigner
from registry.db import write
from registry.errors import ErasureRefused, NotFound
from registry.tables import log_entry, log_private, name, party, reference, rule, subject
from registry.tables_parties import claim, delegation, estate, work
from registry.tables_quarantine import quarantine, reference_hit
from registry.tables_rules import permission, rule_use

ENTRY_VERSION: Final = 1
RANGES_MAX: Final = 2000
"""Ranges of entries that one entry of the log names; more of them take several."""
ROWS: Final = 500
ERASED: Final = "erased"
ACTS: Final = ("withdraw", "licence_grant")
"""Kinds of claims that only record what was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was erased: the entries whose private parts went, the erasure's own place, the checkpoint."""

    entries: tuple[int, ...]
    subjects: tuple[str, ...]
    seq: int
    note: str


def erase_subject(
    engine: Engine, subject_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner
) -> Erasure:
    """Erase a withdrawn subject, and its entries' private parts (1).

    Raises: `NotFound`; `ErasureRefused` while it is in force: then what protects it would go with it.
    """
    with write(engine) as conn:
        entries, seq = _subject(conn, subject_id, why, now)
        note = log.add_checkpoint(conn, sign_checkpoint, now)
    _forget_freed_pages(engine)
    return Erasure(entries=entries, subjects=(subject_id,), seq=seq, note=note)


def erase_party(
    engine: Engine, party_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner
) -> Erasure:
    """Erase a party with all its subjects, which must be withdrawn (2). Raises as `erase_subject`."""
    with write(engine) as conn:
        if conn.execute(select(party.c.id).where(party.c.id == party_id)).first() is None:
            raise NotFound(f"There is no party {party_id[:40]!r}.")
        query = select(subject.c.id).where(subject.c.party_id == party_id).order_by(subject.c.id)
        subjects = [str(row.id) for row in conn.execute(query)]
        gone = [seq for one in subjects for seq in _subject(conn, one, why, now)[0]]
        claimed, paths = _claims_of(conn, party_id, now), _delegations_of(conn, party_id, now)
        files = evidence.forget(conn, claimed, now)
        named = [("party", [party_id]), ("claim", claimed), ("evidence", files), ("delegation", paths)]
        entries = sorted({seq for what, ids in named for one in ids for seq in _about(conn, what, one)})
        seq = _log(conn, {"party": party_id}, entries, why, now)
        _open(conn, entries)
        _forget_claims(conn, claimed)
        _forget_party(conn, party_id)
        note = log.add_checkpoint(conn, sign_checkpoint, now)
    _forget_freed_pages(engine)
    return Erasure(entries=tuple(sorted({*gone, *entries})), subjects=tuple(subjects), seq=seq, note=note)


def erase_entries(
    engine: Engine, seqs: Sequence[int], *, why: Json, now: str, sign_checkpoint: NoteSigner
) -> Erasure:
    """Erase the private parts of some entries. Raises: `NotFound` when one has none (any more)."""
    with write(engine) as conn:
        wanted = sorted(set(seqs))
        there = set(_with_private(conn, wanted))
        missing = [seq for seq in wanted if seq not in there]
        if missing or not wanted:
            raise NotFound(f"There is no private part of log entry {missing[0] if missing else 'none'}.")
        seq = _log(conn, {}, wanted, why, now)
        _open(conn, wanted)
        note = log.add_checkpoint(conn, sign_checkpoint, now)
    _forget_freed_pages(engine)
    return Erasure(entries=tuple(wanted), subjects=(), seq=seq, note=note)


def _subject(conn: Connection, subject_id: str, why: Json, now: str) -> tuple[tuple[int, ...], int]:
    row = conn.execute(select(subject).where(subject.c.id == subject_id)).first()
    if row is None:
        raise NotFound(f"There is no opt-out {subject_id[:40]!r}.")
    if row.state != "withdrawn":
        raise ErasureRefused("The opt-out is in force, and would end with what it names; withdraw it first.")
    if row.name == ERASED and row.normal.startswith(f"{ERASED} "):
        return (), int(row.changed_seq)
    told = conn.execute(select(claim.c.id).where(claim.c.subject_id == subject_id)).scalars()
    claimed = sorted(map(str, told))
    files = evidence.forget(conn, claimed, now)
    named = [("subject", [subject_id]), ("claim", claimed), ("evidence", files)]
    about = {seq for what, ids in named for one in ids for seq in _about(conn, what, one)}
    entries = sorted(about | set(_decisions(conn, subject_id)))
    seq = _log(conn, {"subject": subject_id}, entries, why, now)
    _open(conn, entries)
    _forget_claims(conn, claimed)
    empty: dict[str, Any] = {"description": "", "attributes": [], "exclusions": []}
    gone = {"name": ERASED, "normal": f"{ERASED} {subject_id}", "changed_seq": seq}
    conn.execute(subject.update().where(subject.c.id == subject_id).values(**empty, **gone))
    for table in (name, reference, quarantine, reference_hit):
        conn.execute(table.delete().where(table.c.subject_id == subject_id))
    import_requests.forget_subject(conn, subject_id)
    # What a release or an answer rests on stays: it says under which rule something was let out.
    kept = select(rule_use.c.rule_id).union(
        select(permission.c.rule_id).where(permission.c.rule_id.is_not(None))
    )
    conn.execute(rule.delete().where(rule.c.subject_id == subject_id, rule.c.id.not_in(kept)))
    return tuple(entries), seq


def _claims_of(conn: Connection, party_id: str, now: str) -> list[str]:
    """What a party claimed, or filed for others, and what does not count any more; drafts end (3)."""
    whose = or_(claim.c.party_id == party_id, claim.c.by_party == party_id)
    found: list[str] = []
    for row in conn.execute(select(claim).where(whose).order_by(claim.c.id)).all():
        mine = row.party_id == party_id
        if row.state == claim_log.DRAFT and mine:
            why: Json = {"by": "erasure"}
            claim_log.move(conn, claim_log.loaded(row), claim_log.WITHDRAWN, "withdrawn", why, now)
        elif row.state not in claim_log.ENDED and row.kind not in ACTS:
            if mine:
                raise ErasureRefused(f"The claim {row.id} of this party counts; withdraw or decide it first.")
            continue
        found.append(str(row.id))
    return found


def _delegations_of(conn: Connection, party_id: str, now: str) -> list[str]:
    """The delegations from and to a party, all of them ended."""
    whose = or_(delegation.c.from_party == party_id, delegation.c.to_party == party_id)
    rows = conn.execute(select(delegation).where(whose).order_by(delegation.c.id)).all()
    for row in rows:
        if row.revoked_seq is None:
            delegations.end(conn, row.id, None, now)
    return [str(row.id) for row in rows]


def _forget_claims(conn: Connection, claimed: Sequence[str]) -> None:
    for one in claimed:
        conn.execute(claim.update().where(claim.c.id == one).values(statements={}, signature=""))


def _forget_party(conn: Connection, party_id: str) -> None:
    nobody = {"normal": f"{ERASED} {party_id}"}
    conn.execute(party.update().where(party.c.id == party_id).values(name=ERASED, **nobody))
    conn.execute(estate.update().where(estate.c.party_id == party_id).values(deceased=ERASED, **nobody))
    for one in conn.execute(select(work.c.id).where(work.c.party_id == party_id)).scalars().all():
        gone = {"title": ERASED, "normal": f"{ERASED} {one}"}
        conn.execute(work.update().where(work.c.id == one).values(**gone))


def _about(conn: Connection, what: str, wanted: str) -> list[int]:
    """Entries with a private part whose public part names this subject or party."""
    joined = log_entry.join(log_private, log_entry.c.seq == log_private.c.seq)
    query = select(log_entry.c.seq).select_from(joined).order_by(log_entry.c.seq)
    return [
        int(s)
        for s in conn.execute(query.where(log_entry.c.entry.contains(f'"{what}":"{wanted}"'))).scalars()
    ]


def _decisions(conn: Connection, subject_id: str) -> list[int]:
    """Decisions, and withdrawals for a wish, whose reasons are about this subject: they name it."""
    joined = log_entry.join(log_private, log_entry.c.seq == log_private.c.seq)
    query = select(log_entry.c.seq).select_from(joined).order_by(log_entry.c.seq)
    found = query.where(log_private.c.private.contains(f'"subject":"{subject_id}"'))
    return [int(seq) for seq in conn.execute(found).scalars()]


def _with_private(conn: Connection, seqs: Sequence[int]) -> list[int]:
    found: list[int] = []
    for at in range(0, len(seqs), ROWS):
        query = select(log_private.c.seq).where(log_private.c.seq.in_(seqs[at : at + ROWS]))
        found += [int(seq) for seq in conn.execute(query).scalars()]
    return found


def _log(conn: Connection, whom: Json, entries: Sequence[int], why: Json, now: str) -> int:
    """Say in the log what goes; the last entry about it is at the head, which the triggers ask for."""
    ranges = _ranges(entries)
    for at in range(0, max(len(ranges), 1), RANGES_MAX):
        told: list[JsonValue] = [[first, last] for first, last in ranges[at : at + RANGES_MAX]]
        public: Json = {"v": ENTRY_VERSION, "action": "erase", "entries": told}
        entry = log.append(conn, "erasure", public | whom, why or None, now)
    return entry.seq


def _open(conn: Connection, entries: Sequence[int]) -> None:
    for at in range(0, len(entries), ROWS):
        conn.execute(log_private.delete().where(log_private.c.seq.in_(entries[at : at + ROWS])))


def _ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for seq in seqs:
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return ranges


def _forget_freed_pages(engine: Engine) -> None:
    """On SQLite, overwrite the write-ahead log too: what was deleted may still stand in it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as conn:
            conn.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
