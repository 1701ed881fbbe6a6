"""The steps of a job before anything is drawn: everything that goes into a clip is judged first.

1. material       pictures and clips that it is made from are copied into the home and looked at; the words in
                  them are texts beside the prompt
2. gate           prompt, turns and words are judged
3. rewrite        where the setting says so, a prompt that is held for what it describes and nothing else is
                  rewritten (`pipeline.rewriting`)
   gate/rewritten what it became is judged in its place; of a clip that is drawn the prompt stays what it was
4. enhance        where an enhancer is set, it rewrites the prompt
   gate/enhanced  both texts are judged: what is drawn is what the enhancer wrote
5. weigh          what was seen of the material is compared
The first that says anything but allow ends the job. Steps that judge run again after every hold that was
lifted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pipeline.judging import Judge
from pipeline.media.types import MediaLimits
from pipeline.orders import check_prompt, material_of
from pipeline.release.generation import enhanced
from pipeline.release.staging import Staging
from pipeline.types import Json, Verdict
from pipeline.workbench import Workbench


class Step(Protocol):
    """Runs a step of a job, or answers what it recorded."""

    def __call__(self, name: str, work: Callable[[], Json]) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """The decision that ends the job, if one does; else what the steps saw, as they recorded it.

    ``rewrite``: what rewriting did, empty where it did nothing.
    """

    stopped: dict[str, Any] | None = None
    gate: dict[str, Any]
    material: dict[str, Any] | None = None
    rewrite: dict[str, Any] = field(default_factory=dict)

    @property
    def negative(self) -> str:
        """What a generator is told not to draw."""
        return str(self.rewrite.get("negative", ""))

    def seen(self, look: dict[str, Any], heard: dict[str, Any]) -> list[dict[str, Any]]:
        """What all steps saw that looked; after listening, the texts were looked at again."""
        texts = heard if heard.get("sight") else self.gate
        return [texts, look] if self.material is None else [self.material, texts, look]


class Entrance:
    """The steps for one job. `step` runs once, `again` once more after each hold that was lifted."""

    def __init__(
        self, bench: Workbench, inputs: dict[str, Any], judge: Judge, staging: Staging, limits: MediaLimits,
        step: Step, again: Step,
    ) -> None:  # fmt: skip
        self._bench, self._inputs, self._judge, self._staging = bench, inputs, judge, staging
        self._limits, self._step, self._again = limits, step, again

    def run(self) -> Entered:
        """Go through the steps; the judge's texts say at the end what was learnt."""
        material = self._material()  # 1
        gate = self._again("gate", self._judge.gate)  # 2
        rewrite, gate = self._rewritten(gate)  # 3
        if not _stops(gate) and self._inputs.get("enhancer"):
            made = self._step("enhance", self._enhance)  # 4
            self._judge.texts = replace(self._judge.texts, enhanced=made["text"])
            gate = self._again("gate/enhanced", self._judge.gate)
        judged = [gate]
        if material is not None and not _stops(gate):
            judged.append(self._again("weigh", partial(self._judge.decide_material, material)))  # 5
        stopped = next((one["decision"] for one in judged if _stops(one)), None)
        return Entered(stopped=stopped, gate=gate, material=material, rewrite=rewrite)

    def _rewritten(self, gate: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What rewriting did, and the gate's answer about what will be drawn, or was."""
        if not self._inputs.get("rewrite"):
            return {}, gate
        if not self._recorded("rewrite") and (not _stops(gate) or self._recorded("generate")):
            return {}, gate
        made = self._step("rewrite", partial(self._judge.rewrite, gate["decision"]))
        if made["prompt"] is None:
            return {}, gate
        texts = self._judge.texts
        self._judge.texts = replace(texts, asked=texts.prompt, prompt=made["prompt"])
        return made, self._again("gate/rewritten", self._judge.gate)

    def _recorded(self, step: str) -> bool:
        return self._bench.jobs.recorded(self._staging.job_id, step) is not None

    def _material(self) -> dict[str, Any] | None:
        files = material_of(self._inputs)
        if not files:
            return None
        looked = self._step("material", partial(self._look_at_material, files))
        self._judge.texts = replace(self._judge.texts, pictures=tuple(looked["words"]))
        return looked

    def _look_at_material(self, files: Sequence[tuple[Path, str]]) -> Json:
        names = [self._staging.take_in(path, sha256, ".material") for path, sha256 in files]
        return self._judge.look_at_material([self._staging.path(name) for name in names], self._limits)

    def _enhance(self) -> Json:
        """Raises: `generator.errors.GeneratorError`, and as `check_prompt`: what is drawn can be recorded."""
        settings, prompt = self._bench.settings, self._judge.texts.prompt
        assert prompt is not None  # noqa: S101 - a job that draws has one
        text = enhanced(prompt, self._inputs["enhancer"], settings.enhancer_sha256)
        return {"text": check_prompt(text, settings)}


def _stops(judged: dict[str, Any]) -> bool:
    """Whether a step says anything but allow; null: nothing was asked."""
    decision = judged["decision"]
    return bool(decision) and decision["verdict"] != Verdict.ALLOW
