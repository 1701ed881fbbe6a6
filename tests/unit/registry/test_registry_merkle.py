import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import merkle
from registry.errors import ProofInvalid

# Input and roots of the Certificate Transparency reference implementation, sizes 1 to 8.
ENTRIES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ENTRIES.append(bytes(range(0x60, 0x70)))
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(entries: Sequence[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = 1
    while 2 * k < len(entries):
        k *= 2
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


def naive_consistency(m: int, entries: Sequence[bytes], whole: bool = True) -> list[bytes]:
    n = len(entries)
    if m == n:
        return [] if whole else [naive_root(entries)]
    k = 1
    while 2 * k < n:
        k *= 2
    if m <= k:
        return [*naive_consistency(m, entries[:k], whole), naive_root(entries[k:])]
    return [*naive_consistency(m - k, entries[k:], False), naive_root(entries[:k])]


def tree(entries: Sequence[bytes]) -> merkle.Nodes:
    stored: dict[tuple[int, int], bytes] = {}
    for index, entry in enumerate(entries):
        leaf = stored[0, index] = merkle.leaf_hash(entry)
        for level, position, value in merkle.new_nodes(index, leaf, lambda lv, i: stored[lv, i]):
            stored[level, position] = value
    return lambda level, index: stored[level, index]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_of_the_reference_implementation(size: int) -> None:
    assert merkle.root(size, tree(ENTRIES)).hex() == ROOTS[size - 1]
    assert naive_root(ENTRIES[:size]).hex() == ROOTS[size - 1]


def test_known_proofs_of_the_reference_implementation() -> None:
    nodes = tree(ENTRIES)
    path = [h.hex() for h in merkle.inclusion_proof(5, 8, nodes)]
    assert path == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert naive_root([]) == merkle.EMPTY_ROOT


def test_every_proof_of_small_trees_equals_the_definition_and_verifies() -> None:
    entries = [b"%d" % i for i in range(20)]
    nodes = tree(entries)
    for size in range(1, 21):
        root = merkle.root(size, nodes)
        assert root == naive_root(entries[:size])
        for index in range(size):
            path = merkle.inclusion_proof(index, size, nodes)
            assert path == naive_path(index, entries[:size])
            merkle.verify_inclusion(merkle.leaf_hash(entries[index]), index, size, path, root)
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(old, size, nodes)
            assert proof == naive_consistency(old, entries[:size])
            merkle.verify_consistency(old, size, proof, merkle.root(old, nodes), root)
        merkle.verify_consistency(0, size, [], merkle.EMPTY_ROOT, root)


@given(st.data())
def test_no_other_inclusion_proof_verifies(data: st.DataObject) -> None:
    entries = [b"%d" % i for i in range(data.draw(st.integers(2, 40)))]
    size, nodes = len(entries), tree(entries)
    index = data.draw(st.integers(0, size - 1))
    path, root = merkle.inclusion_proof(index, size, nodes), merkle.root(size, nodes)
    leaf = merkle.leaf_hash(entries[index])
    for wrong in _mutations(data, path):
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(leaf, index, size, wrong, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(merkle.leaf_hash(entries[other]), index, size, path, root)


@given(st.data())
def test_no_other_consistency_proof_verifies(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    entries = [b"%d" % i for i in range(size)]
    nodes = tree(entries)
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_proof(old, size, nodes)
    old_root, root = merkle.root(old, nodes), merkle.root(size, nodes)
    for wrong in _mutations(data, proof):
        with pytest.raises(ProofInvalid):
            merkle.verify_consistency(old, size, wrong, old_root, root)
    rewritten = merkle.root(old, tree([b"x", *entries[1:]]))
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, size, proof, rewritten, root)


def test_sizes_and_hashes_that_cannot_be_are_refused() -> None:
    leaf = merkle.leaf_hash(b"a")
    for index, size in ((1, 1), (-1, 1), (0, 0)):
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(leaf, index, size, [], leaf)
    for old, new in ((2, 1), (-1, 1)):
        with pytest.raises(ProofInvalid):
            merkle.verify_consistency(old, new, [], leaf, leaf)
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(b"short", 0, 1, [], b"short")
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(1, 1, [], leaf, merkle.leaf_hash(b"b"))


def _mutations(data: st.DataObject, proof: list[bytes]) -> list[list[bytes]]:
    position = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[position][0] ^ 1]) + proof[position][1:]
    return [
        proof[:-1],
        [*proof, proof[0]],
        [*proof[:position], flipped, *proof[position + 1 :]],
        [merkle.leaf_hash(b"other"), *proof],
    ]
