"""What is said in a clip, where a speech model is set: the transcript of its sound, once for each job.

What cannot be listened to in time, or by a model that fails, is told as such: the sound then counts as not
checked and the clip is held, whatever the sound rule says.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from classifiers.base import CheckReport, CheckState
from classifiers.run import failed
from pipeline.errors import CountermarkError
from pipeline.media.hearing import hear
from pipeline.media.types import MediaLimits
from pipeline.policy import AUDIO
from pipeline.settings import Settings

if TYPE_CHECKING:
    from classifiers.speech import SpeechReader

SECONDS: Final = 1800.0
"""Time for listening to one clip, after which it is given up (and held)."""

T = TypeVar("T")
_LOCK = threading.Lock()
_loaded: "dict[tuple[str, str | None], SpeechReader]" = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is said, and how listening ended."""

    text: str
    report: CheckReport


def listen(clip: Path, settings: Settings, limits: MediaLimits) -> Heard:
    """Listen to a clip that has sound. Raises: CountermarkError for a file that cannot be read."""
    from classifiers.speech import OVERLAP, WINDOW

    try:
        reader = open_reader(settings)
        with _LOCK:  # one at a time: a model takes all the cores it is given
            windows = _in_time(hear(clip, limits, WINDOW, OVERLAP), SECONDS)
            said = reader.transcribe(windows)
    except TimeoutError as error:
        return Heard(text="", report=CheckReport(check=AUDIO, state=CheckState.TIMED_OUT, detail=str(error)))
    except CountermarkError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever fails in a model is reported, and holds
        return Heard(text="", report=failed(AUDIO, error))
    return Heard(text=said.text, report=CheckReport(check=AUDIO, state=CheckState.COMPLETED))


def open_reader(settings: Settings) -> "SpeechReader":
    """The speech model of the settings, loaded once in a process. Raises: ModelUnusable."""
    from classifiers.speech import SpeechReader

    named = (settings.speech_model or "", settings.speech_sha256)
    with _LOADING:
        if named not in _loaded:
            _loaded[named] = SpeechReader(named[0], sha256=named[1] or "")
        return _loaded[named]


_LOADING: Final = threading.Lock()


def _in_time(parts: Iterable[T], seconds: float) -> Iterator[T]:
    begun = time.monotonic()
    for part in parts:
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"listening took over {seconds:g} s and was given up")
        yield part
