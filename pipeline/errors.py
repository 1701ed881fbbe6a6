"""One table: error -> stable code, exit code, HTTP status.

Exit codes: 0 nothing wrong, 1 found something (held, refused, altered), 2 usage, 3 could not.
Every message is one sentence for a person and says what to do next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from classifiers.errors import ClassifierError
from generator.errors import GeneratorError
from generator.errors import RequestInvalid as GenerationInvalid
from registry.errors import RegistryError
from watermark.errors import WatermarkError


class CountermarkError(Exception):
    """Base of the errors that people see."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 500


class UsageError(CountermarkError):
    """The request itself is wrong: a path, an option, a setting."""

    code = "usage"
    exit_code = 2
    http_status = 400


class MediaUnreadable(CountermarkError):
    """The file is missing, damaged, or not a video."""

    code = "media_unreadable"
    http_status = 422


class MediaUnsupported(CountermarkError):
    """The file is sound, but of a kind that is refused (HDR, more than 8 bits, no video track)."""

    code = "media_unsupported"
    http_status = 422


class PictureRefused(CountermarkError):
    """A picture cannot be taken: not a still PNG, JPEG or WebP, damaged, too small, too large."""

    code = "picture_refused"
    http_status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with one line of an import; lines count from 1."""

    line: int
    code: str
    message: str


class ImportRefused(CountermarkError):
    """Lines of an import cannot be taken; nothing of it was registered. ``problems``: all that is wrong."""

    code = "import_refused"
    exit_code = 2
    http_status = 422
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "ImportRefused":
        """The error for these problems, of which the sentence tells the first."""
        first, more = problems[0], len(problems) - 1
        rest = f" ({more} more {'problem' if more == 1 else 'problems'})" if more else ""
        error = cls(f"line {first.line}: {first.message}{rest}; nothing was registered")
        error.problems = tuple(problems)
        return error


class LimitExceeded(CountermarkError):
    """A named limit on bytes, pixels, frames, seconds or memory was passed."""

    code = "limit_exceeded"
    http_status = 413


class ReportUnreadable(CountermarkError):
    """What should be a verification report is none, or is damaged beyond reading."""

    code = "report_unreadable"
    http_status = 422


class SandboxFailed(CountermarkError):
    """The child process that reads untrusted bytes died, ran out of its limits or answered nonsense."""

    code = "sandbox_failed"


class StorageFailed(CountermarkError):
    """Disk full, no permission, or a file that changed under us."""

    code = "storage_failed"


class KeysUnusable(CountermarkError):
    """A key file is missing, damaged, or readable by others."""

    code = "keys_unusable"


class HomeUnusable(CountermarkError):
    """The home folder cannot be used: newer schema, wrong owner, not a folder."""

    code = "home_unusable"


class SigningFailed(CountermarkError):
    """The credential could not be made; the clip stays held and can be signed later."""

    code = "signing_failed"


class NotInstalled(CountermarkError):
    """An extra of this distribution is needed."""

    code = "not_installed"


class Refused(CountermarkError):
    """The policy says no, or the clip is held; the reasons are in the message."""

    code = "refused"
    exit_code = 1
    http_status = 409


class RequestMalformed(UsageError):
    """An HTTP request lacks a field or part, or one of them is wrong."""

    code = "request_malformed"
    http_status = 422


class ContentUnsupported(UsageError):
    """An HTTP request came as a media type that the route does not read."""

    code = "content_unsupported"
    http_status = 415


class QueryTooLong(UsageError):
    """A value in the address of an HTTP request is longer than the route takes there."""

    code = "query_too_long"
    http_status = 414


class RouteUnknown(UsageError):
    """There is no such route, release, job or opt-out for whoever asks."""

    code = "route_unknown"
    http_status = 404


class MethodUnknown(UsageError):
    """The route is there, but not for this HTTP method."""

    code = "method_unknown"
    http_status = 405


class RangeImpossible(UsageError):
    """The wanted range of bytes lies outside the file."""

    code = "range_impossible"
    http_status = 416


class TooSlow(CountermarkError):
    """The client sent its request more slowly than the limits allow."""

    code = "too_slow"
    http_status = 408


class TooBusy(CountermarkError):
    """As many jobs wait as may, or the service is stopping; try again later."""

    code = "too_busy"
    http_status = 503


class AskedTooOften(CountermarkError):
    """More requests than somebody may make, or too many slightly different forms of a clip without a key."""

    code = "asked_too_often"
    http_status = 429


class Withdrawn(CountermarkError):
    """The release was withdrawn after it had left; its file is not handed out any more."""

    code = "withdrawn"
    exit_code = 1
    http_status = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An error as a command or a route shows it."""

    code: str
    message: str
    exit_code: int
    http_status: int


# The libraries' own errors, for the same table: exit code and HTTP status, where the error itself has none.
LIBRARIES: Final[dict[type[Exception], tuple[int, int]]] = {
    ClassifierError: (3, 500),
    GenerationInvalid: (2, 400),
    GeneratorError: (3, 500),
    RegistryError: (3, 500),
    WatermarkError: (3, 422),
}


def describe(error: Exception) -> Described:
    """The table's row for an error. Raises: the error itself when it is none of ours: that is a defect."""
    if isinstance(error, CountermarkError):
        return Described(
            code=error.code, message=str(error), exit_code=error.exit_code, http_status=error.http_status
        )
    for kind, (exit_code, status) in LIBRARIES.items():
        if isinstance(error, kind):
            code = getattr(error, "code", "watermark")
            return Described(
                code=code, message=str(error), exit_code=getattr(error, "exit_code", exit_code),
                http_status=getattr(error, "http_status", status),
            )  # fmt: skip
    raise error
