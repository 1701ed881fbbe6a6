"""The gate alone: what names and descriptions say of a prompt, on a home that is only read.

Jobs go through `pipeline.judging`, which looks, compares and decides with the same functions.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final, Protocol

from classifiers.alike import Discerner
from classifiers.base import CheckReport, CheckState, Sight, TextEmbedder
from classifiers.unsafe.check import Moderator
from pipeline import opinions
from pipeline import policy as policies
from pipeline.clock import clock
from pipeline.errors import UsageError
from pipeline.examine import Calibrations, examine
from pipeline.eyes import Eyes
from pipeline.home import Home
from pipeline.orders import LOCAL_ACCOUNT, MAX_TURNS, check_prompt
from pipeline.passes import joined
from pipeline.policy import Policy
from pipeline.recheck import Uses, in_full, wishes_of
from pipeline.settings import Settings
from pipeline.texts import CAME_IN, ENHANCED, PROMPT, Texts, quoted, with_origins, with_texts
from pipeline.types import Decision, Json, Opinion, Reason
from registry import uses
from registry.db import open_database
from registry.names import Layer
from registry.ruling import Ask
from registry.view import Snapshot, View

_TOLD: Final = (
    "subject", "subject_name", "owner", "score", "threshold", "probability", "reference", "sure",
    "quarantined", "origin", "turn", "span", "quote", "won", "lost", "asks", "category", "judge",
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
    def discerner(self) -> Discerner | None: ...  # noqa: D102
    @property
    def calibrations(self) -> Calibrations: ...  # noqa: D102


class Registry(Protocol):
    """Gives the registry as it is now."""

    def current(self) -> Snapshot: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt and the turns before it, oldest first; ``enhanced``: what an enhancer made of it, if any."""

    text: str
    history: tuple[str, ...] = ()
    enhanced: str | None = None

    @property
    def texts(self) -> Texts:
        """The same as texts of a job."""
        return Texts(history=self.history, prompt=self.text, enhanced=self.enhanced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is said of a clip, with a prompt; by which policy it is judged, and for whom."""

    texts: Texts
    policy: Policy
    ask: Ask | str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What was seen, what the checks reported, and the decision at ``snapshot_seq``."""

    sight: Sight
    reports: tuple[CheckReport, ...]
    decision: Decision
    snapshot_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What the models see of all texts; ``first``: of the prompt alone, where it was enhanced afterwards."""

    whole: Sight
    first: Sight | None = None


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
        now: str = "", enhanced: str | None = None,
    ) -> GateResult:  # fmt: skip
        """Judge one prompt for `account`, or for what it asks; `now` is RFC 3339, by default the clock's.

        Raises: UsageError for a prompt that is empty or no valid text, LimitExceeded for one too long.
        """
        prompt = Prompt(text=text, history=tuple(history), enhanced=enhanced)
        return self.judge_all([prompt], policy=policy, account=account, now=now)[0]

    def judge_all(
        self, prompts: Sequence[Prompt], *, policy: Policy, account: Ask | str = LOCAL_ACCOUNT, now: str = ""
    ) -> list[GateResult]:
        """Judge several prompts, which the models see together. Raises: as `judge`, for any of them."""
        texts = [self.checked(prompt.texts) for prompt in prompts]
        wanted = [Wanted(texts=one, policy=policy, ask=account) for one in texts]
        return self.judge_texts(wanted, now or clock())

    def judge_texts(self, wanted: Sequence[Wanted], now: str) -> list[GateResult]:
        """Judge what is said of several clips, which the models see together; it was checked before."""
        wanted = [replace(one, policy=one.policy.only(policies.PROMPT_CHECKS)) for one in wanted]
        snapshot = self._view.current()
        looks = self._looked([(one.texts, one.policy.required) for one in wanted], snapshot)
        return [self._judged(one, look, snapshot, now) for one, look in zip(wanted, looks, strict=True)]

    def look(self, texts: Texts, *, unsafe: bool) -> Sight:
        """What the models see of everything that is said of a clip, with or without a prompt."""
        checks = (policies.DESCRIPTIONS, policies.UNSAFE) if unsafe else (policies.DESCRIPTIONS,)
        [seen] = self._looked([(texts, checks)], self._view.current())
        return seen.whole

    def _looked(self, asked: Sequence[tuple[Texts, Sequence[str]]], snapshot: Snapshot) -> list[_Look]:
        """What the models see of each for its checks; those that compare are not loaded where names are all
        that is registered.
        """
        looks = [_Look(whole=Sight(texts=told.all)) for told, _ in asked]
        for_check = {
            check: [place for place, (_, checks) in enumerate(asked) if check in checks]
            for check in (policies.DESCRIPTIONS, policies.UNSAFE)
        }
        described = [] if self._names_only(snapshot) else for_check[policies.DESCRIPTIONS]
        if described:
            from classifiers.descriptions import look_at_texts

            passes = [_passes(asked[place][0]) for place in described]
            given = list(chain.from_iterable(passes))
            seen = iter(look_at_texts(given, self._eyes.clip, self._eyes.minilm) if given else ())
            for place, mine in zip(described, passes, strict=True):
                looks[place] = _look(asked[place][0], [next(seen) for _ in mine])
        if for_check[policies.UNSAFE]:
            from classifiers.unsafe.check import look_unsafe

            places = for_check[policies.UNSAFE]
            judged = look_unsafe([asked[place][0].all for place in places], self._eyes.moderators)
            for place, more in zip(places, judged, strict=True):
                whole = looks[place].whole
                looks[place] = replace(looks[place], whole=replace(whole, seen=(*whole.seen, *more)))
        return looks

    def _names_only(self, snapshot: Snapshot) -> bool:
        return not self._whole and not snapshot.spaces()

    def checked(self, texts: Texts) -> Texts:
        """The texts, if they can be judged. Raises: UsageError, LimitExceeded."""
        if len(texts.history) > MAX_TURNS:
            raise UsageError(f"a prompt may come after {MAX_TURNS} turns; leave out the oldest")
        for text in texts.all:
            check_prompt(text, self._settings)
        return texts

    def _judged(self, wanted: Wanted, look: _Look, snapshot: Snapshot, now: str) -> GateResult:
        sight, told, policy = look.whole, wanted.texts, wanted.policy
        described = policies.DESCRIPTIONS in policy.required
        idle = described and self._names_only(snapshot)
        checks = tuple(one for one in policy.required if not (idle and one == policies.DESCRIPTIONS))
        reports = examine(checks, sight, snapshot, self._eyes.calibrations)
        reports, said = self._discerned(reports, sight, snapshot) if described else (reports, ())
        if idle:
            reports = (*reports, _NOTHING_TO_COMPARE)
        reports = in_full(reports, sight, snapshot)
        decision = policies.decide(
            policy, reports, sound=policies.Sound.ACCEPT, has_sound=False, registry_seq=snapshot.seq,
            now=now, wishes=wishes_of(snapshot.subjects, wanted.ask, now, self._uses),
        )  # fmt: skip
        decision = opinions.with_opinions(decision, said)
        decision = with_texts(decision, told)
        if look.first is not None:
            decision = self._as_asked(decision, look.first, snapshot, told)
        decision = with_origins(decision, told)
        return GateResult(sight=sight, reports=reports, decision=decision, snapshot_seq=snapshot.seq)

    def _discerned(
        self, reports: tuple[CheckReport, ...], sight: Sight, snapshot: Snapshot
    ) -> tuple[tuple[CheckReport, ...], tuple[Opinion, ...]]:
        """The reports after the judge of the settings, where there is one, was asked about look-alikes."""
        discerner = self._eyes.discerner
        if discerner is None:
            return reports, ()
        return opinions.asked(discerner, reports, sight, snapshot, snapshot.subjects, self._eyes.calibrations)

    def _as_asked(self, decision: Decision, first: Sight, snapshot: Snapshot, texts: Texts) -> Decision:
        """The decision, whose reasons say whether the prompt described a subject before it was enhanced."""
        origins = texts.origins
        late = [one for one in decision.reasons if _described_in(one, origins) == ENHANCED]
        if not late:
            return decision
        reports = examine((policies.DESCRIPTIONS,), first, snapshot, self._eyes.calibrations)
        before = {finding.subject for report in reports for finding in report.findings}

        def told(reason: Reason) -> Reason:
            if reason not in late:
                return reason
            if reason.evidence.get("subject") not in before:
                return replace(
                    reason, detail=reason.detail + CAME_IN, evidence=reason.evidence | {"origin": ENHANCED}
                )
            asked = quoted(texts, origins.index(PROMPT))
            return replace(reason, evidence=reason.evidence | asked | {"origin": PROMPT})

        return replace(decision, reasons=tuple(told(one) for one in decision.reasons))


def _described_in(reason: Reason, origins: Sequence[str]) -> str | None:
    """Where the text comes from that describes a subject; None for a reason of another kind."""
    turn = reason.evidence.get("turn")
    if reason.check != policies.DESCRIPTIONS or not isinstance(turn, int):
        return None
    return origins[turn] if 0 <= turn < len(origins) else None


def _passes(told: Texts) -> tuple[tuple[str, ...], ...]:
    """The passes; none where one is longer than is compared, for then nothing of it counts as seen."""
    from classifiers.wording import MAX_WORDS, words

    return () if any(words(one) > MAX_WORDS for one in told.passes) else told.passes


def _look(told: Texts, passes: Sequence[Sight]) -> _Look:
    asked = passes[: len(replace(told, enhanced=None).passes)] if told.enhanced is not None else ()
    return _Look(whole=joined(told.all, passes), first=joined(told.all, asked) if asked else None)


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
        eyes = Eyes.of(settings)
        yield Gate(eyes, view, settings, uses=partial(uses.today, engine))
    finally:
        view.close()
        engine.dispose()
