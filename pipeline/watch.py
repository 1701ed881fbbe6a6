"""The checks of clips alone, on a home that is only read: what `countermark check` and benchmarks use."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from classifiers import thresholds
from classifiers.base import CheckReport, Finding
from classifiers.drawn import spaces_of
from classifiers.thresholds import Calibration
from pipeline import checks, policy
from pipeline.checks import Looked
from pipeline.clock import clock
from pipeline.errors import CountermarkError
from pipeline.examine import examine
from pipeline.eyes import CALIBRATIONS, Eyes
from pipeline.found import found_json
from pipeline.home import Home
from pipeline.media.limits import media_limits
from pipeline.orders import LOCAL_ACCOUNT
from pipeline.pictures.reader import load_picture, read_each
from pipeline.pictures.types import PictureFile
from pipeline.recheck import in_full, wishes_of
from pipeline.settings import Settings
from pipeline.types import Decision, Json
from registry.db import open_database
from registry.view import Snapshot, View

POLICY: Final = "opt-out"
BATCH: Final = 32
"""Pictures in memory at a time."""


class Watch:
    """Looks and compares with the registry as it was when this was made."""

    def __init__(self, settings: Settings, eyes: Eyes, snapshot: Snapshot) -> None:
        self._eyes, self._snapshot = eyes, snapshot
        self._limits = media_limits(settings)
        folder = settings.home / CALIBRATIONS
        self._policy = policy.preset(POLICY).only(policy.CLIP_CHECKS).judging_frames(eyes.frames.asked)
        judges = eyes.frame_judges().all if eyes.frames.asked else ()
        spaces = (eyes.clip.space, *spaces_of(eyes.faces.space), *(judge.space for judge in judges))
        self._calibrations: dict[str, Calibration] = {
            space: thresholds.load(space, [folder]) for space in spaces
        }

    @property
    def seq(self) -> int:
        """The log position that is compared with."""
        return self._snapshot.seq

    def look(self, path: Path, progress: Callable[[float], None] | None = None) -> Looked:
        """Look at a clip; errors as `pipeline.checks.look`."""
        return checks.look(path, self._eyes, self._limits, progress)

    def look_at_pictures(self, paths: Sequence[Path]) -> Iterator[Looked | CountermarkError]:
        """Look at each picture, or say why it cannot be read."""
        for start in range(0, len(paths), BATCH):
            yield from self._look_at_batch(paths[start : start + BATCH])

    def _look_at_batch(self, paths: Sequence[Path]) -> Iterator[Looked | CountermarkError]:
        loaded = [_loaded(path) for path in paths]
        read = read_each([file for file in loaded if isinstance(file, PictureFile)])
        for file in loaded:
            found = next(read) if isinstance(file, PictureFile) else file
            if isinstance(found, CountermarkError):
                yield found
            else:
                yield checks.look_at_pictures([found.rgb], self._eyes)

    def judge(self, looked: Looked) -> tuple[tuple[CheckReport, ...], Decision]:
        """The reports of the checks, and what `POLICY` decides on them for `LOCAL_ACCOUNT`."""
        compared = examine(self._policy.required, looked.sight, self._snapshot, self._calibrations)
        compared = in_full(compared, looked.sight, self._snapshot)
        failed = {report.check for report in looked.unfinished}
        reports = (*looked.unfinished, *(report for report in compared if report.check not in failed))
        now = clock()
        decision = policy.decide(
            self._policy, reports, sound=policy.Sound.ACCEPT,
            has_sound=False, registry_seq=self.seq, now=now,
            wishes=wishes_of(self._snapshot.subjects, LOCAL_ACCOUNT, now),
        )  # fmt: skip
        return reports, decision

    def told(self, finding: Finding) -> Json:
        """A finding as `countermark check` prints it."""
        return found_json(finding, self._snapshot.subjects)


def _loaded(path: Path) -> PictureFile | CountermarkError:
    try:
        return load_picture(path)
    except CountermarkError as error:
        return error


@contextlib.contextmanager
def open_watch(settings: Settings) -> Iterator[Watch]:
    """Open the home of `settings`. Raises: `registry.errors`, ModelUnusable, CalibrationMissing."""
    home = Home(settings.home)
    engine = open_database(settings.database)
    view = View(engine, home.index)
    try:
        eyes = Eyes.of(settings)
        yield Watch(settings, eyes, view.current())
    finally:
        view.close()
        engine.dispose()
