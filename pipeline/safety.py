"""A safety checker for pipelines of diffusers that take one by the convention of NVIDIA's Cosmos.

Such a pipeline has a component ``safety_checker``. Diffusers 0.42 calls its ``to(device)``, its
``check_text_safety(prompt)``, which says whether the prompt is drawn, and its ``check_video_safety(frames)``,
which answers the frames, or None for a clip that is not to be shown.

It only checks: what it lets pass is neither marked nor signed nor recorded as a release. `pipeline.guard`
does all of that, for any pipeline.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pipeline import policy as policies
from pipeline.app import App, open_app
from pipeline.asking import Question
from pipeline.errors import UsageError
from pipeline.orders import LOCAL_ACCOUNT
from pipeline.settings import load
from pipeline.telling import line
from pipeline.texts import Texts
from pipeline.types import Decision, Verdict

RATE: Final = 24.0  # frames per second: the convention does not say; it only places frames in time
NOTHING: Final = (
    "the policy {name} looks at no prompt or at no clip, so nothing could be called safe; name another"
)

Frames = NDArray[np.uint8]


class SafetyChecker:
    """The gate and the checks of clips of one home, as a pipeline's ``safety_checker``.

    Safe is what the policy allows and every check that it needs has looked at. Whatever is held or refused,
    or could not be judged, is not: a model that fails, a home that is away, input of another form.
    `home`, `policy`: else those of the settings; `account`: whose work it is; `told`: is told why something
    is not safe, in a sentence for people, since the convention has no place for reasons.
    Safe to call from several threads. Raises: UsageError for a policy that looks at nothing.
    """

    def __init__(
        self, *, home: str | Path | None = None, policy: str | None = None, account: str | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._settings = load(Path(home) if home is not None else None)
        chosen = policies.preset(policy or self._settings.policy)
        if not all(chosen.only(part).required for part in (policies.PROMPT_CHECKS, policies.CLIP_CHECKS)):
            raise UsageError(NOTHING.format(name=chosen.name))
        self._question = Question(policy=chosen.name, account=account or LOCAL_ACCOUNT)
        self._told = told
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._app: App | None = None

    def to(self, *_args: Any, **_kwargs: Any) -> Self:
        """Stay: the models of the checks choose their device themselves."""
        return self

    def check_text_safety(self, prompt: str) -> bool:
        """Whether the policy allows to draw this prompt."""

        def judged() -> Decision:
            if not isinstance(prompt, str):
                raise UsageError("a prompt is text")
            return self._opened().asking.judge(Texts(prompt=prompt), self._question)

        return self._allowed(judged)

    def check_video_safety(self, frames: Frames) -> Frames | None:
        """RGB frames ``uint8[t, h, w, 3]`` as they are, if the policy allows them; else None."""

        def judged() -> Decision:
            if not isinstance(frames, np.ndarray):
                raise UsageError("a clip is an array of frames")
            return self._opened().asking.judge_frames(frames, RATE, self._question)

        return frames if self._allowed(judged) else None

    def close(self) -> None:
        """Let go of the home; the next question opens it again."""
        with self._lock:
            self._app = None
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> App:
        """The home, open from the first question on."""
        with self._lock:
            if self._app is None:
                self._app = self._stack.enter_context(open_app(self._settings))
            return self._app

    def _allowed(self, judged: Callable[[], Decision]) -> bool:
        try:
            decision = judged()
        except Exception as error:  # noqa: BLE001 - what nobody could judge is not safe
            self._say(f"It could not be judged: {error}")
            return False
        if decision.verdict is Verdict.ALLOW:
            return True
        self._say(" ".join(line(one.check, one.detail, one.evidence) for one in decision.reasons))
        return False

    def _say(self, why: str) -> None:
        if self._told is not None:
            self._told(why)
