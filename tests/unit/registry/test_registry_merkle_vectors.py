"""Trees of RFC 6962: published answers, every proof up to 130 leaves, and larger ones by chance."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import merkle, verify_log
from registry.errors import ProofInvalid

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/rfc6962_v1.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
EXHAUSTIVE = 130
Tree = Callable[[int, int], bytes]


def hexes(path: list[bytes]) -> list[str]:
    return [step.hex() for step in path]


def tree(entries: list[bytes]) -> Tree:
    stored: dict[tuple[int, int], bytes] = {}
    for index, entry in enumerate(entries):
        leaf = stored[0, index] = merkle.leaf_hash(entry)
        for level, position, value in merkle.new_nodes(index, leaf, lambda lv, i: stored[lv, i]):
            stored[level, position] = value
    return lambda level, index: stored[level, index]


class Definition:
    """RFC 6962, section 2.1, word for word, each range computed once."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries, self.known = entries, {}

    def mth(self, start: int, end: int) -> bytes:
        if (start, end) not in self.known:
            if end - start == 1:
                value = merkle.leaf_hash(self.entries[start])
            else:
                middle = start + self.split(end - start)
                value = merkle.node_hash(self.mth(start, middle), self.mth(middle, end))
            self.known[start, end] = value
        return self.known[start, end]

    def split(self, n: int) -> int:
        k = 1
        while 2 * k < n:
            k *= 2
        return k

    def path(self, m: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        k = start + self.split(end - start)
        if m < k:
            return [*self.path(m, start, k), self.mth(k, end)]
        return [*self.path(m, k, end), self.mth(start, k)]

    def proof(self, m: int, start: int, end: int, whole: bool = True) -> list[bytes]:
        if m == end:
            return [] if whole else [self.mth(start, end)]
        k = start + self.split(end - start)
        if m <= k:
            return [*self.proof(m, start, k, whole), self.mth(k, end)]
        return [*self.proof(m, k, end, False), self.mth(start, k)]


def test_published_roots_and_proofs() -> None:
    nodes = tree(LEAVES)
    assert merkle.EMPTY_ROOT.hex() == VECTORS["empty_root"]
    assert [merkle.root(size, nodes).hex() for size in range(1, 9)] == VECTORS["roots"]
    for case in VECTORS["inclusion"]:
        assert hexes(merkle.inclusion_proof(case["leaf"] - 1, case["size"], nodes)) == case["path"]
        path = [bytes.fromhex(step) for step in case["path"]]
        root = bytes.fromhex(VECTORS["roots"][case["size"] - 1])
        leaf = merkle.leaf_hash(LEAVES[case["leaf"] - 1])
        merkle.verify_inclusion(leaf, case["leaf"] - 1, case["size"], path, root)
        assert verify_log.climb(case["path"], case["leaf"] - 1, case["size"] - 1, leaf, leaf)[1] == root
    for case in VECTORS["consistency"]:
        assert hexes(merkle.consistency_proof(case["old"], case["new"], nodes)) == case["path"]
        old, new = (bytes.fromhex(VECTORS["roots"][case[which] - 1]) for which in ("old", "new"))
        path = [bytes.fromhex(step) for step in case["path"]]
        merkle.verify_consistency(case["old"], case["new"], path, old, new)
        verify_log.check_extends((case["old"], old), (case["new"], new), case["path"])


def test_the_example_of_the_rfc() -> None:
    """Section 2.1.3 tells which nodes each proof of a tree of seven leaves consists of."""
    told: dict[str, Any] = VECTORS["rfc6962_section_2_1_3"]
    leaves = [name.encode() for name in told["leaves"]]
    nodes = tree(leaves)

    def node(name: str) -> bytes:
        first, count = int(told["nodes"][name][0][1:]), len(told["nodes"][name])
        return Definition(leaves).mth(first, first + count)

    for leaf, path in told["inclusion"].items():
        assert merkle.inclusion_proof(int(leaf[1:]), 7, nodes) == [node(name) for name in path]
    for old, path in told["consistency"].items():
        assert merkle.consistency_proof(int(old), 7, nodes) == [node(name) for name in path]


@pytest.fixture(scope="module")
def small() -> tuple[Definition, Tree]:
    entries = [b"entry %d" % number for number in range(EXHAUSTIVE)]
    return Definition(entries), tree(entries)


def test_every_leaf_of_every_tree(small: tuple[Definition, Tree]) -> None:
    defined, nodes = small
    for size in range(1, EXHAUSTIVE + 1):
        root = merkle.root(size, nodes)
        assert root == defined.mth(0, size)
        for index in range(size):
            path = merkle.inclusion_proof(index, size, nodes)
            assert path == defined.path(index, 0, size)
            leaf = nodes(0, index)
            merkle.verify_inclusion(leaf, index, size, path, root)
            assert verify_log.climb(hexes(path), index, size - 1, leaf, leaf)[1] == root


def test_every_pair_of_sizes(small: tuple[Definition, Tree]) -> None:
    defined, nodes = small
    roots = [merkle.root(size, nodes) for size in range(EXHAUSTIVE + 1)]
    for new in range(1, EXHAUSTIVE + 1):
        for old in range(1, new + 1):
            path = merkle.consistency_proof(old, new, nodes)
            assert path == defined.proof(old, 0, new)
            merkle.verify_consistency(old, new, path, roots[old], roots[new])
            verify_log.check_extends((old, roots[old]), (new, roots[new]), hexes(path))


def test_no_leaf_proves_another_place(small: tuple[Definition, Tree]) -> None:
    """A proof of one leaf is none for any other place, in any tree up to 40 leaves."""
    _, nodes = small
    for size in range(2, 41):
        root = merkle.root(size, nodes)
        for index in range(size):
            path = merkle.inclusion_proof(index, size, nodes)
            for other in {0, size - 1, index ^ 1, (index + 1) % size} - {index}:
                if other < size:
                    with pytest.raises(ProofInvalid):
                        merkle.verify_inclusion(nodes(0, index), other, size, path, root)


@given(st.data())
def test_larger_trees(data: st.DataObject) -> None:
    size = data.draw(st.integers(131, 1500))
    salt = data.draw(st.binary(max_size=4))
    nodes = tree([salt + b"%d" % number for number in range(size)])
    root, index, old = merkle.root(size, nodes), *(data.draw(st.integers(0, size - 1)) for _ in range(2))
    path = merkle.inclusion_proof(index, size, nodes)
    merkle.verify_inclusion(nodes(0, index), index, size, path, root)
    assert verify_log.climb(hexes(path), index, size - 1, nodes(0, index), nodes(0, index))[1] == root
    proof = merkle.consistency_proof(old + 1, size, nodes)
    before = merkle.root(old + 1, nodes)
    merkle.verify_consistency(old + 1, size, proof, before, root)
    verify_log.check_extends((old + 1, before), (size, root), hexes(proof))
    wrong = bytes([before[0] ^ 1]) + before[1:]
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old + 1, size, proof, wrong, root)
    with pytest.raises(ValueError, match="rewritten"):
        verify_log.check_extends((old + 1, wrong), (size, root), hexes(proof))
