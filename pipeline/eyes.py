"""The models of one process: imported and loaded when first asked for, never replaced by something weaker."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pipeline.cohort import FOLDER, Cohort
from pipeline.settings import Settings

if TYPE_CHECKING:
    from classifiers.alike import Discerner
    from classifiers.embed import OpenClipEmbedder
    from classifiers.faces import FaceFinder
    from classifiers.judges import ChatJudge, LabelJudge
    from classifiers.minilm import MiniLm
    from classifiers.reader import WordReader
    from classifiers.thresholds import Calibration
    from classifiers.unsafe.check import Moderator
    from classifiers.unsafe.frames import FrameJudges

CALIBRATIONS: Final = "calibrations"
EMBEDDED: Final = "embedded"
DISCERNER: Final = "description_judge"
"""The setting that names it."""
NOT_AS_SHIPPED: Final = (
    "the weights of {space} are not those that ship with Countermark: damaged, or of another version; "
    "install it again, or calibrate them if they are your own"
)
NOT_AS_CALIBRATED: Final = (
    "nobody has calibrated {space}, only {other}: the model's files were damaged or changed since, so fetch "
    "them again, or make a calibration of the new ones with {how}"
)
NO_DIGEST: Final = (
    "description_judge names files that nothing vouches for, and nobody calibrates this judge: set "
    "description_judge_sha256 to {digest}, if that is what their publisher says"
)
NO_FRAME_JUDGE: Final = (
    "the setting unsafe_frames requires that frames are judged, and nothing for it is set: name a model with "
    "frame_head or frame_classifier (docs/checks.md, unsafe frames)"
)

T = TypeVar("T")

_MADE: Final[dict[type[object], object]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """The judge of prompts that an operator brings; without a model there is none."""

    model: str = ""
    sha256: str = ""
    form: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscernerSettings:
    """The chat model that is asked whether a prompt means a subject or one like it; empty: none."""

    model: str = ""
    sha256: str = ""
    seconds: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSettings:
    """What judges whether frames are unsafe: a head, a classifier, both or none; ``required``: never none."""

    head: Path | None = None
    head_sha256: str = ""
    classifier: str = ""
    classifier_sha256: str = ""
    labels: str = ""
    required: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "FrameSettings":
        """What these settings name."""
        return cls(
            head=settings.frame_head, head_sha256=settings.frame_head_sha256 or "",
            classifier=settings.frame_classifier or "",
            classifier_sha256=settings.frame_classifier_sha256 or "",
            labels=settings.frame_classifier_labels, required=settings.unsafe_frames == "required",
        )  # fmt: skip

    @property
    def named(self) -> bool:
        """Whether there is any."""
        return bool(self.head or self.classifier)

    @property
    def asked(self) -> bool:
        """Whether frames are to be judged."""
        return self.named or self.required


class Eyes:
    """What looks at prompts and clips: the CLIP of the settings, MiniLM, what judges prompts and frames,
    faces, words, and their calibrations.

    Raises, when a model is first used: `classifiers.errors.ModelUnusable`, and CalibrationMissing for a
    model that nobody has calibrated. Safe to share between threads.
    """

    def __init__(
        self, clip_model: str, clip_sha256: str | None, home: Path, *, face_model: str = EMBEDDED,
        face_digests: tuple[str, str] = ("", ""), judge: JudgeSettings | None = None,
        discerner: DiscernerSettings | None = None,
        frames: FrameSettings | None = None,
    ) -> None:  # fmt: skip
        self._clip_model, self._clip_sha256 = clip_model, clip_sha256
        self._face_model, self._face_digests = face_model, face_digests
        self._judge = judge or JudgeSettings()
        self._discerner = discerner or DiscernerSettings()
        self.frames = frames or FrameSettings()
        self._files = CalibrationFiles(home / CALIBRATIONS)
        self._cohort = Cohort(home / FOLDER)
        self._lock = threading.RLock()
        self._loaded: dict[str, object] = {}
        self._faces: FaceFinder | None = None

    @classmethod
    def of(cls, settings: "Settings") -> "Eyes":
        """The models that these settings name."""
        return cls(
            settings.clip_model, settings.clip_sha256, settings.home, face_model=settings.face_model,
            face_digests=(settings.face_detector_sha256 or "", settings.face_recogniser_sha256 or ""),
            judge=JudgeSettings(
                model=settings.prompt_judge or "", sha256=settings.prompt_judge_sha256 or "",
                form=settings.prompt_judge_form,
            ),
            discerner=DiscernerSettings(
                model=settings.description_judge or "", sha256=settings.description_judge_sha256 or "",
                seconds=settings.description_judge_seconds,
            ),
            frames=FrameSettings.of(settings),
        )  # fmt: skip

    @property
    def clip(self) -> "OpenClipEmbedder":
        """The embedder of frames, pictures and prompts."""
        from classifiers.embed import OpenClipEmbedder

        return self._once("clip", OpenClipEmbedder, self._open_clip)

    @property
    def minilm(self) -> "MiniLm":
        """The embedder of descriptions."""
        from classifiers.minilm import MiniLm

        return self._once("minilm", MiniLm, lambda: _shipped(MiniLm))

    @property
    def moderators(self) -> "Sequence[Moderator]":
        """What judges whether prompts are unsafe: the embedded weights, and the judge of the settings."""
        from classifiers.unsafe.embedded import EmbeddedModerator

        first = self._once("unsafe", EmbeddedModerator, lambda: EmbeddedModerator(self.minilm))
        judge = self.judge
        return [first] if judge is None else [first, judge]

    @property
    def judge(self) -> "ChatJudge | LabelJudge | None":
        """The judge of the settings, where there is one."""
        if not self._judge.model:
            return None
        from classifiers.judges import ChatJudge, LabelJudge, open_judge

        told = self._judge
        kind: type[ChatJudge | LabelJudge] = ChatJudge | LabelJudge  # type: ignore[assignment]
        return self._once("judge", kind, lambda: open_judge(told.model, sha256=told.sha256, form=told.form))

    def frame_judges(self) -> "FrameJudges":
        """What judges frames; nothing where the settings name nothing. Raises: CalibrationMissing besides."""
        from classifiers.unsafe.frames import FrameJudges

        return self._once("frames", FrameJudges, self._open_frame_judges)

    @property
    def discerner(self) -> "Discerner | None":
        """What is asked about look-alikes, where the settings name a model for it."""
        if not self._discerner.model:
            return None
        from classifiers.alike import Discerner

        return self._once("discerner", Discerner, self._open_discerner)

    @property
    def faces(self) -> "FaceFinder":
        """The finder of faces."""
        with self._lock:
            if self._faces is None:
                self._faces = self._open_faces()
            return self._faces

    @property
    def words(self) -> "WordReader":
        """The reader of words in frames."""
        from classifiers.reader import WordReader

        return self._once("words", WordReader, lambda: _shipped(WordReader))

    @property
    def calibrations(self) -> "CalibrationFiles":
        """The calibration of each space; asking for one loads no model."""
        return self._files

    @property
    def cohort(self) -> Cohort:
        """What means nobody, to measure references with; asking for it loads no model."""
        return self._cohort

    def open(self) -> "Eyes":
        """Load everything now, so that what is missing stops the start and not the first request."""
        from classifiers.drawn import spaces_of
        from classifiers.weighing import Weighing

        self._demand(self.clip.space, ships=self._clip_model == EMBEDDED)
        self._demand(self.minilm.space, ships=True)
        Weighing.of(self._files.demand(self.minilm.space))  # one of an earlier score would judge nothing
        if self._face_model != EMBEDDED:
            from classifiers.faces_onnx import space_of

            # OpenCV may end the process over a damaged file, so nobody opens what is not known by its digest.
            self._demand(space_of(Path(self._face_model), self._face_digests), ships=False)
        for space in spaces_of(self.faces.space):
            self._demand(space, ships=self._face_model == EMBEDDED)
        for moderator in self.moderators:
            self._demand(moderator.space, ships=False)
        _ = self.words, self.discerner
        self.frame_judges()
        return self

    def _demand(self, space: str, *, ships: bool) -> None:
        """Raises: CalibrationMissing; ModelUnusable for a model that ships, or another one of whose kind was
        calibrated: it is not what it was.
        """
        from classifiers.errors import CalibrationMissing, ModelUnusable
        from classifiers.thresholds import how_of

        try:
            self._files.demand(space)
        except CalibrationMissing:
            if ships:
                raise ModelUnusable(NOT_AS_SHIPPED.format(space=space)) from None
            other = self._files.another(space)
            if other is None:
                raise
            told = NOT_AS_CALIBRATED.format(space=space, other=other, how=how_of(space))
            raise ModelUnusable(told) from None

    def _open_frame_judges(self) -> "FrameJudges":
        """Each with a calibration for all that it judges: one without would judge nothing."""
        from classifiers.errors import ModelUnusable
        from classifiers.unsafe.frames import FrameJudges, demand_layers
        from classifiers.unsafe.heads import ConceptHead

        told, classifier = self.frames, None
        if told.required and not told.named:
            raise ModelUnusable(NO_FRAME_JUDGE)
        head = ConceptHead(told.head, self.clip.space, sha256=told.head_sha256) if told.head else None
        if told.classifier:
            from classifiers.unsafe.labels import parse_labels
            from classifiers.unsafe.pictures import open_classifier

            labels = parse_labels(told.labels)
            classifier = open_classifier(told.classifier, sha256=told.classifier_sha256, labels=labels)
        judges = FrameJudges(head=head, classifier=classifier)
        for judge in judges.all:
            self._demand(judge.space, ships=False)
            demand_layers(judge, self._files.demand(judge.space))
        return judges

    def _open_clip(self) -> "OpenClipEmbedder":
        from classifiers.embed import OpenClipEmbedder

        digest = self._clip_sha256 or ""
        if self._clip_model == EMBEDDED:
            return OpenClipEmbedder(sha256=digest) if digest else _shipped(OpenClipEmbedder)
        return OpenClipEmbedder(self._clip_model, sha256=digest)

    def _open_discerner(self) -> "Discerner":
        """The judge of prompts where it is the same model, which is then in memory once."""
        from classifiers.alike import Discerner
        from classifiers.errors import ModelUnusable
        from classifiers.judges import ChatJudge, open_judge

        told = self._discerner
        same = (told.model, told.sha256) == (self._judge.model, self._judge.sha256)
        judge = self.judge if same else open_judge(told.model, sha256=told.sha256, setting=DISCERNER)
        if not isinstance(judge, ChatJudge):
            raise ModelUnusable(f"{told.model[:120]} is no chat model: name one in description_judge")
        if not (same or told.sha256):
            raise ModelUnusable(NO_DIGEST.format(digest=judge.digest))
        name = Path(told.model).name if Path(told.model).is_dir() else told.model
        return Discerner(judge, model=name, digest=judge.digest, seconds=told.seconds)

    def _open_faces(self) -> "FaceFinder":
        if self._face_model == EMBEDDED:
            from classifiers.faces_dlib import DlibFaces

            return _shipped(DlibFaces)
        from classifiers.faces_onnx import OnnxFaces

        return OnnxFaces(Path(self._face_model), self._face_digests)

    def _once(self, name: str, kind: type[T], load: Callable[[], T]) -> T:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load()
            found = self._loaded[name]
        assert isinstance(found, kind)  # noqa: S101 - it was loaded as that
        return found


def _shipped(kind: type[T]) -> T:
    """A model that ships: a process has it once, however many services or pipelines it opens."""
    found = _MADE.get(kind) or _MADE.setdefault(kind, kind())
    assert isinstance(found, kind)  # noqa: S101 - it was made as that
    return found


class CalibrationFiles(Mapping[str, "Calibration"]):
    """Calibrations by space, read when asked for: those of the home, else those that ship."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Calibration] = {}

    def demand(self, space: str) -> "Calibration":
        """Raises: `classifiers.errors.CalibrationMissing` for a space that nobody has calibrated."""
        from classifiers import thresholds

        if space not in self._read:
            self._read[space] = thresholds.load(space, [self._folder])
        return self._read[space]

    def another(self, space: str) -> str | None:
        """Another space of the same kind of model (its name up to the first dash) with one in the home."""
        from classifiers.thresholds import SUFFIX

        kind = space.partition("-")[0]
        found = sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"{kind}-*{SUFFIX}"))
        return next(iter(found), None)

    @property
    def used(self) -> "tuple[Calibration, ...]":
        """Those that anything was compared with in this process."""
        return tuple(self._read.values())

    def __getitem__(self, space: str) -> "Calibration":
        from classifiers.errors import CalibrationMissing

        try:
            return self.demand(space)
        except CalibrationMissing:
            raise KeyError(space) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
