"""The preview of a job: looked at while the generator draws, and what becomes of a job that it stops.

- What the policy refuses outright ends the job as refused, as the check of the finished clip would.
- What it holds ends it as held (setting `hold`); people see the frame that was looked at. Once the hold is
  lifted the clip is drawn to its end, without another preview, and judged as any clip is: what people let
  pass was a frame on the way, and nothing of it is cleared for the clip (`pipeline.clearing`: the origin is
  another one).
- Anything else, and a look that fails, is noted with the generation and changes nothing.
"""

from typing import Any, Final

from generator.base import Peek, Picture, Preview
from pipeline import policy as policies
from pipeline import preview
from pipeline.judging import Judge
from pipeline.release.staging import Staging
from pipeline.settings import Settings
from pipeline.types import Decision, Json
from pipeline.workbench import Observer, Outcome, StepRun, Workbench, reason_json
from registry.types import Job, JobState

STEP: Final = "preview"
CLIPS: Final = ("accept", "generate", STEP)
"""The steps that leave something to look at; of a clip that was drawn in the end, that is the clip."""


class StoppedEarly(Exception):
    """A frame on the way shows what the policy stops; ``told``: what the job records of it."""

    def __init__(self, told: Json) -> None:
        super().__init__("a preview stopped the generation")
        self.told = told


class Previewing:
    """The preview of one job. ``recorded``: what one recorded that stopped it before, if one did;
    ``lifted``: how many holds of the job were lifted.
    """

    def __init__(
        self, judge: Judge, staging: Staging, settings: Settings, recorded: Any, lifted: int
    ) -> None:
        self._judge, self._staging, self._settings = judge, staging, settings
        self._recorded, self._lifted = recorded, lifted
        self.told: Json = {}
        """What was seen, as the generation records it; empty where nothing was to be looked at."""

    def asked(self) -> Preview | None:
        """What the generator is asked for; None for nothing.

        Raises: StoppedEarly where the job was stopped before, and nobody lifted that.
        """
        if isinstance(self._recorded, dict):
            if self._recorded["lifted"] == self._lifted:
                raise StoppedEarly(self._recorded)
            return None
        if not self._judge.previews:
            return None
        self.told = preview.noted(
            Peek(picture=None, step=0, steps=0), seconds=0.0, why="the generator shows nothing on the way"
        )
        return Preview(shown=self._shown, share=self._settings.preview_share)

    @property
    def noted(self) -> Json:
        """What the generation records of it."""
        return {STEP: self.told} if self.told else {}

    def _shown(self, peek: Peek) -> None:
        self.told, stopped = preview.looked(peek, self._judge.preview, self._ended)
        if stopped is not None:
            raise StoppedEarly(stopped)

    def _ended(self, picture: Picture, decision: Decision, told: Json) -> Json | None:
        """What the job records if it stops here; None where it goes on."""
        if not preview.stops(decision, self._settings.preview, resumable=True):
            return None
        target = self._staging.draft("preview.mp4")
        preview.write(picture, target)
        return {
            "decision": policies.to_json(decision), "file": self._staging.keep(target, ".input"),
            "lifted": self._lifted, "preview": told,
        }  # fmt: skip


class Refusal(StepRun):
    """Ends the job of a clip that a guarded pipeline did not finish, as refused."""

    def __init__(self, bench: Workbench, job: Job, observer: Observer, decision: Decision) -> None:
        super().__init__(bench, job, observer)
        self._decision = decision

    def _run(self) -> Outcome:
        told, reasons = policies.to_json(self._decision), map(reason_json, self._decision.reasons)
        return self._ended(JobState.REFUSED, told, [*reasons], self._decision)
