"""Gate, look and decide: the steps of a job that judge. Their models are not loaded where nothing asks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from registry.view import Snapshot

from classifiers.base import CheckReport, References, Sight
from pipeline import policy as policies
from pipeline.examine import examine, unasked
from pipeline.media.types import MediaLimits
from pipeline.recheck import wishes_of
from pipeline.release.staging import Staging
from pipeline.types import Decision, Json
from pipeline.workbench import Workbench


class Judge:
    """Judges the prompt and the clip of one job, by the policy and for the account in its inputs."""

    def __init__(self, bench: Workbench, inputs: dict[str, Any], staging: Staging | None = None) -> None:
        self._bench, self._inputs, self._staging = bench, inputs, staging
        self._policy = policies.preset(inputs["policy"])

    @property
    def _texts(self) -> tuple[str, ...]:
        prompt = self._inputs["prompt"]
        return () if prompt is None else (*self._inputs["history"], prompt)

    def gate(self) -> Json:
        """Judge the prompt: {"decision", "sight"}, both null where there is none or nothing is asked."""
        if not self._texts or not self._policy.only(policies.PROMPT_CHECKS).required:
            return {"decision": None, "sight": None}
        sight = self._look_at_prompt()
        return {"decision": policies.to_json(self._judged(sight)), "sight": self._keep(sight)}

    def prompt(self) -> Decision:
        """The decision about the prompt alone; nothing is kept."""
        asked = self._policy.only(policies.PROMPT_CHECKS).required
        return self._judged(self._look_at_prompt() if asked else Sight(texts=self._texts))

    def _look_at_prompt(self) -> Sight:
        from classifiers.descriptions import look_at_text

        eyes = self._bench.eyes
        return look_at_text(self._texts, eyes.clip, eyes.minilm)

    def _judged(self, sight: Sight) -> Decision:
        asked, snapshot = self._policy.only(policies.PROMPT_CHECKS), self._bench.view.current()
        reports = self._examine(asked.required, sight, snapshot)
        return self._decided(asked, reports, snapshot, has_sound=False)

    def look(self, source: Path, limits: MediaLimits, progress: Callable[[float], None]) -> Json:
        """Look at the clip: {"sight"}, null where the policy asks for no check of it."""
        if not self._policy.only(policies.CLIP_CHECKS).required:
            return {"sight": None}
        from pipeline.checks import look_at_clip

        return {"sight": self._keep(look_at_clip(source, self._bench.eyes, limits, progress))}

    def decide(self, gate: dict[str, Any], look: dict[str, Any], *, has_sound: bool) -> Json:
        """Compare everything that was seen with the registry as it is now, and decide."""
        snapshot = self._bench.view.current()
        reports = self._reports(self.sight(gate, look), snapshot)
        return policies.to_json(self._decided(self._policy, reports, snapshot, has_sound=has_sound))

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

    def _examine(
        self, checks: Sequence[str], sight: Sight, references: References
    ) -> tuple[CheckReport, ...]:
        if not checks:
            return ()
        return examine(checks, sight, references, self._bench.eyes.calibrations)

    def _decided(
        self, policy: policies.Policy, reports: Sequence[CheckReport], snapshot: Snapshot, *, has_sound: bool
    ) -> Decision:
        now = self._bench.clock()
        concerned = {finding.subject for report in reports for finding in report.findings}
        subjects = [snapshot.subjects[subject] for subject in concerned if subject in snapshot.subjects]
        return policies.decide(
            policy, reports, sound=policies.Sound(self._inputs["sound"]), has_sound=has_sound,
            registry_seq=snapshot.seq, now=now, wishes=wishes_of(subjects, self._inputs["account"], now),
        )  # fmt: skip

    def _keep(self, sight: Sight) -> str:
        assert self._staging is not None  # noqa: S101 - a job has a folder
        target = self._staging.path("sight")
        target.write_bytes(self._bench.sealer.dump(sight))
        return self._staging.keep(target, ".sight")

    def _read(self, name: str) -> Sight:
        assert self._staging is not None  # noqa: S101
        return self._bench.sealer.load(self._staging.whole(name).read_bytes())
