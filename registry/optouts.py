"""Opt-outs: one transaction writes the rows, the log entry and the checkpoint, and hands out the proof.

The same owner, kind and name (in its normal form) is the same subject: an opt-out that says nothing new
changes nothing, one that says more extends it. Withdrawing takes everything out of force and forgets the
vectors; a later opt-out begins anew under the same id. Who says it, and how it then stands, is decided in
`registry.voices`; without a filing it is the operator, whose word is in force at once.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import claim_log, grounds, log, parties, quarantine
from registry.canonical import Json, JsonValue, canonical
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import normal, validate, validate_parts, with_context
from registry.errors import ActRefused, ClaimInvalid, NotFound, OptOutInvalid
from registry.ids import new_id
from registry.inforce import InForce, Parts, in_force, missing
from registry.party_types import TERMS, Filing, Target, Terms
from registry.planning import Written, find_subjects, rewritten, wishes_of
from registry.proving import prove_many
from registry.subject_types import NameDraft, OptOutDraft, QuarantineDraft, ReferenceDraft, VectorDraft
from registry.subjects import get as get
from registry.subjects import list_subjects as list_subjects
from registry.subjects import records as records
from registry.subjects import references as references
from registry.tables import embedding, name, reference, rule, space, subject
from registry.types import OptOut
from registry.voices import Voice

ENTRY_VERSION: Final = 1
LISTED_MAX: Final = 50
"""How many names or digests a log entry lists; its digest stands for all of them."""


def add(
    engine: Engine, draft: OptOutDraft, *, filing: Filing | None = None, terms: Terms = TERMS, now: str,
    sign_checkpoint: NoteSigner,
) -> OptOut:  # fmt: skip
    """Register an opt-out; when this returns, no clip that it concerns can be published any more.

    ``filing``: the party that says it, else it is the operator. Raises `OptOutInvalid` for a draft that
    cannot be registered, `ActRefused` and `ClaimInvalid` for a party that may not say it, or not so.
    """
    return add_many(
        engine, [draft], filing=filing, terms=terms, now=now, sign_checkpoint=sign_checkpoint
    )[0]  # fmt: skip


def add_many(
    engine: Engine, drafts: Sequence[OptOutDraft], *, filing: Filing | None = None, terms: Terms = TERMS,
    now: str, sign_checkpoint: NoteSigner,
) -> list[OptOut]:  # fmt: skip
    """Register several opt-outs: all of them, or none. The error names the draft's index."""
    for index, draft in enumerate(drafts):
        _at(index, validate, draft)
    if not drafts:
        return []
    with write(engine) as conn:
        done = write_all(conn, drafts, filing=filing, terms=terms, now=now)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _receipts(engine, done)


def write_all(
    conn: Connection, drafts: Sequence[OptOutDraft], *, filing: Filing | None = None, terms: Terms = TERMS,
    now: str,
) -> list[Written]:  # fmt: skip
    """Write validated drafts inside the caller's write transaction, which adds the checkpoint.

    What is in force of their subjects is read at once for all. The error names the draft's index.
    """
    spaces, voice = spaces_of(conn), Voice(conn, filing, terms, now)
    held = in_force(conn, [row.id for row in find_subjects(conn, drafts).values()])
    return [_at(index, add_in, conn, draft, now, spaces, voice, held) for index, draft in enumerate(drafts)]


def extend(
    engine: Engine,
    subject_id: str,
    *,
    names: Sequence[NameDraft] = (),
    references: Sequence[ReferenceDraft] = (),
    vectors: Sequence[VectorDraft] = (),
    doubted: Sequence[QuarantineDraft] = (),
    by: str | None = None,
    now: str,
    sign_checkpoint: NoteSigner,
) -> OptOut:
    """Add names, pictures or vectors to a subject in force; what it has already is left out.

    ``doubted``: which of them go into quarantine; ``by``: the party that does, None for the operator.

    Raises `NotFound` for a subject that is not in force, `OptOutInvalid` for parts that do not fit,
    `ActRefused`.
    """
    with write(engine) as conn:
        row = conn.execute(select(subject).where(subject.c.id == subject_id)).first()
        if row is None or row.state != "active":
            raise NotFound(f"There is no opt-out {subject_id[:40]!r} in force.")
        Voice(conn, None if by is None else Filing(by=by), TERMS, now).demand_wider(row)
        pictures = _pictures(conn, subject_id)
        validate_parts(with_context(names, ()), references, vectors, pictures.items())
        held = in_force(conn, [subject_id])[subject_id]
        parts = missing(held, with_context(names, ()), references, vectors, set())
        seq, known = row.changed_seq, spaces_of(conn)
        named = Parts(names=parts.names, references=[], vectors=[], replaced=set())
        shown = Parts(names=[], references=parts.references, vectors=parts.vectors, replaced=set())
        for kind, part in (("name", named), ("reference", shown)):
            if part:
                private = _private(row.name, part) | {"by": by}
                entry = log.append(conn, kind, _public(row, "extend", part), private, now)
                seq = entry.seq
                _change(conn, subject_id, {"changed_seq": seq})
                _insert(conn, subject_id, part, seq, now, known)
        quarantine.place(conn, subject_id, doubted, quarantine.REGISTRATION, now)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _receipts(engine, [Written(subject=subject_id, seq=seq, new=bool(parts))])[0]


def withdraw(
    engine: Engine, subject_id: str, *, why: Json, filing: Filing | None = None, keep: bool = False, now: str,
    sign_checkpoint: NoteSigner,
) -> OptOut:  # fmt: skip
    """Take a subject out of force, with its names, pictures, vectors, rules and licences.

    ``why`` goes into the private part of the log; ``filing``: the party that withdraws it, recorded as
    a claim of the kind ``withdraw``; ``keep``: the clips that it keeps away stay withdrawn, else they come
    back (`registry.grounds`). A second time does nothing. Raises `NotFound`, `ActRefused`.
    """
    with write(engine) as conn:
        row = conn.execute(select(subject).where(subject.c.id == subject_id)).first()
        if row is None:
            raise NotFound(f"There is no opt-out {subject_id[:40]!r}.")
        target = Target(kind=row.kind, work=row.work_id, subject=row.id)
        path = Voice(conn, filing, TERMS, now).demand(row.party_id, "withdraw", target)
        seq, new = row.changed_seq, row.state == "active"
        if new:
            if keep:
                grounds.keep(conn, row, now)
            seq = take_out(conn, row, why, claim_log.WITHDRAWN, now)
            if filing is not None:
                owner, state = row.party_id, claim_log.ACTIVE
                claim_log.file(conn, filing, owner, path, state, subject_id=subject_id, now=now)
        log.add_checkpoint(conn, sign_checkpoint, now)
    return _receipts(engine, [Written(subject=subject_id, seq=seq, new=new)])[0]


def take_out(conn: Connection, row: Any, why: Json, ending: str, now: str) -> int:
    """Take a subject in force out of it, and end the claim behind it as ``ending``; return the position."""
    nothing = Parts(names=[], references=[], vectors=[], replaced=set())
    seq = log.append(conn, "opt-out", _public(row, "withdraw", nothing), {"why": why}, now).seq
    _change(conn, row.id, {"changed_seq": seq, "state": "withdrawn"})
    for table in (name, reference, embedding, rule):
        query = table.update().where(table.c.subject_id == row.id, table.c.removed_seq.is_(None))
        conn.execute(query.values(removed_seq=seq))
    _forget_removed(conn, row.id)
    for claimed in claim_log.about(conn, row.id):
        how = ending if claimed.id == row.claim_id else claim_log.WITHDRAWN
        claim_log.move(conn, claimed, how, how, why, now)
    return seq


def _at(index: int, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (OptOutInvalid, ActRefused, ClaimInvalid) as error:
        error.index = index
        raise


def _receipts(engine: Engine, done: Sequence[Written]) -> list[OptOut]:
    """Prove what was written, outside of the write lock."""
    with read(engine) as conn:
        # Opened for a new act only: where nothing was new, the last entry may be somebody else's act.
        proofs = prove_many(conn, [one.seq for one in done], opened={one.seq for one in done if one.new})
    return [
        OptOut(
            subject=one.subject, seq=one.seq, at=json.loads(proof.entry)["at"], proof=proof, new=one.new,
            claim=one.claim.id if one.claim else None, standing=claim_log.standing_of(one.claim),
            due_at=one.claim.due_at if one.claim else None,
        )
        for one, proof in zip(done, proofs, strict=True)
    ]  # fmt: skip


def add_in(
    conn: Connection, draft: OptOutDraft, now: str, spaces: dict[str, int], voice: Voice,
    held: defaultdict[str, InForce] | None = None,
) -> Written:  # fmt: skip
    """Register one draft: who says it, whether anything is new, how it stands; then the rows.

    Inside the caller's transaction; ``spaces``: the dimensions of those that are known; ``held``: what is
    in force of all subjects that come in it, where it was read before; both are kept up to date.
    """
    party_id = voice.owner(draft.owner)
    same = (subject.c.party_id == party_id, subject.c.kind == draft.kind)
    row = conn.execute(select(subject).where(*same, subject.c.normal == normal(draft.name))).first()
    subject_id = new_id(now) if row is None else str(row.id)
    new = row is None or row.state != "active"
    current = None if new else claim_log.behind(conn, row)
    wishes = wishes_of(draft, row) | _belongings(conn, party_id, draft, row, now)
    work_id = wishes.get("work_id", row.work_id if row else None)
    path = voice.demand_to_register(party_id, draft.kind, work_id, row)
    names = with_context(draft.names, draft.context)
    held = in_force(conn, [subject_id]) if held is None else held
    parts = missing(held[subject_id], names, draft.references, draft.vectors, rewritten(wishes))
    said = bool(parts or wishes or voice.waiting)
    if row is not None and not (new or said or voice.promotes(party_id, current)):
        return Written(subject=subject_id, seq=int(row.changed_seq), new=False, claim=current)
    stand = voice.stand(draft, party_id, current, path, new)
    if stand.state == claim_log.DRAFT:
        kept, is_new = voice.keep(draft, party_id, stand)
        return Written(subject="", seq=kept.seq, new=is_new, fresh=True, claim=kept)
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
    held[subject_id].take(parts)
    quarantine.place(conn, subject_id, draft.quarantine, quarantine.REGISTRATION, now)
    claimed = voice.settle(subject_id, party_id, current, stand, new)
    return Written(subject=subject_id, seq=entry.seq, new=True, fresh=new, claim=claimed)


def _belongings(
    conn: Connection, party_id: str, draft: OptOutDraft, row: Row[Any] | None, now: str
) -> dict[str, Any]:
    """The work and the day of death, where the draft changes them."""
    told = {"died_on": parties.died_on(conn, party_id, draft)}
    if draft.work:
        told["work_id"] = parties.work_of(conn, party_id, draft.work, now)
    return {
        column: value for column, value in told.items() if value != (getattr(row, column) if row else None)
    }


def spaces_of(conn: Connection) -> dict[str, int]:
    """The dimensions of the spaces that are known."""
    return {row.id: row.dimension for row in conn.execute(select(space))}


def _pictures(conn: Connection, subject_id: str) -> dict[str, int]:
    query = select(reference).where(reference.c.subject_id == subject_id, reference.c.removed_seq.is_(None))
    return {row.sha256: row.polarity for row in conn.execute(query)}


def _change(conn: Connection, subject_id: str, values: dict[str, Any]) -> None:
    conn.execute(subject.update().where(subject.c.id == subject_id).values(**values))


def _insert(
    conn: Connection, subject_id: str, parts: Parts, seq: int, now: str, spaces: dict[str, int]
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
        conn.execute(reference.insert(), [_reference_row(r) | of for r in parts.references])
    for vector in parts.vectors:
        if vector.space not in spaces:
            row = {"id": vector.space, "dimension": vector.dimension, "created_at": now}
            conn.execute(space.insert().values(**row))
            spaces[vector.space] = vector.dimension
        elif spaces[vector.space] != vector.dimension:
            raise OptOutInvalid(f"Vectors of {vector.space} have another size here; embed them again.")
    if parts.vectors:
        conn.execute(embedding.insert(), [_vector_row(v) | of for v in parts.vectors])


def _reference_row(shown: ReferenceDraft) -> dict[str, Any]:
    return {
        "sha256": shown.sha256, "polarity": shown.polarity, "width": shown.width, "height": shown.height,
        "name": shown.name,
    }  # fmt: skip


def _vector_row(vector: VectorDraft) -> dict[str, Any]:  # not `asdict`, which copies the vector
    return {
        "reference_sha256": vector.reference, "space": vector.space, "kind": vector.kind,
        "polarity": vector.polarity, "vector": vector.vector, "dimension": vector.dimension,
    }  # fmt: skip


def _forget_removed(conn: Connection, subject_id: str) -> None:
    gone = embedding.c.removed_seq.is_not(None)
    conn.execute(embedding.delete().where(embedding.c.subject_id == subject_id, gone))


def _public(row: Any, action: str, parts: Parts) -> Json:
    """What everybody may read: that a subject changed, and by how much; nobody's name."""
    told = row if isinstance(row, dict) else row._asdict()
    return {
        "v": ENTRY_VERSION, "subject": told["id"], "action": action, "kind": told["kind"],
        "mode": told["mode"], "names": len(parts.names), "references": len(parts.references),
        "vectors": len(parts.vectors),
    }  # fmt: skip


def _private(title: str, parts: Parts, draft: OptOutDraft | None = None) -> Json:
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
