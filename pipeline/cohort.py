"""What means nobody: ordinary prompts, and what the models see of them, for measuring what is registered.

The texts are those of `classifiers/ordinary_prompts.txt` and captions of the drawn world, with fixed seeds
that no calibration and no benchmark uses. Pictures of nobody come with a space's calibration
(`Calibration.cohort`). Nothing is taken from anybody's prompts. Vectors are made when first asked for, by
the very models that judge prompts, and kept in the home under the space's and the texts' digests. Those of
the models that ship come with the program (`SHIPPED`, made by `python -m training.cohorts`), since making
them is most of the time that the first opt-out of a new home takes.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Reader, Sight, TextEmbedder, Vectors

CAPTIONS: Final = 300
SEED: Final = 930_000
EMPTY_EVERY: Final = 5  # one caption in so many is of a scene with nobody in it
FOLDER: Final = "cohorts"
SHIPPED: Final = Path(__file__).with_name("cohorts")
DIGEST_BYTES: Final = 32


@cache
def texts() -> tuple[str, ...]:
    """All ordinary prompts: written ones first, then drawn ones."""
    from classifiers.ordinary import ordinary_prompts

    return (*ordinary_prompts(), *_captions())


def _captions() -> list[str]:
    from generator.embedded.world.design import random_design
    from generator.embedded.world.scene import random_scene
    from generator.embedded.world.words import captions

    made = []
    for number in range(CAPTIONS):
        rng = np.random.default_rng(SEED + number)
        design = random_design(rng) if number % EMPTY_EVERY else None
        made.append(captions(design, random_scene(rng), rng)[number % 3])
    return made


class Cohort:
    """The vectors of `texts`; ``folder``: where they are kept between processes, None: nowhere.

    ``shipped``: where those lie that need not be made.
    """

    def __init__(self, folder: Path | None, shipped: Path | None = SHIPPED) -> None:
        self._folder, self._shipped = folder, shipped
        self._known: dict[str, Vectors] = {}
        self._seen: dict[tuple[str, str], Sequence[Sight]] = {}

    def prompts(self, clip: TextEmbedder) -> Vectors:
        """Unit vectors ``float32[n, d]`` of the texts as whole prompts."""
        return self.vectors(clip, texts())

    def prompts_in(self, space: str, dimension: int, model: Callable[[], TextEmbedder]) -> Vectors:
        """The same in a space, whose model is only loaded where they are not kept."""
        return self._kept_or_made(space, dimension, model, texts())

    def sights(self, clip: TextEmbedder, minilm: TextEmbedder) -> Sequence[Sight]:
        """What both models see of each text, as `classifiers.descriptions.look_at_texts` says it.

        Kept while the process lives: cutting the texts takes a second of every opt-out otherwise.
        """
        from classifiers.descriptions import look_at_texts

        spaces = clip.space, minilm.space
        if spaces not in self._seen:
            told = [[text] for text in texts()]
            self._seen[spaces] = look_at_texts(told, self._kept(clip), self._kept(minilm))
        return self._seen[spaces]

    def _kept(self, model: TextEmbedder) -> TextEmbedder:
        return _KeptReader(self, model) if isinstance(model, Reader) else _Kept(self, model)

    def vectors(self, model: TextEmbedder, of: Sequence[str]) -> Vectors:
        """The vectors of these texts, kept as one."""
        return self._kept_or_made(model.space, model.dimension, lambda: model, of)

    def _kept_or_made(
        self, space: str, dimension: int, model: Callable[[], TextEmbedder], of: Sequence[str]
    ) -> Vectors:
        digest = hashlib.sha256("\n".join((space, *of)).encode()).hexdigest()
        if digest not in self._known:
            places = [folder / digest[:32] for folder in (self._shipped, self._folder) if folder is not None]
            whole = (_load(place, len(of), dimension) for place in places)
            kept = next((vectors for vectors in whole if vectors is not None), None)
            self._known[digest] = self._make(digest, model(), of) if kept is None else kept
        return self._known[digest]

    def _make(self, digest: str, model: TextEmbedder, of: Sequence[str]) -> Vectors:
        made = model.embed_texts(list(of))
        if self._folder is not None:
            with contextlib.suppress(OSError):  # then they are made again by the next process
                self._keep(digest, made)
        return made

    def _keep(self, digest: str, made: Vectors) -> None:
        assert self._folder is not None  # noqa: S101 - asked by the caller
        self._folder.mkdir(mode=0o700, exist_ok=True)
        body = made.astype("<f4").tobytes()
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(body + hashlib.sha256(body).digest())
        Path(file.name).replace(self._folder / digest[:32])


def _load(place: Path, count: int, dimension: int) -> Vectors | None:
    """What was kept, if it is whole: with its digest at the end."""
    with contextlib.suppress(OSError):
        kept = place.read_bytes()
        body, check = kept[:-DIGEST_BYTES], kept[-DIGEST_BYTES:]
        if hashlib.sha256(body).digest() == check and len(body) == 4 * count * dimension:
            return np.frombuffer(body, "<f4").reshape(count, dimension).astype(np.float32)
    return None


class _Kept:
    """A model whose vectors of a list of texts are kept."""

    def __init__(self, cohort: Cohort, model: TextEmbedder) -> None:
        self._cohort, self._model = cohort, model
        self.space, self.dimension = model.space, model.dimension

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self._cohort.vectors(self._model, tuple(texts))


class _KeptReader(_Kept):
    """The same of one that says what of a text it sees."""

    def __init__(self, cohort: Cohort, model: Any) -> None:
        super().__init__(cohort, model)
        self.context: int = model.context
        self.pieces, self.known = model.pieces, model.known
