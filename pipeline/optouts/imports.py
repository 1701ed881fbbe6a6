"""An import: every line is judged and looked at before anything is written, and every mistake is told."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from classifiers.errors import NameRefused
from pipeline.errors import CountermarkError, ImportRefused, PictureRefused, Problem, UsageError, describe
from pipeline.media.ahead import ahead
from pipeline.optouts.drafting import Prepared, prepare
from pipeline.optouts.files import Folder, open_folder
from pipeline.optouts.fitting import Fitting
from pipeline.optouts.lines import MAX_PROBLEMS, Line
from pipeline.optouts.looking import Eyes
from pipeline.optouts.naming import Named, named_all
from pipeline.pictures.reader import Result, read_each
from pipeline.pictures.types import PictureFile, ReadPicture

Progress = Callable[[int, int], None]
"""Told how many pictures are done, of how many."""


def prepare_lines(lines: Sequence[Line], base: Path, eyes: Eyes, progress: Progress) -> list[Prepared]:
    """Drafts of all lines; pictures are looked for in the folder `base`.

    1. Names, of all lines. 2. Pictures, in the order of the lines, the next decoded while one is looked at.
    Raises: ImportRefused; ModelUnusable.
    """
    names = _all_named(lines)  # 1
    done, problems = [], []
    with open_folder(base) as folder, closing(_pictures(lines, folder, progress)) as groups:  # 2
        for line, known, results in zip(lines, names, groups, strict=True):
            read = [result for result in results if isinstance(result, ReadPicture)]
            problems += [problem_of(line.number, bad) for bad in results if isinstance(bad, CountermarkError)]
            if problems:  # nothing will be written: only see what else is wrong
                continue
            shown = len(line.order.references)
            try:
                done.append(prepare(line.order, known, read[:shown], read[shown:], eyes))
            except PictureRefused as error:
                problems.append(problem_of(line.number, error))
    _demand_none(problems)
    return done


def problem_of(line: int, error: Exception) -> Problem:
    """The problem that an error of ours makes of a line."""
    told = describe(error)
    return Problem(line=line, code=told.code, message=told.message)


def fitted_lines(lines: Sequence[Line], prepared: Sequence[Prepared], fitting: Fitting) -> list[Prepared]:
    """The drafts with what goes into quarantine. Raises: ImportRefused for what would stop everybody."""
    done, problems = [], []
    fits = fitting.of([one.draft for one in prepared])
    for line, one, fit in zip(lines, prepared, fits, strict=True):
        try:
            done.append(one.fitted(fit))
        except (PictureRefused, UsageError) as error:
            problems.append(problem_of(line.number, error))
    _demand_none(problems)
    return done


def _all_named(lines: Sequence[Line]) -> list[Named]:
    names, problems = [], []
    for line, found in zip(lines, named_all([line.order for line in lines]), strict=True):
        if isinstance(found, NameRefused):
            problems.append(problem_of(line.number, found))
        else:
            names.append(found)
    _demand_none(problems)
    return names


def _demand_none(problems: Sequence[Problem]) -> None:
    if problems:
        raise ImportRefused.of(problems[:MAX_PROBLEMS])


def _pictures(lines: Sequence[Line], folder: Folder, progress: Progress) -> Generator[list[Result]]:
    """What came of each line's references and negatives."""
    paths = [[*line.order.references, *line.order.negatives] for line in lines]
    total, done = sum(map(len, paths)), 0
    with ahead(read_each(_loaded(path, folder) for group in paths for path in group)) as results:
        for group in paths:
            yield list(islice(results, len(group)))
            done += len(group)
            progress(done, total)


def _loaded(path: str, folder: Folder) -> PictureFile | CountermarkError:
    try:
        return folder.load(path)
    except CountermarkError as error:
        return error
