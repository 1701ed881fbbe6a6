"""The gate alone: what names and descriptions say of a prompt, on a home that is only read.

Jobs go through `pipeline.judging`, which looks, compares and decides with the same functions.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from classifiers.base import CheckReport, CheckState, Sight, TextEmbedder
from classifiers.unsafe.check import Moderator
from pipeline import policy as policies
from pipeline.clock import clock
from pipeline.errors import UsageError
from pipeline.examine import Calibrations, examine
from pipeline.eyes import eyes_of
from pipeline.home import Home
from pipeline.orders import LOCAL_ACCOUNT, MAX_TURNS, check_prompt
from pipeline.policy import Policy
from pipeline.recheck import Uses, in_full, wishes_of
from pipeline.settings import Settings
from pipeline.types import Decision, Json, Reason
from registry import uses
from registry.db import open_database
from registry.names import Layer
from registry.ruling import Ask
from registry.view import Snapshot, View

ALWAYS: Final = (policies.NAMES, policies.DESCRIPTIONS)
_TOLD: Final = (
    "subject", "subject_name", "owner", "score", "threshold", "probability", "reference", "sure",
    "quarantined", "turn", "span", "quote", "won", "lost", "asks", "category",
)  # fmt: skip


class TextEyes(Protocol):
    """The models that a prompt is looked at with, and the calibrations of their spaces."""

    @property
    def clip(self) -> TextEmbedder: ...  # noqa: D102
    @property
    def minilm(self) -> TextEmbedder: ...  # noqa: D102
    @property
    def moderators(self) -> Sequence[Moderator]: ...  # noqa: D102
    @property
    def calibrations(self) -> Calibrations: ...  # noqa: D102


class Registry(Protocol):
    """Gives the registry as it is now."""

    def current(self) -> Snapshot: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt and the turns before it, oldest first."""

    text: str
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What was seen, what the checks reported, and the decision at ``snapshot_seq``."""

    sight: Sight
    reports: tuple[CheckReport, ...]
    decision: Decision
    snapshot_seq: int


class Gate:
    """Judges prompts; safe to share between threads.

    ``whole``: look with every model also where nothing is registered that the look could be compared with;
    a job needs that, since what it saw is compared again later. ``uses``: how often rules were used today.
    """

    def __init__(
        self, eyes: TextEyes, view: Registry, settings: Settings, *, whole: bool = False,
        uses: Uses | None = None,
    ) -> None:  # fmt: skip
        self._eyes, self._view, self._settings, self._whole = eyes, view, settings, whole
        self._uses = uses

    def judge(
        self, text: str, history: Sequence[str] = (), *, policy: Policy, account: Ask | str = LOCAL_ACCOUNT,
        now: str = "",
    ) -> GateResult:  # fmt: skip
        """Judge one prompt for `account`, or for what it asks; `now` is RFC 3339, by default the clock's.

        Raises: UsageError for a prompt that is empty or no valid text, LimitExceeded for one too long.
        """
        prompt = Prompt(text=text, history=tuple(history))
        return self.judge_all([prompt], policy=policy, account=account, now=now)[0]

    def judge_all(
        self, prompts: Sequence[Prompt], *, policy: Policy, account: Ask | str = LOCAL_ACCOUNT, now: str = ""
    ) -> list[GateResult]:
        """Judge several prompts, which the models see together. Raises: as `judge`, for any of them."""
        texts = [self.checked(prompt) for prompt in prompts]
        asked = policy.only(policies.PROMPT_CHECKS)
        snapshot = self._view.current()
        sights = self._looked(texts, snapshot, unsafe=policies.UNSAFE in asked.required)
        return [self._judged(sight, snapshot, asked, account, now or clock()) for sight in sights]

    def _looked(self, texts: Sequence[tuple[str, ...]], snapshot: Snapshot, *, unsafe: bool) -> list[Sight]:
        """What the models see; those that compare are not loaded where names are all that is registered."""
        sights = [Sight(texts=turns) for turns in texts]
        if not self._names_only(snapshot):
            from classifiers.descriptions import look_at_texts

            sights = look_at_texts(texts, self._eyes.clip, self._eyes.minilm)
        if not unsafe:
            return sights
        from classifiers.unsafe.check import look_unsafe

        judged = look_unsafe(texts, self._eyes.moderators)
        return [replace(sight, seen=(*sight.seen, *more)) for sight, more in zip(sights, judged, strict=True)]

    def _names_only(self, snapshot: Snapshot) -> bool:
        return not self._whole and not snapshot.spaces()

    def checked(self, prompt: Prompt) -> tuple[str, ...]:
        """The turns of a prompt that can be judged. Raises: UsageError, LimitExceeded."""
        if len(prompt.history) > MAX_TURNS:
            raise UsageError(f"a prompt may come after {MAX_TURNS} turns; leave out the oldest")
        return tuple(check_prompt(text, self._settings) for text in (*prompt.history, prompt.text))

    def _judged(
        self, sight: Sight, snapshot: Snapshot, policy: Policy, account: Ask | str, now: str
    ) -> GateResult:
        checks = dict.fromkeys((*ALWAYS, *policy.required))
        if self._names_only(snapshot):
            del checks[policies.DESCRIPTIONS]
        reports = examine(tuple(checks), sight, snapshot, self._eyes.calibrations)
        if self._names_only(snapshot):
            reports = (*reports, _NOTHING_TO_COMPARE)
        reports = in_full(reports, sight, snapshot)
        decision = policies.decide(
            policy, reports, sound=policies.Sound.ACCEPT, has_sound=False, registry_seq=snapshot.seq,
            now=now, wishes=wishes_of(snapshot.subjects, account, now, self._uses),
        )  # fmt: skip
        return GateResult(sight=sight, reports=reports, decision=decision, snapshot_seq=snapshot.seq)


_NOTHING_TO_COMPARE: Final = CheckReport(
    check=policies.DESCRIPTIONS, state=CheckState.COMPLETED, detail="no picture or description is registered"
)


def document(result: GateResult) -> Json:
    """The JSON of a judged prompt; checks that nobody has set up are named as such."""
    decision = result.decision
    scores: Json = {}
    for report in result.reports:
        scores |= {layer: round(score, 4) for layer, score in report.scores.items()}
    checks: Json = {name: decision.checks[name] for name in policies.PROMPT_CHECKS}
    return {
        "verdict": str(decision.verdict), "reasons": [_reason(reason) for reason in decision.reasons],
        "scores": scores, "checks": checks, "policy": decision.policy,
        "policy_version": decision.policy_version, "registry_seq": result.snapshot_seq,
    }  # fmt: skip


def _reason(reason: Reason) -> Json:
    evidence = reason.evidence
    return {
        "code": reason.code, "layer": reason.check, "detail": reason.detail,
        **{name: evidence.get(name) for name in _TOLD},
    }  # fmt: skip


def index_names(layer: Layer) -> None:
    """Index the names of a layer before anybody looks for them; without the checks, nobody does."""
    with contextlib.suppress(ModuleNotFoundError):
        from classifiers.names import prepare

        prepare(layer)


@contextlib.contextmanager
def open_gate(settings: Settings) -> Iterator[Gate]:
    """Open the home of `settings`. Raises: `registry.errors`; models are loaded when needed."""
    home = Home(settings.home)
    engine = open_database(settings.database)
    view = View(engine, home.index, prepare=index_names)
    try:
        yield Gate(eyes_of(settings), view, settings, uses=partial(uses.today, engine))
    finally:
        view.close()
        engine.dispose()
