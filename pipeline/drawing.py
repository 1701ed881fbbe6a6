"""The clip that a job's model draws: from its prompt alone, a first frame, or the end of another clip.

What comes with the prompt was taken into staging and judged by `pipeline.entrance`; here it must still be
what its name says. Where nobody is to see a frame on the way, or nothing would follow, none is asked for.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from generator.base import Preview
from pipeline import policy as policies
from pipeline.entrance import Step
from pipeline.judging import Judge
from pipeline.media.types import MediaLimits
from pipeline.previewing import STEP as PREVIEW
from pipeline.previewing import Previewing
from pipeline.release.generation import GenerationOrder, generate, memory_of
from pipeline.release.staging import Staging
from pipeline.types import Json
from pipeline.workbench import Workbench

SALT_BYTES: Final = 16


class Drawing:
    """Draws for one job. `progress` is told seconds of clip."""

    def __init__(
        self, bench: Workbench, inputs: dict[str, Any], judge: Judge, staging: Staging, limits: MediaLimits,
        progress: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._bench, self._inputs, self._judge, self._staging = bench, inputs, judge, staging
        self._limits, self._progress = limits, progress

    def run(self, step: Step, negative: str, lifted: int, *, looks: bool) -> dict[str, Any]:
        """The clip, as the step records it. ``negative``: what is not to be drawn; ``lifted``: how many holds
        of the job were lifted; ``looks``: whether a frame on the way is looked at.

        Raises: StoppedEarly where that frame shows what the policy stops.
        """
        recorded = self._bench.jobs.recorded(self._staging.job_id, PREVIEW)
        seen = Previewing(self._judge, self._staging, self._bench.settings, recorded, lifted)
        preview = seen.asked() if looks else None
        return step("generate", lambda: self._generate(negative, preview) | seen.noted)

    def _generate(self, negative: str, preview: Preview | None) -> Json:
        inputs, target = self._inputs, self._staging.draft("generating.mp4")
        order = GenerationOrder(
            prompt=self._judge.texts.drawn or "", generator=inputs["generator"], seconds=inputs["seconds"],
            seed=inputs["seed"], width=inputs["width"], height=inputs["height"],
            negative=negative, memory=memory_of(self._bench.settings),
            image=self._given("image"), extends=self._given("extends"),
            sound=inputs["sound"] != policies.Sound.STRIP, limits=self._limits,
        )  # fmt: skip
        made = generate(order, target, self._progress, preview)
        name = self._staging.keep(target, ".input")
        return {
            "file": name, "sha256": Path(name).stem,
            "generator": made.generator, "version": made.version, "salt": secrets.token_hex(SALT_BYTES),
        }  # fmt: skip

    def _given(self, name: str) -> Path | None:
        """A file that was given, as staging keeps it. Raises: StorageFailed for a damaged one."""
        sha256 = self._inputs.get(name)
        return self._staging.whole(f"{sha256}.material") if sha256 else None
