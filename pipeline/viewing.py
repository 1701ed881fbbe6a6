"""What would become of a clip, without a job: nothing of it is kept, marked or released.

It is looked at, listened to where the sound rule and a speech model say so, compared and decided by the
functions that jobs use (`pipeline.judging`), as a clip that came without a prompt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from classifiers.base import CheckReport, Sight
from pipeline import policy as policies
from pipeline.asking import Question
from pipeline.examine import examine, unasked
from pipeline.gate import Gate
from pipeline.media.limits import media_limits
from pipeline.media.reader import open_clip
from pipeline.orders import ask_of, use_json
from pipeline.policy import Policy, Sound
from pipeline.recheck import in_full, unprompted, wishes_of
from pipeline.texts import Texts, with_origins
from pipeline.types import Decision
from pipeline.workbench import Workbench
from registry import uses
from registry.subject_types import SubjectRecord
from registry.view import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """The reports of the checks, the decision on them, and the subjects that they were compared with."""

    reports: tuple[CheckReport, ...]
    decision: Decision
    subjects: Mapping[str, SubjectRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Of one clip; ``heard``: how listening ended, None where nobody listened."""

    sight: Sight
    texts: Texts
    has_sound: bool
    unfinished: tuple[CheckReport, ...] = ()
    heard: CheckReport | None = None


class Viewing:
    """Judges clips by what one home has registered."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def judge(self, path: Path, question: Question, sound: Sound) -> Viewed:
        """Look at a clip and decide; ``sound``: what would become of sound that no check listens to.

        Raises: UsageError, MediaUnreadable, MediaUnsupported, LimitExceeded, SandboxFailed, and
        `classifiers.errors` ModelUnusable, `registry.errors`.
        """
        bench = self._bench
        policy = policies.preset(question.policy).judging_frames(bench.eyes.frames.asked)
        seen = self._seen(path, policy, sound)
        snapshot, now = bench.view.current(), bench.clock()
        reports = self._reports(policy, seen, snapshot)
        ask = ask_of({"account": question.account, "use": use_json(question.use)})
        decision = policies.decide(
            policy, reports, sound=sound, has_sound=seen.has_sound, registry_seq=snapshot.seq, now=now,
            wishes=wishes_of(snapshot.subjects, ask, now, partial(uses.today, bench.engine)),
            heard=seen.heard,
        )  # fmt: skip
        decision = with_origins(decision, seen.texts)
        return Viewed(reports=reports, decision=decision, subjects=snapshot.subjects)

    def _seen(self, path: Path, policy: Policy, sound: Sound) -> _Seen:
        bench = self._bench
        limits = media_limits(bench.settings)
        with open_clip(path, limits=limits, planes="y", audio=True) as reader:
            has_sound = reader.info.audio is not None
        if not policy.only(policies.CLIP_CHECKS).required:
            return _Seen(sight=Sight(), texts=Texts(), has_sound=has_sound)
        from pipeline.checks import look

        looked = look(path, bench.eyes, limits)
        seen = _Seen(
            sight=looked.sight, texts=Texts(), has_sound=has_sound, unfinished=looked.unfinished
        )  # fmt: skip
        if not has_sound or sound is Sound.STRIP or not bench.settings.speech_model:
            return seen
        return self._heard(path, seen, policy) if policies.NAMES in policy.required else seen

    def _heard(self, path: Path, seen: _Seen, policy: Policy) -> _Seen:
        """The same with what is said in the clip."""
        from pipeline.listening import listen

        bench = self._bench
        heard = listen(path, bench.settings, media_limits(bench.settings))
        texts, sight = Texts(speech=heard.text), seen.sight
        if heard.text:
            gate = Gate(bench.eyes, bench.view, bench.settings)
            said = gate.look(texts, unsafe=policies.UNSAFE in policy.required)
            sight = Sight(texts=said.texts, seen=(*sight.seen, *said.seen))
        return _Seen(
            sight=sight, texts=texts, has_sound=True, unfinished=seen.unfinished, heard=heard.report
        )  # fmt: skip

    def _reports(self, policy: Policy, seen: _Seen, snapshot: Snapshot) -> tuple[CheckReport, ...]:
        required = policy.required
        unable = unprompted(required, seen.sight)
        asked = [check for check in required if check not in unable]
        compared = in_full(
            examine(asked, seen.sight, snapshot, self._bench.eyes.calibrations) if asked else (),
            seen.sight, snapshot,
        )  # fmt: skip
        return (*compared, *unasked(unable), *seen.unfinished)
