"""A small registry home, and candidates that may leave."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from registry import optouts, releases
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.counter import reserve_payload_counter
from registry.db import open_database
from registry.jobs import StoredJobs
from registry.leases import Leases
from registry.owners import LockFiles, Ownership
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft
from registry.types import Candidate, Change, Held, Job, OptOut, Reason, Release

NOW = "2026-01-31T12:00:00Z"
ORIGIN = "registry.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEY_ID = ed25519_key_id("guard", KEY.public_key().public_bytes_raw())
SIGNER = NoteSigner(origin=ORIGIN, name="guard", key_id=KEY_ID, sign=KEY.sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A decision as `pipeline` would make it."""

    verdict: str = "allow"
    policy: str = "test"
    policy_version: int = 1
    checks: dict[str, str] = field(default_factory=lambda: {"names": "completed"})
    reasons: tuple[Reason, ...] = ()
    registry_seq: int = 0
    decided_at: str = NOW


BLOCK = Judgement(verdict="block", reasons=(Reason(code="opted_out", check="names", detail="A name."),))


def allow(_changes: Sequence[Change]) -> Judgement:
    return Judgement()


def draft(title: str = "Zibble", owner: str = "Acme", **changes: Any) -> OptOutDraft:
    """An opt-out by name alone."""
    made = OptOutDraft(kind="character", name=title, owner=owner, names=(NameDraft(text=title),))
    return replace(made, **changes)


def vector(axis: int = 0, **changes: Any) -> VectorDraft:
    """A direction of 8 dimensions, of a description unless told otherwise."""
    values = np.zeros(8, "<f2")
    values[axis] = 1
    made = VectorDraft(
        reference="", space="space", kind="description", polarity=1, vector=values.tobytes(), dimension=8
    )
    return replace(made, **changes)


def picture(number: int, **changes: Any) -> ReferenceDraft:
    digest = hashlib.sha256(b"picture %d" % number).hexdigest()
    return replace(ReferenceDraft(sha256=digest, polarity=1, width=64, height=48, name="a.png"), **changes)


def candidate(job: Job, number: int, **changes: Any) -> Candidate:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    made = Candidate(
        job_id=job.id,
        owner=job.owner,
        payload=digest[:16],
        urn=f"urn:c2pa:{digest[:32]}",
        file_sha256=digest,
        manifest_sha256=digest,
        visible_variant=3,
        mark_log10_chance=-12.5,
        detected_payload=digest[:16],
        signer_sha256=digest,
        timestamped_at=NOW,
        reread_verdict="intact",
        fingerprint=b"\x07" * 64,
        decision=Judgement(),
        facts={"prompt": "a red kite", "vector": [0.25, -1.5]},
    )
    return replace(made, **changes)


DATABASE_URL = "database_url"


def place_of(root: Path) -> Path | str:
    """The registry of a folder: in PostgreSQL when a file of the folder says so."""
    told = root / DATABASE_URL
    return told.read_text() if told.exists() else root / "registry.db"


def spoken(conn: Connection, statement: str) -> str:
    """Return what SQLite calls so in PostgreSQL's words, when that is spoken to."""
    if conn.dialect.name == "sqlite":
        return statement
    if statement.startswith("INSERT OR"):
        statement += " ON CONFLICT DO NOTHING"
    statement = re.sub(r"^(INSERT|UPDATE) OR \w+", r"\1", statement)
    blob = r"substr(decode(repeat(md5(random()::text), 2), 'hex'), 1, \1)"
    return re.sub(r"randomblob\((\d+)\)", blob, statement)


def raw(conn: Connection, statement: str, values: Sequence[Any] = ()) -> Any:
    """Run SQL of SQLite's with question marks for values, on both databases."""
    statement = spoken(conn, statement)
    if not values:
        return conn.exec_driver_sql(statement)
    marks = {f"v{index}": value for index, value in enumerate(values)}
    parts = statement.split("?")
    named = "".join(f"{part}:v{index}" for index, part in enumerate(parts[:-1])) + parts[-1]
    return conn.execute(text(named), marks)


LEASED = "leased"
LEASE = "600"


def ownership(home: "Home") -> Ownership:
    """How processes own jobs in this home: by leases when a file of the folder says for how many seconds."""
    if (home.root / LEASED).exists():
        return Leases(home.engine, lambda: NOW, float((home.root / LEASED).read_text()))
    return LockFiles(home.locks)


class Judging:
    """Answers for every release alike, and remembers what it was asked about."""

    def __init__(self, answer: Judgement | None = None, seq: int = 0) -> None:
        self.answer, self.seq = answer or Judgement(), seq
        self.asked: list[tuple[str, int | None, dict[str, int]]] = []
        self.alone: list[tuple[str, bool]] = []

    def __call__(
        self,
        released: Release,
        changes: Sequence[Change] | None,
        cleared: dict[str, int],
        *,
        by_itself: bool,
    ) -> Judgement:
        self.alone.append((released.id, by_itself))
        self.asked.append((released.id, None if changes is None else len(changes), cleared))
        return self.answer


class Home:
    """An engine, its jobs and its paths under one folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.locks, self.where = root, root / "locks", place_of(root)
        self.engine = open_database(self.where)
        self.jobs, self._tokens = self.another(), dict[str, str | None]()

    def another(self) -> StoredJobs:
        """The jobs of another process, as far as ownership can tell."""
        return StoredJobs(self.engine, ownership(self), lambda: NOW)

    @property
    def path(self) -> Path:
        """The database's file, where there is one."""
        assert isinstance(self.where, Path)
        return self.where

    def opt_out(self, title: str = "Zibble", **changes: Any) -> OptOut:
        return optouts.add(self.engine, draft(title, **changes), now=NOW, sign_checkpoint=SIGNER)

    def publish(self, key: str = "k", recheck: releases.Recheck = allow, **changes: Any) -> Release | Held:
        job = self.jobs.submit("make", key, {"prompt": "a red kite"})
        self._tokens |= {job.id: job.owner} if job.owner else {}
        job = replace(job, owner=self._tokens.get(job.id))
        number = reserve_payload_counter(self.engine)
        asking = candidate(job, number, **changes)
        return releases.publish(self.engine, asking, recheck, now=NOW, sign_checkpoint=SIGNER)

    def release(self, key: str = "k", **changes: Any) -> Release:
        made = self.publish(key, **changes)
        assert isinstance(made, Release)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.jobs.close()


@contextmanager
def on_server(server: Any, folder: Path) -> Iterator[Home]:
    """A home in a new database of a PostgreSQL server."""
    with server.make() as url:
        (folder / DATABASE_URL).write_text(url)
        with Home(folder) as made:
            yield made
            made.engine.dispose()
