"""Gate, look and decide: the steps of a job that judge. Their models are not loaded where nothing asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from classifiers.base import CheckReport, CheckState, Sight
from pipeline import policy as policies
from pipeline.examine import examine, unasked
from pipeline.gate import Gate
from pipeline.media.types import MediaLimits
from pipeline.orders import ask_of
from pipeline.reasons import Wish
from pipeline.recheck import (
    KEY_REVOKED,
    PARENT_WITHDRAWN,
    Question,
    Uses,
    in_full,
    recheck,
    shown,
    wishes_of,
)
from pipeline.release.staging import Staging
from pipeline.types import Decision, Json, Reason, Verdict
from pipeline.workbench import Workbench, note_signer
from registry import apikeys, parents, releases, spaces, uses
from registry.db import read
from registry.types import Change, Parent, ReleaseState
from registry.uses import Shown
from registry.view import Snapshot
from registry.vocabulary import DEPICT


class Judge:
    """Judges the prompt and the clip of one job, by the policy and for the account in its inputs."""

    def __init__(self, bench: Workbench, inputs: dict[str, Any], staging: Staging) -> None:
        self._bench, self._inputs, self._staging = bench, inputs, staging
        self._policy = policies.preset(inputs["policy"])
        self.ask = ask_of(inputs, staging.job_id)

    @property
    def _texts(self) -> tuple[str, ...]:
        prompt = self._inputs["prompt"]
        return () if prompt is None else (*self._inputs["history"], prompt)

    def reading(self) -> Json | None:
        """The letters of the prompt as a later scan for names asks them; None where none will."""
        if not self._texts or policies.NAMES not in self._policy.required:
            return None
        from classifiers.sieve import skeleton

        return {**skeleton(self._texts)}

    def gate(self) -> Json:
        """Judge the prompt: {"decision", "sight"}, both null where there is none or nothing is asked."""
        if self._key_revoked():
            nothing = self._decided(self._policy.only(()), (), self._bench.view.current(), has_sound=False)
            return {"decision": policies.to_json(_without_key(nothing)), "sight": None}
        if not self._texts or not self._policy.only(policies.PROMPT_CHECKS).required:
            return {"decision": None, "sight": None}
        refusal = self._refusal_by_name()
        if refusal is not None:
            return {"decision": policies.to_json(refusal), "sight": None}
        *history, prompt = self._texts
        bench = self._bench
        judged = Gate(bench.eyes, bench.view, bench.settings, whole=True, uses=self.uses).judge(
            prompt, history, policy=self._policy, account=self.ask, now=bench.clock()
        )
        return {"decision": policies.to_json(judged.decision), "sight": self._keep(judged.sight)}

    def _refusal_by_name(self) -> Decision | None:
        """A prompt with a registered name needs no model to be refused, so none is loaded for it."""
        if policies.NAMES not in self._policy.required:
            return None
        snapshot = self._bench.view.current()
        reports = self._examine([policies.NAMES], Sight(texts=self._texts), snapshot)
        decision = self._decided(self._policy.only([policies.NAMES]), reports, snapshot, has_sound=False)
        return decision if decision.verdict is Verdict.BLOCK else None

    def look(self, source: Path, limits: MediaLimits, progress: Callable[[float], None]) -> Json:
        """Look at the clip: {"sight"}, null where the policy asks for no check of it."""
        if not self._policy.only(policies.CLIP_CHECKS).required:
            return {"sight": None}
        from pipeline.checks import look_at_clip

        return {"sight": self._keep(look_at_clip(source, self._bench.eyes, limits, progress))}

    def decide(
        self, gate: dict[str, Any], look: dict[str, Any], made_from: Sequence[Parent] = (), *, has_sound: bool
    ) -> Json:
        """Compare everything that was seen with the registry as it is now, and decide.

        What was made from a release that is withdrawn is held.
        """
        snapshot = self._bench.view.current()
        reports = self._reports(self.sight(gate, look), snapshot)
        decision = self._decided(self._policy, reports, snapshot, has_sound=has_sound)
        # Asked after the snapshot: what is withdrawn or revoked later than that, the publish fence sees.
        decision = self._with_parents(decision, made_from)
        return policies.to_json(_without_key(decision) if self._key_revoked() else decision)

    def ancestors(self, made_from: Sequence[Parent]) -> tuple[str, ...]:
        """These releases, and everything that they were made from."""
        if not made_from:
            return ()
        with read(self._bench.engine) as conn:
            return tuple(sorted(parents.ancestors(conn, [parent.release for parent in made_from])))

    def _with_parents(self, decision: Decision, made_from: Sequence[Parent]) -> Decision:
        found = [releases.get(self._bench.engine, one) for one in self.ancestors(made_from)]
        if not any(one is not None and one.state is ReleaseState.WITHDRAWN for one in found):
            return decision
        reason = Reason(code="parent_withdrawn", check="release_parent", detail=PARENT_WITHDRAWN)
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

    def sight(self, gate: dict[str, Any], look: dict[str, Any]) -> Sight:
        """What was seen of prompt and clip together."""
        parts = [self._read(part["sight"]) for part in (gate, look) if part["sight"]]
        seen = Sight()
        for part in parts:
            seen = seen.joined(part)
        return seen

    def _reports(self, sight: Sight, snapshot: Snapshot) -> tuple[CheckReport, ...]:
        required = self._policy.required
        if self._texts:
            return self._examine(required, sight, snapshot)
        clip = [check for check in required if check in policies.CLIP_CHECKS]
        prompt = [check for check in required if check in policies.PROMPT_CHECKS]
        return (*self._examine(clip, sight, snapshot), *unasked(prompt))

    def _examine(self, checks: Sequence[str], sight: Sight, snapshot: Snapshot) -> tuple[CheckReport, ...]:
        if not checks:
            return ()
        reports = examine(checks, sight, snapshot, self._bench.eyes.calibrations)
        return in_full(reports, sight, snapshot)

    def _decided(
        self, policy: policies.Policy, reports: Sequence[CheckReport], snapshot: Snapshot, *, has_sound: bool
    ) -> Decision:
        now = self._bench.clock()
        self._note_calibrations(now)
        reports = (*reports, *_not_reached(self._policy, reports))
        return policies.decide(
            policy, reports, sound=policies.Sound(self._inputs["sound"]), has_sound=has_sound,
            registry_seq=snapshot.seq, now=now,
            wishes=wishes_of(snapshot.subjects, self.ask, now, self.uses),
        )  # fmt: skip

    def _note_calibrations(self, now: str) -> None:
        """What thresholds are from is in the log before a decision by them is."""
        bench = self._bench
        used = [
            spaces.CalibrationUsed(space=one.space, sha256=one.digest, version=one.version)
            for one in bench.eyes.calibrations.used
        ]
        spaces.note_calibrations(bench.engine, used, now=now, sign_checkpoint=note_signer(bench.keyring))

    def _keep(self, sight: Sight) -> str:
        target = self._staging.path("sight")
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

    def __init__(self, question: Question, bench: Workbench) -> None:
        self._question, self._bench = question, bench

    def __call__(self, changes: Sequence[Change]) -> Fenced:
        """The verdict on these changes, and who the clip shows if it leaves."""
        required = self._question.policy.required
        calibrations = self._bench.eyes.calibrations if required else {}
        found = recheck(self._question, changes, calibrations, now=self._bench.clock())
        if found.verdict is Verdict.ALLOW:
            self._question = replace(self._question, decision=found)
        return Fenced(verdict=found.verdict, reasons=found.reasons, shown=shown(found))


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
