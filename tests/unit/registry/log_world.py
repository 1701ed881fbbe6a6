"""A log with something of everything in it, what is handed out of it, and a stranger who checks it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_builders import BLOCK, KEY, NOW, ORIGIN, SIGNER, Home, Judgement

from registry import export, log, receipts, releases, rules, verify_log
from registry.canonical import Json
from registry.checkpoint import NoteSigner, ed25519_key_id, verifier_key
from registry.db import read, write
from registry.types import JobState

VERIFIER = Path(verify_log.__file__)
LOG_KEY = verifier_key("guard", KEY.public_key().public_bytes_raw())
BY = {"now": NOW, "sign_checkpoint": SIGNER}
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
OTHER_SIGNER = NoteSigner(
    origin=ORIGIN, name="guard", key_id=ed25519_key_id("guard", OTHER.public_key().public_bytes_raw()),
    sign=OTHER.sign,
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def stranger(*paths: Path, folder: Path, key: str | None = LOG_KEY) -> Answer:
    """Run the verifier as a stranger would: alone, isolated, from another folder."""
    copy = folder / "verify_log.py"
    copy.write_bytes(VERIFIER.read_bytes())
    told = [] if key is None else ["--key", key]
    command = [sys.executable, "-I", str(copy), *told, *map(str, paths)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return Answer(done.returncode, done.stdout, done.stderr)


def holds(*paths: Path) -> bool:
    """What the verifier says, in this process."""
    known = verify_log.Verifier(LOG_KEY)
    try:
        for path in paths:
            files = verify_log.listing(path)
            if "" in files:
                known.check(json.loads(files[""].read_bytes()))
            elif "checkpoint" in files:
                known.check_log(files)
            else:
                known.check_bundle(files)
    except Exception:  # noqa: BLE001 - as the verifier itself
        return False
    return True


def manifest(home: Home, checked_seq: int) -> bytes:
    """Something with our assertion in it, as a manifest holds it: label, then a box of JSON."""
    with read(home.engine) as conn:
        note = log.covering(conn, checked_seq)
    said: Json = {
        "payload": "p", "policy": "test", "policy_version": 1, "checked_seq": checked_seq,
        "log": {"checkpoint": None if note is None else [*note.split("\n")[:-1]]},
    }  # fmt: skip
    content = json.dumps(said).encode()
    box = (len(content) + 8).to_bytes(4) + b"json" + content
    return b"jumb...org.countermark.release\x00" + box + b"...signature"


def fill(home: Home, count: int = 3) -> list[int]:
    """Opt-outs, rules, a refusal, releases, a withdrawal; returns the seqs of what was said."""
    said = []
    for number in range(count):
        made = home.opt_out(f"Person {number} Ångström")
        said.append(made.seq)
        with read(home.engine) as conn:
            checked = log.registry_seq(conn)
        rule = rules.grant_licence(home.engine, made.subject, f"studio {number}", **BY)
        job = home.jobs.submit("make", f"refused {number}", {})
        home.jobs.finish(job, JobState.REFUSED, {}, decided=BLOCK, sign_checkpoint=SIGNER)
        released = home.release(f"k{number}", decision=Judgement(registry_seq=checked))
        said.append(released.log_seq)
        if number % 3 == 2:
            rules.revoke_licence(home.engine, rule.id, **BY)
            said.append(releases.withdraw(home.engine, released.id, why={"because": "Ada"}, **BY).state_seq)
    return said


def bulk(home: Home, count: int) -> None:
    with write(home.engine) as conn:
        for number in range(count):
            log.append(conn, "opt-out", {"subject": f"s{number}"}, {"name": f"person {number}"}, NOW)
        log.add_checkpoint(conn, SIGNER, NOW)


def exported(home: Home, folder: Path) -> export.Exported:
    with read(home.engine) as conn:
        return export.export(conn, folder)


def written(folder: Path, name: str, document: Json) -> Path:
    path = folder / name
    path.write_bytes(receipts.written(document))
    return path
