"""An API key has leaked: what was made with it, and taking all of it back in one act.

1. The key is revoked first: from then on nothing that it asked for can leave.
2. Every release that was asked for with it is withdrawn by hand, so that only a person brings it back.
   Clips that a reviewer's key let go on are listed, for people to look at again.
3. What is held and was asked for with it is refused. What still runs is refused by the checks, since the key
   is revoked.
Done again, it does what is left to do.
"""

from dataclasses import dataclass

from sqlalchemy import select

from pipeline.review import Reviews
from pipeline.types import Json
from pipeline.workbench import Workbench, note_signer
from registry import apikeys, releases
from registry.db import read
from registry.errors import CaseClosed, CaseTaken, NotFound
from registry.reviews import RELEASE
from registry.tables import held, job, release
from registry.tables_looks import release_look
from registry.tables_reviews import hold_vote
from registry.types import JobState, ReleaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What was made with a key: ids, oldest first. ``released``: served now; ``withdrawn``: not any more;
    ``held``: jobs that wait for a person; ``open``: jobs that run or will; ``let_go``: jobs that somebody
    with this key let go on, as a reviewer.
    """

    key: str
    account: str
    revoked_at: str | None
    released: tuple[str, ...]
    withdrawn: tuple[str, ...]
    held: tuple[str, ...]
    open: tuple[str, ...]
    let_go: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Incidents:
    """Leaked keys of one home."""

    bench: Workbench

    def look(self, key_id: str) -> Incident:
        """What was made with a key. Raises: NotFound."""
        return look(self.bench, key_id)

    def take_back(self, key_id: str, by: str, why: str) -> Incident:
        """The rules above; what is left afterwards. Raises: NotFound."""
        return take_back(self.bench, key_id, by, why)


def look(bench: Workbench, key_id: str) -> Incident:
    """What was made with a key. Raises: NotFound."""
    key = apikeys.get(bench.engine, key_id)
    if key is None:
        raise NotFound(f"There is no API key {key_id[:40]!r}; see countermark apikeys list.")
    with read(bench.engine) as conn:
        query = select(release.c.id, release.c.state).join(
            release_look, release_look.c.release_id == release.c.id
        )
        made = conn.execute(query.where(release_look.c.api_key == key_id).order_by(release.c.id)).all()
        waiting = conn.execute(
            select(job.c.id, job.c.state, job.c.inputs)
            .where(job.c.state.in_([JobState.HELD, JobState.OPEN])).order_by(job.c.id)
        ).all()  # fmt: skip
        voted = conn.execute(
            select(held.c.job_id).join(hold_vote, hold_vote.c.held_id == held.c.id)
            .where(hold_vote.c.key_id == key_id, hold_vote.c.vote == RELEASE).order_by(held.c.job_id)
        ).scalars().all()  # fmt: skip
    jobs = [(row.id, row.state) for row in waiting if row.inputs.get("key") == key_id]
    return Incident(
        key=key.id, account=key.account, revoked_at=key.revoked_at,
        released=tuple(row.id for row in made if row.state == ReleaseState.RELEASED),
        withdrawn=tuple(row.id for row in made if row.state == ReleaseState.WITHDRAWN),
        held=tuple(name for name, state in jobs if state == JobState.HELD),
        open=tuple(name for name, state in jobs if state == JobState.OPEN), let_go=tuple(voted),
    )  # fmt: skip


def take_back(bench: Workbench, key_id: str, by: str, why: str) -> Incident:
    """The rules above; what is left afterwards. Raises: NotFound, `registry.errors.RegistryError`."""
    signer, told = note_signer(bench.keyring), dict[str, str](why=why, by=by, key=key_id)
    reason: Json = {**told}
    apikeys.revoke(bench.engine, key_id, why=reason, now=bench.clock(), sign_checkpoint=signer)  # 1
    found = look(bench, key_id)
    hold = bench.settings.retroscan_review == "hold"
    for release_id in (*found.released, *found.withdrawn):  # 2: also what would come back by itself
        releases.withdraw(
            bench.engine, release_id, why=reason, now=bench.clock(), sign_checkpoint=signer, hold=hold
        )
    _refuse(bench, found, by, why)  # 3
    return look(bench, key_id)


def _refuse(bench: Workbench, found: Incident, by: str, why: str) -> None:
    with read(bench.engine) as conn:
        query = select(held.c.id, held.c.job_id).where(held.c.lifted_at.is_(None)).order_by(held.c.id)
        mine = set(found.held)
        holds = [row.id for row in conn.execute(query) if row.job_id in mine]
    reviews = Reviews(bench)
    for hold_id in holds:
        try:
            reviews.block(hold_id, by, why)
        except (CaseClosed, CaseTaken):  # somebody is at it: it stays held, and cannot leave
            continue
