"""RFC 6962 Merkle trees: roots, inclusion and consistency proofs, and their verification.

Pure functions without a database. Trees are read through ``Nodes``, a callable that returns the hash
of the perfect subtree ``(level, index)``: the leaves ``index * 2^level`` up to ``(index + 1) * 2^level``.
Verification follows RFC 9162, sections 2.1.3.2 and 2.1.4.2, and raises `ProofInvalid`.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from registry.errors import ProofInvalid

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Nodes = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def new_nodes(index: int, leaf: bytes, nodes: Nodes) -> Iterator[tuple[int, int, bytes]]:
    """Yield ``(level, index, hash)`` of each perfect subtree that leaf ``index`` completes, level >= 1."""
    level, current = 0, leaf
    while index & 1:
        current = node_hash(nodes(level, index - 1), current)
        level, index = level + 1, index >> 1
        yield level, index, current


def root(size: int, nodes: Nodes) -> bytes:
    """Return the root over the first ``size`` leaves."""
    return _range(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the audit path of leaf ``index`` (from 0) in the tree of ``size`` leaves, lowest first."""
    if not 0 <= index < size:
        raise ProofInvalid(f"Leaf {index} is not in a tree of {size} leaves.")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range(middle, end, nodes))
            end = middle
        else:
            path.append(_range(start, middle, nodes))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Return the proof that the first ``old`` leaves of the tree of ``new`` leaves are its old tree."""
    if not 0 <= old <= new:
        raise ProofInvalid(f"A tree of {new} leaves cannot extend one of {old}.")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range(middle, end, nodes))
            end = middle
        else:
            path.append(_range(start, middle, nodes))
            start, whole = middle, False
    if not whole:
        path.append(_range(start, end, nodes))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> None:
    """Raise unless ``path`` proves that ``leaf`` is leaf ``index`` of the tree with this root."""
    _check_hashes([leaf, root_hash, *path])
    if not 0 <= index < size:
        raise ProofInvalid(f"Leaf {index} is not in a tree of {size} leaves.")
    node, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofInvalid("The inclusion proof is too long.")
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        node, last = node >> 1, last >> 1
    if last or current != root_hash:
        raise ProofInvalid("The inclusion proof does not lead to the root of the checkpoint.")


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raise unless ``path`` proves that the new tree extends the old one."""
    _check_hashes([old_root, new_root, *path])
    if not 0 <= old <= new:
        raise ProofInvalid(f"A tree of {new} leaves cannot extend one of {old}.")
    if old in (0, new):
        if path or old_root != (new_root if old else EMPTY_ROOT):
            raise ProofInvalid("Two checkpoints of the same log contradict each other.")
        return
    proof = ([old_root] if old & (old - 1) == 0 else []) + list(path)
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not proof:
        raise ProofInvalid("The consistency proof is empty.")
    first = second = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            raise ProofInvalid("The consistency proof is too long.")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise ProofInvalid("The newer checkpoint does not extend the older one: the log was rewritten.")


def _split(size: int) -> int:
    """Return the largest power of two smaller than ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _range(start: int, end: int, nodes: Nodes) -> bytes:
    """Return the hash over leaves ``start`` to ``end``; ``start`` is aligned as RFC 6962 splits."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, start >> level)
    middle = start + _split(size)
    return node_hash(_range(start, middle, nodes), _range(middle, end, nodes))


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(h) != HASH_BYTES for h in hashes):
        raise ProofInvalid("A proof consists of hashes of 32 bytes.")
