"""The transparency log: appends, proofs and export of a large tree, and what the independent verifier misses.

Run alone: python -m benchmarks.tools.registry_log [--quick] [--database URL] [--json]
"""

import importlib.util
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine

from benchmarks.common import Row, commit, median, once, options, present, rate, say
from benchmarks.tools.places import named, place
from registry import export, log, merkle, optouts, receipts, releases, rules, verify_log
from registry.canonical import Json, canonical
from registry.checkpoint import NoteSigner, ed25519_key_id, parse_note, verifier_key
from registry.counter import reserve_payload_counter
from registry.db import open_database, read, write
from registry.jobs import StoredJobs
from registry.owners import LockFiles
from registry.subject_types import NameDraft, OptOutDraft
from registry.tables import log_entry, log_node
from registry.types import Candidate, JobState, Reason, Release

NOW: Final = "2026-01-31T12:00:00Z"
KEY: Final = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
PUBLIC: Final = KEY.public_key().public_bytes_raw()
NAME: Final = "bench"
SIGNER: Final = NoteSigner(
    origin="bench.example/log", name=NAME, key_id=ed25519_key_id(NAME, PUBLIC), sign=KEY.sign
)
VKEY: Final = verifier_key(NAME, PUBLIC)
BY: Final[dict[str, Any]] = {"now": NOW, "sign_checkpoint": SIGNER}
LEAVES: Final = {False: 1_000_000, True: 20_000}
LEAVES_ON_A_SERVER: Final = 100_000
BULK: Final = 20_000
APPENDS: Final = {False: 1000, True: 100}
PROOFS: Final = {False: 500, True: 50}
CHANGES: Final = {False: 1000, True: 100}
ROUNDS: Final = {False: 60, True: 6}
CODES: Final = ("name_match", "picture_match")


class Decided:
    """A decision as a policy makes it."""

    verdict, policy, policy_version, decided_at = "allow", "bench", 1, NOW
    checks: Final = {"names": "completed"}

    def __init__(self, seq: int, verdict: str = "allow") -> None:
        self.registry_seq, self.verdict = seq, verdict
        blocked = [Reason(code=code, check="names", detail=f"“zibble” names Zibble {seq}.") for code in CODES]
        self.reasons = () if verdict == "allow" else tuple(blocked)


def measure(folder: Path, *, quick: bool, database: str | None) -> list[Row]:
    """Measure on SQLite in the folder, or on a PostgreSQL database (then without the files)."""
    with place(folder, database) as where:
        return _measured(where, folder, quick=quick, database=database)


def _measured(where: Path | str, folder: Path, *, quick: bool, database: str | None) -> list[Row]:
    engine, told = open_database(where), {"database": named(database)}
    try:
        rows = _appends(engine, APPENDS[quick], told)
        leaves = min(LEAVES[quick], LEAVES_ON_A_SERVER) if database else LEAVES[quick]
        say(f"log: a tree of {leaves:,} leaves")
        rows.append(_grow(engine, leaves, told))
        rows += _proofs(engine, PROOFS[quick], told)
        if database is None:
            rows += _files(engine, folder, told)
    finally:
        engine.dispose()
    if database is None:
        rows.append(_changes(folder / "world", CHANGES[quick], ROUNDS[quick]))
    return rows


def _appends(engine: Engine, count: int, told: dict[str, Any]) -> list[Row]:
    """Appends as the product makes them: each with its checkpoint, durable when it returns."""

    def decision(number: int) -> None:
        with write(engine) as conn:
            public: Json = {"v": 1, "verdict": "allow", "policy": "bench", "reasons": [], "n": number}
            log.append(conn, "decision", public, {"job": f"job {number}", "reasons": []}, NOW)
            log.add_checkpoint(conn, SIGNER, NOW)

    def opt_out(number: int) -> None:
        title = f"Zibble {number}"
        named = (NameDraft(text=title),)
        draft = OptOutDraft(kind="character", name=title, owner="Bench", names=named)
        optouts.add(engine, draft, **BY)

    def many(first: int) -> None:
        with write(engine) as conn:
            for number in range(100):
                log.append(conn, "decision", {"n": first + number}, {"job": f"job {number}"}, NOW)
            log.add_checkpoint(conn, SIGNER, NOW)

    say("log: appends")
    batches = _timed(many, max(count // 100, 3))
    return [
        *_per_second("appends, one durable transaction each", _timed(decision, count), told),
        *_per_second("opt-outs, by the product's API", _timed(opt_out, count), told),
        median(
            "appends, a hundred in a transaction", [100 / took for took in batches], "entries/s",
            told | {"checkpoint": "one for each transaction"},
        ),
    ]  # fmt: skip


def _per_second(metric: str, times: list[float], told: dict[str, Any]) -> list[Row]:
    return [
        once(f"{metric}: rate", len(times) / sum(times), "entries/s", told | {"entries": len(times)}),
        median(f"{metric}: time of one", [1000 * took for took in times], "ms", told),
    ]


def _grow(engine: Engine, leaves: int, told: dict[str, Any]) -> Row:
    """Fill the log to a size in bulk: the same tables, triggers and hashes, without `log.append`'s reads."""
    began = time.perf_counter()
    with read(engine) as conn:
        known = log.head(conn)
        peaks = _peaks(conn, known)
    while known < leaves:
        upto = min(known + BULK, leaves)
        rows: list[dict[str, Any]] = []
        nodes: list[dict[str, Any]] = []
        for index in range(known, upto):
            entry = canonical({
                "v": 1, "seq": index + 1, "kind": "decision", "at": NOW, "commitment": f"{index:064x}",
                "public": {"v": 1, "verdict": "allow", "policy": "bench", "registry_seq": index},
            })  # fmt: skip
            leaf = merkle.leaf_hash(entry)
            row = {"seq": index + 1, "kind": "decision", "at": NOW, "entry": entry.decode()}
            rows.append(row | {"commitment": f"{index:064x}", "leaf_hash": leaf})
            made = list(merkle.new_nodes(index, leaf, lambda lv, _i: peaks[lv]))
            nodes += [{"level": level, "idx": position, "hash": value} for level, position, value in made]
            peaks.update({0: leaf} | {level: value for level, _, value in made})
        with write(engine) as conn:
            conn.execute(log_entry.insert(), rows)
            if nodes:
                conn.execute(log_node.insert(), nodes)
            log.add_checkpoint(conn, SIGNER, NOW)
        known = upto
    took = time.perf_counter() - began
    return once("filling in bulk, for the rows below", took, "s", told | {"leaves": leaves, "bulk": True})


def _peaks(conn: Connection, size: int) -> dict[int, bytes]:
    """The last whole subtree of each level: the left sibling that the next leaf may need."""
    nodes = log.nodes(conn)
    return {level: nodes(level, (size >> level) - 1) for level in range(size.bit_length())}


def _proofs(engine: Engine, count: int, told: dict[str, Any]) -> list[Row]:
    chance = random.Random(1)
    with read(engine) as conn:
        size = log.head(conn)
        root = parse_note(log.latest(conn) or "").root
        seqs = [chance.randint(1, size) for _ in range(count)]
        made = [(_clocked(lambda seq=seq: log.prove(conn, seq))) for seq in seqs]  # type: ignore[misc]
        extends = [(_clocked(lambda seq=seq: log.prove_extends(conn, seq, size))) for seq in seqs]  # type: ignore[misc]
        proofs = [proof for _, proof in made]
        checked = [
            _clocked(lambda p=p: merkle.verify_inclusion(p.leaf_hash, p.seq - 1, size, p.path, root))[0]  # type: ignore[misc]
            for p in proofs
        ]
    told = told | {"leaves": size}
    with write(engine) as conn:
        log.append(conn, "decision", {}, {}, NOW)
        signed = _clocked(lambda: log.add_checkpoint(conn, SIGNER, NOW))[0]
    return [
        median("inclusion proof", [1000 * took for took, _ in made], "ms", told),
        median("consistency proof", [1000 * took for took, _ in extends], "ms", told),
        median("verifying an inclusion proof", [1000 * took for took in checked], "ms", told),
        median("hashes in an inclusion proof", [float(len(p.path)) for p in proofs], "hashes", told),
        once("signing a checkpoint", 1000 * signed, "ms", told),
    ]


def _files(engine: Engine, folder: Path, told: dict[str, Any]) -> list[Row]:
    say("log: export")
    target = folder / "log"
    with read(engine) as conn:
        took, made = _clocked(lambda: export.export(conn, target))
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    told = told | {"leaves": made.size}
    rows = [
        once("export of the whole log", took, "s", told | {"files": made.files, "bytes": size}),
        once("export of the whole log: rate", made.size / took, "entries/s", told),
    ]
    with write(engine) as conn:
        for number in range(1000):
            log.append(conn, "decision", {"n": number}, {}, NOW)
        log.add_checkpoint(conn, SIGNER, NOW)
    with read(engine) as conn:
        took, made = _clocked(lambda: export.export(conn, target))
    rows.append(once("export of a thousand more entries", took, "s", told | {"files": made.files}))
    say("log: the independent verifier reads all of it")
    verifier = _alone(folder)
    took, (status, said) = _clocked(lambda: verifier.run(VKEY, [target]))
    if status:
        raise RuntimeError(f"the verifier refuses the exported log: {said}")
    return [*rows, once("independent verifier, the whole exported log", took, "s", told)]


def _changes(folder: Path, count: int, rounds: int) -> Row:
    """One random byte of the log or of a document is changed; the verifier is asked; it is changed back."""
    say("log: random byte changes")
    folder.mkdir()
    documents, target = _world(folder, rounds)
    verifier, chance, found = _alone(folder), random.Random(1), 0
    status, said = verifier.run(VKEY, [target, *documents])
    if status:
        raise RuntimeError(f"the verifier refuses what was not changed: {said}")
    files = [*documents, *(path for path in target.rglob("*") if path.is_file())]
    for _ in range(count):
        file = chance.choice(files)
        content = file.read_bytes()
        at, change = chance.randrange(len(content)), chance.randrange(1, 256)
        file.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
        found += verifier.run(VKEY, [target, *([file] if file in documents else [])])[0] != 0
        file.write_bytes(content)
    entries = rounds * 4
    told: dict[str, Any] = {
        "goal": "1000 of 1000",
        "entries": entries,
        "documents": len(documents),
        "files": len(files),
    }
    return rate("random byte changes that the independent verifier detects", found, count, told)


def _world(folder: Path, rounds: int) -> tuple[list[Path], Path]:
    """Opt-outs, licences, refusals and releases; everything that is handed out about them."""
    engine = open_database(folder / "registry.db")
    made: dict[str, Json] = {}
    with StoredJobs(engine, LockFiles(folder / "locks"), lambda: NOW) as jobs:
        for number in range(rounds):
            title = f"Zibble {number}"
            named = (NameDraft(text=title),)
            draft = OptOutDraft(kind="character", name=title, owner="Bench", names=named)
            opted = optouts.add(engine, draft, **BY)
            rules.grant_licence(engine, opted.subject, "studio", **BY)
            job = jobs.submit("bench", f"refused {number}", {})
            jobs.finish(job, JobState.REFUSED, {}, decided=Decided(0, "block"), sign_checkpoint=SIGNER)
            released, manifest = _release(engine, jobs, number)
            with read(engine) as conn:
                made[f"receipt-{number}"] = receipts.receipt(conn, opted.seq, opened=True)
                made[f"release-{number}"] = receipts.of_release(conn, released.log_seq, manifest)
    with read(engine) as conn:
        export.export(conn, folder / "log")
        made["consistency"] = receipts.consistency(conn, 1, log.head(conn))
    engine.dispose()
    documents = [folder / f"{name}.json" for name in made]
    for path, document in zip(documents, made.values(), strict=True):
        path.write_bytes(receipts.written(document))
    return documents, folder / "log"


def _release(engine: Engine, jobs: StoredJobs, number: int) -> tuple[Release, bytes]:
    """A release; its manifest holds our assertion as one does, and is signed by nobody."""
    job = jobs.submit("bench", f"release {number}", {})
    payload = f"{reserve_payload_counter(engine):016x}"
    with read(engine) as conn:
        seq = log.registry_seq(conn)
        note = log.covering(conn, seq) or ""
    said = json.dumps({
        "payload": payload, "policy": "bench", "policy_version": 1, "checked_seq": seq,
        "log": {"checkpoint": note.split("\n")[:-1]},
    }).encode()  # fmt: skip
    box = (len(said) + 8).to_bytes(4) + b"json" + said
    manifest = b"org.countermark.release\x00" + box + random.Random(number).randbytes(500)
    digest = verify_log.sha(manifest).hex()
    candidate = Candidate(
        job_id=job.id, owner=job.owner, payload=payload, urn=f"urn:c2pa:{digest[:32]}", file_sha256=digest,
        manifest_sha256=digest, visible_variant=0, mark_log10_chance=-20.0, detected_payload=payload,
        signer_sha256=digest, timestamped_at=NOW, reread_verdict="intact", fingerprint=bytes(64),
        decision=Decided(seq), facts={},
    )  # fmt: skip
    made = releases.publish(engine, candidate, lambda _changes: Decided(seq), **BY)
    if not isinstance(made, Release):
        raise RuntimeError("the clip was held")
    return made, manifest


def _alone(folder: Path) -> ModuleType:
    """The verifier as a stranger has it: one file, somewhere else."""
    copy = folder / "verify_log.py"
    copy.write_bytes(Path(verify_log.__file__).read_bytes())
    spec = importlib.util.spec_from_file_location("stranger", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _timed(work: Callable[[int], None], count: int) -> list[float]:
    return [_clocked(lambda number=number: work(number))[0] for number in range(count)]  # type: ignore[misc]


def _clocked(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def main() -> None:
    """Run this section alone."""
    parser = options(__doc__, clips=False)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--database", help="URL of a PostgreSQL database that may be filled")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), quick=told.quick, database=told.database)
    present("registry-log", rows, commit(), as_json=told.json)


if __name__ == "__main__":
    main()
