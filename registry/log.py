"""The append-only log: audit trail, change feed and transparency leaves in one.

An entry is canonical JSON ``{"at", "commitment", "kind", "public", "seq", "v"}``; its leaf is
SHA-256(0x00 || entry) as in RFC 6962. What must not be public goes into a private part: the entry only
carries SHA-256(prefix || salt || private), and erasing the private row leaves the chain whole.
Every function works inside the caller's transaction.
"""

import hashlib
import json
import secrets
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from registry.canonical import Json, canonical
from registry.checkpoint import NoteSigner, make_note
from registry.errors import EntryInvalid, NotFound, RegistryDamaged
from registry.ids import parse_time
from registry.merkle import Nodes, consistency_proof, inclusion_proof, leaf_hash, new_nodes, root
from registry.tables import checkpoint, log_entry, log_kind, log_node, log_private
from registry.types import LogEntry, LogProof, Opened

ENTRY_VERSION: Final = 1
ENTRY_BYTES_MAX: Final = (64 << 10) - 1  # what an entry bundle can hold
SALT_BYTES: Final = 32
COMMITMENT_PREFIX: Final = b"countermark log private v1\x00"

VERDICT_CHANGING_KINDS: Final = frozenset(
    {
        "opt-out", "name", "reference", "rule", "licence", "delegation", "key", "withdrawal", "reinstatement",
        "claim", "space",
    }
)  # fmt: skip
"""Kinds that can change a verdict, whether they add or take away; the database holds the same list."""
OTHER_KINDS: Final = frozenset(
    {
        "release", "party", "decision", "permission", "case", "import", "training", "erasure", "calibration",
        "suspension",
    }
)  # fmt: skip
"""Kinds that change no verdict, and are there to be proven."""

_HEAD: Final = select(func.coalesce(func.max(log_entry.c.seq), 0))
_LAST: Final = select(func.max(log_entry.c.seq)).where(log_entry.c.kind == log_kind.c.kind).scalar_subquery()
_REGISTRY_SEQ: Final = (
    select(func.coalesce(func.max(_LAST), 0)).where(log_kind.c.changes_verdict == 1).select_from(log_kind)
)
_POSITION: Final = select(log_entry.c.seq, log_entry.c.leaf_hash).where(
    log_entry.c.seq == _REGISTRY_SEQ.scalar_subquery()
)
_INSERT_ENTRY: Final = log_entry.insert()
_INSERT_PRIVATE: Final = log_private.insert()
_INSERT_NODE: Final = log_node.insert()
# Read some twenty times for every entry, so without the cost of a compiled statement.
_MARKS: Final = {"sqlite": "?", "postgresql": "%s"}
_LEAF: Final = {db: f"SELECT leaf_hash FROM log_entry WHERE seq = {mark}" for db, mark in _MARKS.items()}  # noqa: S608
_NODE: Final = {
    db: f"SELECT hash FROM log_node WHERE level = {mark} AND idx = {mark}"  # noqa: S608 - constants
    for db, mark in _MARKS.items()
}


def append(conn: Connection, kind: str, public: Json, private: Json | None, at: str) -> LogEntry:
    """Add an entry at the end of the log, inside the caller's write transaction."""
    parse_time(at)
    if kind not in VERDICT_CHANGING_KINDS | OTHER_KINDS:
        raise EntryInvalid(f"{kind!r} is not a kind of log entry; add it by a migration.")
    seq = head(conn) + 1
    hidden = None if private is None else canonical(private)
    salt = secrets.token_bytes(SALT_BYTES)
    commitment = None if hidden is None else commit(salt, hidden)
    entry = _entry(seq, kind, public, commitment, at)
    leaf = leaf_hash(entry)
    row = {"seq": seq, "kind": kind, "at": at, "entry": entry.decode(), "commitment": commitment}
    conn.execute(_INSERT_ENTRY, row | {"leaf_hash": leaf})
    if hidden is not None:
        conn.execute(_INSERT_PRIVATE, {"seq": seq, "salt": salt, "private": hidden.decode()})
    made = [
        {"level": level, "idx": index, "hash": value}
        for level, index, value in new_nodes(seq - 1, leaf, nodes(conn, seq - 1))
    ]
    if made:
        conn.execute(_INSERT_NODE, made)
    return LogEntry(
        seq=seq, kind=kind, at=at, public=public, private=private,
        commitment=commitment, entry=entry, leaf_hash=leaf,
    )  # fmt: skip


def commit(salt: bytes, private: bytes) -> str:
    """Return the commitment (hex) to the canonical bytes of a private part."""
    return hashlib.sha256(COMMITMENT_PREFIX + salt + private).hexdigest()


def head(conn: Connection) -> int:
    """Return the seq of the last entry, 0 for an empty log; also the number of leaves."""
    return int(conn.execute(_HEAD).scalar_one())


def registry_seq(conn: Connection) -> int:
    """Return the seq of the last entry that can change a verdict, or 0."""
    return int(conn.execute(_REGISTRY_SEQ).scalar_one())


def position(conn: Connection) -> tuple[int, bytes] | None:
    """`registry_seq` and the leaf hash of that entry, in one question; None where there is none."""
    row = conn.execute(_POSITION).first()
    return None if row is None else (row.seq, bytes(row.leaf_hash))


def entries(conn: Connection, after: int, upto: int) -> list[LogEntry]:
    """Return the entries with ``after < seq <= upto``, in order."""
    return _select(conn, after, upto, None)


def changes(conn: Connection, after: int, upto: int) -> list[LogEntry]:
    """Return those of `entries` that can change a verdict."""
    if after >= upto:
        return []
    return _select(conn, after, upto, VERDICT_CHANGING_KINDS)


def nodes(conn: Connection, size: int = 0) -> Nodes:
    """Return the reader of perfect-subtree hashes that `registry.merkle` works on.

    ``size``: the tree that it is about. What its root and its next leaf need is then read at once, since
    each question is a way to the server and back, with the lock of all writers held.
    """
    known = _peaks(conn, size)
    inner, leaf = _NODE[conn.dialect.name], _LEAF[conn.dialect.name]

    def node(level: int, index: int) -> bytes:
        if (level, index) in known:
            return known[level, index]
        statement, key = (inner, (level, index)) if level else (leaf, (index + 1,))
        value = conn.exec_driver_sql(statement, key).scalar()
        if value is None:
            raise RegistryDamaged(f"The log lacks the hash ({level}, {index}); restore a backup.")
        return bytes(value)

    return node


def add_checkpoint(conn: Connection, signer: NoteSigner, at: str) -> str:
    """Sign the current tree, store the note in the caller's transaction, and return it."""
    size = head(conn)
    if not size:
        raise NotFound("The log is empty: there is nothing to sign.")
    known = conn.execute(select(checkpoint.c.note).where(checkpoint.c.tree_size == size)).scalar()
    if known is not None:
        return str(known)
    tree_root = root(size, nodes(conn, size))
    note = make_note(size, tree_root, signer)
    conn.execute(checkpoint.insert().values(tree_size=size, root=tree_root, note=note, at=at))
    return note


def prove(conn: Connection, seq: int, *, opened: bool = False) -> LogProof:
    """Return the entry with its inclusion proof in the latest checkpoint.

    ``opened``: with its private part, where there is one and it was not erased.
    """
    last = conn.execute(select(checkpoint).order_by(checkpoint.c.tree_size.desc()).limit(1)).first()
    row = conn.execute(select(log_entry).where(log_entry.c.seq == seq)).first()
    if row is None or last is None or seq > last.tree_size:
        raise NotFound(f"No checkpoint covers log entry {seq} yet.")
    path = inclusion_proof(seq - 1, last.tree_size, nodes(conn))
    query = select(log_private).where(log_private.c.seq == seq)
    kept = conn.execute(query).first() if opened else None
    return LogProof(
        seq=seq, entry=row.entry.encode(), leaf_hash=row.leaf_hash, path=tuple(path),
        tree_size=last.tree_size, root=last.root, note=last.note,
        opened=None if kept is None else Opened(salt=kept.salt, private=json.loads(kept.private)),
    )  # fmt: skip


def covering(conn: Connection, seq: int) -> str | None:
    """Return the note of the smallest checkpoint that covers ``seq`` (from 0 on), or None without one.

    The same for ever: a log only grows, and every transaction that writes to it signs what it wrote.
    """
    query = select(checkpoint.c.note).where(checkpoint.c.tree_size >= seq)
    note = conn.execute(query.order_by(checkpoint.c.tree_size).limit(1)).scalar()
    return None if note is None else str(note)


def latest(conn: Connection) -> str | None:
    """Return the note of the latest checkpoint, or None without one."""
    query = select(checkpoint.c.note).order_by(checkpoint.c.tree_size.desc()).limit(1)
    note = conn.execute(query).scalar()
    return None if note is None else str(note)


def prove_extends(conn: Connection, old: int, new: int) -> list[bytes]:
    """Return the consistency proof between two tree sizes."""
    if new > head(conn):
        raise NotFound(f"The log has fewer than {new} entries.")
    return consistency_proof(old, new, nodes(conn))


def audit(conn: Connection) -> bytes:
    """Recompute the whole log and return its root; `RegistryDamaged` at the first disagreement.

    1. Numbers have no gap. 2. Columns say what the entry says, and the leaf is its hash.
    3. Commitments open, or an erasure in the log says why they do not.
    4. Stored subtrees and checkpoints follow from the leaves.
    """
    rebuilt: dict[tuple[int, int], bytes] = {}
    closed: set[int] = set()
    size = head(conn)
    for expected, row in enumerate(conn.execute(_query(0, size)), start=1):
        _audit_entry(expected, row)  # 1, 2, 3
        closed |= {expected} if row.commitment is not None and row.private is None else set()
        if row.kind == "erasure":
            for first, last in json.loads(row.entry)["public"].get("entries", []):
                closed -= set(range(first, last + 1))
        rebuilt[0, expected - 1] = row.leaf_hash
        for level, index, value in new_nodes(expected - 1, row.leaf_hash, lambda lv, i: rebuilt[lv, i]):
            rebuilt[level, index] = value
    if closed:  # 3; an erasure comes after what it erases
        raise RegistryDamaged(f"The private part of log entry {min(closed)} is lost; restore a backup.")
    stored = {(n.level, n.idx): n.hash for n in conn.execute(select(log_node))}
    notes = conn.execute(select(checkpoint.c.tree_size, checkpoint.c.root)).all()
    tree_root = root(size, lambda level, index: rebuilt[level, index])
    if stored != {key: value for key, value in rebuilt.items() if key[0]} or any(
        note.tree_size > size or note.root != root(note.tree_size, lambda lv, i: rebuilt[lv, i])
        for note in notes
    ):  # 4
        raise RegistryDamaged("The log's tree does not follow from its entries; restore a backup.")
    return tree_root


def _peaks(conn: Connection, size: int) -> dict[tuple[int, int], bytes]:
    """Return the perfect subtrees of which a tree of this size consists, but a last single leaf."""
    wanted = [(level, (size >> level) - 1) for level in range(1, size.bit_length()) if size >> level & 1]
    if not wanted:
        return {}
    mark = _MARKS[conn.dialect.name]
    here = " OR ".join([f"level = {mark} AND idx = {mark}"] * len(wanted))
    query = f"SELECT level, idx, hash FROM log_node WHERE {here}"  # noqa: S608 - marks
    values = tuple(number for place in wanted for number in place)
    return {(level, index): bytes(found) for level, index, found in conn.exec_driver_sql(query, values)}


def _entry(seq: int, kind: str, public: Json, commitment: str | None, at: str) -> bytes:
    entry = canonical(
        {"v": ENTRY_VERSION, "seq": seq, "kind": kind, "at": at, "public": public, "commitment": commitment}
    )
    if len(entry) > ENTRY_BYTES_MAX:
        raise EntryInvalid(f"A log entry has at most {ENTRY_BYTES_MAX} bytes; this one has {len(entry)}.")
    return entry


def _query(after: int, upto: int) -> Any:
    joined = log_entry.outerjoin(log_private, log_entry.c.seq == log_private.c.seq)
    query = select(log_entry, log_private.c.private, log_private.c.salt).select_from(joined)
    return query.where(log_entry.c.seq > after, log_entry.c.seq <= upto).order_by(log_entry.c.seq)


def _select(conn: Connection, after: int, upto: int, kinds: frozenset[str] | None) -> list[LogEntry]:
    query = _query(after, upto)
    if kinds is not None:
        query = query.where(log_entry.c.kind.in_(sorted(kinds)))
    return [_loaded(row) for row in conn.execute(query)]


def _loaded(row: Row[Any]) -> LogEntry:
    return LogEntry(
        seq=row.seq, kind=row.kind, at=row.at, public=json.loads(row.entry)["public"],
        private=None if row.private is None else json.loads(row.private),
        commitment=row.commitment, entry=row.entry.encode(), leaf_hash=row.leaf_hash,
    )  # fmt: skip


def _audit_entry(expected: int, row: Row[Any]) -> None:
    told = json.loads(row.entry)
    entry = _entry(expected, row.kind, told["public"], row.commitment, row.at)
    opened = row.private is None or commit(row.salt, row.private.encode()) == row.commitment
    if row.seq != expected or entry != row.entry.encode() or leaf_hash(entry) != row.leaf_hash or not opened:
        raise RegistryDamaged(f"Log entry {expected} was changed or lost; restore a backup.")
