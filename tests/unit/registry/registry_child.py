"""What a child process of the crash and race tests does: ``registry_child.py ACTION HOME [ARGUMENT]``."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from registry_builders import BLOCK, NOW, SIGNER, Home, Judgement, allow, candidate, draft, place_of, vector
from sqlalchemy import select

from registry import log, optouts, releases
from registry.checkpoint import NoteSigner
from registry.db import open_database, read, write
from registry.errors import JobNotOwned
from registry.store import Area, FileStore
from registry.tables import job as table
from registry.types import Change, Job, JobState


def die(*_: object) -> NoReturn:
    """End like a power cut: no handler, no clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit


def submit(home: Home) -> Job:
    return home.jobs.submit("make", "k", {"prompt": "a red kite"})


def publish(home: Home, job: Job, where: str) -> None:
    def recheck(changes: Sequence[Change]) -> Judgement:
        return die() if where == "recheck" else allow(changes)

    def sign(text: bytes) -> bytes:
        return die() if where == "sign" else SIGNER.sign(text)

    signer = NoteSigner(origin=SIGNER.origin, name=SIGNER.name, key_id=SIGNER.key_id, sign=sign)
    releases.publish(home.engine, candidate(job, 1), recheck, now=NOW, sign_checkpoint=signer)


def crash_publish(root: Path, where: str) -> None:
    home = Home(root)
    publish(home, submit(home), where)
    die()  # after the commit, before anybody heard of it


def crash_step(root: Path, where: str) -> None:
    home = Home(root)
    job = submit(home)

    def effect() -> int:
        if where == "before":
            die()
        with (root / "effects").open("a") as file:
            file.write("effect\n")
        if where == "after":
            die()
        return 1

    home.jobs.step(job, "first", effect)
    home.jobs.step(job, "second", die)


def crash_put(root: Path, _argument: str) -> None:
    """Store files for ever; the parent kills."""
    store = FileStore(root / "store")
    job = submit(Home(root))
    for number in range(1_000_000):
        path = store.staging(job.id) / "out"
        path.write_bytes(b"%d " % number * 50_000)
        store.put(Area.HELD, path)
        if number == 3:
            print("running", flush=True)  # noqa: T201 - the parent waits for it


def crash_append(root: Path, _argument: str) -> None:
    """Append for ever; the parent kills."""
    home = Home(root)
    for number in range(1_000_000):
        with write(home.engine) as conn:
            log.append(conn, "name", {"n": number}, {"p": number}, NOW)
        print(number, flush=True)  # noqa: T201 - acknowledged


def crash_opt_outs(root: Path, where: str) -> None:
    """Register opt-outs by twenties; die while the first twenty are signed, or go on until killed."""
    home = Home(root)

    def sign(text: bytes) -> bytes:
        return die() if where == "sign" else SIGNER.sign(text)

    signer = NoteSigner(origin=SIGNER.origin, name=SIGNER.name, key_id=SIGNER.key_id, sign=sign)
    for number in range(1_000_000):
        drafts = [draft(f"S{number} {n}", vectors=(vector(),)) for n in range(20)]
        optouts.add_many(home.engine, drafts, now=NOW, sign_checkpoint=signer)
        print(number, flush=True)  # noqa: T201 - acknowledged


def race_publish(root: Path, number: str) -> None:
    home = Home(root)
    submit(home)
    with read(home.engine) as conn:  # all of them have the one owner's token
        row = conn.execute(select(table)).one()
    job = replace(home.jobs.get(row.id), owner=row.owner)
    made = releases.publish(home.engine, candidate(job, int(number)), allow, now=NOW, sign_checkpoint=SIGNER)
    print(made.id)  # noqa: T201


def race_append(root: Path, number: str) -> None:
    home = Home(root)
    for index in range(50):
        with write(home.engine) as conn:
            log.append(conn, "withdrawal", {"by": f"{number}/{index}"}, None, NOW)


def race_open(root: Path, _argument: str) -> None:
    open_database(place_of(root))


def race_resume(root: Path, _argument: str) -> None:
    home = Home(root)
    print(*(job.id for job in home.jobs.resume()), flush=True)  # noqa: T201
    sys.stdin.read()  # live on until everybody has tried


def stopped(root: Path, _argument: str) -> None:
    """Take a job, be stopped for longer than the lease, and then try all that an owner may do."""
    home = Home(root)
    job = submit(home)
    print(job.id, flush=True)  # noqa: T201
    sys.stdin.readline()
    asking = candidate(job, 1)
    for attempt in (
        lambda: home.jobs.step(job, "late", lambda: 1),
        lambda: releases.publish(home.engine, asking, allow, now=NOW, sign_checkpoint=SIGNER),
        lambda: releases.publish(home.engine, asking, lambda _: BLOCK, now=NOW, sign_checkpoint=SIGNER),
        lambda: home.jobs.finish(job, JobState.FAILED, {}),
        lambda: home.jobs.abandon(job),
    ):
        try:
            attempt()
            print("done")  # noqa: T201
        except JobNotOwned:
            print("refused")  # noqa: T201


def race_fence(root: Path, number: str) -> None:
    """Publish candidates that were checked before anything was in the log."""
    home = Home(root)
    for index in range(15):
        home.release(f"{number}/{index}")


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
