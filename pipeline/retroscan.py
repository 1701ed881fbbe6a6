"""A new wish looks back: what is already out is compared with it, by the same checks, without decoding.

1. What changed since the last scan: subjects by the log (with a portfolio, all of its owner's), subjects by
   the clock (a licence or rule that began or ended by its date), revoked API keys. So many changes at a time
   are one scan, which is a row of the database (`registry.scans`).
2. Every release that is still out and was published before it could know of the change is looked at, the
   newest first: what may show a changed subject (`pipeline.lookback`) is compared by its stored sight, under
   its own policy and the owners' wishes for its account.
3. What its policy would now refuse is withdrawn. What it would hold becomes a case for a person; the setting
   `retroscan_review` says whether it is served meanwhile. What a revoked key made becomes a case, and stays.
4. What cannot be compared (nothing was seen of it, its faces were forgotten or cannot be unsealed, another
   model saw it), or resembles only what is in quarantine, is counted and left out: no wish takes down
   everything that is out.
5. What was found, what became of it and how far the scan is are one transaction: a scan that was killed goes
   on there. Releases of which a comparison ran out of time are compared again by the next scan.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection

from classifiers.base import CheckState
from pipeline.home import Home
from pipeline.lookback import Looked, Wanted, compared, question_of
from pipeline.reasons import doubtful
from pipeline.types import Decision, Json, Verdict
from pipeline.types import Reason as OurReason
from pipeline.workbench import Workbench, note_signer, reason_json
from registry import cases, changes, log, looks, recalls, scans, sights
from registry.db import read, write
from registry.locks import make_folder
from registry.looks import Stretch
from registry.release_rows import demand
from registry.scans import Found, Scan
from registry.subjects import records
from registry.turns import turn
from registry.types import Release, ReleaseState, SightRow

BY: Final = "retroscan"
LOCK: Final = "retroscan.lock"
UNCLEAR: Final = frozenset({"check_unfinished", "check_not_configured", "not_comparable"})
UNFINISHED: Final = frozenset({CheckState.TIMED_OUT, CheckState.FAILED})
PAGE: Final = 20_000  # releases looked at together, and in one transaction where nothing is found
HITS: Final = 40  # releases that stop being served in one transaction: publishing waits for it
LATEST: Final = 1 << 62  # a log position after all
SHOWN: Final = 1000  # recalled releases that a report lists
OWN: Final = frozenset({"withdrawal", "reinstatement"})
"""Kinds of changes that are about a release, and that a scan makes itself."""

Progress = Callable[[int], None]
"""Told how many releases were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A release that a scan found. ``verdict``: block or review; ``outcome``: withdrawn | held | case."""

    release: str
    verdict: Verdict
    outcome: str
    reasons: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan did.

    `after`, `upto`: log positions that it covered, the same where it has to be done again; `subjects`: that
    were looked for; `compared`: releases that were looked at; `unclear`: those of them that could not be
    compared in full; `recalled`: those that it found, the first `SHOWN`; `found`: how many by outcome.
    """

    after: int
    upto: int
    subjects: int
    compared: int
    unclear: int
    recalled: tuple[Recalled, ...]
    found: dict[str, int]


@dataclass(slots=True)
class _Told:
    """A report that is being made."""

    progress: Progress
    subjects: int = 0
    compared: int = 0
    unclear: int = 0
    recalled: list[Recalled] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=lambda: {scans.WITHDRAWN: 0, scans.HELD: 0, scans.CASE: 0})

    def add(self, recalled: Iterable[Recalled]) -> None:
        for one in recalled:
            self.found[one.outcome] += 1
            if len(self.recalled) < SHOWN:
                self.recalled.append(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What is to be written of one release."""

    released: Release
    decision: Decision | None = None
    keys: tuple[str, ...] = ()
    late: bool = False
    failed: bool = False


def scan(bench: Workbench, progress: Progress = lambda _count: None) -> ScanReport:
    """Compare everything that is out with all changes since the last scan; see the steps above.

    A second process that scans waits for the first, and then does what is left.
    """
    told = _Told(progress)
    folder = Home(bench.settings.home).past
    make_folder(folder)
    with turn(bench.engine, folder / LOCK):
        with read(bench.engine) as conn:
            after, late = scans.covered(conn)[0], scans.late(conn)
        waiting = [_Scanning(bench, one, told).repeat() for one in late]
        while (begun := _next(bench)) is not None:
            with suppress(scans.Moved):  # a process on another host scans, too: on from where it is
                waiting.append(_Scanning(bench, begun, told).run())
    with read(bench.engine) as conn:
        upto = scans.covered(conn)[0]
    return ScanReport(
        after=after, upto=after if any(waiting) else upto, subjects=told.subjects, compared=told.compared,
        unclear=told.unclear, recalled=tuple(told.recalled), found=told.found,
    )  # fmt: skip


def _next(bench: Workbench) -> Scan | None:
    """The scan that is open, or a new one; None when nothing changed."""
    now = bench.clock()
    with read(bench.engine) as conn:
        begun = scans.unfinished(conn)
        if begun is not None:
            return begun
        after, since = scans.covered(conn)
        upto = scans.round_end(conn, after)
        changed = changes.load(conn, after, upto)
        until = max(now, since) if upto >= log.head(conn) else since or scans.NEVER
        subjects = changes.concerned(conn, changed) | scans.clocked(conn, since, until)
    if not subjects and all(change.kind in OWN for change in changed) and len(changed) < scans.ROUND:
        return None
    with write(bench.engine) as conn:
        if scans.covered(conn) == (after, since) and scans.unfinished(conn) is None:
            return scans.begin(conn, after, upto, since, until, subjects, now)
    return _next(bench)  # a process on another host was faster


class _Scanning:
    """One scan, from wherever it stands to its end."""

    def __init__(self, bench: Workbench, begun: Scan, told: _Told) -> None:
        self._bench, self._scan, self._told = bench, begun, told
        with read(bench.engine) as conn:
            ids = scans.subjects_of(conn, begun)
            found = [one for one in records(conn, ids) if one.state == "active"]
            entries = [e for e in log.changes(conn, begun.after_seq, begun.upto_seq) if e.kind not in OWN]
            clocked = scans.clocked(conn, begun.since, begun.until) & ids
        self._keys = frozenset(str(e.public.get("key")) for e in entries if e.kind == "key")
        # What ended by the clock concerns also what was published since the last change of the log.
        latest = max((entry.seq for entry in entries), default=0)
        self._before = begun.upto_seq + 1 if clocked else latest
        self._wanted = Wanted(found, bench.eyes.calibrations, bench.sealer)
        told.subjects += len(found)

    def run(self) -> bool:
        """Go through what is out; return whether some of it has to be compared again."""
        bench = self._bench
        if self._wanted.subjects or self._keys:
            folder = Home(bench.settings.home).past
            self._wanted.search(bench.engine, folder, lambda _share: self._told.progress(self._told.compared))
            while (stretch := self._following()) is not None:
                looked = self._wanted.look(bench.engine, stretch)
                for results, last in self._in_parts(stretch, looked):
                    self._write(results, replace(stretch, before=self._scan.position, last=last), looked)
                    self._told.progress(self._told.compared)
        with write(bench.engine) as conn:
            ended = scans.end(conn, self._scan, bench.clock())
        return ended.state == scans.LATE

    def repeat(self) -> bool:
        """Compare again what ran out of time; return whether that happened again."""
        bench, again = self._bench, False
        with read(bench.engine) as conn:
            waiting = scans.late_releases(conn, self._scan, 1 << 31)
        for first in range(0, len(waiting), HITS):
            ids = waiting[first : first + HITS]
            stretch = Stretch(seq=LATEST, upto=LATEST, ids=tuple(ids))
            results = list(self._compared(stretch, self._wanted.look(bench.engine, stretch).candidates, {}))
            late = {one.released.id for one in results if one.late}
            again |= bool(late)
            with suppress(scans.Moved), write(bench.engine) as conn:
                found, recalled = self._apply(conn, results)
                scans.add_found(conn, self._scan, found, bench.clock())
                failed = sum(one.failed and not one.late for one in results)
                scans.settle(conn, self._scan, set(ids) - late, failed)
                self._sign(conn)
            self._told.compared += len(ids)
            self._told.unclear += failed + len(late)
            self._told.add(recalled)
        return again

    def _following(self) -> Stretch | None:
        with read(self._bench.engine) as conn:
            return looks.following(conn, self._scan.position, self._before, self._scan.upto_seq, PAGE)

    def _in_parts(self, stretch: Stretch, looked: Looked) -> Iterator[tuple[list[_Result], str]]:
        """What is found in a stretch, in parts of few releases, each with the release that it goes to."""
        keyed: dict[str, str] = {}
        if self._keys:
            with read(self._bench.engine) as conn:
                keyed = looks.keyed(conn, stretch, self._keys)
        results: list[_Result] = []
        for result in self._compared(stretch, looked.candidates, keyed):
            results.append(result)
            if len(results) >= HITS:
                yield results, result.released.id
                results = []
        if self._scan.position != stretch.last:
            yield results, stretch.last

    def _compared(
        self, stretch: Stretch, candidates: Mapping[str, set[str]], keyed: Mapping[str, str]
    ) -> Iterator[_Result]:
        """What the checks say of the candidates, where that is more than nothing; and revoked keys."""
        for part in looks.named(stretch, {*candidates, *keyed}):
            with read(self._bench.engine) as conn:
                released = looks.whole(conn, part)
                ids = [one.id for one in released if one.id in candidates]
                rows = sights.of(conn, ids)
                known = {one: cases.decided(conn, one) for one in ids}
            for one in released:
                keys = (keyed[one.id],) if one.id in keyed else ()
                if one.id in candidates:
                    yield from self._result(
                        one, rows.get(one.id, ()), candidates[one.id], known[one.id], keys
                    )
                elif keys:
                    yield _Result(released=one, keys=keys)

    def _result(
        self, released: Release, rows: Sequence[SightRow], candidates: set[str], known: dict[str, int],
        keys: tuple[str, ...],
    ) -> Iterator[_Result]:  # fmt: skip
        question = question_of(self._bench, released, rows)
        found = None
        if question is not None:
            found = compared(self._bench, question, self._wanted, candidates, known)
        states = {r.evidence.get("state") for r in found.reasons} if found else set()
        plain = [reason for reason in found.reasons if not left_out(reason)] if found else []
        late, failed = CheckState.TIMED_OUT in states, bool(UNFINISHED & states)
        if plain or keys or late or failed:
            yield _Result(
                released=released, keys=keys, late=late, failed=failed,
                decision=replace(found, reasons=tuple(plain)) if found and plain else None,
            )  # fmt: skip

    def _write(self, results: Sequence[_Result], stretch: Stretch, looked: Looked) -> None:
        """Write what was found in a stretch, and that it was looked at."""
        bench = self._bench
        late = {one.released.id for one in results if one.late}
        failed = {one.released.id for one in results if one.failed} - late
        counts = self._wanted.unclear(bench.engine, stretch, looked)
        unclear = counts.any + len(failed - self._wanted.blind(bench.engine, stretch, failed, looked))
        twice = len(self._wanted.blind(bench.engine, stretch, late, looked))
        with write(bench.engine) as conn:
            found, recalled = self._apply(conn, results)
            self._scan = scans.advance(
                conn, self._scan, stretch.last, compared=counts.releases, unclear=counts.subjects,
                unclear_releases=unclear - twice, found=found, too_late=late, now=bench.clock(),
            )  # fmt: skip
            self._sign(conn)
        self._told.compared += counts.releases
        self._told.unclear += unclear - twice + len(late)
        self._told.add(recalled)

    def _sign(self, conn: Connection) -> None:
        if log.head(conn):
            log.add_checkpoint(conn, note_signer(self._bench.keyring), self._bench.clock())

    def _apply(self, conn: Connection, results: Sequence[_Result]) -> tuple[list[Found], list[Recalled]]:
        """Withdraw, hold or open cases. What was withdrawn meanwhile is compared when it comes back."""
        found: list[Found] = []
        recalled: list[Recalled] = []
        for result in results:
            release_id = result.released.id
            if demand(conn, release_id).state is not ReleaseState.RELEASED:
                continue
            for key in result.keys:
                self._open(conn, cases.KEY_REVOKED, release_id, key, [_key_reason()], hold=False)
                found.append(Found(release=release_id, about=key, code="key_revoked", score=1.0,
                                   outcome=scans.CASE))  # fmt: skip
            if result.decision is not None:
                found += self._apply_decision(conn, release_id, result.decision)
            if found and found[-1].release == release_id:
                recalled.append(_recalled(result, found[-1].outcome))
        return found, recalled

    def _apply_decision(self, conn: Connection, release_id: str, decision: Decision) -> list[Found]:
        now, hold = self._bench.clock(), self._bench.settings.retroscan_review == "hold"
        by_subject: dict[str, list[OurReason]] = {}
        for reason in decision.reasons:
            by_subject.setdefault(str(reason.evidence.get("subject") or release_id), []).append(reason)
        if decision.verdict is Verdict.BLOCK:
            outcome, first = scans.WITHDRAWN, next(iter(by_subject))
            why: Json = {"by": BY, "action": "withdrawn", "reasons": [*map(_short, decision.reasons)]}
            recalls.stop(conn, release_id, recalls.WISH, first, why=why, now=now, hold=hold)
        else:
            outcome = scans.HELD if hold else scans.CASE
            for subject, reasons in by_subject.items():
                told = [reason_json(reason) for reason in reasons]
                self._open(conn, cases.RETRO_MATCH, release_id, subject, told, hold=hold)
        return [
            Found(
                release=release_id, about=subject, code=reasons[0].code, outcome=outcome,
                score=_score(reasons[0]),
            )
            for subject, reasons in by_subject.items()
        ]  # fmt: skip

    def _open(
        self, conn: Connection, kind: str, release_id: str, about: str, reasons: list[Json], *, hold: bool
    ) -> None:
        recalls.open_case(conn, kind, release_id, about, reasons, now=self._bench.clock(), hold=hold)


def left_out(reason: OurReason) -> bool:
    """Whether a reason takes back nothing that is out (4)."""
    return reason.code in UNCLEAR or doubtful(reason)


def _recalled(result: _Result, outcome: str) -> Recalled:
    decision = result.decision
    reasons = tuple(reason_json(reason) for reason in decision.reasons) if decision else (_key_reason(),)
    verdict = decision.verdict if decision else Verdict.REVIEW
    return Recalled(release=result.released.id, verdict=verdict, outcome=outcome, reasons=reasons)


def _key_reason() -> Json:
    detail = "The API key that this was asked with was revoked."
    return {"code": "key_revoked", "check": "api_key", "detail": detail}


def _short(reason: OurReason) -> Json:
    """As the log keeps it; with whom it is about, so that evidence bundles and erasures find the entry."""
    told: Json = {"code": reason.code, "check": reason.check, "detail": reason.detail}
    return told | {"subject": reason.evidence.get("subject")}


def _score(reason: OurReason) -> float:
    score: Any = reason.evidence.get("score")
    return float(score) if isinstance(score, int | float) else 1.0
