"""Appeals of accounts: made, shown as cases, and decided by people who did not take the first decision.

What a granted appeal does: a refused order is judged anew without what was cleared (`registry.appeals`). A
prompt that was refused is drawn by itself, as a job of its own; a clip is not kept when it is refused, so its
account sends it again. A withdrawn release is served again, if nothing else forbids it.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from pipeline.appeals import until
from pipeline.auth import Caller
from pipeline.clearing import clearance_of, people_needed
from pipeline.orders import material_of, order_sha256
from pipeline.reinstate import Returning
from pipeline.texts import PREVIEW, texts_of
from pipeline.types import Json, Reason
from pipeline.workbench import Workbench, note_signer
from pipeline.workflow import CREATE
from registry import appeals, cases, jobs, log, recalls, restrictions
from registry.appeals import Against, Appeal, Voter
from registry.db import read
from registry.errors import AppealRefused, NotFound
from registry.restrictions import Restriction
from registry.tables import job as job_table
from registry.tables_recalls import release_stop
from registry.types import Job

WORDS_MAX: Final = 4000
_KEY: Final = "appeal/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An appeal with the job that was made of it, if one was."""

    appeal: Appeal
    job: str | None


class Appeals:
    """The appeals of one home."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def make(self, account: str, words: str, *, job: str | None = None, release: str | None = None) -> Told:
        """Appeal against what stands against a job or a release of this account.

        Raises: NotFound, AppealRefused.
        """
        with read(self._bench.engine) as conn:
            stands = _of_job(conn, job) if job is not None else _of_release(conn, release or "")
            if stands.account != account or stands.job is None:
                raise NotFound("This account has no such job or release.")
            self._demand_in_time(stands)
        inputs = self._bench.jobs.get(stands.job).inputs
        against = Against(
            decision=stands.id, account=account, job_id=stands.job, release_id=stands.release,
            order_sha256=order_sha256(inputs), words=words,
        )  # fmt: skip
        signer = note_signer(self._bench.keyring)
        made = appeals.add(self._bench.engine, against, now=self._bench.clock(), sign_checkpoint=signer)
        return self._told(made)

    def find(self, appeal_id: str, account: str) -> Told:
        """An appeal of this account. Raises: NotFound."""
        with read(self._bench.engine) as conn:
            found = appeals.get(conn, appeal_id)
        if found.account != account:
            raise NotFound("This account has no such appeal.")
        return self._told(found)

    def page(self, account: str, *, after: str = "", limit: int = 100) -> list[Told]:
        """Appeals of this account, oldest first."""
        with read(self._bench.engine) as conn:
            found = appeals.page(conn, account, after=after, limit=limit)
        return [self._told(one) for one in found]

    def case(self, appeal_id: str) -> Json:
        """The appeal as people see it who decide cases; without what was said of it. Raises: NotFound."""
        with read(self._bench.engine) as conn:
            found = appeals.get(conn, appeal_id)
            reasons = _stops_told(conn, found.release_id) if found.release_id else []
        job = self._bench.jobs.get(found.job_id)
        if not found.release_id:
            reasons = [dict(one) for one in _reasons(job)]
        return {
            "id": found.id, "kind": appeals.KIND, "state": found.state, "job": job.id,
            "release": found.release_id, "about": found.decision, "account": found.account,
            "policy": job.inputs.get("policy"), "texts": list(texts_of(job.inputs).all),
            "reasons": [*reasons], "needed": 1 if found.release_id else people_needed(_ours(job)),
            "opened_at": found.opened_at, "closed_at": found.closed_at, "decided_by": "", "decision": "",
            "appeal": found.words,
        }  # fmt: skip

    def grant(self, appeal_id: str, by: str, why: str, caller: Caller | None) -> None:
        """Decide that the first decision was wrong.

        Raises: NotFound, CaseClosed, CaseTaken, ActRefused, StillForbidden.
        """
        with read(self._bench.engine) as conn:
            found = appeals.get(conn, appeal_id)
        voter = Voter(by=by, why=why, key="" if caller is None else caller.key)
        if found.release_id is None:
            self._grant_job(found, voter)
        else:
            self._grant_release(found, found.release_id, voter)

    def uphold(self, appeal_id: str, by: str, why: str, caller: Caller | None) -> None:
        """Decide that the first decision stays. Raises: NotFound, CaseClosed, CaseTaken, ActRefused."""
        voter = Voter(by=by, why=why, key="" if caller is None else caller.key)
        signer = note_signer(self._bench.keyring)
        appeals.uphold(self._bench.engine, appeal_id, voter, now=self._bench.clock(), sign_checkpoint=signer)

    def _grant_job(self, found: Appeal, voter: Voter) -> None:
        bench, job, now = self._bench, self._bench.jobs.get(found.job_id), self._bench.clock()

        def again(conn: Connection) -> None:
            # What came with files is sent again: those of a refused job are not kept.
            if job.kind == CREATE and not material_of(job.inputs):
                jobs.queue(conn, job.kind, f"{_KEY}{found.id}", job.inputs, now)

        seq = _seq_of(job, found.log_seq)
        cleared = [one for reason in _ours(job) if (one := clearance_of(reason, seq)) is not None]
        # Of what is refused people see no clip in any case: for the clip as well as for a frame on the way.
        cleared += [replace(one, origin="") for one in cleared if one.origin == PREVIEW]
        appeals.grant(
            bench.engine, found.id, voter, cleared, people_needed(_ours(job)), again, now=now,
            sign_checkpoint=note_signer(bench.keyring),
        )  # fmt: skip

    def _grant_release(self, found: Appeal, release_id: str, voter: Voter) -> None:
        """One transaction: the vote, the comparison with what is wished, and the release served again."""
        bench, now = self._bench, self._bench.clock()
        with read(bench.engine) as conn:
            wished = [one.about for one in recalls.standing(conn, release_id) if one.cause == recalls.WISH]

        def vote(conn: Connection) -> None:
            appeals.vote_grant(conn, found.id, voter, (), 1, now)

        def dismiss(conn: Connection) -> None:
            # As a person who dismisses a match: asked about again only if its owner registers more.
            for subject in wished:
                made = cases.add(conn, cases.RETRO_MATCH, release_id, subject, [], now)
                if made is not None:
                    cases.close(conn, made, cases.DISMISSED, voter.by, f"Upon the appeal {found.id}.", now)

        upon = recalls.Upon(clear=dict.fromkeys(wished, found.log_seq + 1), first=vote, last=dismiss)
        recalls.reinstate(
            bench.engine, release_id, Returning(bench), why={"by": voter.by, "appeal": found.id}, now=now,
            sign_checkpoint=note_signer(bench.keyring), upon=upon,
        )  # fmt: skip

    def _demand_in_time(self, stands: Restriction) -> None:
        days = self._bench.settings.appeal_days
        if self._bench.clock() > until(stands.at, days):
            raise AppealRefused(f"An appeal is made within {days} days; this decision is of {stands.at}.")

    def _told(self, found: Appeal) -> Told:
        with read(self._bench.engine) as conn:
            query = select(job_table.c.id).where(job_table.c.key == f"{_KEY}{found.id}")
            return Told(appeal=found, job=conn.execute(query).scalar())


def _of_job(conn: Connection, job_id: str) -> Restriction:
    """The refusal of a job. Raises: NotFound, AppealRefused."""
    found = restrictions.of_job(conn, job_id)
    if found is None:
        if conn.execute(select(job_table.c.id).where(job_table.c.id == job_id)).first() is None:
            raise NotFound("This account has no such job or release.")
        raise AppealRefused("Nothing was decided against this job; see its state.")
    if found.kind == restrictions.HOLD:
        raise AppealRefused("The clip is held, and a person looks at it anyhow; wait for that.")
    return found


def _of_release(conn: Connection, release_id: str) -> Restriction:
    """What stands against a release and was not appealed against yet, else the last that was.

    Raises: NotFound, AppealRefused.
    """
    found = restrictions.of_release(conn, release_id)
    if not found:
        known = select(release_stop.c.id).where(release_stop.c.release_id == release_id)
        if conn.execute(known).first() is None:
            raise NotFound("This account has no such release, or nothing was ever decided against it.")
        raise AppealRefused("Nothing stands against this release; it is served.")
    made = [(one, appeals.about(conn, one.id)) for one in found]
    waiting = [one for one, appeal in made if appeal is not None and appeal.state == appeals.OPEN]
    fresh = [one for one, appeal in made if appeal is None]
    return (waiting or fresh or found)[0]


def _reasons(job: Job) -> list[Any]:
    listed: Any = (job.result or {}).get("reasons") or []
    return list(listed)


def _ours(job: Job) -> list[Reason]:
    return [Reason(**one) for one in _reasons(job)]


def _seq_of(job: Job, seq: int) -> int:
    """The registry's position at the first decision: what is newer was not shown to anybody."""
    decision: Any = (job.result or {}).get("decision") or {}
    return min(int(decision.get("registry_seq", seq)), seq)


def _stops_told(conn: Connection, release_id: str) -> list[Json]:
    """What stands against a release, as reasons for a person."""
    told: list[Any] = []
    for one in recalls.standing(conn, release_id):
        if one.cause == recalls.CASE:
            told += cases.get(conn, one.about).reasons
            continue
        [entry] = log.entries(conn, one.since_seq - 1, one.since_seq)
        private: Any = entry.private or {}
        if one.cause == recalls.WISH:
            told += private.get("reasons") or [_reason("opted_out", "Its owner opted out since.")]
        elif one.cause == recalls.CLAIM:
            told.append(_reason("notice", f"The notice {one.about} counts; decide it before the appeal."))
        else:
            why = private.get("why") or "no words"
            told.append(_reason("withdrawn_by_operator", f"Withdrawn by hand: {why}"))
    return told


def _reason(code: str, detail: str) -> Json:
    return {"code": code, "check": "recall", "detail": detail, "evidence": {}}
