"""What looks at the steps of a guarded pipeline: its user's callback, which may not change anything, and the
preview.

A call that a preview stops has no clip that could go on once somebody has looked at it. So a preview stops
here what the policy refuses outright, and nothing else: what would be held is drawn to its end, whatever the
setting. The refusal is a job as any other, which can be appealed against.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from classifiers.base import CheckReport
from generator.base import Peek, Picture, Preview
from generator.preview import Previewer
from pipeline import preview
from pipeline.app import App
from pipeline.appeals import of_job
from pipeline.asking import Question
from pipeline.errors import Refused, UsageError
from pipeline.orders import GuardOrder
from pipeline.telling import line_of
from pipeline.texts import Texts
from pipeline.types import Decision, Json

CALLBACK: Final = "callback_on_step_end"
TENSORS: Final = "callback_on_step_end_tensor_inputs"
LATENTS: Final = "latents"

MakeOrder = Callable[[Path, tuple[int, int]], GuardOrder]
"""The order that records a frame that stopped the call, from its file, and (step, steps)."""


class Peeking:
    """The preview of one call, which `app` judges for `question` beside the texts; files go to `folder`."""

    def __init__(self, app: App, question: Question, texts: Texts, folder: Path, order: MakeOrder) -> None:
        self._app, self._question, self._texts = app, question, texts
        self._folder, self._order = folder, order
        self._previewer: Previewer | None = None
        self.told: Json = {}
        """What was seen; empty where nothing was to be looked at."""

    def arguments(self, given: dict[str, Any], signature: inspect.Signature) -> dict[str, Any]:
        """What the pipeline is called with instead of the user's callback."""
        theirs = given.get(CALLBACK)
        if self._app.asking.previews(self._question):
            self._look(given, signature)
        if theirs is None and self._previewer is None:
            return {}
        told = given.get(TENSORS) or [LATENTS]
        return {
            CALLBACK: _composed(theirs, frozenset(told), self._previewer),
            **({TENSORS: [*dict.fromkeys((*told, LATENTS))]} if self._previewer else {}),
        }

    def end(self) -> None:
        """The pipeline has made its clip."""
        if self._previewer is not None:
            self._previewer.end()

    def _look(self, given: dict[str, Any], signature: inspect.Signature) -> None:
        if CALLBACK not in signature.parameters:
            nothing = Peek(picture=None, step=0, steps=0, skipped="the pipeline tells nobody its steps")
            self.told = preview.noted(nothing, seconds=0.0)
            return
        defaults = {name: one.default for name, one in signature.parameters.items()}
        share = self._app.settings.preview_share
        self._previewer = Previewer(Preview(shown=self._shown, share=share), defaults | given)

    def _shown(self, peek: Peek) -> None:
        def ended(picture: Picture, decision: Decision, _told: Json) -> Refused | None:
            return self._ended(picture, decision, (peek.step, peek.steps))

        self.told, refused = preview.looked(peek, self._judge, ended)
        if refused is not None:
            raise refused

    def _judge(self, peek: Peek) -> tuple[Decision, Sequence[CheckReport]]:
        return self._app.asking.preview(peek, self._texts, self._question)

    def _ended(self, picture: Picture, decision: Decision, at: tuple[int, int]) -> Refused | None:
        """Why the call ends here; None where it goes on."""
        settings = self._app.settings
        if not preview.stops(decision, settings.preview, resumable=False):
            return None
        target = self._folder / "preview.mp4"
        preview.write(picture, target)
        outcome = self._app.refuse(self._order(target, at), decision, _silent)
        if outcome is None:  # people let it pass upon an appeal
            return None
        told = [line_of(reason) for reason in outcome.held]
        return Refused(" ".join([*told, of_job(settings.contact, outcome.job.id)]))


def _composed(theirs: Any, told: frozenset[str], previewer: Previewer | None) -> Any:
    """The user's callback sees copies: what it changed would not be what the prompt asked for."""

    def after_step(pipe: Any, step: int, moment: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if previewer is not None:
            previewer(pipe, step, moment, tensors)
        if theirs is None:
            return {}
        copies = {name: _copy(value) for name, value in tensors.items() if name in told}
        shown = dict(copies)
        answer = theirs(pipe, step, moment, shown) or {}
        if any(answer[name] is not copies.get(name) for name in answer):
            raise UsageError("the callback of a guarded pipeline may look and stop, but not change the clip")
        return {}

    return after_step


def _copy(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else value


def _silent(_step: str, _event: str, _value: float) -> None:
    """Nobody watches the steps of a call."""
