"""Reading what is registered: subjects with everything in force. Inside the caller's transaction."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, and_, or_, select

from registry.db import read
from registry.drafts import normal
from registry.subject_types import NameRow, ReferenceRow, RuleRow, SubjectRecord, VectorRow
from registry.tables import embedding, name, party, reference, rule, subject
from registry.vocabulary import from_json

BATCH: Final = 200  # subjects per round of queries

_Rows = dict[str, list[Row[Any]]]


def records(
    conn: Connection, ids: Collection[str] | None = None, after_seq: int = 0, *, vectors: bool = True
) -> Iterator[SubjectRecord]:
    """Yield subjects as they are in this transaction, by the last log entry about them.

    ``ids``: only these; ``after_seq``: only what changed after that position; ``vectors``: whether to
    read them. Withdrawn subjects come too, with nothing left in force. Read it all before writing.
    """
    changed = subject.c.changed_seq
    query = _query().where(changed > after_seq).order_by(changed, subject.c.id)
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


def _query() -> Any:
    joined = subject.join(party, party.c.id == subject.c.party_id)
    return select(subject, party.c.name.label("owner")).select_from(joined)


def _loaded(conn: Connection, query: Any, vectors: bool) -> Iterator[SubjectRecord]:
    rows = iter(conn.execute(query).all())
    while batch := list(islice(rows, BATCH)):
        ids = [row.id for row in batch]
        names, rules = _in_force(conn, name, ids), _in_force(conn, rule, ids)
        embedded = _in_force(conn, embedding, ids) if vectors else defaultdict(list)
        for row in batch:
            yield _record(row, names[row.id], embedded[row.id], rules[row.id])


def _in_force(conn: Connection, table: Any, ids: Sequence[str]) -> _Rows:
    found: _Rows = defaultdict(list)
    query = select(table).where(table.c.subject_id.in_(ids), table.c.removed_seq.is_(None))
    for row in conn.execute(query.order_by(table.c.id)):
        found[row.subject_id].append(row)
    return found


def _record(
    row: Row[Any], names: list[Row[Any]], vectors: list[Row[Any]], rules: list[Row[Any]]
) -> SubjectRecord:
    return SubjectRecord(
        id=row.id, kind=row.kind, name=row.name, owner=row.owner, party=row.party_id, mode=row.mode,
        description=row.description, attributes=tuple(row.attributes), exclusions=tuple(row.exclusions),
        names=tuple(_name(n) for n in names), vectors=tuple(_vector(v) for v in vectors),
        rules=tuple(_rule(r) for r in rules), state=row.state, seq=row.changed_seq,
    )  # fmt: skip


def _name(row: Row[Any]) -> NameRow:
    return NameRow(
        subject=row.subject_id, text=row.text, tier=row.tier, context=tuple(row.context), kind=row.kind,
        language=row.language,
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
