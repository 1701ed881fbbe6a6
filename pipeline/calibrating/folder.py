"""Material of an operator's own, from a folder.

    registered/NAME/pictures/     what is registered of a subject: PNG, JPEG, WebP
    registered/NAME/shows/        other pictures, and clips, that show it
    registered/NAME/alike/        pictures and clips of what only looks like it (may be missing)
    registered/NAME/description.txt   the words it is registered with; attributes.txt: one a line
    registered/NAME/prompts.txt   prompts that mean it without naming it, one a line
    strangers/shows/              pictures and clips that show none of them
    strangers/prompts.txt         prompts that mean somebody else
    ordinary/pictures/            pictures of nobody, for the cohort (may be missing)
    ordinary/prompts.txt          prompts that mean nobody (may be missing)

What shows one subject also counts as a stranger to all others. Files are decoded where uploads are: in a
process of their own, within the limits of the settings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifiers.base import Picture, Sight
from pipeline.calibrating.material import Group, Registered, Show
from pipeline.checks import Eyes, look, look_at_pictures
from pipeline.errors import LimitExceeded, UsageError
from pipeline.media.types import MediaLimits
from pipeline.pictures.reader import read_all

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
CLIPS: Final = (".mp4", ".mov", ".webm", ".mkv")
MAX_SUBJECTS: Final = 5_000
MAX_FILES: Final = 20_000  # of one folder
MAX_TEXT: Final = 4 * 1024 * 1024  # bytes of one file of words
LEAST_SUBJECTS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FileShow:
    """A clip or a picture in a file."""

    path: Path
    limits: MediaLimits

    def seen(self, eyes: Eyes) -> Sight:
        """As `material.Show` says. Raises: MediaUnreadable, PictureRefused and what else reading raises."""
        if self.path.suffix.lower() in CLIPS:
            looked = look(self.path, eyes, self.limits)
        else:
            looked = look_at_pictures([read_all([self.path])[0].rgb], eyes)
        for report in looked.unfinished:
            raise UsageError(f"{self.path.name} could not be looked at: {report.detail or report.state}")
        return looked.sight


class FolderMaterial:
    """A folder as the module says. Raises: UsageError where it is laid out otherwise, LimitExceeded."""

    def __init__(self, folder: Path, limits: MediaLimits) -> None:
        self._folder, self._limits = folder, limits
        found = folder / "registered"
        if not found.is_dir():
            raise UsageError(f"{folder} has no folder called registered; docs/checks.md has the layout")
        self._subjects = sorted(path for path in found.iterdir() if path.is_dir())
        if not LEAST_SUBJECTS <= len(self._subjects) <= MAX_SUBJECTS:
            raise UsageError(
                f"{found} has {len(self._subjects)} folders of subjects; a calibration takes "
                f"{LEAST_SUBJECTS} to {MAX_SUBJECTS}"
            )
        self.ordinary: Sequence[str] = lines(folder / "ordinary" / "prompts.txt")

    @property
    def told(self) -> str:
        """What it is; no path, since those of this machine are nobody's business."""
        return (
            f"material of the operator's own: {len(self._subjects)} subjects, {len(self.ordinary)} ordinary "
            "prompts"
        )

    def groups(self) -> Iterator[Group]:
        """One group of all subjects."""
        strangers = self._folder / "strangers"
        yield Group(
            registered=[self._subject(path) for path in self._subjects],
            shows=self._shows(strangers / "shows"), prompts=lines(strangers / "prompts.txt"), crossed=True,
        )  # fmt: skip

    def cohort(self) -> Sequence[Picture]:
        """The pictures of ordinary/pictures."""
        return _pictures(self._folder / "ordinary" / "pictures")

    def _subject(self, path: Path) -> Registered:
        return Registered(
            name=path.name, pictures=_pictures(path / "pictures"),
            description=" ".join(lines(path / "description.txt")), attributes=lines(path / "attributes.txt"),
            shows=self._shows(path / "shows"), alike=self._shows(path / "alike"),
            prompts=lines(path / "prompts.txt"),
        )  # fmt: skip

    def _shows(self, folder: Path) -> list[Show]:
        return [FileShow(path=path, limits=self._limits) for path in _files(folder, PICTURES + CLIPS)]


def _pictures(folder: Path) -> list[Picture]:
    return [picture.rgb for picture in read_all(_files(folder, PICTURES))]


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if len(found) > MAX_FILES:
        raise LimitExceeded(f"{folder} has {len(found)} files; at most {MAX_FILES} are taken")
    return found


def lines(path: Path) -> list[str]:
    """The lines of a file that are not empty; none without a file. Raises: LimitExceeded, UsageError."""
    if not path.is_file():
        return []
    if path.stat().st_size > MAX_TEXT:
        raise LimitExceeded(f"{path.name} is larger than {MAX_TEXT // 2**20} MiB; shorten it")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8; save it as that") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
