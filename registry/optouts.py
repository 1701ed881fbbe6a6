"""Opt-outs: one transaction writes the rows, the log entry and the checkpoint, and hands out the proof.

The same owner, kind and name (in its normal form) is the same subject: an opt-out that says nothing new
changes nothing, one that says more extends it. Withdrawing takes everything out of force and forgets the
vectors; a later opt-out begins anew under the same id.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, func, select

from registry import log, quarantine
from registry.canonical import Json, JsonValue, canonical
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import (
    NAMES_MAX,
    REFERENCES_MAX,
    TEXT_KINDS,
    VECTORS_MAX,
    at_most,
    name_key,
    normal,
    validate,
    validate_parts,
    with_context,
)
from registry.errors import NotFound, OptOutInvalid
from registry.ids import new_id
from registry.subject_types import NameDraft, OptOutDraft, QuarantineDraft, ReferenceDraft, VectorDraft
from registry.subjects import get as get
from registry.subjects import list_subjects as list_subjects
from registry.subjects import records as records
from registry.subjects import references as references
from registry.tables import embedding, name, party, reference, rule, space, subject
from registry.types import OptOut

ENTRY_VERSION: Final = 1
LISTED_MAX: Final = 50
"""How many names or digests a log entry lists; its digest stands for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What an opt-out adds to a subject: only what is not in force yet."""

    names: list[NameDraft]
    references: list[ReferenceDraft]
    vectors: list[VectorDraft]
    replaced: set[tuple[str, str]]  # (space, kind) of texts that were written anew

    def __bool__(self) -> bool:
        return bool(self.names or self.references or self.vectors)


def add(engine: Engine, draft: OptOutDraft, *, now: str, sign_checkpoint: NoteSigner) -> OptOut:
    """Register an opt-out; when this returns, no clip that it concerns can be published any more.

    Raises `OptOutInvalid` for a draft that cannot be registered.
    """
    return add_many(engine, [draft], now=now, sign_checkpoint=sign_checkpoint)[0]


def add_many(
    engine: Engine, drafts: Sequence[OptOutDraft], *, now: str, sign_checkpoint: NoteSigner
) -> list[OptOut]:
    """Register several opt-outs: all of them, or none. `OptOutInvalid` names the draft's index."""
    for index, draft in enumerate(drafts):
        _at(index, validate, draft)
    if not drafts:
        return []
    with write(engine) as conn:
        known = _spaces(conn)
        done = [_at(index, _add, conn, draft, now, known) for index, draft in enumerate(drafts)]
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _receipts(engine, done)


def extend(
    engine: Engine,
    subject_id: str,
    *,
    names: Sequence[NameDraft] = (),
    references: Sequence[ReferenceDraft] = (),
    vectors: Sequence[VectorDraft] = (),
    doubted: Sequence[QuarantineDraft] = (),
    now: str,
    sign_checkpoint: NoteSigner,
) -> OptOut:
    """Add names, pictures or vectors to a subject in force; what it has already is left out.

    ``doubted``: which of them go into quarantine.

    Raises `NotFound` for a subject that is not in force, `OptOutInvalid` for parts that do not fit.
    """
    with write(engine) as conn:
        row = conn.execute(select(subject).where(subject.c.id == subject_id)).first()
        if row is None or row.state != "active":
            raise NotFound(f"There is no opt-out {subject_id[:40]!r} in force.")
        pictures = _pictures(conn, subject_id)
        validate_parts(with_context(names, ()), references, vectors, pictures.items())
        parts = _missing(conn, subject_id, with_context(names, ()), references, vectors, set())
        seq, known = row.changed_seq, _spaces(conn)
        named = _Parts(names=parts.names, references=[], vectors=[], replaced=set())
        shown = _Parts(names=[], references=parts.references, vectors=parts.vectors, replaced=set())
        for kind, part in (("name", named), ("reference", shown)):
            if part:
                entry = log.append(conn, kind, _public(row, "extend", part), _private(row.name, part), now)
                seq = entry.seq
                _change(conn, subject_id, {"changed_seq": seq})
                _insert(conn, subject_id, part, seq, now, known)
        quarantine.place(conn, subject_id, doubted, quarantine.REGISTRATION, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _receipts(engine, [(subject_id, seq, bool(parts))])[0]


def withdraw(engine: Engine, subject_id: str, *, why: Json, now: str, sign_checkpoint: NoteSigner) -> OptOut:
    """Take a subject out of force, with its names, pictures, vectors, rules and licences.

    ``why`` goes into the private part of the log. A second time does nothing. Raises `NotFound`.
    """
    with write(engine) as conn:
        row = conn.execute(select(subject).where(subject.c.id == subject_id)).first()
        if row is None:
            raise NotFound(f"There is no opt-out {subject_id[:40]!r}.")
        seq, new = row.changed_seq, row.state == "active"
        if new:
            nothing = _Parts(names=[], references=[], vectors=[], replaced=set())
            seq = log.append(conn, "opt-out", _public(row, "withdraw", nothing), {"why": why}, now).seq
            _change(conn, subject_id, {"changed_seq": seq, "state": "withdrawn"})
            for table in (name, reference, embedding, rule):
                query = table.update().where(table.c.subject_id == subject_id, table.c.removed_seq.is_(None))
                conn.execute(query.values(removed_seq=seq))
            _forget_removed(conn, subject_id)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _receipts(engine, [(subject_id, seq, new)])[0]


def _at(index: int, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except OptOutInvalid as error:
        error.index = index
        raise


def _receipts(engine: Engine, done: Sequence[tuple[str, int, bool]]) -> list[OptOut]:
    """Prove what was written, outside of the write lock."""
    with read(engine) as conn:
        proofs = [log.prove(conn, seq) for _, seq, _ in done]
    return [
        OptOut(subject=subject_id, seq=seq, at=json.loads(proof.entry)["at"], proof=proof, new=new)
        for (subject_id, seq, new), proof in zip(done, proofs, strict=True)
    ]


def _add(conn: Connection, draft: OptOutDraft, now: str, spaces: dict[str, int]) -> tuple[str, int, bool]:
    """Register one draft and return the subject, the log position and whether anything was new."""
    party_id = _party(conn, draft.owner, now)
    same = (subject.c.party_id == party_id, subject.c.kind == draft.kind)
    row = conn.execute(select(subject).where(*same, subject.c.normal == normal(draft.name))).first()
    subject_id = new_id(now) if row is None else str(row.id)
    wishes = _wishes(draft, row)
    rewritten = {kind for kind, field in zip(TEXT_KINDS, ("description", "attributes"), strict=True)
                 if field in wishes}  # fmt: skip
    names = with_context(draft.names, draft.context)
    parts = _missing(conn, subject_id, names, draft.references, draft.vectors, rewritten)
    if row is not None and row.state == "active" and not parts and not wishes:
        return subject_id, int(row.changed_seq), False
    told = {"id": subject_id, "kind": draft.kind, "mode": draft.mode}
    entry = log.append(conn, "opt-out", _public(told, "add", parts), _private(draft.name, parts, draft), now)
    if row is None:
        fresh: dict[str, Any] = {
            "id": subject_id,
            "party_id": party_id,
            "kind": draft.kind,
            "name": draft.name,
        }
        fresh |= {"normal": normal(draft.name), "log_seq": entry.seq}
        conn.execute(subject.insert().values(**fresh, **wishes, state="active", changed_seq=entry.seq))
    else:
        _change(conn, subject_id, wishes | {"state": "active", "changed_seq": entry.seq})
    _insert(conn, subject_id, parts, entry.seq, now, spaces)
    quarantine.place(conn, subject_id, draft.quarantine, quarantine.REGISTRATION, now)
    return subject_id, entry.seq, True


def _party(conn: Connection, owner: str, now: str) -> str:
    known = conn.execute(select(party.c.id).where(party.c.normal == normal(owner))).scalar()
    if known is not None:
        return str(known)
    made = new_id(now)
    conn.execute(party.insert().values(id=made, name=owner, normal=normal(owner), created_at=now))
    return made


def _wishes(draft: OptOutDraft, row: Row[Any] | None) -> dict[str, Any]:
    """The columns of the subject that the draft changes; what it leaves empty stays as it was."""
    told = {
        "mode": draft.mode, "description": draft.description,
        "attributes": list(draft.attributes), "exclusions": list(draft.exclusions),
    }  # fmt: skip
    if row is None or row.state == "withdrawn":
        return told
    return {column: value for column, value in told.items() if value and value != getattr(row, column)}


def _missing(
    conn: Connection, subject_id: str, names: Sequence[NameDraft], pictures: Sequence[ReferenceDraft],
    vectors: Sequence[VectorDraft], rewritten: set[str],
) -> _Parts:  # fmt: skip
    """What of these is not in force yet. Vectors of one picture (or text), space and kind go together."""
    here = select(name).where(name.c.subject_id == subject_id, name.c.removed_seq.is_(None))
    named = {(row.normal, row.tier, tuple(row.context)) for row in conn.execute(here)}
    known = _pictures(conn, subject_id)
    groups = (embedding.c.reference_sha256, embedding.c.space, embedding.c.kind)
    query = select(*groups, func.count()).group_by(*groups)
    query = query.where(embedding.c.subject_id == subject_id, embedding.c.removed_seq.is_(None))
    embedded = {(row[0], row[1], row[2]): int(row[3]) for row in conn.execute(query)}
    replaced = {(v.space, v.kind) for v in vectors if v.kind in rewritten}
    parts = _Parts(
        names=[draft for draft in names if name_key(draft) not in named],
        references=[draft for draft in pictures if known.get(draft.sha256) is None],
        vectors=[
            v for v in vectors
            if (v.space, v.kind) in replaced or (v.reference, v.space, v.kind) not in embedded
        ],
        replaced=replaced,
    )  # fmt: skip
    if any(known.get(draft.sha256) == -draft.polarity for draft in pictures):
        raise OptOutInvalid("A picture either shows the subject (+1) or does not (-1); not both.")
    at_most("names", len(named) + len(parts.names), NAMES_MAX)
    at_most("pictures", len(known) + len(parts.references), REFERENCES_MAX)
    at_most("vectors", sum(embedded.values()) + len(parts.vectors), VECTORS_MAX)
    return parts


def _spaces(conn: Connection) -> dict[str, int]:
    return {row.id: row.dimension for row in conn.execute(select(space))}


def _pictures(conn: Connection, subject_id: str) -> dict[str, int]:
    query = select(reference).where(reference.c.subject_id == subject_id, reference.c.removed_seq.is_(None))
    return {row.sha256: row.polarity for row in conn.execute(query)}


def _change(conn: Connection, subject_id: str, values: dict[str, Any]) -> None:
    conn.execute(subject.update().where(subject.c.id == subject_id).values(**values))


def _insert(
    conn: Connection, subject_id: str, parts: _Parts, seq: int, now: str, spaces: dict[str, int]
) -> None:
    """Write the rows of a subject that was just moved to log position ``seq``."""
    of = {"subject_id": subject_id, "log_seq": seq}
    for gone, kind in parts.replaced:
        old = embedding.update().where(
            embedding.c.subject_id == subject_id, embedding.c.removed_seq.is_(None)
        )
        conn.execute(old.where(embedding.c.space == gone, embedding.c.kind == kind).values(removed_seq=seq))
    if parts.replaced:
        _forget_removed(conn, subject_id)
    if parts.names:
        rows = [asdict(n) | {"context": list(n.context), "normal": normal(n.text)} | of for n in parts.names]
        conn.execute(name.insert(), rows)
    if parts.references:
        conn.execute(reference.insert(), [asdict(r) | of for r in parts.references])
    for vector in parts.vectors:
        if vector.space not in spaces:
            row = {"id": vector.space, "dimension": vector.dimension, "created_at": now}
            conn.execute(space.insert().values(**row))
            spaces[vector.space] = vector.dimension
        elif spaces[vector.space] != vector.dimension:
            raise OptOutInvalid(f"Vectors of {vector.space} have another size here; embed them again.")
    if parts.vectors:
        conn.execute(embedding.insert(), [_vector_row(v) | of for v in parts.vectors])


def _vector_row(vector: VectorDraft) -> dict[str, Any]:
    told = asdict(vector)
    return told | {"reference_sha256": told.pop("reference")}


def _forget_removed(conn: Connection, subject_id: str) -> None:
    gone = embedding.c.removed_seq.is_not(None)
    conn.execute(embedding.delete().where(embedding.c.subject_id == subject_id, gone))


def _public(row: Any, action: str, parts: _Parts) -> Json:
    """What everybody may read: that a subject changed, and by how much; nobody's name."""
    told = row if isinstance(row, dict) else row._asdict()
    return {
        "v": ENTRY_VERSION, "subject": told["id"], "action": action, "kind": told["kind"],
        "mode": told["mode"], "names": len(parts.names), "references": len(parts.references),
        "vectors": len(parts.vectors),
    }  # fmt: skip


def _private(title: str, parts: _Parts, draft: OptOutDraft | None = None) -> Json:
    """What the entry commits to. Long lists are there by their digest: the rows have the whole of them."""
    told: Json = {
        "name": title,
        "names": _listed([n.text for n in parts.names]),
        "references": _listed([r.sha256 for r in parts.references]),
        "vectors": _listed([hashlib.sha256(v.vector).hexdigest() for v in parts.vectors]),
    }
    if draft is not None:
        texts: JsonValue = [draft.description, list(draft.attributes), list(draft.exclusions)]
        told |= {"owner": draft.owner, "texts_sha256": hashlib.sha256(canonical(texts)).hexdigest()}
    return told


def _listed(values: list[str]) -> Json:
    whole: JsonValue = [*values]
    digest = hashlib.sha256(canonical(whole)).hexdigest()
    return {"count": len(values), "sha256": digest, "first": [*values[:LISTED_MAX]]}
