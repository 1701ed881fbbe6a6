"""Gate, look and decide: the steps of a job that judge. Their models are not loaded where nothing asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from classifiers.base import CheckReport, CheckState, Sight
from generator.base import Peek
from pipeline import policy as policies
from pipeline.clearing import without_cleared
from pipeline.examine import examine, unasked
from pipeline.gate import Gate, Wanted
from pipeline.media.types import MediaLimits
from pipeline.opinions import standing, weighed, with_opinions
from pipeline.orders import ask_of, order_sha256
from pipeline.reasons import Wish
from pipeline.recheck import (
    KEY_REVOKED,
    Question,
    Uses,
    in_full,
    parent_withdrawn,
    recheck,
    shown,
    unprompted,
    wishes_of,
)
from pipeline.release.staging import Staging
from pipeline.texts import Texts, texts_of, with_origins
from pipeline.types import Decision, Json, Reason, Verdict
from pipeline.workbench import Workbench, note_signer
from registry import apikeys, appeals, parents, releases, reviews, spaces, uses
from registry.db import read
from registry.reviews import Clearance
from registry.types import Change, Parent, ReleaseState
from registry.uses import Shown
from registry.view import Snapshot
from registry.vocabulary import DEPICT


class Judge:
    """Judges the prompt and the clip of one job, by the policy and for the account in its inputs."""

    def __init__(self, bench: Workbench, inputs: dict[str, Any], staging: Staging) -> None:
        self._bench, self._inputs, self._staging = bench, inputs, staging
        self._policy = policies.preset(inputs["policy"]).judging_frames(bench.eyes.frames.asked)
        self.ask = ask_of(inputs, staging.job_id)
        self.texts = texts_of(inputs)
        """What is said of the clip; a step that learns more of it says so here."""

    def reading(self) -> Json | None:
        """The letters of the texts as a later scan for names asks them; None where none will."""
        if not self.texts.all or policies.NAMES not in self._policy.required:
            return None
        from classifiers.sieve import skeleton

        return {**skeleton(self.texts.all)}

    def gate(self) -> Json:
        """Judge the prompt: {"decision", "sight"}, both null where there is none or nothing is asked."""
        if self._key_revoked():
            nothing = self._decided(self._policy.only(()), (), self._bench.view.current(), has_sound=False)
            return {"decision": policies.to_json(_without_key(nothing)), "sight": None}
        if self.texts.prompt is None or not self._policy.only(policies.PROMPT_CHECKS).required:
            return {"decision": None, "sight": None}
        refusal = self._refusal_by_name()
        if refusal is not None:
            return {"decision": policies.to_json(refusal), "sight": None}
        wanted = Wanted(texts=self.texts, policy=self._policy, ask=self.ask)
        [judged] = self._gate.judge_texts([wanted], self._bench.clock())
        decision = self._without_cleared(judged.decision)
        return {"decision": policies.to_json(decision), "sight": self._keep(judged.sight)}

    def rewrite(self, decision: dict[str, Any]) -> Json:
        """A prompt to draw instead of one that is held for what it describes; {"prompt": null} for none."""
        from pipeline import rewriting

        made = rewriting.rewrite(
            self.texts, policies.from_json(decision), self._bench.view.current(), self._bench.eyes,
            self._would_pass,
        )  # fmt: skip
        return {"prompt": None} if made is None else made

    def _would_pass(self, texts: Texts) -> bool:
        wanted = Wanted(texts=texts, policy=self._policy, ask=self.ask)
        [judged] = self._gate.judge_texts([wanted], self._bench.clock())
        return judged.decision.verdict is Verdict.ALLOW

    @property
    def _gate(self) -> Gate:
        bench = self._bench
        return Gate(bench.eyes, bench.view, bench.settings, whole=True, uses=self.uses)

    def _refusal_by_name(self) -> Decision | None:
        """A prompt with a registered name needs no model to be refused, so none is loaded for it."""
        if policies.NAMES not in self._policy.required:
            return None
        snapshot = self._bench.view.current()
        reports = self._examine([policies.NAMES], Sight(texts=self.texts.all), snapshot)
        decision = self._decided(self._policy.only([policies.NAMES]), reports, snapshot, has_sound=False)
        decision = self._without_cleared(decision)
        return decision if decision.verdict is Verdict.BLOCK else None

    def look(self, source: Path, limits: MediaLimits, progress: Callable[[float], None]) -> Json:
        """Look at the clip: {"sight", "unfinished", "why"}, null where the policy asks for no check of it.

        ``unfinished``: the checks whose eyes failed, with their states; ``why``: what is said of them.
        """
        if not self._policy.only(policies.CLIP_CHECKS).required:
            return {"sight": None, "unfinished": {}, "why": {}}
        from pipeline.checks import look

        seen = look(source, self._bench.eyes, limits, progress)
        return {"sight": self._keep(seen.sight), **_unfinished_json(seen.unfinished)}

    def look_at_material(self, paths: Sequence[Path], limits: MediaLimits) -> Json:
        """Look at what the clip was made from: as `look`, and {"words"}; null where nothing is asked."""
        if not self._policy.required:
            return {"sight": None, "words": [], "unfinished": {}, "why": {}}
        from pipeline.material import look_at_material

        seen = look_at_material(paths, self._bench.eyes, limits)
        sight = self._keep(seen.sight)
        return {"sight": sight, "words": list(seen.words), **_unfinished_json(seen.unfinished)}

    def decide_material(self, looked: dict[str, Any]) -> Json:
        """Compare what it was made from with the registry as it is now: {"decision"}, null as above."""
        if not looked["sight"]:
            return {"decision": None}
        from pipeline import material

        seen = material.Material(sight=self._read(looked["sight"]), unfinished=_unfinished(looked))
        snapshot = self._bench.view.current()
        asked = self._policy.only(policies.CLIP_CHECKS)
        reports = material.reports_of(seen, asked, snapshot, self._bench.eyes.calibrations)
        decision = material.with_origin(self._decided(asked, reports, snapshot, has_sound=False))
        return {"decision": policies.to_json(self._without_cleared(decision))}

    @property
    def previews(self) -> bool:
        """Whether a frame that is looked at while the clip is drawn can stop the job."""
        from pipeline.preview import worthwhile

        return worthwhile(self._policy, self._bench.settings.preview, resumable=True)

    def preview(self, peek: Peek) -> tuple[Decision, tuple[CheckReport, ...]]:
        """Judge a frame on the way (`pipeline.preview`), and what its checks said."""
        from pipeline import preview

        assert peek.picture is not None  # noqa: S101 - there is nothing to judge else
        snapshot, eyes = self._bench.view.current(), self._bench.eyes
        reports = preview.reports_of(peek.picture, self._policy, eyes, snapshot, self.texts.all)
        asked = self._policy.only(preview.completed(reports))
        decision = preview.with_origin(self._decided(asked, reports, snapshot, has_sound=False), peek)
        return self._without_cleared(decision), reports

    def listen(self, source: Path, limits: MediaLimits) -> Json:
        """Write down what is said in a clip: {"text", "state", "detail", "sight"}; null where nobody asks.

        ``sight``: all texts looked at again with what is said; null where nothing is.
        """
        settings = self._bench.settings
        if not settings.speech_model or policies.NAMES not in self._policy.required:
            return {"text": None, "state": None, "detail": None, "sight": None}
        from pipeline.listening import listen

        heard = listen(source, settings, limits)
        seen = self._seen_with(heard.text) if heard.text else None
        return {
            "text": heard.text, "state": str(heard.report.state), "detail": heard.report.detail,
            "sight": None if seen is None else self._keep(seen),
        }  # fmt: skip

    def _seen_with(self, speech: str) -> Sight:
        """What the models see of all texts, with what is said in the clip."""
        unsafe = policies.UNSAFE in self._policy.required
        return self._gate.look(replace(self.texts, speech=speech), unsafe=unsafe)

    def decide(
        self, looks: Sequence[dict[str, Any]], made_from: Sequence[Parent] = (), *, has_sound: bool,
        heard: dict[str, Any],
    ) -> Json:  # fmt: skip
        """Compare everything that was seen with the registry as it is now, and decide.

        What a judge said at the gate counts as long as the same would be asked; it is not asked again.

        What was made from a release that is withdrawn is held.
        """
        snapshot = self._bench.view.current()
        asked = [one for part in looks for one in policies.opinions_of(part.get("decision") or {})]
        said = standing(asked, self.texts.all, snapshot.subjects)
        reports = weighed(self._reports(self.sight(looks), snapshot), said)
        # What was seen of the material does not stand in for a clip at which an eye failed.
        reports += tuple(report for look in looks for report in _unfinished(look))
        report = None
        if heard.get("state"):
            told = str(heard["detail"])
            report = CheckReport(check=policies.AUDIO, state=CheckState(heard["state"]), detail=told)
        decision = self._decided(self._policy, reports, snapshot, has_sound=has_sound, heard=report)
        decision = self._without_cleared(with_opinions(decision, said))
        # Asked after the snapshot: what is withdrawn or revoked later than that, the publish fence sees.
        decision = self._with_parents(decision, made_from)
        return policies.to_json(_without_key(decision) if self._key_revoked() else decision)

    def _without_cleared(self, decision: Decision) -> Decision:
        """The decision without what people looked at, and did not count."""
        return without_cleared(decision, self._cleared, self._bench.view.current().subjects)

    @cached_property
    def _cleared(self) -> tuple[Clearance, ...]:
        engine, order = self._bench.engine, order_sha256(self._inputs)
        upon_appeal = appeals.clearances(engine, str(self._inputs["account"]), order)
        return (*reviews.clearances(engine, self._staging.job_id), *upon_appeal)

    def ancestors(self, made_from: Sequence[Parent]) -> tuple[str, ...]:
        """These releases, and everything that they were made from."""
        if not made_from:
            return ()
        with read(self._bench.engine) as conn:
            return tuple(sorted(parents.ancestors(conn, [parent.release for parent in made_from])))

    def _with_parents(self, decision: Decision, made_from: Sequence[Parent]) -> Decision:
        found = [releases.get(self._bench.engine, one) for one in self.ancestors(made_from)]
        gone = [one.id for one in found if one is not None and one.state is ReleaseState.WITHDRAWN]
        if not gone:
            return decision
        reason = parent_withdrawn(gone)
        verdict = Verdict.BLOCK if decision.verdict is Verdict.BLOCK else Verdict.REVIEW
        return replace(decision, verdict=verdict, reasons=(*decision.reasons, reason))

    def _key_revoked(self) -> bool:
        """Whether the job came with an API key that does not hold any more."""
        key_id = self._inputs["key"]
        if not key_id:
            return False
        key = apikeys.get(self._bench.engine, key_id)
        return key is None or key.revoked_seq is not None

    def wish(self, subject_id: str, intent: str = DEPICT, /) -> Wish | None:
        """What the owner of a subject wants for this job now."""
        subjects = self._bench.view.current().subjects
        return wishes_of(subjects, self.ask, self._bench.clock(), self.uses)(subject_id, intent)

    @property
    def uses(self) -> Uses:
        """How often rules were used. Inside the fence nobody else writes, so it is exact there."""
        return partial(uses.today, self._bench.engine)

    def sight(self, looks: Sequence[dict[str, Any]]) -> Sight:
        """What was seen of prompt, clip and material together; `looks`: what those steps recorded."""
        parts = [self._read(part["sight"]) for part in looks if part["sight"]]
        return Sight(texts=self.texts.all, seen=tuple(seen for part in parts for seen in part.seen))

    def _reports(self, sight: Sight, snapshot: Snapshot) -> tuple[CheckReport, ...]:
        required = self._policy.required
        unable = () if self.texts.prompt is not None else unprompted(required, sight)
        asked = [check for check in required if check not in unable]
        return (*self._examine(asked, sight, snapshot), *unasked(unable))

    def _examine(self, checks: Sequence[str], sight: Sight, snapshot: Snapshot) -> tuple[CheckReport, ...]:
        if not checks:
            return ()
        reports = examine(checks, sight, snapshot, self._bench.eyes.calibrations)
        return in_full(reports, sight, snapshot)

    def _decided(
        self, policy: policies.Policy, reports: Sequence[CheckReport], snapshot: Snapshot, *, has_sound: bool,
        heard: CheckReport | None = None,
    ) -> Decision:  # fmt: skip
        now = self._bench.clock()
        self._note_calibrations(now)
        reports = (*reports, *_not_reached(self._policy, reports))
        decision = policies.decide(
            policy, reports, sound=policies.Sound(self._inputs["sound"]), has_sound=has_sound,
            registry_seq=snapshot.seq, now=now, heard=heard,
            wishes=wishes_of(snapshot.subjects, self.ask, now, self.uses),
        )  # fmt: skip
        return with_origins(decision, self.texts)

    def _note_calibrations(self, now: str) -> None:
        """What thresholds are from is in the log before a decision by them is."""
        bench = self._bench
        used = [
            spaces.CalibrationUsed(space=one.space, sha256=one.digest, version=one.version)
            for one in bench.eyes.calibrations.used
        ]
        spaces.note_calibrations(bench.engine, used, now=now, sign_checkpoint=note_signer(bench.keyring))

    def _keep(self, sight: Sight) -> str:
        target = self._staging.draft("sight")
        target.write_bytes(self._bench.sealer.dump(sight))
        return self._staging.keep(target, ".sight")

    def _read(self, name: str) -> Sight:
        return self._bench.sealer.load(self._staging.whole(name).read_bytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """What the fence says to the registry."""

    verdict: str
    reasons: tuple[Reason, ...]
    shown: tuple[Shown, ...]


class Fence:
    """Asks at the fence, round by round; who was found and allowed in one is asked about in the next."""

    def __init__(self, question: Question, bench: Workbench, texts: Texts) -> None:
        self._question, self._bench, self._texts = question, bench, texts

    def __call__(self, changes: Sequence[Change]) -> Fenced:
        """The verdict on these changes, and who the clip shows if it leaves."""
        required = self._question.policy.required
        calibrations = self._bench.eyes.calibrations if required else {}
        found = recheck(self._question, changes, calibrations, now=self._bench.clock())
        if found.verdict is Verdict.ALLOW:
            self._question = replace(self._question, decision=found)
        found = with_origins(found, self._texts)
        return Fenced(verdict=found.verdict, reasons=found.reasons, shown=shown(found))


def _unfinished(look: dict[str, Any]) -> tuple[CheckReport, ...]:
    """A report for each check whose eye failed in a look, as its step recorded it."""
    told, why = look.get("unfinished") or {}, look.get("why") or {}
    return tuple(
        CheckReport(check=check, state=CheckState(state), detail=str(why.get(check, "")))
        for check, state in told.items()
    )


def _unfinished_json(reports: Sequence[CheckReport]) -> Json:
    return {
        "unfinished": {report.check: str(report.state) for report in reports},
        "why": {report.check: report.detail for report in reports},
    }


def _not_reached(policy: policies.Policy, reports: Sequence[CheckReport]) -> tuple[CheckReport, ...]:
    """Checks that the policy asks for and that were not run, since an earlier one had decided."""
    ran = {report.check for report in reports}
    return tuple(
        CheckReport(check=check, state=CheckState.SKIPPED) for check in policy.required if check not in ran
    )


def _without_key(decision: Decision) -> Decision:
    """The decision where the key that this was asked with was revoked meanwhile."""
    reason = Reason(code="key_revoked", check="api_key", detail=KEY_REVOKED)
    return replace(decision, verdict=Verdict.BLOCK, reasons=(reason, *decision.reasons))
