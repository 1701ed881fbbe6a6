"""The service's log on standard error: lines of text, or of JSON, that name requests and hold none of them.

1. A request is its id, method, the route as it is documented, status, milliseconds, and the ids of its key
   and job; never its path, query, headers, body or address. Its id goes back to the client.
2. Of an error that is not ours only kinds and places are written: what it says may repeat what a client sent.
   Of what libraries say, the first line is: after it they show objects.
3. A line is a line: what it says is escaped.
"""

import json
import logging
import secrets
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.clock import rfc3339
from pipeline.credentials.text import safe_text
from pipeline.settings import Settings
from pipeline.workbench import OURS

ID_BYTES: Final = 8
MAX_TEXT: Final = 2000
MAX_FRAMES: Final = 60
MAX_CAUSES: Final = 5
OUR_LOGGERS: Final = "countermark."
REQUEST_ID: Final = "X-Request-Id"


@dataclass(slots=True, kw_only=True)
class About:
    """What the log may say of a request: its id, and the ids of its key and of its job."""

    request: str
    key: str = ""
    job: str = ""


_now: ContextVar[About | None] = ContextVar("request", default=None)


@contextmanager
def request() -> Iterator[About]:
    """A request, with a new id, while the block lasts; also in threads that work for it."""
    about = About(request=secrets.token_hex(ID_BYTES))
    token = _now.set(about)
    try:
        yield about
    finally:
        _now.reset(token)


def request_id() -> str:
    """The id of the request that is answered here; empty outside of any."""
    about = _now.get()
    return about.request if about else ""


def note(*, key: str = "", job: str = "") -> None:
    """Whose key the request came with, or which job it is about."""
    about = _now.get()
    if about is not None:
        about.key, about.job = key or about.key, job or about.job


def with_fields(**fields: Any) -> dict[str, Any]:
    """The ``extra`` of a log line that has these fields; what is empty is left out."""
    return {"fields": {name: value for name, value in fields.items() if value not in ("", None, {})}}


class TextLines(logging.Formatter):
    """Lines for a person: time, level, name, message, and fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and under it the places of an error."""
        told = _told(record)
        head = [told.pop(name) for name in ("time", "level", "logger", "message")]
        places = told.pop("places", [])
        fields = [f"{name}={value}" for name, value in told.items()]
        return "\n".join([" ".join([*head, *fields]), *(f"    {place}" for place in places)])


class JsonLines(logging.Formatter):
    """Lines for a program: one JSON object each, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(_told(record), default=str)


def config(settings: Settings) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes. Libraries are heard from warnings on."""
    lines = JsonLines if settings.log_format == "json" else TextLines
    level = settings.log_level.upper()
    quiet = "WARNING" if level in ("DEBUG", "INFO") else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": quiet},
        "loggers": {
            "countermark": {"handlers": ["stderr"], "level": level, "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": quiet, "propagate": False},
        },
    }


def _told(record: logging.LogRecord) -> dict[str, Any]:
    message = record.getMessage()
    if not record.name.startswith(OUR_LOGGERS):
        message = message.partition("\n")[0]
    told: dict[str, Any] = {
        "time": rfc3339(datetime.fromtimestamp(record.created, UTC)), "level": record.levelname.lower(),
        "logger": record.name, "message": safe_text(message, MAX_TEXT),
    }  # fmt: skip
    about = _now.get()
    if about is not None:
        told |= {one.name: value for one in fields(about) if (value := getattr(about, one.name))}
    told |= getattr(record, "fields", {})
    if record.exc_info and record.exc_info[1] is not None:
        told |= _error(record.exc_info[1])
    return told


def _error(error: BaseException) -> dict[str, Any]:
    """Kinds of an error and of what led to it, and where (2)."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain and len(chain) < MAX_CAUSES:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    return {
        "error": " from ".join(_kind(one) for one in chain),
        "places": [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames],
    }


def _kind(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OURS):
        return f"{name} ({safe_text(str(error), MAX_TEXT)})"
    if isinstance(error, OSError) and error.strerror:
        return f"{name} ({error.strerror})"
    return name
