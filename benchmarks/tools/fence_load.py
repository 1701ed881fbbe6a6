"""The processes of the fence benchmark: some publish, some opt out, and publishers are killed at random.

They are forked, so that one who was killed is back within milliseconds; nobody holds the database open
across a fork.
"""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert

from benchmarks.tools import fence_world as world
from pipeline.policy import preset
from pipeline.recheck import Question, recheck
from pipeline.sights import KEY_BYTES, Sealer
from pipeline.types import Decision, Verdict
from registry import changes, log, looks, releases
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.db import open_database, read, write
from registry.ids import new_id
from registry.tables import job, release
from registry.types import Candidate, Held

POLICY: Final = "opt-out"
IDS: Final = "ids.json"
JOBS_EACH: Final = 4000
SPARE_JOBS: Final = 3  # of a publisher in a run that ends with a count: others may be slower
HARMLESS_SHARE: Final = 0.15
AHEAD_SECONDS: Final = 0.3  # clips are about targets whose opt-out is so near
MAKING_SECONDS: Final = (0.05, 0.5)  # from the check of a clip to the fence
PIECE: Final = 1000  # jobs that are written together
DRIVERS: Final = 4
KILL_EVERY_SECONDS: Final = 0.7
FORK: Final = multiprocessing.get_context("fork")

_KEY: Final = Ed25519PrivateKey.from_private_bytes(b"fence benchmark, not a secret ok")
_KEY_ID: Final = ed25519_key_id("fence", _KEY.public_key().public_bytes_raw())
SIGNER: Final = NoteSigner(origin="fence.example/log", name="fence", key_id=_KEY_ID, sign=_KEY.sign)
SEALER: Final = Sealer(b"s" * KEY_BYTES)

WITHOUT_TRIGGER: Final = {
    "sqlite": "DROP TRIGGER release_fenced", "postgresql": "DROP TRIGGER release_fenced ON release",
}  # fmt: skip

Publish = Callable[[Engine, Candidate, Question], str]
"""Publishes a candidate and says "released" or "held"."""


def now() -> str:
    """The time as the registry writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def fenced(engine: Engine, candidate: Candidate, question: Question) -> str:
    """The product's way: the publish fence, with the product's recheck."""

    def ask(asked: Any) -> Decision:
        return recheck(question, asked, world.CALIBRATIONS, now=now())

    made = releases.publish(engine, candidate, ask, now=now(), sign_checkpoint=SIGNER)
    return "held" if isinstance(made, Held) else "released"


def unfenced(engine: Engine, candidate: Candidate, question: Question) -> str:
    """The control: everything that the fence does but asking what changed since the check.

    The database itself refuses such a row; `prepare` removes that trigger for this control only.
    """
    at, seen = now(), question.decision.registry_seq
    if releases.find_by_job(engine, candidate.job_id):  # before this process was killed
        return "released"
    with write(engine) as conn:
        row = releases._row(candidate, releases.record_decision(conn, candidate.job_id, candidate.decision))
        made = new_id(at)
        entry = log.append(conn, "release", releases._public(made, candidate, seen), None, at)
        row |= {"id": made, "registry_seq": seen, "log_seq": entry.seq, "published_at": at}
        looks.store(conn, made, candidate.facts)
        conn.execute(release.insert().values(**row, state="released", state_seq=entry.seq))
        log.add_checkpoint(conn, SIGNER, at)
    return "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run. ``rate``: opt-outs per second, all drivers together.

    With ``publishes``, it ends after so many (and not later than ``seconds``), with ``changes`` opt-outs
    spread evenly over them. ``where``: the registry's database.
    """

    folder: Path
    where: Path | str
    publish: Publish
    seconds: float
    rate: float
    publishers: int
    kill: bool
    publishes: int = 0
    changes: int = 0

    @property
    def targets(self) -> int:
        """How many opt-outs there are."""
        return self.changes if self.publishes else int(self.seconds * self.rate)

    @property
    def jobs_each(self) -> int:
        """How many clips a publisher has at most."""
        return SPARE_JOBS * (1 + self.publishes // self.publishers) if self.publishes else JOBS_EACH


class Shared:
    """What the processes tell each other, without a lock that the killed could keep."""

    def __init__(self, load: Load) -> None:
        self.done = FORK.RawArray("b", load.targets)
        self.latest = FORK.RawArray("i", DRIVERS)
        self.jobs = FORK.RawArray("i", load.publishers)
        self.end = FORK.RawValue("d", 0.0)

    def over(self, load: Load) -> bool:
        """Whether the run is at its end."""
        counted = bool(load.publishes) and sum(self.jobs) >= load.publishes and sum(self.done) >= load.changes
        return bool(counted or time.monotonic() > self.end.value)

    def due(self, load: Load, target: int) -> bool:
        """Whether it is time for the opt-out of a target."""
        if load.publishes:
            return bool(sum(self.jobs) * load.changes >= target * load.publishes)
        return bool(time.monotonic() >= self.end.value - load.seconds + target / load.rate)


def prepare(load: Load) -> None:
    """Make the database: subjects, keys and jobs that wait to be published."""
    engine = open_database(load.where)
    world.prepare(engine, load.targets, now(), SIGNER).save(load.folder / IDS)
    rows = [
        {"id": _job(who, n), "kind": "fence/1", "key": f"{who}/{n}", "inputs": {}, "created_at": now(),
         "state": "open", "owner": _job(who, n), "last_step": "", "deaths": 0}
        for who in range(load.publishers) for n in range(load.jobs_each)
    ]  # fmt: skip
    for at in range(0, len(rows), PIECE):
        with write(engine) as conn:
            conn.execute(insert(job), rows[at : at + PIECE])
            if conn.dialect.name == "postgresql":  # it would go on with the plans of an empty table
                conn.exec_driver_sql("ANALYZE job")
    if load.publish is unfenced:
        with write(engine) as conn:
            conn.exec_driver_sql(WITHOUT_TRIGGER[conn.dialect.name])
    _warm_up(engine)
    engine.dispose()  # before anybody is forked


def _warm_up(engine: Engine) -> None:
    """Ask once, so that what the checks load at first use (half a second) is there in every fork."""
    with read(engine) as conn:
        asked = changes.load(conn, 0, len(world.KINDS))
    question = _question(0, 0, world.Ids(subjects={}, licences={}, keys={}), np.random.default_rng())
    recheck(question, asked, world.CALIBRATIONS, now=now())


def run(load: Load) -> int:
    """Publish and opt out for the time of the load; return how many publishers were killed."""
    prepare(load)
    shared = Shared(load)
    shared.end.value = time.monotonic() + load.seconds
    drivers = [_fork(_drive, load, shared, number) for number in range(DRIVERS)]
    publishers = [_fork(_publish_on, load, shared, number) for number in range(load.publishers)]
    killed = 0
    while not shared.over(load):
        time.sleep(KILL_EVERY_SECONDS)
        if load.kill and not shared.over(load):
            victim = random.randrange(load.publishers)
            os.kill(publishers[victim].pid or 0, signal.SIGKILL)
            publishers[victim].join()
            publishers[victim] = _fork(_publish_on, load, shared, victim)
            killed += 1
    for process in [*publishers, *drivers]:
        _finish(process)
    return killed


def _fork(work: Callable[..., None], *arguments: Any) -> ForkProcess:
    process = FORK.Process(target=work, args=arguments)
    process.start()
    return process


def _finish(process: ForkProcess) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a process of the load ended with {process.exitcode}; see above")


def _drive(load: Load, shared: Shared, number: int) -> None:
    """Opt out, at an even pace or as fast as it goes, and note what was acknowledged and when."""
    engine, ids = open_database(load.where), world.Ids.load(load.folder / IDS)
    with (load.folder / f"opt-outs-{number}.jsonl").open("w") as told:
        for target in range(number, load.targets, DRIVERS):
            while not shared.due(load, target):
                if shared.over(load):
                    return
                time.sleep(0.002)
            if shared.over(load):
                return
            shared.latest[number] = target
            start = time.perf_counter()
            seq = world.opt_out(engine, target, ids, now(), SIGNER)
            taken = time.perf_counter() - start
            shared.done[target] = 1
            _tell(told, {"target": target, "seq": seq, "seconds": taken})


def _publish_on(load: Load, shared: Shared, number: int) -> None:
    """Make clips and publish them until the end; begin with the job at which one who was killed was."""
    engine, ids = open_database(load.where), world.Ids.load(load.folder / IDS)
    chance = np.random.default_rng()
    with (load.folder / f"publisher-{number}.jsonl").open("a") as told:
        while not shared.over(load) and shared.jobs[number] < load.jobs_each:
            target = _target(load, shared, chance)
            with read(engine) as conn:
                checked = log.registry_seq(conn)
            question = _question(target, checked, ids, chance)
            time.sleep(chance.uniform(*MAKING_SECONDS))
            asking = _candidate(_job(number, shared.jobs[number]), target, question)
            _tell(told, {"job": asking.job_id, "target": target})
            start = time.perf_counter()
            outcome = load.publish(engine, asking, question)
            _tell(told, {"job": asking.job_id, "outcome": outcome, "seconds": time.perf_counter() - start})
            shared.jobs[number] += 1


def _target(load: Load, shared: Shared, chance: np.random.Generator) -> int:
    latest = max(shared.latest)
    elapsed = load.seconds - (shared.end.value - time.monotonic())
    ahead = max(DRIVERS, int(latest / max(elapsed, 0.1) * AHEAD_SECONDS))  # at the pace that they really have
    target = latest + int(chance.integers(1, ahead + 1))
    harmless = chance.random() < HARMLESS_SHARE or target >= load.targets or shared.done[target]
    return world.HARMLESS if harmless else target


def _question(target: int, checked: int, ids: world.Ids, chance: np.random.Generator) -> Question:
    policy = preset(POLICY)
    decision = Decision(
        verdict=Verdict.ALLOW, policy=policy.name, policy_version=policy.version, reasons=(), checks={},
        registry_seq=checked, decided_at=now(),
    )  # fmt: skip
    return Question(
        policy=policy, decision=decision, sight=world.sight(target, chance), account=world.account(target),
        key=ids.keys.get(target, ""),
    )  # fmt: skip


def _job(publisher: int, number: int) -> str:
    return f"{publisher:08x}-0000-7000-8000-{number:012x}"


def _candidate(job_id: str, target: int, question: Question) -> Candidate:
    digest = hashlib.sha256(job_id.encode()).hexdigest()
    return Candidate(
        job_id=job_id, owner=job_id, payload=digest[:16], detected_payload=digest[:16],
        urn=f"urn:c2pa:{digest[:32]}", file_sha256=digest, manifest_sha256=digest, signer_sha256=digest,
        visible_variant=0, mark_log10_chance=-12.0, timestamped_at=now(), reread_verdict="intact",
        fingerprint=bytes(512), decision=question.decision,
        facts={"target": target, "prompt": question.sight.texts[-1]},
        sight=SEALER.rows(question.sight),
    )  # fmt: skip


def _tell(file: TextIO, told: dict[str, Any]) -> None:
    """One line, out of this process at once: what was written survives its death."""
    file.write(json.dumps(told) + "\n")
    file.flush()
