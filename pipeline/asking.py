"""What would become of a prompt, and of what it comes with, without a job (HTTP, `pipeline.guarded`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifiers.base import CheckReport
from generator.base import Peek
from pipeline import policy as policies
from pipeline.appeals import appeal
from pipeline.errors import CountermarkError, Refused
from pipeline.gate import Gate, GateResult, Wanted
from pipeline.media.limits import media_limits
from pipeline.orders import LOCAL_ACCOUNT, NO_USE, Use, ask_of, use_json
from pipeline.recheck import wishes_of
from pipeline.telling import line
from pipeline.texts import Texts
from pipeline.types import Decision, Json, Verdict
from pipeline.workbench import Workbench
from registry import uses
from registry.view import Snapshot

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """For whom, by which policy, and for what use a prompt is judged; ``checks``: only by these checks of the
    policy, None for all. A job is always judged by all.
    """

    policy: str
    account: str = LOCAL_ACCOUNT
    use: Use = NO_USE
    checks: tuple[str, ...] | None = None


class Asking:
    """Asks the gate and the checks of one home."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def judge(self, texts: Texts, question: Question) -> Decision:
        """What the gate says of texts with a prompt. Raises: UsageError, LimitExceeded."""
        return self._judged(texts, question).decision

    def judge_all(self, asked: Sequence[tuple[Texts, Question]]) -> list[Decision | Exception]:
        """`judge` of several, which the models see together; what it raises for one is that one's answer."""
        answers: dict[int, Decision | Exception] = {}
        wanted: dict[int, Wanted] = {}
        for place, one in enumerate(asked):
            try:
                wanted[place] = self._wanted(*one)
            except CountermarkError as error:
                answers[place] = error
        try:
            judged = self._gate.judge_texts(list(wanted.values()), self.bench.clock())
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            if len(asked) > 1:  # whose fault it was shows when each is judged by itself
                return [answer for one in asked for answer in self.judge_all([one])]
            return [error]
        answers |= {place: one.decision for place, one in zip(wanted, judged, strict=True)}
        return [answers[place] for place in range(len(asked))]

    def demand(self, texts: Texts, question: Question) -> None:
        """Raises: Refused, with the reasons, unless the gate allows a prompt and what comes with it."""
        self._demand_allowed(self.judge(texts, question))

    def demand_material(self, paths: Sequence[Path], question: Question) -> tuple[str, ...]:
        """The words in pictures and clips that a clip is to be made from.

        Raises: Refused, with the reasons, unless they are allowed; and what reading them raises.
        """
        bench, policy = self.bench, self._policy(question)
        if not policy.required:
            return ()
        from pipeline import material

        seen = material.look_at_material(paths, bench.eyes, media_limits(bench.settings))
        asked, snapshot = policy.only(policies.CLIP_CHECKS), bench.view.current()
        reports = material.reports_of(seen, asked, snapshot, bench.eyes.calibrations)
        decision = self._decided(asked, reports, snapshot, question)
        self._demand_allowed(material.with_origin(decision))
        return seen.words

    def judge_frames(self, frames: Frames, rate: float, question: Question) -> Decision:
        """What the checks say of a clip in memory: RGB ``uint8[n, h, w, 3]``, `rate` per second.

        Raises: ValueError for frames of another form.
        """
        from pipeline import checks, material

        bench, asked = self.bench, self._policy(question).only(policies.CLIP_CHECKS)
        looked = checks.look_at_frames(frames, rate, bench.eyes)
        seen = material.Material(sight=looked.sight, unfinished=looked.unfinished)
        snapshot = bench.view.current()
        reports = material.reports_of(seen, asked, snapshot, bench.eyes.calibrations)
        return self._decided(asked, reports, snapshot, question)

    def _policy(self, question: Question) -> policies.Policy:
        """The policy as clips and pictures are judged by it."""
        return policies.preset(question.policy).judging_frames(self.bench.eyes.frames.asked)

    def _decided(
        self, asked: policies.Policy, reports: Sequence[CheckReport], snapshot: Snapshot, question: Question
    ) -> Decision:
        bench, now = self.bench, self.bench.clock()
        ask = ask_of({"account": question.account, "use": use_json(question.use)})
        return policies.decide(
            asked, reports, sound=policies.Sound.ACCEPT, has_sound=False, registry_seq=snapshot.seq, now=now,
            wishes=wishes_of(snapshot.subjects, ask, now, partial(uses.today, bench.engine)),
        )  # fmt: skip

    def previews(self, question: Question) -> bool:
        """Whether a frame of a clip on the way can be refused outright."""
        from pipeline.preview import worthwhile

        return worthwhile(self._policy(question), self.bench.settings.preview, resumable=False)

    def preview(
        self, peek: Peek, texts: Texts, question: Question
    ) -> tuple[Decision, tuple[CheckReport, ...]]:
        """Judge a frame of a clip on the way (`pipeline.preview`), and what its checks said."""
        from pipeline import preview

        assert peek.picture is not None  # noqa: S101 - there is nothing to judge else
        bench, policy = self.bench, self._policy(question)
        snapshot = bench.view.current()
        reports = preview.reports_of(peek.picture, policy, bench.eyes, snapshot, texts.all)
        decision = self._decided(policy.only(preview.completed(reports)), reports, snapshot, question)
        return preview.with_origin(decision, peek), reports

    def rewritten(self, prompt: str, question: Question) -> Json | None:
        """The prompt to draw in place of one that is held for what it describes (`pipeline.rewriting`).

        None where nothing is to be rewritten, or nothing can be.
        """
        from pipeline import rewriting

        first = self.judge(Texts(prompt=prompt), question)
        snapshot, eyes = self.bench.view.current(), self.bench.eyes
        return rewriting.rewrite(
            Texts(prompt=prompt), first, snapshot, eyes,
            lambda texts: self.judge(texts, question).verdict is Verdict.ALLOW,
        )  # fmt: skip

    def _judged(self, texts: Texts, question: Question) -> GateResult:
        [judged] = self._gate.judge_texts([self._wanted(texts, question)], self.bench.clock())
        return judged

    @property
    def _gate(self) -> Gate:
        bench = self.bench
        return Gate(bench.eyes, bench.view, bench.settings, uses=partial(uses.today, bench.engine))

    def _wanted(self, texts: Texts, question: Question) -> Wanted:
        policy = policies.preset(question.policy)
        return Wanted(
            texts=self._gate.checked(texts),
            policy=policy if question.checks is None else policy.only(question.checks),
            ask=ask_of({"account": question.account, "use": use_json(question.use)}),
        )

    def _demand_allowed(self, decision: Decision) -> None:
        if decision.verdict is not Verdict.ALLOW:
            told = [line(reason.check, reason.detail, reason.evidence) for reason in decision.reasons]
            raise Refused(" ".join([*told, appeal(self.bench.settings.contact)]))
