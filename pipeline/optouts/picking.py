"""What becomes of each picture that somebody picked, before anything is registered: one sentence each.

It says what `Desk.register` would say, but of every picture, and not of the first that is wrong alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import CountermarkError, PictureRefused
from pipeline.optouts.fitting import Fit, Fitting
from pipeline.optouts.looking import Eyes, compose, see
from pipeline.optouts.order import UNNAMED
from pipeline.pictures.reader import read_each
from pipeline.pictures.types import PictureFile, ReadPicture
from registry.subject_types import OptOutDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """One picture. ``taken``: whether it would be registered; ``told``: why not, or that it is in quarantine;
    ``picture``: as far as it could be read.
    """

    name: str
    taken: bool
    told: str = ""
    picture: ReadPicture | None = None


def picked(files: Sequence[PictureFile], kind: str, eyes: Eyes) -> list[Picked]:
    """Look at pictures of a subject of this kind, in order. Raises: ModelUnusable, SandboxFailed."""
    results = list(read_each(files))
    read = [one for one in results if isinstance(one, ReadPicture)]
    told = {one.sha256: told for one, told in zip(read, _told(read, kind, eyes), strict=True)}
    answers = []
    for file, result in zip(files, results, strict=True):
        if isinstance(result, CountermarkError):
            answers.append(Picked(name=file.name, taken=False, told=_plain(str(result), file.name)))
        else:
            taken, sentence = told[result.sha256]
            answers.append(Picked(name=file.name, taken=taken, told=sentence, picture=result))
    return answers


def _told(read: Sequence[ReadPicture], kind: str, eyes: Eyes) -> list[tuple[bool, str]]:
    """Of each whether it is taken, and a sentence."""
    seen = see(read, kind, eyes)
    shown = list({one.sha256: one for one in seen if one.vectors}.values())
    fits = {}
    if shown:
        looked = compose(shown, (), ())
        draft = OptOutDraft(
            kind=kind, name=UNNAMED, owner=UNNAMED, references=looked.references, vectors=looked.vectors
        )
        [fit] = Fitting(eyes).of([draft])
        fits = {one.sha256: Fit(pictures=(one,)) for one in fit.pictures}
    return [
        _fitting(fits.get(one.sha256, Fit()), one.name)
        if one.vectors
        else (False, _plain(one.note, one.name))
        for one in seen
    ]


def _fitting(fit: Fit, name: str) -> tuple[bool, str]:
    try:
        fit.demand()
    except PictureRefused as error:
        return False, _plain(str(error), name)
    return True, _plain(" ".join(fit.notes()), name)


def _plain(sentence: str, name: str) -> str:
    """The sentence without the name, which stands beside it."""
    return sentence.removeprefix(f"{name}: ")
