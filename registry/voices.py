"""In whose name opt-outs are said: by which right, and with which standing. Inside the caller's transaction.

1. The operator's word is in force at once, and turns what stood provisionally into what stands.
2. A party may say it for itself, or for another by a path of delegations.
3. What a verified party says, or says for a verified one, is in force at once.
4. What an unverified party says blocks at once, provisionally: it must be verified before its clock ends.
5. Beyond the cap of one unverified party it waits as a draft, not in force; a person's likeness never does.
6. An unverified party does not widen what was accepted from it once.
"""

import base64
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row

from registry import claim_log, parties, spaces, statements
from registry.canonical import Json
from registry.claim_log import ACTIVE, DRAFT, PROVISIONAL
from registry.delegations import Path, Rights
from registry.errors import ActRefused, ClaimInvalid
from registry.ids import parse_time
from registry.party_types import DRAFTS_MAX, Claim, Filing, Target, Terms
from registry.subject_types import NameDraft, OptOutDraft, QuarantineDraft, ReferenceDraft, VectorDraft

DRAFT_VECTOR_BYTES_MAX: Final = 8 << 20
LIKENESS: Final = "likeness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How an opt-out will stand; ``path``: the delegations under which it is said."""

    state: str
    path: Path


class Voice:
    """Who says the opt-outs of one transaction; ``filing`` is None for the operator.

    ``waiting``: the draft of a claim that comes into force now; ``accepted``: because the operator says so.
    """

    def __init__(
        self, conn: Connection, filing: Filing | None, terms: Terms, now: str, *,
        waiting: Claim | None = None, accepted: bool = False,
    ) -> None:  # fmt: skip
        self._conn, self._terms, self._now, self._accepted = conn, terms, now, accepted
        self.filing, self.waiting = filing, waiting
        self._rights = Rights(conn, now)
        self._verified: dict[str, bool] = {}

    def owner(self, name: str) -> str:
        """The party that is meant. Raises `NotFound` where a party names one that is not there."""
        if self.filing is None:
            return parties.of_owner(self._conn, name, self._now)
        return parties.named(self._conn, name).id

    def demand(self, party_id: str, act: str, target: Target) -> Path:
        """The path by which this voice may speak (2). Raises `ActRefused`."""
        if self.filing is None or self.waiting is not None:  # a draft's right was asked when it was filed
            return () if self.waiting is None else self.waiting.path
        return self._rights.demand(self.filing.by, party_id, act, target)

    def demand_to_register(self, party_id: str, kind: str, work_id: str | None, row: Any) -> Path:
        """The path by which this voice may register it as of this work; ``row``: the subject, if it is there.

        Whoever moves it to another work needs the right to it as it is, too. Raises `ActRefused`.
        """
        known = None if row is None else str(row.id)
        if row is not None and row.work_id != work_id:
            self.demand(party_id, "register", Target(kind=kind, work=row.work_id, subject=known))
        return self.demand(party_id, "register", Target(kind=kind, work=work_id, subject=known))

    def promotes(self, party_id: str, current: Claim | None) -> bool:
        """Whether repeating an opt-out makes what stands provisionally stand (1, 3)."""
        return current is not None and current.state == PROVISIONAL and self._vouched(party_id)

    def stand(
        self, draft: OptOutDraft, party_id: str, current: Claim | None, path: Path, new: bool, *,
        planned: int = 0,
    ) -> Stand:  # fmt: skip
        """How ``draft`` will stand; ``new``: it is not in force yet; ``planned``: how many others would stand
        provisionally before it. Raises `ActRefused`, `ClaimInvalid`.
        """
        if self.filing is None:
            return Stand(state=ACTIVE, path=())
        if self.waiting is None:
            self._check(draft)
        if self._vouched(party_id):
            state = ACTIVE
        elif new:
            state = PROVISIONAL if self._room(party_id, planned) else DRAFT  # 4, 5
        else:
            self._demand_wider(draft.name, current)
            state = PROVISIONAL
        return Stand(state=state, path=path)

    def demand_wider(self, row: Row[Any]) -> None:
        """That this voice may add to a subject in force (2, 6). Raises `ActRefused`."""
        self.demand(row.party_id, "register", Target(kind=row.kind, work=row.work_id, subject=row.id))
        if not self._vouched(row.party_id):
            self._demand_wider(row.name, claim_log.behind(self._conn, row))

    def _demand_wider(self, name: str, current: Claim | None) -> None:
        if current is None or current.state != PROVISIONAL:  # 6
            raise ActRefused(
                f"{name[:80]} is in force already, and an unverified party cannot add to it; "
                "have the party verified first."
            )

    def settle(
        self, subject_id: str, party_id: str, current: Claim | None, stand: Stand, new: bool
    ) -> Claim | None:
        """Write the claim behind what was just registered, or move the one that is there; return it."""
        why: Json = {"by": None if self.filing is None else self.filing.by}
        if not new and self.promotes(party_id, current) and current is not None:
            claim_log.move(self._conn, current, ACTIVE, "verify", why, self._now)
        if self.waiting is not None:
            claim_log.move(  # where another claim stands, maybe disputed, it goes on standing
                self._conn, self.waiting, stand.state, "activate", why, self._now, subject_id=subject_id,
                stands=new or claim_log.standing_of(current) == ACTIVE,
            )  # fmt: skip
        elif new and self.filing is not None:
            due = due_after(self._now, self._terms.days) if stand.state == PROVISIONAL else None
            return claim_log.file(
                self._conn, self.filing, party_id, stand.path, stand.state, subject_id=subject_id,
                due_at=due, now=self._now,
            )  # fmt: skip
        last = self.waiting or current
        return None if last is None else claim_log.get(self._conn, last.id)

    def keep(self, draft: OptOutDraft, party_id: str, stand: Stand) -> tuple[Claim, bool]:
        """File what does not come into force, and say whether it is new. Raises `ClaimInvalid`."""
        assert self.filing is not None  # noqa: S101 - the operator has no cap
        document = draft_json(draft)
        known = claim_log.draft_like(self._conn, party_id, document)
        if known is not None:
            return known, False
        if claim_log.drafts(self._conn, party_id) >= DRAFTS_MAX:
            raise ClaimInvalid(
                f"{DRAFTS_MAX} claims of this party wait already; have the party verified first."
            )
        if {one.space for one in draft.vectors} & spaces.retired(self._conn):  # it could never be in force
            raise ClaimInvalid("It was looked at with a model that is retired; send it to one that serves.")
        due = due_after(self._now, self._terms.days)
        made = claim_log.file(
            self._conn, self.filing, party_id, stand.path, DRAFT, due_at=due, draft=document, now=self._now
        )
        return made, True

    def _vouched(self, party_id: str) -> bool:
        if self.filing is None or self._accepted:
            return True
        return any(map(self._is_verified, (party_id, self.filing.by)))

    def _is_verified(self, party_id: str) -> bool:
        if party_id not in self._verified:
            self._verified[party_id] = parties.one(self._conn, party_id).verified
        return self._verified[party_id]

    def _room(self, party_id: str, planned: int) -> bool:
        assert self.filing is not None  # noqa: S101 - the operator has no cap
        if self.filing.kind == LIKENESS:
            return True
        return claim_log.provisional(self._conn, self.filing.by, party_id) + planned < self._terms.cap

    def _check(self, draft: OptOutDraft) -> None:
        assert self.filing is not None  # noqa: S101 - the operator states nothing
        if self.filing.kind not in claim_log.STANDING:
            kinds = " or ".join(claim_log.STANDING)
            raise ClaimInvalid(f"An opt-out is claimed as {kinds}, not as {self.filing.kind[:40]}.")
        if self.filing.kind == LIKENESS and draft.kind != "person":
            raise ClaimInvalid("A likeness is a person's; claim it with the kind person.")
        statements.check(self.filing.kind, self.filing.statements, self.filing.signature)


def due_after(now: str, days: float) -> str:
    """The time ``days`` after ``now``."""
    due = parse_time(now) + timedelta(days=days)
    return due.strftime("%Y-%m-%dT%H:%M:%SZ")


def draft_json(draft: OptOutDraft) -> Json:
    """An opt-out that is not in force, as its claim keeps it. Raises `ClaimInvalid` where it is too large."""
    if sum(len(one.vector) for one in draft.vectors) > DRAFT_VECTOR_BYTES_MAX:
        raise ClaimInvalid("This is too much to keep for later; have the party verified first.")
    told: dict[str, Any] = asdict(draft)
    for one in told["vectors"]:
        one["vector"] = base64.b64encode(one["vector"]).decode()
    made: Json = {name: [*value] if isinstance(value, tuple) else value for name, value in told.items()}
    made["names"] = [one | {"context": [*one["context"]]} for one in told["names"]]
    return made


def draft_of(told: Json) -> OptOutDraft:
    """Read `draft_json`'s document."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
    }
    values["names"] = tuple(NameDraft(**one | {"context": tuple(one["context"])}) for one in values["names"])
    values["references"] = tuple(ReferenceDraft(**one) for one in values["references"])
    values["quarantine"] = tuple(QuarantineDraft(**one) for one in values["quarantine"])
    values["vectors"] = tuple(
        VectorDraft(**one | {"vector": base64.b64decode(one["vector"])}) for one in values["vectors"]
    )
    return OptOutDraft(**values)
