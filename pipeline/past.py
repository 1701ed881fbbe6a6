"""What was decided before, with what was seen of it as far as that is kept; read in pages, newest first.

Releases have their stored sight. Of held jobs it lies in their staging folder, as long as they are held; of
refused ones only the prompt is left. Nothing is written, and one page is in memory at a time.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, select

from classifiers.base import Seen, Sight
from pipeline.errors import KeysUnusable, StorageFailed
from pipeline.sights import Sealer
from pipeline.texts import texts_of
from pipeline.types import Verdict
from registry import releases, sights
from registry.db import read
from registry.store import STAGING
from registry.tables import job, job_step
from registry.types import JobState, Release, ReleaseState, SightRow

PAGE: Final = 200
RELEASE, HELD, REFUSED = "release", "held", "refused"
LOOKS: Final = ("gate", "gate/rewritten", "gate/enhanced", "listen", "look", "material")
"""The steps of a job that look; of those at texts, in the order in which they run, the last counts."""
OF_TEXTS: Final = ("gate", "listen")
_STATES: Final = {JobState.HELD: (HELD, Verdict.REVIEW), JobState.REFUSED: (REFUSED, Verdict.BLOCK)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where the past of a home lies. ``files``: the root of its file store."""

    engine: Engine
    sealer: Sealer
    files: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A release, or a job that was held or refused. ``seen``: whether what was seen of it is kept whole."""

    kind: str
    id: str
    at: str
    account: str
    policy: str
    verdict: Verdict
    sight: Sight
    seen: bool


def released(archive: Archive, since: str = "") -> Iterator[Past]:
    """What is out, published at or after a time, newest first."""
    before: str | None = None
    while page := releases.list_releases(archive.engine, before=before, limit=PAGE):
        out = [one for one in page if one.state is ReleaseState.RELEASED and one.published_at >= since]
        with read(archive.engine) as conn:
            rows = sights.of(conn, [one.id for one in out])
        for one in out:
            yield _of_release(archive, one, rows.get(one.id, ()))
        before = page[-1].id
        if page[-1].published_at < since:
            return


def stopped(archive: Archive, since: str = "") -> Iterator[Past]:
    """Jobs that were held or refused, finished at or after a time, newest first."""
    query = select(job).where(job.c.state.in_([str(state) for state in _STATES]), job.c.finished_at >= since)
    last: str | None = None
    while True:
        page = query if last is None else query.where(job.c.id < last)
        with read(archive.engine) as conn:
            rows = conn.execute(page.order_by(job.c.id.desc()).limit(PAGE)).all()
            files = _sight_files(conn, [row.id for row in rows])
        for row in rows:
            yield _of_job(archive, row, files.get(row.id, []))
        if len(rows) < PAGE:
            return
        last = rows[-1].id


def _of_release(archive: Archive, one: Release, rows: Sequence[SightRow]) -> Past:
    facts: dict[str, Any] = one.facts
    seen: list[Seen] = []
    for row in rows:
        with contextlib.suppress(KeysUnusable, ValueError):  # the check that misses it says so
            seen += archive.sealer.sight((), [row]).seen
    return Past(
        kind=RELEASE, id=one.id, at=one.published_at, account=str(facts.get("account", "")),
        policy=str(facts.get("policy", "")), verdict=Verdict.ALLOW,
        sight=Sight(texts=texts_of(facts).all, seen=tuple(seen)), seen=len(seen) == len(rows),
    )  # fmt: skip


def _of_job(archive: Archive, row: Any, names: Sequence[str]) -> Past:
    inputs, (kind, verdict) = row.inputs, _STATES[JobState(row.state)]
    prompt = inputs.get("prompt")
    sight, whole = Sight(texts=texts_of(inputs).all), len(names) == 2 + bool(inputs.get("material"))
    for name in names:
        found = _staged(archive, row.id, name)
        whole &= found is not None
        if found is not None:
            sight = Sight(texts=found.texts or sight.texts, seen=(*sight.seen, *found.seen))
    return Past(
        kind=kind, id=row.id, at=row.finished_at, account=str(inputs.get("account", "")),
        policy=str(inputs.get("policy", "")), verdict=verdict, sight=sight,
        seen=whole or (prompt is None and len(names) == 1 and bool(sight.seen)),
    )  # fmt: skip


def _sight_files(conn: Any, ids: Sequence[str]) -> dict[str, list[str]]:
    """The names of the files that the steps of these jobs left which look; of several gates, of the last."""
    query = select(job_step).where(job_step.c.job_id.in_(ids), job_step.c.name.in_(LOOKS))
    found: dict[str, dict[str, str]] = {}
    for row in sorted(conn.execute(query), key=lambda row: LOOKS.index(row.name)):
        name = (json.loads(row.result) or {}).get("sight")
        if name:
            step = row.name.partition("/")[0]
            found.setdefault(row.job_id, {})["texts" if step in OF_TEXTS else step] = str(name)
    return {job_id: [*names.values()] for job_id, names in found.items()}


def _staged(archive: Archive, job_id: str, name: str) -> Sight | None:
    """What a step left, if it still is what its name says."""
    path = archive.files / STAGING / job_id / Path(name).name
    with contextlib.suppress(OSError, StorageFailed, KeysUnusable):
        document = path.read_bytes()
        if hashlib.sha256(document).hexdigest() == path.stem:
            return archive.sealer.load(document)
    return None
