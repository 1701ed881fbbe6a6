"""Inclusion proofs for many log entries at once: hashes that they share are read once."""

import json
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import Connection, select

from registry import log
from registry.errors import NotFound
from registry.merkle import Nodes, inclusion_proof
from registry.tables import checkpoint, log_entry, log_private
from registry.types import LogProof, Opened

BATCH: Final = 200  # entries per query


def prove_many(
    conn: Connection, seqs: Sequence[int], *, opened: Collection[int] = frozenset()
) -> list[LogProof]:
    """The entries, in this order, each with its proof in the latest checkpoint. Raises: NotFound.

    ``opened``: those of them whose private part comes along, where there is one and it was not erased.
    """
    last = conn.execute(select(checkpoint).order_by(checkpoint.c.tree_size.desc()).limit(1)).first()
    nodes, rows, kept = _remembered(log.nodes(conn)), _entries(conn, seqs), _opened(conn, opened)
    proofs = []
    for seq in seqs:
        if last is None or seq not in rows or seq > last.tree_size:
            raise NotFound(f"No checkpoint covers log entry {seq} yet.")
        entry, leaf = rows[seq]
        path = inclusion_proof(seq - 1, last.tree_size, nodes)
        proofs.append(
            LogProof(
                seq=seq, entry=entry, leaf_hash=leaf, path=tuple(path), tree_size=last.tree_size,
                root=last.root, note=last.note, opened=kept.get(seq),
            )
        )  # fmt: skip
    return proofs


def _entries(conn: Connection, seqs: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
    found, wanted = {}, iter(sorted(set(seqs)))
    query = select(log_entry.c.seq, log_entry.c.entry, log_entry.c.leaf_hash)
    while batch := list(islice(wanted, BATCH)):
        for row in conn.execute(query.where(log_entry.c.seq.in_(batch))):
            found[int(row.seq)] = (row.entry.encode(), bytes(row.leaf_hash))
    return found


def _opened(conn: Connection, seqs: Collection[int]) -> dict[int, Opened]:
    found, wanted = {}, iter(sorted(seqs))
    while batch := list(islice(wanted, BATCH)):
        for row in conn.execute(select(log_private).where(log_private.c.seq.in_(batch))):
            found[int(row.seq)] = Opened(salt=row.salt, private=json.loads(row.private))
    return found


def _remembered(nodes: Nodes) -> Nodes:
    known: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        key = (level, index)
        if key not in known:
            known[key] = nodes(level, index)
        return known[key]

    return node
