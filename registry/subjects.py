"""Reading what is registered: subjects with everything in force. Inside the caller's transaction.

A portfolio speaks for all subjects of its owner, now and later:
1. Its rules count after a subject's own (`inherited`); of several portfolios, all do.
2. Where no rule applies, the strictest of the subject's own mode and its portfolios' decides (`mode`).
3. A disputed portfolio asks to hold at most: what it would block is held. Nor are its licences any, or those
   of a provisional one.
So a portfolio that changes changes its owner's subjects, though nothing of them was written.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, and_, or_, select

from registry.claim_log import DISPUTED, PROVISIONAL
from registry.db import read
from registry.drafts import MODES, normal
from registry.subject_types import NameRow, ReferenceRow, RuleRow, SubjectRecord, VectorRow
from registry.tables import embedding, name, party, reference, rule, subject
from registry.tables_parties import claim
from registry.tables_quarantine import quarantine
from registry.tables_spaces import space_retired
from registry.vocabulary import from_json

PORTFOLIO: Final = "portfolio"
BATCH: Final = 200  # subjects per round of queries

_Rows = dict[str, list[Row[Any]]]


def records(
    conn: Connection, ids: Collection[str] | None = None, after_seq: int = 0, *, vectors: bool = True
) -> Iterator[SubjectRecord]:
    """Yield subjects as they are in this transaction, by the last log entry about them.

    ``ids``: only these; ``after_seq``: only what changed after that position, itself or by a portfolio of its
    owner; ``vectors``: whether to read them. Withdrawn subjects come too, with nothing left in force. Read it
    all before writing.
    """
    moved = subject.c.changed_seq
    query = _query().order_by(moved, subject.c.id)
    if after_seq:
        query = query.where(or_(moved > after_seq, _covered(after_seq)))
    if ids is None:
        last: SubjectRecord | None = None
        while page := list(_loaded(conn, _after(query, last).limit(BATCH), vectors)):
            yield from page
            last = page[-1]
        return
    wanted = iter(sorted(set(ids)))
    while batch := list(islice(wanted, BATCH)):
        yield from _loaded(conn, query.where(subject.c.id.in_(batch)), vectors)


def _after(query: Any, last: SubjectRecord | None) -> Any:
    """The page after that which ended with ``last``."""
    if last is None:
        return query
    changed = subject.c.changed_seq
    return query.where(or_(changed > last.seq, and_(changed == last.seq, subject.c.id > last.id)))


def changed(conn: Connection, after_seq: int) -> Iterator[SubjectRecord]:
    """Of `records`, those that changed themselves."""
    query = _query().where(subject.c.changed_seq > after_seq).order_by(subject.c.changed_seq)
    return _loaded(conn, query, vectors=True)


def covered(conn: Connection, after_seq: int) -> Iterator[SubjectRecord]:
    """Of `records`, those that only a portfolio of their owner changed, without their vectors."""
    query = _query().where(subject.c.changed_seq <= after_seq, _covered(after_seq))
    return _loaded(conn, query.order_by(subject.c.id), vectors=False)


def members(conn: Connection, parties: Collection[str]) -> set[str]:
    """The ids of all subjects in force of these parties."""
    found, wanted = set[str](), iter(sorted(set(parties)))
    while batch := list(islice(wanted, BATCH)):
        query = select(subject.c.id).where(subject.c.party_id.in_(batch), subject.c.state == "active")
        found |= set(conn.execute(query).scalars())
    return found


def get(engine: Engine, subject_id: str) -> SubjectRecord | None:
    """Return one subject by its id."""
    with read(engine) as conn:
        return next(records(conn, [subject_id]), None)


def list_subjects(
    engine: Engine,
    *,
    after: str = "",
    limit: int = 100,
    owner: str | None = None,
    state: str | None = None,
) -> list[SubjectRecord]:
    """Return subjects by id, oldest first, without their vectors; ``after``: the last id of the page before.

    ``owner``: only this party's, by name; ``state``: only active or withdrawn ones.
    """
    query = _query().where(subject.c.id > after).order_by(subject.c.id).limit(limit)
    if owner is not None:
        query = query.where(party.c.normal == normal(owner))
    if state is not None:
        query = query.where(subject.c.state == state)
    with read(engine) as conn:
        return list(_loaded(conn, query, vectors=False))


def references(engine: Engine, subject_id: str) -> tuple[ReferenceRow, ...]:
    """Return the registered pictures of a subject, as they were given."""
    with read(engine) as conn:
        rows = _in_force(conn, reference, [subject_id])[subject_id]
    return tuple(
        ReferenceRow(
            subject=row.subject_id, sha256=row.sha256, polarity=row.polarity, width=row.width,
            height=row.height, name=row.name,
        )
        for row in rows
    )  # fmt: skip


def _covered(after_seq: int) -> Any:
    """Subjects in force of a party of which a portfolio changed after that position."""
    portfolio = subject.alias("portfolio")
    moved = select(portfolio.c.party_id).where(
        portfolio.c.kind == PORTFOLIO, portfolio.c.changed_seq > after_seq
    )  # fmt: skip
    return (subject.c.state == "active") & subject.c.party_id.in_(moved)


def _query() -> Any:
    joined = subject.join(party, party.c.id == subject.c.party_id)
    joined = joined.outerjoin(claim, claim.c.id == subject.c.claim_id)
    told = (party.c.name.label("owner"), claim.c.state.label("claim_state"))
    return select(subject, *told).select_from(joined)


def _loaded(conn: Connection, query: Any, vectors: bool) -> Iterator[SubjectRecord]:
    rows = iter(conn.execute(query).all())
    portfolios: dict[str, list[_Portfolio]] = {}
    while batch := list(islice(rows, BATCH)):
        ids = [row.id for row in batch]
        names, rules = _in_force(conn, name, ids), _in_force(conn, rule, ids)
        embedded = _in_force(conn, embedding, ids) if vectors else defaultdict(list)
        new = {row.party_id for row in batch if row.state == "active"} - portfolios.keys()
        portfolios |= _portfolios(conn, sorted(new))
        held = _in_force(conn, quarantine, ids)
        for row in batch:
            made = _record(row, names[row.id], embedded[row.id], rules[row.id], held[row.id])
            yield _under(made, portfolios.get(row.party_id, ())) if row.state == "active" else made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portfolio:
    """What a portfolio asks for its owner's subjects."""

    id: str
    mode: str
    rules: tuple[RuleRow, ...]


def _portfolios(conn: Connection, parties: Sequence[str]) -> dict[str, list[_Portfolio]]:
    found: dict[str, list[_Portfolio]] = {party_id: [] for party_id in parties}
    if not parties:
        return found
    query = _query().where(
        subject.c.party_id.in_(parties), subject.c.kind == PORTFOLIO, subject.c.state == "active"
    )  # fmt: skip
    rows = conn.execute(query.order_by(subject.c.id)).all()
    rules = _in_force(conn, rule, [row.id for row in rows])
    for row in rows:
        softened, stands = row.claim_state == DISPUTED, row.claim_state not in (PROVISIONAL, DISPUTED)
        made = _Portfolio(
            id=row.id, mode="ask" if softened and row.mode == "block" else row.mode,
            rules=tuple(
                _of_portfolio(_rule(one), softened=softened, stands=stands) for one in rules[row.id]
            ),
        )  # fmt: skip
        found[row.party_id].append(made)
    return found


def _of_portfolio(told: RuleRow, *, softened: bool, stands: bool) -> RuleRow:
    """A rule as its owner's subjects have it; a licence is one only while the portfolio stands."""
    effect = "review" if softened and told.effect == "block" else told.effect
    return replace(told, effect=effect, licence=told.licence and stands)


def _under(record: SubjectRecord, portfolios: Sequence[_Portfolio]) -> SubjectRecord:
    """A subject in force with what the portfolios of its owner add; they add nothing to themselves."""
    others = [one for one in portfolios if one.id != record.id and record.kind != PORTFOLIO]
    if not others:
        return record
    return replace(
        record, mode=min([record.mode, *(one.mode for one in others)], key=MODES.index),
        inherited=tuple(told for one in others for told in one.rules),
        portfolios=tuple(one.id for one in others),
    )  # fmt: skip


def _in_force(conn: Connection, table: Any, ids: Sequence[str]) -> _Rows:
    found: _Rows = defaultdict(list)
    query = select(table).where(table.c.subject_id.in_(ids), table.c.removed_seq.is_(None))
    if table is embedding:
        query = query.where(embedding.c.space.not_in(select(space_retired.c.space)))
    for row in conn.execute(query.order_by(table.c.id)):
        found[row.subject_id].append(row)
    return found


def _record(
    row: Row[Any], names: list[Row[Any]], vectors: list[Row[Any]], rules: list[Row[Any]],
    held: list[Row[Any]],
) -> SubjectRecord:  # fmt: skip
    doubted = {one.item for one in held if one.kind == "name"}
    return SubjectRecord(
        id=row.id, kind=row.kind, name=row.name, owner=row.owner, party=row.party_id, mode=row.mode,
        description=row.description, attributes=tuple(row.attributes), exclusions=tuple(row.exclusions),
        names=tuple(_name(n, quarantined=n.normal in doubted) for n in names),
        vectors=tuple(_vector(v) for v in vectors),
        rules=tuple(_rule(r) for r in rules), state=row.state, seq=row.changed_seq,
        standing=row.claim_state if row.claim_state in (PROVISIONAL, DISPUTED) else "active",
        claim=row.claim_id, work=row.work_id, died_on=row.died_on,
        quarantined=frozenset(one.item for one in held if one.kind != "name"),
    )  # fmt: skip


def _name(row: Row[Any], *, quarantined: bool) -> NameRow:
    return NameRow(
        subject=row.subject_id, text=row.text, tier=row.tier, context=tuple(row.context), kind=row.kind,
        language=row.language, quarantined=quarantined,
    )  # fmt: skip


def _vector(row: Row[Any]) -> VectorRow:
    return VectorRow(
        subject=row.subject_id, reference=row.reference_sha256, space=row.space, kind=row.kind,
        polarity=row.polarity, vector=row.vector, dimension=row.dimension,
    )  # fmt: skip


def _rule(row: Row[Any]) -> RuleRow:
    return RuleRow(
        id=row.id, subject=row.subject_id, effect=row.effect, account=row.account,
        valid_from=row.valid_from, valid_until=row.valid_until, priority=row.priority,
        licence=bool(row.licence), conditions=from_json(row.conditions),
    )  # fmt: skip
