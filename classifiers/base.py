"""What is looked at, what it is compared with, and what a check says about it.

A *look* turns a prompt or a clip into a `Sight` (texts and vectors) with the help of models. A *check*
compares a `Sight` with `References` and needs no model, so that the same check runs before generating, in
the publish fence and years later in the retro-scan. A check that fails says so in its report and never
raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares of the frame's width and height."""


class CheckState(StrEnum):
    """How a check ended; only ``COMPLETED`` can ever count as passed.

    ``NOT_APPLICABLE``: there was nothing to look at, as the prompt of a clip that was made elsewhere and came
    without one; it is never used for a look that could have been taken.
    """

    COMPLETED = "completed"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    NOT_CONFIGURED = "not_configured"


WORST_LAST: Final = (
    CheckState.COMPLETED, CheckState.NOT_APPLICABLE, CheckState.SKIPPED, CheckState.TIMED_OUT,
    CheckState.FAILED, CheckState.NOT_CONFIGURED,
)  # fmt: skip
"""Of several reports of one check, the worst counts."""


class Kind(StrEnum):
    """What was seen, or what a vector was made from: the last four are registered, the others looked at."""

    PROMPT = "prompt"  # a whole prompt
    CLAUSE = "clause"  # a part of a prompt
    FRAME = "frame"  # a frame or a region of one
    FACE = "face"  # a face in a frame
    WORDS = "words"  # a line of words in a frame: a text, no vector
    UNSAFE = "unsafe"  # how unsafe parts of a prompt are, a number for each category; no vector to compare
    UNSAFE_FRAME = "unsafe_frame"  # the same of a frame or a region of one
    PICTURE = "picture"  # a registered picture
    DESCRIPTION = "description"  # a subject's description
    ATTRIBUTE = "attribute"  # one distinctive attribute of a subject
    PORTRAIT = "portrait"  # a face in a registered picture


class NameTier(StrEnum):
    """How much a name alone proves."""

    BLOCK = "block"  # unambiguous
    CONTEXT = "context"  # a common word: counts only with one of the entry's context words near it


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of words in a frame, and how sure (0 to 1) the reader is of its letters."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Some neighbouring sentences of a prompt: its clauses are those from ``first`` to before ``end`` of all
    that were seen; ``listed``: they are a list of keywords; ``part``: more stands around them.
    """

    first: int
    end: int
    listed: bool = False
    part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Vectors of one kind in one space: ``float32[n, d]``, unit length but for faces.

    ``times``: seconds of each, or empty; ``boxes``: where in the frame, or empty; ``lines``: of words, which
    have no vectors (``float32[n, 0]``): they are compared whatever model read them. ``passages``: what each
    vector of a prompt is of; empty where it was looked at as a whole.
    """

    kind: Kind
    space: str
    vectors: Vectors
    times: tuple[float, ...] = ()
    boxes: tuple[Box, ...] = ()
    lines: tuple[Line, ...] = ()
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Everything that was seen of one prompt (with its turns; the last is the prompt itself) or clip."""

    texts: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()

    def of(self, *kinds: Kind) -> tuple[Seen, ...]:
        """The vectors of these kinds."""
        return tuple(seen for seen in self.seen if seen.kind in kinds)

    def joined(self, other: "Sight") -> "Sight":
        """Both together."""
        return Sight(texts=(*self.texts, *other.texts), seen=(*self.seen, *other.seen))


class NameEntry(Protocol):
    """A registered name. ``context``: words of which one must be near where the tier asks for it."""

    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def tier(self) -> str: ...  # noqa: D102
    @property
    def context(self) -> Sequence[str]: ...  # noqa: D102


class Match(Protocol):
    """A registered vector near one that was seen. ``score``: inner product; ``polarity``: +1 or -1."""

    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def reference(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def polarity(self) -> int: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102


def doubted(row: NameEntry | Match) -> bool:
    """Whether what was registered is in quarantine, since it matches too much: it refuses nothing alone.

    References that know no quarantine have no such mark.
    """
    return bool(getattr(row, "quarantined", False))


class References(Protocol):
    """What was registered, as of log position ``seq``: the whole registry's view, or a few changes."""

    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def names(self) -> Sequence[NameEntry]: ...  # noqa: D102

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> Sequence[Sequence[Match]]:
        """The nearest registered vectors of `kinds` in `space` for each of ``vectors[n, d]``, best first.

        Scores are inner products, for portraits the negative Euclidean distance.
        """
        ...


class TextEmbedder(Protocol):
    """Turns texts into unit vectors ``float32[n, dimension]``."""

    @property
    def space(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...  # noqa: D102


@runtime_checkable
class Reader(Protocol):
    """An embedder that says what of a text it sees: of more than ``context`` pieces the last are cut off."""

    @property
    def context(self) -> int: ...  # noqa: D102
    def pieces(self, texts: Sequence[str]) -> Sequence[int]:
        """How many pieces it makes of each text."""
        ...

    def known(self, texts: Sequence[str]) -> Sequence[str]:
        """Each text without what it has no word for."""
        ...


class Embedder(TextEmbedder, Protocol):
    """Turns texts and RGB pictures ``uint8[h, w, 3]`` into unit vectors of one space."""

    def embed_images(self, images: Sequence[Picture]) -> Vectors: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found: whom it concerns, how strong, where.

    ``code``: stable reason code; ``score`` counts from ``threshold`` on; ``sure``: False where it can only
    ask for a person's look; ``reference``: the nearest registered picture or text; ``span``, ``quote``:
    the words in ``texts[turn]`` of the sight; ``quarantined``: nothing but what is in quarantine was found;
    ``calibration``: the mark of the one that the threshold is from, empty where there is none; ``part``: in
    which of several passes over the texts it was found.
    """

    check: str
    subject: str
    score: float
    threshold: float
    code: str = "match"
    sure: bool = True
    reference: str = ""
    probability: float | None = None
    turn: int = -1
    span: tuple[int, int] | None = None
    quote: str = ""
    times: tuple[float, ...] = ()
    boxes: tuple[Box, ...] = ()
    quarantined: bool = False
    calibration: str = ""
    part: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of one check. ``scores``: the best score of each layer, also below the threshold.

    ``plain``: the detail is for whoever asks, and says what they can do.
    """

    check: str
    state: CheckState
    findings: tuple[Finding, ...] = ()
    detail: str = ""
    plain: bool = False
    scores: dict[str, float] = field(default_factory=dict)
