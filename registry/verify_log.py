"""Checks a Countermark log, and what was handed out of it, without Countermark; read before you trust it.

    python verify_log.py [--key KEY] PATH...     (Python 3.11 and `pip install cryptography`, nothing else)

PATH: a folder with an exported log (C2SP tlog-tiles), an evidence bundle (zip or unpacked), or a document
(JSON: receipt, release, consistency). A log is checked first; the rest must agree with it. KEY: the log's
public key, `name+id+base64`, or a file with it. Without it the key in a bundle is taken: then the bundle only
agrees with itself. Exit code: 0 everything holds, 1 something does not, 2 nothing could be checked.
"""
import argparse
import base64
import functools
import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHANGES = {"opt-out", "name", "reference", "rule", "licence", "delegation", "key", "withdrawal", "claim",
           "reinstatement", "space"}  # kinds of entries after which a clip is compared anew
COMMITMENT = b"countermark log private v1\x00"
BUNDLE, KEY = "countermark-evidence/1", "log.vkey"
Files = dict[str, Path | zipfile.Path]
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode  # RFC 8785

def demand(condition: object, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)

def fields(value: dict[str, Any], names: str) -> list[Any]:  # the values of an object with exactly these keys
    demand(set(value) == set(names.split()), f"an object has not exactly the keys {names}")
    return [value[name] for name in names.split()]

def raw(text: str) -> bytes:  # from the one right spelling of a hash in hex, or of anything in base64
    found = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text)
    demand(text in (found.hex(), base64.b64encode(found).decode()), "not proper hex or base64")
    return found

def sha(*parts: bytes) -> bytes:  # RFC 6962: a leaf is sha(0, entry), a subtree sha(1, left, right)
    return hashlib.sha256(b"".join(parts)).digest()

def climb(path: list[str], number: int, last: int, old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """The roots of old and new tree above node `number` of `last` + 1 (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    for sibling in map(raw, path):
        demand(last, "a proof is too long")
        if number & 1 or number == last:
            old, new = sha(b"\1", sibling, old), sha(b"\1", sibling, new)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            new = sha(b"\1", new, sibling)
        number, last = number >> 1, last >> 1
    demand(not last, "a proof is too short")
    return old, new

def check_extends(old: tuple[int, bytes], new: tuple[int, bytes], path: list[str]) -> None:
    """The tree of the new checkpoint (size, root) begins with the tree of the old one."""
    demand(0 < old[0] <= new[0], "the older checkpoint is larger than the newer")
    shift = 64 if old[0] == new[0] else (old[0] & -old[0]).bit_length() - 1  # to its last whole subtree
    first, *rest = [old[1].hex(), *path] if old[0] - 1 >> shift == 0 else path
    roots = climb(rest, old[0] - 1 >> shift, new[0] - 1 >> shift, raw(first), raw(first))
    demand(roots == (old[1], new[1]), "the newer checkpoint does not extend the older: history was rewritten")

def tile(level: object, index: int, width: int) -> str:  # tile/0/x001/234, and .p/WIDTH if below 256
    *upper, last = re.findall("...", str(index).zfill(-(-len(str(index)) // 3) * 3))
    path = "/".join(["tile", str(level), *(f"x{group}" for group in upper), last])
    return path if width == 256 else f"{path}.p/{width}"

class Verifier:  # holds the log's key, and the leaves of an exported log that was checked
    def __init__(self, key: str) -> None:
        self.name, key_id, encoded = key.strip().split("+", 2)
        self.leaves, self.key_id = list[bytes](), sha(self.name.encode(), b"\n", raw(encoded))[:4]
        demand(self.key_id.hex() == key_id and raw(encoded)[0] == 1, "the key's id is not this key's")
        self.key = Ed25519PublicKey.from_public_bytes(raw(encoded)[1:])

    def signed(self, note: str) -> list[str]:  # the lines of a C2SP signed-note that this key alone signed
        text, name, signature = re.findall(r"\A((?:[^\n]+\n)+)\n— (\S+) (\S+)\n\Z", note)[0]
        demand((name, raw(signature)[:4]) == (self.name, self.key_id), "a note is signed by another key")
        self.key.verify(raw(signature)[4:], text.encode())
        return str(text)[:-1].split("\n")

    def checkpoint(self, note: str) -> tuple[int, bytes]:  # size and root of a C2SP tlog-checkpoint
        _, size, root = self.signed(note)
        return int(size), raw(root)

    def check_log(self, files: Files) -> list[str]:
        """An exported log: every file and hash, numbers without a gap, no release overtaken by a change."""
        size, root = self.checkpoint(files.pop("checkpoint").read_bytes().decode())
        levels, changed = [list[bytes]()], 0
        for first in range(0, size, 256):
            path, at = tile("entries", first // 256, min(256, size - first)), 0
            content = files.pop(path).read_bytes()  # each entry stands behind its length in two bytes
            while at < len(content):
                start, at = at + 2, at + 2 + int.from_bytes(content[at : at + 2])
                entry, told = content[start:at], self.entry(content[start:at], len(levels[0]) + 1)
                demand(told["kind"] != "release" or told["public"]["registry_seq"] == changed,
                       f"release {told['seq']} was overtaken by change {changed}")
                changed = told["seq"] if told["kind"] in CHANGES else changed
                levels[0].append(sha(b"\0", entry))
            demand(at == len(content), f"{path} ends too early")
        while len(row := levels[-1]) > 1:
            levels.append([sha(b"\1", *row[i : i + 2]) for i in range(0, len(row) - 1, 2)])
        peaks = (row[-1] for row in levels if len(row) & 1)  # whole subtrees of the tree, the smallest first
        found = len(levels[0]), functools.reduce(lambda low, high: sha(b"\1", high, low), peaks)
        demand(found == (size, root), "the entries do not lead to the signed root")
        for level, row in enumerate(levels[::8]):
            for first in range(0, len(row), 256):
                path = tile(level, first // 256, len(row[first : first + 256]))
                demand(files.pop(path).read_bytes() == b"".join(row[first : first + 256]), f"{path} is wrong")
        demand(not files, f"not part of the log: {list(files)[:3]}")
        self.leaves = levels[0]
        return [f"log: {size} entries; every hash, the order and the signed root hold"]

    def entry(self, entry: bytes, seq: int) -> dict[str, Any]:
        """An entry as it was written, under its number; a release was checked, then fenced, then logged."""
        told: dict[str, Any] = json.loads(entry)
        demand(fields(told, "v seq kind at public commitment")[:2] == [1, seq]
               and canonical(told).encode() == entry, f"entry {seq} is another, or not as it was written")
        seen = told["public"] if told["kind"] == "release" else {"checked_seq": 0, "registry_seq": 0}
        demand(seen["checked_seq"] <= seen["registry_seq"] < seq, f"release {seq} is out of order")
        return told

    def check_receipt(self, document: dict[str, Any]) -> dict[str, Any]:
        """An entry, on its way to the root of a signed checkpoint, and its commitment, where it is opened."""
        form, text, proof, note, opened = fields(document, "format entry proof checkpoint opened")
        seq, told_leaf, path, size, root = fields(proof, "sequence leaf_hash path tree_size root")
        told, leaf = self.entry(text.encode(), seq), sha(b"\0", text.encode())
        demand(form == "countermark-receipt/1" and raw(told_leaf) == leaf, "not a receipt")
        reached = climb(path, seq - 1, size - 1, leaf, leaf)[1]
        demand(self.checkpoint(note) == (size, reached) and raw(root) == reached, "not in the signed tree")
        if opened is not None:
            salt, private = fields(opened, "salt private")
            secret = sha(COMMITMENT, raw(salt), canonical(private).encode()).hex()
            demand(secret == told["commitment"], "the opened part is not what was committed to")
        demand(self.leaves[seq - 1 : seq] in ([], [leaf]), f"the exported log has another entry {seq}")
        return told

    def check(self, document: dict[str, Any]) -> str:
        """A receipt; or a release, with its manifest's checkpoint; or that one checkpoint extends another."""
        if document["format"] == "countermark-consistency/1":
            old, new, path = fields(document, "format old new path")[1:]
            check_extends(self.checkpoint(old), self.checkpoint(new), path)
            return f"consistency: {self.checkpoint(new)[0]} entries extend {self.checkpoint(old)[0]}"
        if document["format"] != "countermark-release/1":
            told = self.check_receipt(document)
            return f"receipt: entry {told['seq']} ({told['kind']}, {told['at']}) is in the log"
        receipt, manifest, text, path = fields(document, "format receipt manifest assertion path")[1:]
        told, said, content = self.check_receipt(receipt), json.loads(text), raw(manifest)
        public, same = told["public"], ("payload", "policy", "policy_version", "checked_seq")
        demand(sha(content).hex() == public["manifest_sha256"] and text.encode() in content
               and all(said[name] == public[name] for name in same), "the manifest says something else")
        if lines := said.get("log", {}).get("checkpoint"):
            was, now = self.checkpoint("\n".join([*lines, ""])), self.checkpoint(receipt["checkpoint"])
            demand(said["checked_seq"] <= was[0] < told["seq"], "its checkpoint is of another time")
            check_extends(was, now, path)
        return f"release {public['release']}: checked, fenced, logged (entry {told['seq']}), in this order"

    def check_bundle(self, files: Files) -> list[str]:  # nothing missing, added or changed; all proofs hold
        listed, note = (files.pop(f"bundle.{end}").read_bytes() for end in ("json", "note"))
        signed, found = [BUNDLE, sha(listed).hex()], {name: file.read_bytes() for name, file in files.items()}
        demand(self.signed(note.decode()) == signed, "the list of the bundle's files is not signed")
        hashes = {name: sha(content).hex() for name, content in found.items()}
        demand(json.loads(listed) == {"format": BUNDLE, "files": hashes}, "a file was changed")
        proofs = (name for name in sorted(files) if name.startswith("proofs/"))
        return [f"bundle: {len(files)} files", *(self.check(json.loads(found[name])) for name in proofs)]

def listing(path: Path) -> Files:  # {name: file} of a folder, of a zip, or of the file alone
    if zipfile.is_zipfile(path):
        demand(len({*(names := zipfile.ZipFile(path).namelist())}) == len(names), "a file is there twice")
        return {name: zipfile.Path(path, name) for name in names}
    inside: Files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    return inside if path.is_dir() else {"": path}

def run(key: str | None, paths: list[Path]) -> tuple[int, list[str]]:  # the exit code, and what to say
    said: list[str] = []
    try:
        found = sorted(map(listing, paths), key=lambda files: "checkpoint" not in files)
        file = Path(key) if key else next(files[KEY] for files in found if KEY in files)
        known = Verifier(file.read_bytes().decode() if not key or file.is_file() else key)
        for files in found:
            check = known.check_log if "checkpoint" in files else known.check_bundle
            said += [known.check(json.loads(files[""].read_bytes()))] if "" in files else check(files)
    except (OSError, StopIteration) as error:
        return 2, [*said, f"NOTHING TO CHECK, or no --key: {error}"]
    except Exception as error:  # whatever hostile bytes bring about: they prove nothing
        return 1, [*said, f"DOES NOT HOLD: {error} ({type(error).__name__})"]
    return 0, said

if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--key")
    parser.add_argument("paths", nargs="+", type=Path)
    code, lines = run(**vars(parser.parse_args()))
    print(*lines, sep="\n")
    sys.exit(code)
