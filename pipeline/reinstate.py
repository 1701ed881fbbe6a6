"""Serving a withdrawn release again, and deciding cases: what came meanwhile is asked first.

The release is compared with everything in force as if it asked to leave today, under its own policy and for
its account, by `pipeline.recheck`; the registry does it once more for what changes until it is served
(`registry.recalls`).
1. What a check had no time to compare, or failed at, is kept back: what would come back by itself becomes a
   case, and who asks for it is told to ask again.
2. What cannot be compared any more, since a model was changed, is kept back as well where it would come back
   by itself: nothing is calibrated there, or somebody in force is registered elsewhere only. A person who
   asks for it decides, and knows.
3. What is not there any more, since its faces were forgotten, keeps nothing back.
"""

from collections.abc import Sequence
from dataclasses import replace

from classifiers.base import CheckState, Vectors
from pipeline.examine import Calibrations
from pipeline.lookback import question_of
from pipeline.recheck import COUNTERPARTS, Question, changed_subjects, compare, missed
from pipeline.retroscan import UNCLEAR
from pipeline.types import Decision, Json, Reason, Verdict
from pipeline.workbench import Workbench, note_signer
from registry import grounds, recalls, releases, sights
from registry.cases import Case
from registry.db import read
from registry.subjectset import SubjectSet
from registry.types import Change, Release
from registry.vectors import Rows, VectorMatch
from registry.view import Snapshot


class Returning:
    """Answers for releases that are to come back; see `registry.recalls.Judge`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._snapshot = bench.view.current()

    @property
    def seq(self) -> int:
        """The log position of what a release is compared with."""
        return self._snapshot.seq

    def __call__(
        self, released: Release, changes: Sequence[Change] | None, cleared: dict[str, int], *, by_itself: bool
    ) -> Decision:
        """Compare a release with these changes, or with everything in force."""
        with read(self._bench.engine) as conn:
            rows = sights.of(conn, [released.id]).get(released.id, ())
        question = question_of(self._bench, released, rows)
        if question is None:
            return _nothing_asked(released, self._bench.clock())
        now, calibrations = self._bench.clock(), self._bench.eyes.calibrations
        if changes is None:
            subjects = list(self._snapshot.subjects.values())
            left_out = {s.id for s in subjects if s.seq < cleared.get(s.id, 0)}
            left = _Without(self._snapshot, left_out)
            found = compare(question, subjects, left, calibrations, now=now)
            # Subjects of a snapshot come without vectors, so that `compare` does not see whom it misses.
            unseen = missed(question, self._snapshot, self._snapshot.subjects, left_out)
            verdict = Verdict.REVIEW if unseen and found.verdict is Verdict.ALLOW else found.verdict
            found = replace(found, reasons=(*found.reasons, *unseen), verdict=verdict)
        else:
            fresh = [s for s in changed_subjects(changes) if s.seq >= cleared.get(s.id, 0)]
            found = compare(question, fresh, SubjectSet(fresh), calibrations, now=now)
        clear = tuple(
            reason
            for reason in found.reasons
            if reason.code not in UNCLEAR or _unasked(reason, question, calibrations, by_itself=by_itself)
        )
        return replace(found, reasons=clear, verdict=found.verdict if clear else Verdict.ALLOW)


class _Without:
    """A snapshot in which some subjects are not found."""

    def __init__(self, snapshot: Snapshot, left_out: set[str]) -> None:
        self._snapshot, self._out = snapshot, left_out
        self.names = snapshot.names.changed(left_out, ()) if left_out else snapshot.names
        self.seq = snapshot.seq

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> list[list[VectorMatch]]:
        """The nearest vectors of the others."""
        wanted = neighbours
        while True:
            found = self._snapshot.search(space, kinds, vectors, wanted)
            kept = [[match for match in matches if match.subject not in self._out] for matches in found]
            full = all(
                len(left) >= neighbours or len(matches) < wanted
                for left, matches in zip(kept, found, strict=True)
            )
            if full:
                return [left[:neighbours] for left in kept]
            wanted *= 2

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> Rows:
        """All vectors of these subjects; those that are left out are never asked for, since not found."""
        return self._snapshot.rows_of(space, kind, subjects)


def withdraw(bench: Workbench, release_id: str, why: str) -> Release:
    """Stop serving a release by hand; what was made from it becomes cases. Raises: NotFound."""
    hold = bench.settings.retroscan_review == "hold"
    return releases.withdraw(
        bench.engine, release_id, why={"by": "hand", "why": why}, now=bench.clock(), hold=hold,
        sign_checkpoint=note_signer(bench.keyring),
    )  # fmt: skip


def reinstate(bench: Workbench, release_id: str, why: str) -> Release:
    """Serve a release again. Raises: NotFound, StillForbidden."""
    told: Json = {"by": "hand", "why": why}
    return recalls.reinstate(
        bench.engine, release_id, Returning(bench), why=told, now=bench.clock(),
        sign_checkpoint=note_signer(bench.keyring),
    )  # fmt: skip


def settle(bench: Workbench) -> list[str]:
    """Serve again what only claims and wishes kept away that have ended since; return these releases."""
    return grounds.settle(
        bench.engine, lambda: Returning(bench), now=bench.clock(), sign_checkpoint=note_signer(bench.keyring)
    )


def uphold(bench: Workbench, case_id: str, by: str, decision: str) -> Case:
    """Decide that the release of a case is not served. Raises: NotFound, CaseClosed."""
    return recalls.uphold(
        bench.engine, case_id, by=by, decision=decision, now=bench.clock(),
        sign_checkpoint=note_signer(bench.keyring), hold=bench.settings.retroscan_review == "hold",
    )  # fmt: skip


def dismiss(bench: Workbench, case_id: str, by: str, decision: str) -> tuple[Case, Release]:
    """Decide that a case is none. Raises: NotFound, CaseClosed, StillForbidden."""
    return recalls.dismiss(
        bench.engine, case_id, Returning(bench), by=by, decision=decision, now=bench.clock(),
        sign_checkpoint=note_signer(bench.keyring),
    )  # fmt: skip


def _unasked(reason: Reason, question: Question, calibrations: Calibrations, *, by_itself: bool) -> bool:
    """Rules 1 to 3: whether a check did not answer, so that it might find something."""
    _, looked_at = COUNTERPARTS.get(reason.check, (set(), set()))
    kept = question.sight.of(*looked_at)
    if reason.code == "not_comparable":
        return by_itself and bool(kept)
    state = reason.evidence.get("state")
    if state != CheckState.FAILED:
        return state == CheckState.TIMED_OUT
    return by_itself or all(seen.space in calibrations for seen in kept)


def _nothing_asked(released: Release, now: str) -> Decision:
    return Decision(
        verdict=Verdict.ALLOW, policy=str(released.facts.get("policy", "")), policy_version=1, reasons=(),
        checks={}, registry_seq=released.registry_seq, decided_at=now,
    )  # fmt: skip
