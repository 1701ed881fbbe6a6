"""Every error as a problem (RFC 9457): one table of codes for commands and routes, `pipeline.errors`."""

import http
import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from classifiers.errors import ClassifierError
from pipeline import logs
from pipeline.credentials.text import safe_text
from pipeline.errors import (
    CountermarkError,
    Described,
    LimitExceeded,
    MethodUnknown,
    RequestMalformed,
    RouteUnknown,
    UsageError,
    describe,
)
from registry.errors import KeyRefused, QueueFull, RegistryError
from watermark.errors import WatermarkError

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:countermark:problem:"
RETRY_SECONDS: Final = 5
MAX_ERRORS: Final = 20  # that one answer names
MAX_DETAIL: Final = 600
INTERNAL: Final = Described(
    code="internal", message="something broke here; it was logged, try again later", exit_code=3,
    http_status=500,
)  # fmt: skip

_OURS: Final = (CountermarkError, RegistryError, ClassifierError, WatermarkError)

log = logging.getLogger("countermark.service")


def answer(told: Described, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """The problem document of an error, with members of its own in `more`."""
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + told.code, "title": http.HTTPStatus(told.http_status).phrase,
        "status": told.http_status, "code": told.code, "detail": safe_text(told.message, MAX_DETAIL),
        "request_id": logs.request_id(),
    }  # fmt: skip
    return JSONResponse(document | more, told.http_status, _headers(told, headers), MEDIA_TYPE)


def told_of(error: Exception) -> Described:
    """The table's row for any error; what is none of ours is logged and says nothing to the client."""
    if isinstance(error, _OURS):
        told = describe(error)
    elif isinstance(error, HTTPException):
        told = _of_framework(error)
    elif isinstance(error, RequestValidationError):
        told = describe(RequestMalformed("some fields are missing or wrong; see errors"))
    else:
        told = INTERNAL
    if told.http_status == INTERNAL.http_status:
        log.error("%s", told.code, exc_info=error)
    return told


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    for kind in (*_OURS, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _handle)


async def _handle(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RequestValidationError):
        return answer(told_of(error), errors=_fields(error))
    if isinstance(error, KeyRefused):
        return answer(told_of(error), because=str(error.because))
    return answer(told_of(error), headers=getattr(error, "headers", None))


def _headers(told: Described, headers: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in (headers or {}).items() if name.lower() == "allow"}
    if told.http_status == http.HTTPStatus.UNAUTHORIZED:
        kept["WWW-Authenticate"] = "Bearer"
    if told.http_status == http.HTTPStatus.SERVICE_UNAVAILABLE or told.code == QueueFull.code:
        kept["Retry-After"] = str(RETRY_SECONDS)
    return kept


def _of_framework(error: HTTPException) -> Described:
    cause = error.__cause__
    if isinstance(cause, _OURS):  # the framework's reader of bodies wraps what our limits raised
        return describe(cause)
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        return describe(RouteUnknown("there is no such route; see /openapi.json"))
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        return describe(MethodUnknown("this route does not know the method; see /openapi.json"))
    if error.status_code == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return describe(LimitExceeded("the request is too large"))
    if error.status_code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return describe(UsageError("the request cannot be read; send well-formed JSON in UTF-8"))
    return INTERNAL


def _fields(error: RequestValidationError) -> list[dict[str, str]]:
    """Which fields are wrong and why; what they held is not repeated."""
    return [
        {"field": safe_text(".".join(map(str, one["loc"])), 200), "message": safe_text(one["msg"], 200)}
        for one in error.errors()[:MAX_ERRORS]
    ]
