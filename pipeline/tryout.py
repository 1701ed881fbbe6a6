"""An opt-out tried before it is made: what it would stop, from the prompts of today to what is out already.

The draft is made as `Desk.register` makes it, and compared by the functions of the gate, the fence and the
retro-scan; it is registered nowhere. What would be refused at registration is told, and then nothing else is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Kind, Sight
from classifiers.errors import NameRefused
from pipeline import checks
from pipeline import policy as policies
from pipeline.errors import CountermarkError
from pipeline.eyes import Eyes
from pipeline.gate import Gate, Prompt
from pipeline.media.limits import media_limits
from pipeline.optouts.desk import Desk
from pipeline.optouts.drafting import Prepared
from pipeline.optouts.fitting import hypothetical
from pipeline.optouts.naming import named
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import LOCAL_ACCOUNT
from pipeline.past import Archive, Past, released
from pipeline.pictures.types import PictureFile
from pipeline.policy import Policy
from pipeline.reasons import doubtful
from pipeline.recheck import Question, compare
from pipeline.settings import Settings
from pipeline.texts import Texts
from pipeline.types import Decision, Json, Verdict
from pipeline.watch import Watch
from registry.drafts import normal
from registry.ids import new_id
from registry.subject_types import NameRow, OptOutDraft, SubjectRecord
from registry.subjectset import SubjectSet
from registry.view import Snapshot, View

NEIGHBOURS: Final = 8
MAX_CONFLICTS: Final = 50
UNCLEAR: Final = frozenset({"check_unfinished", "check_not_configured", "not_comparable"})
_STRICTER: Final = (Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK)
_CLIP_KINDS: Final = frozenset({Kind.PICTURE, Kind.PORTRAIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOut:
    """One home, to try opt-outs on."""

    desk: Desk
    eyes: Eyes
    view: View
    archive: Archive
    settings: Settings
    policy: Policy

    def run(
        self, order: OptOutOrder, pictures: Sequence[Path], negatives: Sequence[Path],
        prompts: Sequence[str], clips: Sequence[Path],
    ) -> Json:  # fmt: skip
        """Try an opt-out; see the module. Raises: what looking at the clips and prompts raises."""
        answer: Json = {"name": order.name, "names": [*told_each(order)]}
        try:
            prepared = self.desk.prepare(order, pictures, negatives)
        except (NameRefused, CountermarkError) as error:
            return answer | {"refused": str(error)}
        snapshot = self.view.current()
        trial = _Trial(self, snapshot, _record(prepared.draft, snapshot, self.desk.clock()))
        return answer | {
            "refused": None, "notes": list(prepared.notes), "quarantined": _quarantined(prepared),
            "prompts": [*trial.prompts(prompts)], "clips": [trial.clip(path) for path in clips],
            "past": trial.past(), "alike": [*trial.alike()],
        }  # fmt: skip

    def alone(
        self, order: OptOutOrder, pictures: Sequence[PictureFile | Path], prompts: Sequence[str],
        clips: Sequence[Path],
    ) -> Json:  # fmt: skip
        """The same of prompts and clips as if nothing but the draft were registered, and without scores.

        It tells nothing of what others registered or made, so that strangers may ask. Raises: what preparing
        the draft and looking at prompts and clips raises.
        """
        prepared = self.desk.prepare(order, pictures)
        snapshot = self.view.current()
        trial = _Trial(self, snapshot, _record(prepared.draft, None, self.desk.clock()))
        return {
            "notes": list(prepared.notes), "prompts": [trial.prompt_alone(text) for text in prompts],
            "clips": [trial.clip_alone(path) for path in clips],
        }  # fmt: skip


class _Trial:
    """The draft as if it were in force."""

    def __init__(self, of: TryOut, snapshot: Snapshot, record: SubjectRecord) -> None:
        self._of, self._snapshot, self._record = of, snapshot, record
        self._set = SubjectSet([record])

    def prompts(self, texts: Sequence[str]) -> Iterator[Json]:
        """What the gate says of prompts now, and with the draft."""
        if not texts:
            return
        gate = Gate(self._of.eyes, self._of.view, self._of.settings, whole=bool(self._record.vectors))
        judged = gate.judge_all([Prompt(text=text) for text in texts], policy=self._of.policy)
        wanted = policies.PROMPT_CHECKS if self._record.vectors else (policies.NAMES,)
        for text, result in zip(texts, judged, strict=True):
            found = self._compared(result.decision, result.sight, self._of.policy.only(wanted), LOCAL_ACCOUNT)
            yield {"prompt": text, **_told(result.decision, found)}

    def clip(self, path: Path) -> Json:
        """The same of a clip."""
        watch = Watch(self._of.settings, self._of.eyes, self._snapshot)
        looked = checks.look(path, self._of.eyes, media_limits(self._of.settings))
        _, decision = watch.judge(looked)
        policy = self._of.policy.only(policies.CLIP_CHECKS)
        return {
            "clip": path.name,
            **_told(decision, self._compared(decision, looked.sight, policy, LOCAL_ACCOUNT)),
        }

    def prompt_alone(self, text: str) -> Json:
        """What the draft alone would make of a prompt."""
        gate = Gate(self._of.eyes, self._of.view, self._of.settings, whole=bool(self._record.vectors))
        texts = gate.checked(Texts(prompt=text))
        wanted = policies.PROMPT_CHECKS if self._record.vectors else (policies.NAMES,)
        sight = gate.look(texts, unsafe=False) if self._record.vectors else Sight(texts=texts.all)
        return self._alone(sight, self._of.policy.only(wanted))

    def clip_alone(self, path: Path) -> Json:
        """What the draft alone would make of a clip."""
        looked = checks.look(path, self._of.eyes, media_limits(self._of.settings))
        found = self._alone(looked.sight, self._of.policy.only(policies.CLIP_CHECKS))
        return found | {"whole": not looked.unfinished}

    def _alone(self, sight: Sight, policy: Policy) -> Json:
        neutral = self._neutral(policy, self._of.desk.clock())
        found = self._compared(neutral, sight, policy, LOCAL_ACCOUNT)
        codes: list[Any] = sorted({reason.code for reason in found.reasons})
        return {"verdict": str(found.verdict), "codes": codes}

    def _neutral(self, policy: Policy, at: str) -> Decision:
        """A decision that says nothing yet."""
        return Decision(
            verdict=Verdict.ALLOW, policy=policy.name, policy_version=policy.version, reasons=(), checks={},
            registry_seq=self._snapshot.seq, decided_at=at,
        )  # fmt: skip

    def past(self) -> Json:
        """How many releases a retro-scan would withdraw or hold back for the draft."""
        counts = {"compared": 0, "withdrawn": 0, "held_back": 0, "unclear": 0}
        for case in released(self._of.archive):
            found = self._looked_back(case)
            if found is None:
                continue
            counts["compared"] += 1
            left_out = [reason.code in UNCLEAR or doubtful(reason) for reason in found.reasons]
            counts["unclear"] += any(left_out)
            if not all(left_out):
                counts["withdrawn" if found.verdict is Verdict.BLOCK else "held_back"] += 1
        return {**counts}

    def alike(self) -> Iterator[Json]:
        """What other owners have registered that the draft's names and pictures cannot be told from."""
        yield from self._same_names()
        yield from self._near_pictures()

    def _looked_back(self, case: Past) -> Decision | None:
        policy = policies.PRESETS.get(case.policy)
        if policy is None or not policy.required:
            return None
        return self._compared(self._neutral(policy, case.at), case.sight, policy, case.account)

    def _compared(self, decision: Decision, sight: Any, policy: Policy, account: str) -> Decision:
        question = Question(policy=policy, decision=decision, sight=sight, account=account, key="")
        return compare(
            question, [self._record], self._set, self._of.eyes.calibrations, now=self._of.desk.clock()
        )

    def _others(self, subject: str) -> SubjectRecord | None:
        record = self._snapshot.subjects[subject]
        return None if record.owner == self._record.owner else record

    def _same_names(self) -> Iterator[Json]:
        mine = {normal(name.text) for name in self._record.names}
        for name in self._snapshot.names:
            other = self._others(name.subject) if normal(name.text) in mine else None
            if other is not None:
                yield {"what": "name", "mine": name.text, "subject": other.id, "name": other.name}

    def _near_pictures(self) -> Iterator[Json]:
        told: set[tuple[str, str]] = set()
        for row in self._record.vectors:
            if row.kind not in _CLIP_KINDS or row.polarity < 0 or len(told) >= MAX_CONFLICTS:
                continue
            vector = np.frombuffer(row.vector, "<f2").astype(np.float32)[None]
            least = self._least(row.space, row.kind, vector)
            for match in self._snapshot.search(row.space, [row.kind], vector, NEIGHBOURS)[0]:
                other = self._others(match.subject)
                pair = (row.reference, match.subject)
                if match.polarity > 0 and match.score >= least and other is not None and pair not in told:
                    told.add(pair)
                    yield {
                        "what": row.kind, "mine": row.reference, "subject": other.id, "name": other.name,
                        "score": round(match.score, 4),
                    }  # fmt: skip

    def _least(self, space: str, kind: str, vector: Any) -> float:
        """From which score on a picture shown in a clip would be found."""
        from classifiers.similarity import Scoring, nearness
        from classifiers.thresholds import FACE_PORTRAIT, FRAME_PICTURE

        calibration = self._of.eyes.calibrations.get(space)
        if calibration is None:
            return float("inf")
        if kind == Kind.PORTRAIT:
            return calibration.layer(FACE_PORTRAIT).threshold
        offset = nearness(vector, calibration.cohort, Scoring.of(calibration))[0]
        return calibration.layer(FRAME_PICTURE).threshold + float(offset)


def told_each(order: OptOutOrder) -> Iterator[Json]:
    """What is told of each name on its own, so that a refused one hides no other."""
    for text in order.all_names:
        try:
            [told] = named(order.model_copy(update={"name": text, "aliases": (), "names": {}})).told
            yield told.to_json()
        except NameRefused as error:
            yield {"text": text, "tier": "refused", "why": str(error)}


def _record(draft: OptOutDraft, snapshot: Snapshot | None, now: str) -> SubjectRecord:
    """The subject with the draft in force: a new one, or the owner's own that it extends."""
    there = snapshot.subjects.values() if snapshot is not None else ()
    known = next(filter(lambda one: _same(one, draft), there), None)
    made = hypothetical(draft, known.id if known else new_id(now))
    doubted = {one.item for one in draft.quarantine if one.kind != "name"}
    names = tuple(
        NameRow(
            subject=made.id, text=name.text, tier=name.tier, context=name.context, kind=name.kind,
            language=name.language,
        )
        for name in draft.names
    )  # fmt: skip
    return replace(
        made, names=names, quarantined=frozenset(doubted), rules=known.rules if known else (),
        inherited=known.inherited if known else (),
    )  # fmt: skip


def _same(record: SubjectRecord, draft: OptOutDraft) -> bool:
    told = (record.kind, normal(record.owner), normal(record.name))
    return told == (draft.kind, normal(draft.owner), normal(draft.name))


def _told(before: Decision, after: Decision) -> Json:
    verdict = max(before.verdict, after.verdict, key=_STRICTER.index)
    added = after.reasons if after is not before else ()
    reasons: list[Any] = [{"code": reason.code, "detail": reason.detail} for reason in added]
    return {"now": str(before.verdict), "with_it": str(verdict), "reasons": reasons}


def _quarantined(prepared: Prepared) -> list[Any]:
    return [{"kind": one.kind, "item": one.item, "why": one.why} for one in prepared.draft.quarantine]
