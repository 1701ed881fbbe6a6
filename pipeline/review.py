"""People decide: about clips that are held, releases that may not stay out, and appeals. One list of cases.

*Release*: what was found does not count. A held clip is judged anew without it and goes on; a release is
served again (`pipeline.reinstate`); an appeal is granted (`pipeline.appealing`). *Block*: the job ends as
refused; the release stays withdrawn; the first decision is upheld. *Ask*: the holder of what was found in a
held clip is asked (`pipeline.consulting`).
What people can and cannot lift: `pipeline.clearing`; who may decide when: `registry.reviews`, `caseload`.
"""

import contextlib
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from pipeline import consulting, reinstate
from pipeline import policy as policies
from pipeline.appealing import Appeals
from pipeline.auth import Caller
from pipeline.clearing import clearance_of, people_needed
from pipeline.errors import UsageError
from pipeline.orders import material_of
from pipeline.previewing import CLIPS
from pipeline.release.staging import Staging
from pipeline.texts import texts_of
from pipeline.types import Decision, Json, Reason, Verdict
from pipeline.workbench import Workbench, note_signer, reason_json
from registry import appeals, caseload, cases, pending, recalls, reviews
from registry.appeals import Appeal
from registry.cases import Case
from registry.db import read
from registry.errors import ActRefused, NotFound
from registry.pending import Pending, Wanted
from registry.release_rows import demand
from registry.store import Area
from registry.types import Held, Job, ReasonLike

REFUSED_BY_PERSON: Final = "refused_by_person"
REVIEW: Final = "review"
CLOSED: Final = "closed"
_WORDS: Final = {
    reviews.RELEASE: "release", reviews.REFUSE: "block", appeals.GRANT: "release", appeals.UPHOLD: "block",
}  # fmt: skip
_OWN: Final = "Nobody releases what their own account asked for; give the case back."
_REFUSED: Final = "A person looked at it and refused it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision did: ``state`` of the case (open: another person is needed | closed), and of what it is
    about: of a job `registry.types.JobState`, of a release whether it is served.
    """

    id: str
    state: str
    about: str
    job: str | None
    release: str | None


class Reviews:
    """The cases of one home."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.appeals = Appeals(bench)

    def waiting(self, *, after: str = "", limit: int = 100, with_holders: bool = False) -> list[Json]:
        """Documents of open cases, oldest first; ``after``: the last id of the page before;
        ``with_holders``: those that wait for rights holders, instead of those that wait for people.
        """
        wanted = caseload.with_holders if with_holders else caseload.waiting
        with read(self._bench.engine) as conn:
            found = wanted(conn, after=after, limit=limit)
        return [self.show(one.id) for one in found]

    def take_next(self, by: str) -> Json | None:
        """Take the oldest case that this person may decide, for some minutes; None if there is none."""
        found = caseload.take_next(self._bench.engine, by, self._bench.clock())
        return None if found is None else self.show(found.id)

    def give_back(self, case_id: str, by: str) -> None:
        """Let somebody else have a case that this person has taken."""
        caseload.give_back(self._bench.engine, case_id, by)

    def show(self, case_id: str) -> Json:
        """A case's document. Raises: NotFound."""
        with read(self._bench.engine) as conn:
            appealed, hold = _appeal_of(conn, case_id), _hold_of(conn, case_id)
            told = _of_release(cases.get(conn, case_id)) if hold is None and appealed is None else None
            votes = reviews.votes(conn, case_id) if appealed is None else appeals.votes(conn, case_id)
            waits = pending.of(conn, case_id)
        if told is None:
            told = self.appeals.case(case_id) if hold is None else self._of_hold(*hold)
        lease = caseload.lease_of(self._bench.engine, case_id, self._bench.clock())
        said: list[Any] = [
            {"by": one.voter, "decision": _WORDS[one.vote], "why": one.why, "at": one.voted_at}
            for one in votes
        ]
        asked = consulting.told(self._bench, hold[0]) if hold else {"asked": [], "askable": []}
        return told | asked | {
            "votes": said, "lease": None if lease is None else asdict(lease),
            "pending": None if waits is None or told["state"] != cases.OPEN else _pending(waits),
        }  # fmt: skip

    def check(self, wanted: Wanted, caller: Caller | None = None) -> None:
        """Whether this could be decided now, as far as that can be told without doing it.

        Raises: as `decide`.
        """
        bench, case_id, by = self._bench, wanted.case_id, wanted.by
        hold, appealed = self._held(case_id), self._appealed(case_id)
        release, ask = wanted.decision == pending.RELEASE, wanted.decision == pending.ASK
        if release:
            self._demand_others(case_id, hold, appealed, caller)
        if ask:
            consulting.demand_askable(bench, _only_held(hold), wanted.subjects)
        with read(bench.engine) as conn:
            if appealed is not None:
                appeals.demand_open(conn, case_id, by, bench.clock())
            elif hold is not None:
                reviews.demand_open(conn, case_id, by, bench.clock())
                if release:
                    reviews.demand_nobody_is_asked(conn, case_id)
            else:
                recalls.demand_open(conn, case_id)
                caseload.demand_free(conn, case_id, by, bench.clock())

    def decide(self, wanted: Wanted, caller: Caller | None = None) -> Decided:
        """What somebody decides, by its word. Raises: as `release`, `block`, `ask`."""
        if wanted.decision == pending.ASK:
            return self.ask(wanted.case_id, wanted.by, wanted.subjects)
        act = self.release if wanted.decision == pending.RELEASE else self.block
        return act(wanted.case_id, wanted.by, wanted.why, caller)

    def was_asked(self, wanted: Wanted) -> bool:
        """Whether what is wanted, an `ask`, was done before. Raises: NotFound, CaseClosed."""
        return consulting.were_asked(self._bench, _only_held(self._held(wanted.case_id)), wanted.subjects)

    def ask(self, case_id: str, by: str, subjects: Collection[str] = ()) -> Decided:
        """Ask the holders of what was found, of these subjects or of all; the case waits for them.

        Raises: NotFound, CaseClosed, CaseTaken, PermissionAnswered, and UsageError where nobody can be asked.
        """
        hold = _only_held(self._held(case_id))
        consulting.consult(self._bench, hold, subjects, by)
        return self._decided(hold)

    def release(self, case_id: str, by: str, why: str, caller: Caller | None = None) -> Decided:
        """What was found does not count; ``caller``: with which key, None on the machine itself.

        Raises: NotFound, CaseClosed, CaseTaken, StillForbidden, and ActRefused for what the caller's own
        account asked for.
        """
        hold, appealed = self._held(case_id), self._appealed(case_id)
        self._demand_others(case_id, hold, appealed, caller)
        if appealed is not None:
            self.appeals.grant(case_id, by, why, caller)
            return self._after_appeal(case_id)
        if hold is None:
            return self._decide_release(case_id, by, why, serve=True)
        cleared = [one for reason in hold.reasons if (one := clearance_of(_ours(reason), 0)) is not None]
        needed = people_needed([_ours(reason) for reason in hold.reasons])
        reviews.vote_release(
            self._bench.engine, case_id, cleared, needed, by=by, why=why, key=_key(caller),
            now=self._bench.clock(), sign_checkpoint=note_signer(self._bench.keyring),
        )  # fmt: skip
        return self._decided(hold)

    def block(self, case_id: str, by: str, why: str, caller: Caller | None = None) -> Decided:
        """It may not leave, or not stay out. Raises: NotFound, CaseClosed, CaseTaken."""
        hold = self._held(case_id)
        if self._appealed(case_id) is not None:
            self.appeals.uphold(case_id, by, why, caller)
            return self._after_appeal(case_id)
        if hold is None:
            return self._decide_release(case_id, by, why, serve=False)
        job = self._bench.jobs.get(hold.job_id)
        refused = _refused(job, hold, self._bench.clock())
        result: Json = {
            "decision": policies.to_json(refused), "reasons": [reason_json(one) for one in refused.reasons],
        }  # fmt: skip
        reviews.vote_refuse(
            self._bench.engine, case_id, reviews.Refusal(decided=refused, result=result), by=by, why=why,
            key=_key(caller), now=self._bench.clock(), sign_checkpoint=note_signer(self._bench.keyring),
        )  # fmt: skip
        self._bench.store.clean(hold.job_id)
        return self._decided(hold)

    def clip(self, case_id: str) -> Path | None:
        """Where the clip of a case lies, for making stills of it; None where none was made, or it is gone."""
        hold, appealed = self._held(case_id), self._appealed(case_id)
        if appealed is not None and appealed.release_id is None:
            return None  # a clip that was refused is not kept
        if hold is None:
            with read(self._bench.engine) as conn:
                about = appealed or cases.get(conn, case_id)
                released = demand(conn, str(about.release_id))
            with contextlib.suppress(NotFound):
                return self._bench.store.find(Area.RELEASED, released.file_sha256)
            return None
        made = [self._bench.jobs.recorded(hold.job_id, step) for step in CLIPS]
        staging = Staging(self._bench.store, hold.job_id)
        files = [staging.path(str(one["file"])) for one in made if isinstance(one, dict)]
        return next((file for file in files if file.is_file()), None)

    def material(self, case_id: str) -> list[Path]:
        """Where the pictures and clips lie that the clip of a case is made from; those that are gone not."""
        hold = self._held(case_id)
        if hold is None:
            return []
        staging = Staging(self._bench.store, hold.job_id)
        given = material_of(self._bench.jobs.get(hold.job_id).inputs)
        files = [staging.path(f"{sha256}.material") for _, sha256 in given]
        return [file for file in files if file.is_file()]

    def _demand_others(
        self, case_id: str, hold: Held | None, appealed: Appeal | None, caller: Caller | None
    ) -> None:
        """Raises: ActRefused where it is about what the caller's own account asked for."""
        if caller is None:
            return
        if appealed is not None:
            if appealed.account == caller.account:
                raise ActRefused(_OWN)
            return
        with read(self._bench.engine) as conn:
            released = None if hold else demand(conn, cases.get(conn, case_id).release_id)
        job = self._bench.jobs.get(hold.job_id if hold is not None else released.job_id if released else "")
        if job.inputs.get("account") == caller.account:
            raise ActRefused(_OWN)

    def _held(self, case_id: str) -> Held | None:
        with read(self._bench.engine) as conn:
            found = _hold_of(conn, case_id)
        return None if found is None else found[0]

    def _appealed(self, case_id: str) -> Appeal | None:
        with read(self._bench.engine) as conn:
            return _appeal_of(conn, case_id)

    def _after_appeal(self, case_id: str) -> Decided:
        with read(self._bench.engine) as conn:
            found = appeals.get(conn, case_id)
            released = demand(conn, found.release_id) if found.release_id else None
        told = self.appeals.find(case_id, found.account)
        job_id = None if released is not None else told.job or found.job_id
        about = released.state if released is not None else self._bench.jobs.get(job_id or "").state
        state = cases.OPEN if found.state == appeals.OPEN else CLOSED
        return Decided(id=case_id, state=state, about=str(about), job=job_id, release=found.release_id)

    def _decided(self, hold: Held) -> Decided:
        with read(self._bench.engine) as conn:
            _, lifted_at = reviews.get_hold(conn, hold.id)
        job = self._bench.jobs.get(hold.job_id)
        state = cases.OPEN if lifted_at is None else CLOSED
        return Decided(id=hold.id, state=state, about=str(job.state), job=job.id, release=None)

    def _decide_release(self, case_id: str, by: str, why: str, *, serve: bool) -> Decided:
        bench = self._bench
        with read(bench.engine) as conn:
            cases.get(conn, case_id)  # there is one
        caseload.take(bench.engine, case_id, by, bench.clock())
        try:
            decide = reinstate.dismiss if serve else reinstate.uphold
            decide(bench, case_id, by, why)
        finally:
            caseload.give_back(bench.engine, case_id, by)
        with read(bench.engine) as conn:
            case = cases.get(conn, case_id)
            served = demand(conn, case.release_id)
        return Decided(id=case.id, state=CLOSED, about=str(served.state), job=None, release=case.release_id)

    def _of_hold(self, hold: Held, lifted_at: str | None) -> Json:
        job = self._bench.jobs.get(hold.job_id)
        texts = texts_of(job.inputs)
        return {
            "id": hold.id, "kind": reviews.KIND, "state": cases.OPEN if lifted_at is None else CLOSED,
            "job": job.id, "release": None, "about": "", "account": job.inputs.get("account"),
            "policy": job.inputs.get("policy"), "texts": list(texts.all),
            "reasons": [reason_json(reason) for reason in hold.reasons],
            "needed": people_needed([_ours(reason) for reason in hold.reasons]),
            "opened_at": hold.held_at, "closed_at": lifted_at, "decided_by": "", "decision": "",
            "appeal": None,
        }  # fmt: skip


def _only_held(hold: Held | None) -> Held:
    if hold is None:
        raise UsageError("only a clip that is held can wait for a holder; release it or block it")
    return hold


def _pending(waits: Pending) -> Json:
    """A decision that can still be undone; ``trouble``: why it was not carried out."""
    return {
        "decision": waits.decision, "by": waits.by, "seconds": round(max(0.0, waits.left), 1),
        "trouble": waits.trouble,
    }  # fmt: skip


def _key(caller: Caller | None) -> str:
    return "" if caller is None else caller.key


def _hold_of(conn: Connection, case_id: str) -> tuple[Held, str | None] | None:
    """The hold that a case is, with when it was lifted; None for a case about a release, or for none."""
    try:
        return reviews.get_hold(conn, case_id)
    except NotFound:
        return None


def _appeal_of(conn: Connection, case_id: str) -> Appeal | None:
    """The appeal that a case is, if it is one."""
    try:
        return appeals.get(conn, case_id)
    except NotFound:
        return None


def _of_release(case: Case) -> Json:
    return {
        "id": case.id, "kind": case.kind, "state": case.state, "job": None, "release": case.release_id,
        "about": case.about, "account": None, "policy": None, "texts": [], "reasons": list(case.reasons),
        "needed": 1, "opened_at": case.opened_at, "closed_at": case.closed_at,
        "decided_by": case.decided_by, "decision": case.decision, "appeal": None,
    }  # fmt: skip


def _refused(job: Job, hold: Held, now: str) -> Decision:
    """The decision of a person against a held clip, beside what the checks had found."""
    reasons = (refused_by_person(), *(_ours(one) for one in hold.reasons))
    known = (job.result or {}).get("decision")
    if isinstance(known, dict):
        return replace(policies.from_json(known), verdict=Verdict.BLOCK, reasons=reasons, decided_at=now)
    policy = policies.preset(str(job.inputs["policy"]))
    return Decision(
        verdict=Verdict.BLOCK, policy=policy.name, policy_version=policy.version, reasons=reasons, checks={},
        registry_seq=hold.registry_seq, decided_at=now,
    )  # fmt: skip


def refused_by_person() -> Reason:
    """The reason of a job that a person refused, before what the checks had found."""
    return Reason(code=REFUSED_BY_PERSON, check=REVIEW, detail=_REFUSED)


def _ours(reason: ReasonLike) -> Reason:
    return Reason(code=reason.code, check=reason.check, detail=reason.detail, evidence=reason.evidence)
